"""Standardisation in float64, safe for columns of any finite size."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

#: A standard deviation up to this share of the largest magnitude is what rounding makes of one
#: number: about a unit in the last place.
ROUNDING = float(np.finfo(float).eps)


class ColumnMoments(NamedTuple):
    """Mean, standard deviation and largest magnitude (D,) of columns, divided by ``unit``.

    Units are powers of two: dividing by them is exact, and no square overflows.
    """

    mean: np.ndarray
    spread: np.ndarray
    largest: np.ndarray
    unit: np.ndarray

    @classmethod
    def of(cls, X: np.ndarray, weight: np.ndarray) -> ColumnMoments:
        """Moments of weighted rows (N, D) in float64; NaN is a missing value.

        Deviations are from a value of the column, which is exact where it is far from zero,
        and makes those of a constant column zeros.
        """
        observed = ~np.isnan(X)
        exponent = np.frexp(np.max(np.abs(X), axis=0, where=observed, initial=0.0))[1]
        exponent = np.minimum(exponent, 1023)  # beyond, a unit overflows
        scaled = np.ldexp(np.where(observed, X, 0.0), -exponent)
        first = scaled[observed.argmax(axis=0), np.arange(X.shape[1])]
        total = weight @ observed
        total = np.where(total > 0, total, 1.0)
        away = np.where(observed, scaled - first, 0.0)
        shift = weight @ away / total
        spread = np.sqrt(weight @ np.where(observed, away - shift, 0.0) ** 2 / total)
        largest = np.abs(scaled).max(axis=0)
        spread = np.where(spread > ROUNDING * largest, spread, 0.0)
        return cls(first + shift, spread, largest, np.ldexp(1.0, exponent))

    def pooled(self, groups: np.ndarray) -> ColumnMoments:
        """Moments (D,) of all values of each group (D,) of columns together."""
        n_columns = np.bincount(groups)
        _, first = np.unique(groups, return_index=True)
        unit = np.zeros(len(n_columns))
        np.maximum.at(unit, groups, self.unit)
        share = self.unit / unit[groups]
        # As in `of`, from a value: columns that are the same constant vary by nothing.
        start = (self.mean * share)[first]
        away = self.mean * share - start[groups]
        shift = np.bincount(groups, away) / n_columns
        within = (self.spread * share) ** 2 + (away - shift[groups]) ** 2
        spread = np.sqrt(np.bincount(groups, within) / n_columns)
        largest = np.zeros(len(n_columns))
        np.maximum.at(largest, groups, self.largest * share)
        found = (start + shift, spread, largest, unit)
        return ColumnMoments(*(values[groups] for values in found))


class Standardizer:
    """Affine map to weighted mean 0 and standard deviation 1.

    A constant column is divided by its magnitude alone.

    Parameters
    ----------
    mode : {"column", "channel", "global"} or None
        One mean and scale a column; one for all columns of a channel; one scale for all; or
        leave the columns alone.
    groups : ndarray of int of shape (n_columns,), optional
        Channel of each column; each its own by default.
    """

    def __init__(self, mode: str | None = "column", groups: np.ndarray | None = None) -> None:
        self.mode, self.groups = mode, groups

    def fit(self, X: np.ndarray, weight: np.ndarray) -> Standardizer:
        """Learn mean and scale (n_columns,) of weighted rows."""
        X = X.astype(np.float64)
        n_columns = X.shape[1]
        self.mean, self.scale = np.zeros(n_columns), np.ones(n_columns)
        if self.mode is None:
            return self
        found = ColumnMoments.of(X, weight)
        if self.mode == "channel" and self.groups is not None:
            found = found.pooled(self.groups)
        self.mean, scale = found.mean * found.unit, found.spread * found.unit
        if self.mode == "global":
            biggest = scale.max()
            rms = np.sqrt(np.mean((scale / biggest) ** 2)) * biggest if biggest > 0 else 0.0
            scale = np.full(n_columns, rms)
        else:
            scale = np.where(scale > 0, scale, found.largest * found.unit)
        self.scale = np.where(scale > 0, scale, 1.0)
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Standardise rows, in float64; what is too far out for that is infinite."""
        with np.errstate(over="ignore"):
            return (X.astype(np.float64) - self.mean) / self.scale

    def inverse_transform(self, Z: np.ndarray) -> np.ndarray:
        """Undo `transform` along the last axis."""
        return Z * self.scale + self.mean
