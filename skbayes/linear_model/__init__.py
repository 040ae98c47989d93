"""Bayesian linear models: NumPy and SciPy only, but for ``inference="hmc"``."""

from skbayes.linear_model._conjugate import LinearPosterior
from skbayes.linear_model._linear import BayesianLinearRegression
from skbayes.linear_model._logistic import BayesianLogisticRegression
from skbayes.linear_model._logit_posterior import DrawnLogits, NormalLogits
from skbayes.linear_model._noise import GammaNoise, KnownNoise
from skbayes.linear_model._prior import WeightPrior
from skbayes.linear_model._weighted_rows import RowFactor

#: Classes that may stand in a file.
STATE: tuple[type, ...] = (
    BayesianLinearRegression,
    BayesianLogisticRegression,
    DrawnLogits,
    GammaNoise,
    KnownNoise,
    LinearPosterior,
    NormalLogits,
    RowFactor,
    WeightPrior,
)

__all__ = ["BayesianLinearRegression", "BayesianLogisticRegression"]
