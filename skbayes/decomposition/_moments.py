"""Weighted moments of rows: all that complete data say to a PPCA, and they add up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skbayes.decomposition._factors import fix_signs


@dataclass(frozen=True)
class Moments:
    """Sum of weights, mean (D,) and covariance (D, D) with the divisor ``weight``."""

    weight: float
    mean: np.ndarray
    covariance: np.ndarray

    @classmethod
    def of_rows(cls, X: np.ndarray, weight: np.ndarray) -> Moments:
        """Moments of complete rows."""
        total = weight.sum()
        mean = weight @ X / total
        centred = X - mean
        return cls(float(total), mean, centred.T @ (centred * weight[:, None]) / total)

    def merge(self, other: Moments) -> Moments:
        """Moments of both sets of rows (Chan, Golub and LeVeque, 1979)."""
        total = self.weight + other.weight
        shares = self.weight / total, other.weight / total
        shift = other.mean - self.mean
        within = shares[0] * self.covariance + shares[1] * other.covariance
        between = shares[0] * shares[1] * np.outer(shift, shift)
        return Moments(total, self.mean + shares[1] * shift, within + between)

    def spectrum(self) -> tuple[np.ndarray, np.ndarray]:
        """Eigenvalues (D,), falling, and eigenvectors as rows (D, D)."""
        values, vectors = np.linalg.eigh(self.covariance)
        return np.maximum(values[::-1], 0.0), fix_signs(vectors[:, ::-1].T)


def rank(values: np.ndarray) -> int:
    """Number of eigenvalues that rounding does not explain."""
    return int((values > len(values) * np.finfo(float).eps * values[0]).sum())
