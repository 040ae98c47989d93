"""What a conjugate family supplies: a prior that rows turn into one of its own kind."""

from __future__ import annotations

from typing import Any

import numpy as np

from skbayes.utils._parameters import Parametrised

#: Hyperparameters by name, one array each; prior and posterior have the same names.
State = dict[str, np.ndarray]


class Family(Parametrised):
    """Base of conjugate families.

    A family is a likelihood of rows with D features and a prior of the same exponential
    form. It sums rows up in statistics; its log evidence is the growth of the log normaliser
    by them, plus the log base measure.
    """

    #: Whether rows are integers, and whether they may not be negative.
    discrete = False
    non_negative = False
    _parameter_constraints: dict = {}

    def check_rows(self, X: np.ndarray) -> np.ndarray:
        """Rows in double precision; ValueError for numbers that the likelihood does not give."""
        return X.astype(np.float64)

    def prior(self, X: np.ndarray) -> State:
        """Hyperparameters for rows with as many features as X."""
        raise NotImplementedError(f"{type(self).__name__} must define prior")

    def statistics(self, state: State, X: np.ndarray, weight: np.ndarray) -> State:
        """What rows, each of which counts ``weight`` times, add to a state."""
        raise NotImplementedError(f"{type(self).__name__} must define statistics")

    def update(self, state: State, seen: State) -> State:
        """Hyperparameters after rows of statistics ``seen``."""
        raise NotImplementedError(f"{type(self).__name__} must define update")

    def log_gain(self, state: State, seen: State) -> float:
        """Log normaliser after rows of statistics ``seen``, less that before.

        The normaliser is the integral of the unnormalised density of the parameters.
        """
        raise NotImplementedError(f"{type(self).__name__} must define log_gain")

    def log_base(self, X: np.ndarray) -> np.ndarray:
        """Log base measure (N,): what the likelihood has beside its exponential form."""
        return np.zeros(len(X))

    def log_predictive(self, state: State, X: np.ndarray) -> np.ndarray:
        """Log posterior predictive density (N,)."""
        raise NotImplementedError(f"{type(self).__name__} must define log_predictive")

    def sample(self, state: State, n_samples: int, rng: np.random.RandomState) -> State:
        """Named draws of the parameters, draws first."""
        raise NotImplementedError(f"{type(self).__name__} must define sample")

    def sample_rows(self, parameters: State, rng: np.random.RandomState) -> np.ndarray:
        """One row (n, D) for each draw of the parameters."""
        raise NotImplementedError(f"{type(self).__name__} must define sample_rows")


def per_feature(name: str, value: Any, n_features: int, positive: bool = True) -> np.ndarray:
    """A number, or one a feature, as an array (D,)."""
    array = np.asarray(value, dtype=np.float64)
    if array.shape not in ((), (n_features,)):
        raise ValueError(
            f"{name}={value!r} has shape {array.shape}; give one number, or {n_features} for the "
            f"{n_features} features of X"
        )
    if not np.isfinite(array).all() or (positive and not (array > 0).all()):
        kind = "positive and finite" if positive else "finite"
        raise ValueError(f"{name}={value!r} must be {kind}")
    return np.full(n_features, array)


def whole_numbers(name: str, X: np.ndarray) -> np.ndarray:
    """Rows of integers from zero, or a ValueError."""
    X = X.astype(np.float64)
    wrong = (X < 0) | (np.floor(X) != X)
    if wrong.any():
        kind = "Negative values in data" if (X < 0).any() else "fractions in data"
        raise ValueError(
            f"{kind} passed to {name}, which takes counts or codes 0, 1, 2, ...; got "
            f"{X[wrong][0]:g}. Encode the rows, or use family='normal_gamma' for real numbers"
        )
    return X


def weighted_mean(X: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Mean (D,) of weighted rows."""
    return weight @ X / weight.sum()
