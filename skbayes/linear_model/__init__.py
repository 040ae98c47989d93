"""Bayesian linear models: NumPy and SciPy only, but for ``inference="hmc"``."""

from skbayes.linear_model._linear import BayesianLinearRegression

__all__ = ["BayesianLinearRegression"]
