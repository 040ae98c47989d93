"""Standardisation in float64, safe for columns of any finite size."""

from __future__ import annotations

import numpy as np


class Standardizer:
    """Affine map to weighted mean 0 and standard deviation 1.

    Columns are divided by their largest magnitude first, so that no variance is formed
    in units that overflow; constant columns are divided by their magnitude alone.

    Parameters
    ----------
    mode : {"column", "global"} or None
        One scale a column, one for all, or leave the columns alone.
    """

    def __init__(self, mode: str | None = "column") -> None:
        self.mode = mode

    def fit(self, X: np.ndarray, weight: np.ndarray) -> Standardizer:
        """Learn mean and scale (n_columns,) of weighted rows."""
        X = X.astype(np.float64)
        n_columns = X.shape[1]
        self.mean, self.scale = np.zeros(n_columns), np.ones(n_columns)
        if self.mode is None:
            return self
        largest = np.abs(X).max(axis=0)
        largest = np.where(largest > 0, largest, 1.0)
        share = weight / weight.sum()
        unit = X / largest
        centre = share @ unit
        spread = np.sqrt(share @ (unit - centre) ** 2)
        # A constant column of rounded numbers has a spread of rounding errors, which its
        # magnitude as a scale keeps small.
        constant = spread < 1e-12
        spread[constant] = 0.0
        self.mean = centre * largest
        scale = spread * largest
        if self.mode == "global":
            biggest = scale.max()
            rms = np.sqrt(np.mean((scale / biggest) ** 2)) * biggest if biggest > 0 else 0.0
            scale = np.full(n_columns, rms)
        else:
            scale = np.where(constant, largest, scale)
        self.scale = np.where(scale > 0, scale, 1.0)
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Standardise rows, in float64."""
        return (X.astype(np.float64) - self.mean) / self.scale

    def inverse_transform(self, Z: np.ndarray) -> np.ndarray:
        """Undo `transform` along the last axis."""
        return Z * self.scale + self.mean
