"""The parameters of a PPCA, and what they say of complete rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Factors:
    """x = mean + loadings z + noise, z standard normal, noise of one variance.

    The covariance of x has the eigenvalues ``variances`` along ``components``, and
    ``noise`` in every direction besides.
    """

    mean: np.ndarray  # (D,)
    components: np.ndarray  # (q, D), orthonormal rows
    variances: np.ndarray  # (q,), falling
    noise: float

    @classmethod
    def from_loadings(cls, mean: np.ndarray, loadings: np.ndarray, noise: float) -> Factors:
        """Rotate loadings (D, q) to principal axes and fix their signs."""
        directions, lengths, _ = np.linalg.svd(loadings, full_matrices=False)
        return cls(mean, fix_signs(directions.T), lengths**2 + noise, noise)

    @property
    def strength(self) -> np.ndarray:
        """Variance of each component beside the noise (q,)."""
        # A component no stronger than the noise loads nothing.
        return np.maximum(self.variances - self.noise, 0.0)

    @property
    def loadings(self) -> np.ndarray:
        """W of the literature (D, q)."""
        return self.components.T * np.sqrt(self.strength)

    @property
    def covariance(self) -> np.ndarray:
        """Covariance of a row (D, D)."""
        excess = self.components.T * (self.variances - self.noise)
        return excess @ self.components + self.noise * np.eye(len(self.mean))

    @property
    def precision(self) -> np.ndarray:
        """Inverse of the covariance (D, D)."""
        excess = self.components.T * (1 / self.variances - 1 / self.noise)
        return excess @ self.components + np.eye(len(self.mean)) / self.noise

    @property
    def log_det(self) -> float:
        """Log determinant of the covariance."""
        n_rest = len(self.mean) - len(self.variances)
        return float(np.log(self.variances).sum() + n_rest * np.log(self.noise))


def fix_signs(components: np.ndarray) -> np.ndarray:
    """Make the largest entry of each row positive, as scikit-learn's PCA does.

    The result has no gaps in memory, so that files give back its layout and so its bits.
    """
    largest = np.abs(components).argmax(axis=1)
    signs = np.sign(components[np.arange(len(components)), largest])
    return np.ascontiguousarray(components * np.where(signs == 0, 1.0, signs)[:, None])
