"""Bayesian mixtures of Gaussians."""

from skbayes.mixture._variational import VariationalGMM

__all__ = ["VariationalGMM"]
