"""Engines about a mode: `map`, `laplace`, `deep_ensemble`."""
