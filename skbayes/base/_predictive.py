"""The posterior at new rows as a value: what every public verb reads.

An estimator says what it expects at rows by one object, made when it is asked and never kept.
Verbs ask it for several numbers in one pass. Everything is in double precision and in the
units of the data; ``dtype`` is the precision that the caller's rows came in.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

#: A log density, its standard error, and the effective draws behind it.
Estimate = tuple[float, float, float]


class PredictiveDistribution(ABC):
    """Law of the targets of N rows.

    Numbers have shape (N, T). Labels are coded by their place in ``classes_``; what is said
    of them is said of class probabilities, (N, n_classes).

    Attributes
    ----------
    dtype : dtype
        Precision of the caller's rows.
    """

    dtype: np.dtype

    @abstractmethod
    def moments(self, *kinds: str) -> list[np.ndarray]:
        """Compute the mean, then standard deviations of some `KINDS`."""

    def std(self, kind: str) -> np.ndarray:
        """Compute standard deviations of a kind."""
        return self.moments(kind)[1]

    @abstractmethod
    def uncertainty(self) -> dict[str, np.ndarray]:
        """Compute standard deviations by kind, ``entropy`` and ``mutual_information`` (N,)."""

    @abstractmethod
    def log_prob(self, y: np.ndarray) -> np.ndarray:
        """Compute the log density (N,) of each row's target, or its log probability."""

    @abstractmethod
    def log_prob_joint(self, y: np.ndarray) -> Estimate:
        """Compute the log density of all targets together, given the training data."""

    @abstractmethod
    def sample(self, n_samples: int, random_state: Any) -> np.ndarray:
        """Draw targets (n_samples, N, T), or codes of labels (n_samples, N)."""

    @abstractmethod
    def sample_functions(self, n_samples: int, random_state: Any) -> np.ndarray:
        """Draw function values (n_samples, N, K): targets without their noise, or logits."""


class NumericPredictive(PredictiveDistribution):
    """Law of numbers."""

    @abstractmethod
    def quantiles(self, levels: np.ndarray) -> np.ndarray:
        """Compute quantiles (N, T, n_levels)."""


class ClassPredictive(PredictiveDistribution):
    """Law of labels."""

    def most_probable(self) -> np.ndarray:
        """Find codes (N,) of the most probable classes, in the caller's precision."""
        # Where two classes may tie in it, as `predict_proba` says.
        return self.moments()[0].astype(self.dtype, copy=False).argmax(axis=1)


class RowDensity(ABC):
    """Density of N rows themselves.

    Attributes
    ----------
    dtype : dtype
        Precision of the caller's rows.
    """

    dtype: np.dtype

    @abstractmethod
    def log_prob(self) -> np.ndarray:
        """Compute the log density (N,) of each row."""

    def log_prob_joint(self) -> Estimate:
        """Compute the log density of all rows together: independent unless a subclass says."""
        return float(self.log_prob().sum(dtype=np.float64)), 0.0, np.inf


class LatentDistribution(ABC):
    """Posterior of the latents (N, q) of N rows.

    Attributes
    ----------
    dtype : dtype
        Precision of the caller's rows.
    """

    dtype: np.dtype

    @abstractmethod
    def mean(self) -> np.ndarray:
        """Compute the means (N, q)."""

    @abstractmethod
    def std(self) -> np.ndarray:
        """Compute the standard deviations (N, q)."""

    @abstractmethod
    def sample(self, n_samples: int, random_state: Any) -> np.ndarray:
        """Draw latents (n_samples, N, q)."""


def as_float(value: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Cast to the caller's dtype unless numbers would overflow in it."""
    if dtype == np.float32 and np.abs(value).max(initial=0) >= np.finfo(np.float32).max:
        return value
    return value.astype(dtype, copy=False)
