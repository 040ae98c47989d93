"""Counts."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from scipy.special import gammaln

from skbayes.conjugate._base import Family, State, per_feature, whole_numbers
from skbayes.conjugate._growth import log_growth, log_rising
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

    def statistics(self, state: State, X: np.ndarray, weight: np.ndarray) -> State:
        """Events of each feature, and rows."""
        return {"events": weight @ X, "rows": weight.sum()}

    def update(self, state: State, seen: State) -> State:
        """Add events and rows."""
        return {"shape": state["shape"] + seen["events"], "rate": state["rate"] + seen["rows"]}

    def log_gain(self, state: State, seen: State) -> float:
        """Of log gamma integrals."""
        a, b, events = state["shape"], state["rate"], seen["events"]
        gain = log_rising(a, events) - events * np.log(b + seen["rows"])
        return float((gain - a * log_growth(b, seen["rows"])).sum())

    def log_base(self, X: np.ndarray) -> np.ndarray:
        """Minus log factorials."""
        return -gammaln(X + 1).sum(axis=1)

    def log_predictive(self, state: State, X: np.ndarray) -> np.ndarray:
        """Negative binomial."""
        a, b = state["shape"], state["rate"]
        ways = log_rising(a, X) - gammaln(X + 1)
        return (ways - a * log_growth(b, 1.0) - X * np.log1p(b)).sum(axis=1)

    def sample(self, state: State, n_samples: int, rng: np.random.RandomState) -> State:
        """Rates."""
        shape = (n_samples, len(state["shape"]))
        return {"rate": rng.gamma(state["shape"], 1 / state["rate"], size=shape)}

    def sample_rows(self, parameters: State, rng: np.random.RandomState) -> np.ndarray:
        """Counts."""
        return rng.poisson(parameters["rate"]).astype(np.float64)
