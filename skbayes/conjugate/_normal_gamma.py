"""Independent normals of unknown mean and precision."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np

from skbayes.conjugate._base import Family, State, per_feature, weighted_mean
from skbayes.conjugate._growth import log_growth, log_rising
from skbayes.utils._logs import LOG_2PI, log1p_square
from skbayes.utils._sklearn import Interval


class NormalGamma(Family):
    """Independent normal features; mean and precision have a normal-gamma prior.

    The precision is gamma(shape, rate); given it, the mean is normal around ``mean`` with
    ``mean_weight`` times that precision.

    Parameters
    ----------
    mean : float or array-like of shape (n_features,), default=0
        Prior mean, in the units of X.
    mean_weight : float or array-like of shape (n_features,), default=1
        Rows that the prior mean is worth.
    shape : float or array-like of shape (n_features,), default=1
        Half the rows that the prior precision is worth.
    rate : float or array-like of shape (n_features,), default=1
        Half their sum of squares, in squared units of X.

    References
    ----------
    .. [1] C. M. Bishop (2006), Pattern Recognition and Machine Learning, section 2.3.6.
    .. [2] K. P. Murphy (2007), Conjugate Bayesian analysis of the Gaussian distribution,
       section 3.

    Examples
    --------
    >>> from skbayes import ConjugateDensity
    >>> length = ConjugateDensity("normal_gamma").fit([[1.0], [2.0], [3.0]])
    >>> length.posterior_["mean"], length.posterior_["shape"]
    (array([1.5]), array([2.5]))
    """

    _parameter_constraints: dict = {
        "mean": [Real, "array-like"],
        "mean_weight": [Interval(Real, 0, None, closed="neither"), "array-like"],
        "shape": [Interval(Real, 0, None, closed="neither"), "array-like"],
        "rate": [Interval(Real, 0, None, closed="neither"), "array-like"],
    }

    def __init__(
        self, mean: Any = 0.0, mean_weight: Any = 1.0, shape: Any = 1.0, rate: Any = 1.0
    ) -> None:
        self.mean = mean
        self.mean_weight = mean_weight
        self.shape = shape
        self.rate = rate

    def prior(self, X: np.ndarray) -> State:
        """One normal-gamma a feature."""
        n = X.shape[1]
        return {
            "mean": per_feature("mean", self.mean, n, positive=False),
            "mean_weight": per_feature("mean_weight", self.mean_weight, n),
            "shape": per_feature("shape", self.shape, n),
            "rate": per_feature("rate", self.rate, n),
        }

    def statistics(self, state: State, X: np.ndarray, weight: np.ndarray) -> State:
        """Rows, their mean, and half of what each feature adds to its rate."""
        total, centre = weight.sum(), weighted_mean(X, weight)
        pull = state["mean_weight"] / (state["mean_weight"] + total)
        between = pull * total * (centre - state["mean"]) ** 2
        half_squares = (weight @ (X - centre) ** 2 + between) / 2
        return {"rows": total, "mean": centre, "half_squares": half_squares}

    def update(self, state: State, seen: State) -> State:
        """Murphy's equations 85 to 89."""
        kappa = state["mean_weight"] + seen["rows"]
        return {
            "mean": state["mean"] + seen["rows"] / kappa * (seen["mean"] - state["mean"]),
            "mean_weight": kappa,
            "shape": state["shape"] + seen["rows"] / 2,
            "rate": state["rate"] + seen["half_squares"],
        }

    def log_gain(self, state: State, seen: State) -> float:
        """Of log normal and gamma integrals."""
        a, b, half = state["shape"], state["rate"], seen["rows"] / 2
        gain = log_rising(a, half) - half * np.log(b)
        gain -= (a + half) * log_growth(b, seen["half_squares"])
        return float((gain - 0.5 * log_growth(state["mean_weight"], seen["rows"])).sum())

    def log_base(self, X: np.ndarray) -> np.ndarray:
        """The normal's constant."""
        return np.full(len(X), -0.5 * X.shape[1] * LOG_2PI)

    def log_predictive(self, state: State, X: np.ndarray) -> np.ndarray:
        """Student-t of 2 shape degrees of freedom (Murphy's equation 100)."""
        a = state["shape"]
        scale = np.sqrt(state["rate"] * (1 + 1 / state["mean_weight"]) / a)
        constant = log_rising(a, 0.5) - 0.5 * np.log(2 * np.pi * a) - np.log(scale)
        away = (X - state["mean"]) / scale / np.sqrt(2 * a)
        return (constant - (a + 0.5) * log1p_square(away[..., None], axis=-1)).sum(axis=1)

    def sample(self, state: State, n_samples: int, rng: np.random.RandomState) -> State:
        """Means and precisions."""
        shape = (n_samples, len(state["mean"]))
        precision = rng.gamma(state["shape"], 1 / state["rate"], size=shape)
        std = 1 / np.sqrt(state["mean_weight"] * precision)
        return {"mean": state["mean"] + std * rng.normal(size=shape), "precision": precision}

    def sample_rows(self, parameters: State, rng: np.random.RandomState) -> np.ndarray:
        """Normals."""
        std = 1 / np.sqrt(parameters["precision"])
        return parameters["mean"] + std * rng.normal(size=std.shape)
