"""Weighted moments of rows: all that complete data say to a PPCA, and they add up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skbayes.data._canonical import row_hash
from skbayes.decomposition._loadings import fix_signs


@dataclass(frozen=True)
class Moments:
    """Sum of weights, mean (D,) and covariance (D, D) with the divisor ``weight``.

    Beside them, how many complete rows differ; no more than D + 2 need be counted, for so
    many can't lie in fewer than D dimensions by their number alone.
    """

    weight: float
    mean: np.ndarray
    covariance: np.ndarray
    n_distinct: int = 0

    @classmethod
    def of_rows(cls, X: np.ndarray, weight: np.ndarray) -> Moments:
        """Moments of complete rows."""
        total = weight.sum()
        mean = weight @ X / total
        centred = X - mean
        covariance = centred.T @ (centred * weight[:, None]) / total
        return cls(float(total), mean, covariance, _count_distinct(X))

    def merge(self, other: Moments) -> Moments:
        """Moments of both sets of rows (Chan, Golub and LeVeque, 1979)."""
        total = self.weight + other.weight
        shares = self.weight / total, other.weight / total
        shift = other.mean - self.mean
        within = shares[0] * self.covariance + shares[1] * other.covariance
        between = shares[0] * shares[1] * np.outer(shift, shift)
        n_distinct = self.n_distinct + other.n_distinct
        return Moments(total, self.mean + shares[1] * shift, within + between, n_distinct)

    def spectrum(self) -> tuple[np.ndarray, np.ndarray]:
        """Eigenvalues (D,), falling, and eigenvectors as rows (D, D).

        None lies below what rounding of the largest hides.
        """
        values, vectors = np.linalg.eigh(self.covariance)
        values = np.maximum(values[::-1], resolution(values[-1:], len(values)))
        return values, fix_signs(vectors[:, ::-1].T)


def _count_distinct(X: np.ndarray) -> int:
    """Number of rows that differ; at least D + 2 where there are more of them."""
    few = 2 * (X.shape[1] + 2)
    count = len(np.unique(row_hash(X[:few])))
    return count if count >= few / 2 else len(np.unique(row_hash(X)))


def resolution(values: np.ndarray, n_features: int) -> float:
    """The least eigenvalue that rounding does not explain, for values that fall."""
    return max(float(n_features * np.finfo(float).eps * values[0]), 0.0)


def rank(values: np.ndarray) -> int:
    """Number of eigenvalues that rounding does not explain."""
    return int((values > resolution(values, len(values))).sum())
