"""Bayesian mixtures of Gaussians."""

from skbayes.mixture._variational import VariationalGMM

#: Classes that may stand in a file.
STATE: tuple[type, ...] = (VariationalGMM,)

__all__ = ["VariationalGMM"]
