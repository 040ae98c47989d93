"""Bayesian linear models: NumPy and SciPy only, but for ``inference="hmc"``."""

from skbayes.linear_model._linear import BayesianLinearRegression
from skbayes.linear_model._logistic import BayesianLogisticRegression

__all__ = ["BayesianLinearRegression", "BayesianLogisticRegression"]
