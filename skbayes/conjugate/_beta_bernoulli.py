"""Zeros and ones."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np

from skbayes.conjugate._base import Family, State, per_feature
from skbayes.conjugate._growth import log_rising
from skbayes.utils._sklearn import Interval


class BetaBernoulli(Family):
    """Independent zeros and ones, whose probabilities have beta priors.

    Parameters
    ----------
    alpha, beta : float or array-like of shape (n_features,), default=1
        Ones and zeros that the prior is worth; 1 and 1 is uniform.
    threshold : float, optional
        Larger numbers count as 1, others as 0; by default X must hold 0 and 1 alone.

    References
    ----------
    .. [1] C. M. Bishop (2006), Pattern Recognition and Machine Learning, section 2.1.1.

    Examples
    --------
    >>> from skbayes import ConjugateDensity
    >>> coin = ConjugateDensity("beta_bernoulli").fit([[1], [1], [0]])
    >>> coin.posterior_
    {'alpha': array([3.]), 'beta': array([2.])}
    """

    discrete = True
    _parameter_constraints: dict = {
        "alpha": [Interval(Real, 0, None, closed="neither"), "array-like"],
        "beta": [Interval(Real, 0, None, closed="neither"), "array-like"],
        "threshold": [Real, None],
    }

    def __init__(self, alpha: Any = 1.0, beta: Any = 1.0, threshold: float | None = None) -> None:
        self.alpha = alpha
        self.beta = beta
        self.threshold = threshold

    def check_rows(self, X: np.ndarray) -> np.ndarray:
        """Zeros and ones."""
        if self.threshold is not None:
            return np.greater(X, self.threshold).astype(np.float64)
        wrong = (X != 0) & (X != 1)
        if wrong.any():
            raise ValueError(
                f"BetaBernoulli takes 0 and 1, got {X[wrong][0]!r}; set family__threshold to "
                "count larger numbers as 1, or use family='dirichlet_categorical'"
            )
        return X.astype(np.float64)

    def prior(self, X: np.ndarray) -> State:
        """Pseudo-counts of each feature."""
        n = X.shape[1]
        return {
            "alpha": per_feature("alpha", self.alpha, n),
            "beta": per_feature("beta", self.beta, n),
        }

    def statistics(self, state: State, X: np.ndarray, weight: np.ndarray) -> State:
        """Ones and zeros of each feature."""
        return {"ones": weight @ X, "zeros": weight @ (1 - X)}

    def update(self, state: State, seen: State) -> State:
        """Add counts."""
        return {"alpha": state["alpha"] + seen["ones"], "beta": state["beta"] + seen["zeros"]}

    def log_gain(self, state: State, seen: State) -> float:
        """Of log beta functions."""
        gain = log_rising(state["alpha"], seen["ones"]) + log_rising(state["beta"], seen["zeros"])
        gain -= log_rising(state["alpha"] + state["beta"], seen["ones"] + seen["zeros"])
        return float(gain.sum())

    def log_predictive(self, state: State, X: np.ndarray) -> np.ndarray:
        """Log probabilities."""
        total = state["alpha"] + state["beta"]
        return np.log(np.where(X > 0, state["alpha"], state["beta"]) / total).sum(axis=1)

    def sample(self, state: State, n_samples: int, rng: np.random.RandomState) -> State:
        """Probabilities of a 1."""
        shape = (n_samples, len(state["alpha"]))
        return {"probability": rng.beta(state["alpha"], state["beta"], size=shape)}

    def sample_rows(self, parameters: State, rng: np.random.RandomState) -> np.ndarray:
        """Zeros and ones."""
        p = parameters["probability"]
        return (rng.uniform(size=p.shape) < p).astype(np.float64)
