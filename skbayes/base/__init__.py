"""What every estimator is: parts by name, the public verbs, fitting, progress."""
