"""Counts."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from scipy.special import gammaln

from skbayes.conjugate._base import Family, State, per_feature, whole_numbers
from skbayes.utils._sklearn import Interval


class GammaPoisson(Family):
    """Independent Poisson counts, whose rates have gamma priors.

    Parameters
    ----------
    shape : float or array-like of shape (n_features,), default=1
        Events that the prior is worth.
    rate : float or array-like of shape (n_features,), default=1
        Rows that the prior is worth; the prior mean of a feature's rate is shape / rate.

    References
    ----------
    .. [1] A. Gelman et al. (2013), Bayesian Data Analysis, section 2.6.

    Examples
    --------
    >>> from skbayes import ConjugateDensity
    >>> counts = ConjugateDensity("gamma_poisson").fit([[4], [2], [3]])
    >>> counts.posterior_
    {'shape': array([10.]), 'rate': array([4.])}
    """

    discrete = True
    non_negative = True
    _parameter_constraints: dict = {
        "shape": [Interval(Real, 0, None, closed="neither"), "array-like"],
        "rate": [Interval(Real, 0, None, closed="neither"), "array-like"],
    }

    def __init__(self, shape: Any = 1.0, rate: Any = 1.0) -> None:
        self.shape = shape
        self.rate = rate

    def check_rows(self, X: np.ndarray) -> np.ndarray:
        """Counts."""
        return whole_numbers("GammaPoisson", X)

    def prior(self, X: np.ndarray) -> State:
        """Events and rows that the prior is worth."""
        n = X.shape[1]
        return {
            "shape": per_feature("shape", self.shape, n),
            "rate": per_feature("rate", self.rate, n),
        }

    def update(self, state: State, X: np.ndarray, weight: np.ndarray) -> State:
        """Add events and rows."""
        return {"shape": state["shape"] + weight @ X, "rate": state["rate"] + weight.sum()}

    def log_normaliser(self, state: State) -> float:
        """Log gamma integrals."""
        return float((gammaln(state["shape"]) - state["shape"] * np.log(state["rate"])).sum())

    def log_base(self, X: np.ndarray) -> np.ndarray:
        """Minus log factorials."""
        return -gammaln(X + 1).sum(axis=1)

    def log_predictive(self, state: State, X: np.ndarray) -> np.ndarray:
        """Negative binomial."""
        a, b = state["shape"], state["rate"]
        ways = gammaln(a + X) - gammaln(a) - gammaln(X + 1)
        return (ways - a * np.log1p(1 / b) - X * np.log1p(b)).sum(axis=1)

    def sample(self, state: State, n_samples: int, rng: np.random.RandomState) -> State:
        """Rates."""
        shape = (n_samples, len(state["shape"]))
        return {"rate": rng.gamma(state["shape"], 1 / state["rate"], size=shape)}

    def sample_rows(self, parameters: State, rng: np.random.RandomState) -> np.ndarray:
        """Counts."""
        return rng.poisson(parameters["rate"]).astype(np.float64)
