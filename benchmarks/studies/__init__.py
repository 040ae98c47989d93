"""Studies that decided something once, frozen with their results."""
