"""Units of the computation, and the first and second moments of rows that they come from.

Moments add, so that a stream knows place and scale of all its rows: the units and default
priors of rows that came in pieces are those of the same rows at once.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from skbayes.data._scaling import ROUNDING, ColumnMoments
from skbayes.mixture._rows import Rows

__all__ = ["Spread", "Units", "spread_of"]

#: Rows whose products are formed at a time.
CHUNK_ROWS = 2**16


class Units(NamedTuple):
    """Rows are computed with as (X - centre) / scale; both (D,), in double precision."""

    centre: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, X: np.ndarray, weight: np.ndarray, one_scale: bool) -> Units:
        """Mean and standard deviation of the observed values."""
        found = ColumnMoments.of(X.astype(np.float64), weight)
        known = weight @ ~np.isnan(X) > 0
        largest = np.where(found.largest > 0, found.largest, 1.0)
        mean, variance = found.mean / largest, (found.spread / largest) ** 2
        return cls.from_moments(mean, variance, largest * found.unit, known, one_scale)

    @classmethod
    def from_moments(
        cls,
        mean: np.ndarray,
        variance: np.ndarray,
        largest: np.ndarray,
        known: np.ndarray,
        one_scale: bool,
    ) -> Units:
        """Units from means and variances of columns that are divided by ``largest``.

        A constant column is divided by its magnitude alone, one without a value not at all.
        """
        largest = np.where(known, largest, 1.0)
        spread = np.sqrt(variance)
        spread = np.where(known & (spread > ROUNDING), spread, 0.0)
        if not one_scale:
            scale = np.where(spread > 0, spread, 1.0) * largest
        else:
            most = largest[known].max(initial=0.0) or 1.0
            scale = (spread * (largest / most))[known]
            common = np.sqrt(np.mean(scale**2)) if len(scale) else 0.0
            scale = np.full(len(mean), (common or 1.0) * most)
        return cls(mean * largest, scale)

    def apply(self, X: np.ndarray, weight: np.ndarray) -> Rows:
        """Standardised rows in the precision of X."""
        table = (X.astype(np.float64) - self.centre) / self.scale
        return Rows.of(table.astype(X.dtype, copy=False), weight)

    def log_jacobian(self, rows: Rows) -> np.ndarray:
        """Log of d(standardised row) / d(row), over the observed columns (N,)."""
        log_scale = np.log(self.scale)
        if rows.observed is None:
            return np.full(len(rows), -log_scale.sum())
        return -(log_scale @ rows.observed)

    def within(self, other: Units) -> tuple[np.ndarray, np.ndarray]:
        """Factor and shift (D,) that take values in these units to ``other`` ones."""
        return self.scale / other.scale, (self.centre - other.centre) / other.scale


class Spread(NamedTuple):
    """Weight, sums and products of observed values, in ``units``; they add over rows.

    Of one column each (D,), or of pairs of columns (D, D): ``counts[i, j]`` is the weight of
    rows that have both, ``sums[i, j]`` the sum of column i over these rows. Where all have,
    these two keep axes of length one. ``n_rows`` is the weight of all rows.
    """

    units: Units
    counts: np.ndarray
    sums: np.ndarray
    products: np.ndarray
    n_rows: float

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Spread:
        """What `state` gave."""
        units = Units(state["centre"], state["scale"])
        return cls(units, *(state[name] for name in cls._fields[1:]))

    @property
    def state(self) -> dict[str, Any]:
        """Plain arrays and a number by name, to be stored."""
        named = self._asdict()
        return {**named.pop("units")._asdict(), **named}

    @property
    def n_observed(self) -> np.ndarray:
        """Weight of the rows that have a column (D,)."""
        return _of_columns(np.broadcast_to(self.counts, self.products.shape))

    @property
    def log_jacobian(self) -> float:
        """Log of d(standardised values) / d(values), over all that is observed."""
        return -float(np.log(self.units.scale) @ self.n_observed)

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Means and variances (D,) of the observed values."""
        count = self.n_observed
        known = np.where(count > 0, count, 1.0)
        mean = _of_columns(np.broadcast_to(self.sums, self.products.shape)) / known
        return mean, np.maximum(_of_columns(self.products) / known - mean**2, 0.0)

    def covariance(self) -> np.ndarray:
        """Covariance (D, D) with missing values at their means, but variances of the observed."""
        mean, variance = self.moments()
        product = self.products - mean * self.sums - (mean * self.sums).T
        covariance = (product + np.outer(mean, mean) * self.counts) / self.n_rows
        np.fill_diagonal(covariance, variance)
        return covariance

    def times(self, factor: float) -> Spread:
        """The spread of rows with ``factor`` times their weights."""
        counts, sums, products = (factor * part for part in self[1:4])
        return Spread(self.units, counts, sums, products, factor * self.n_rows)

    def plus(self, other: Spread, one_scale: bool) -> Spread:
        """The spread of both, in the units that all rows together have."""
        units = _joint_units(self, other, one_scale)
        one, two = self.moved(units), other.moved(units)
        counts, sums, products = (a + b for a, b in zip(one[1:4], two[1:4], strict=True))
        return Spread(units, counts, sums, products, self.n_rows + other.n_rows)

    def moved(self, units: Units) -> Spread:
        """The same in other units."""
        factor, shift = self.units.within(units)
        if self.products.ndim == 1:
            sums = factor * self.sums
            products = factor**2 * self.products + 2 * shift * sums + shift**2 * self.counts
            return Spread(units, self.counts, sums + shift * self.counts, products, self.n_rows)
        sums = factor[:, None] * self.sums
        cross = sums * shift
        products = np.outer(factor, factor) * self.products + cross + cross.T
        products = products + np.outer(shift, shift) * self.counts
        sums = sums + shift[:, None] * self.counts
        return Spread(units, self.counts, sums, products, self.n_rows)


def spread_of(units: Units, rows: Rows, pairs: bool) -> Spread:
    """The spread of rows in their units, of pairs of columns or of each alone."""
    n_columns = len(rows.values)
    complete = rows.observed is None
    shape = (n_columns, n_columns) if pairs else (n_columns,)
    counts = np.zeros((1, 1) if pairs and complete else shape)
    sums = np.zeros((n_columns, 1) if pairs and complete else shape)
    products = np.zeros(shape)
    for chunk in rows.chunks(CHUNK_ROWS):
        values, weight = chunk.values.astype(np.float64), chunk.weight
        seen = chunk.mask.astype(np.float64)
        if pairs:
            weighted = values * weight
            products += weighted @ values.T
            counts += weight.sum() if complete else (seen * weight) @ seen.T
            sums += weighted.sum(1, keepdims=True) if complete else weighted @ seen.T
        else:
            products += values**2 @ weight
            counts += seen @ weight
            sums += values @ weight
    return Spread(units, counts, sums, products, float(rows.weight.sum()))


def _of_columns(pairs: np.ndarray) -> np.ndarray:
    return pairs.diagonal() if pairs.ndim == 2 else pairs


def _joint_units(one: Spread, two: Spread, one_scale: bool) -> Units:
    """Units of the rows of both; magnitudes are divided out, so that no square overflows."""
    largest, parts = np.zeros(len(one.units.scale)), []
    for spread in (one, two):
        mean, variance = spread.moments()
        mean = mean * spread.units.scale + spread.units.centre
        deviation = np.sqrt(variance) * spread.units.scale
        count = spread.n_observed
        size = np.where(count > 0, np.maximum(np.abs(mean), deviation), 0.0)
        largest = np.maximum(largest, size)
        parts.append((count, mean, deviation))
    largest = np.where(largest > 0, largest, 1.0)
    total = parts[0][0] + parts[1][0]
    known = np.where(total > 0, total, 1.0)
    shares = [(count / known, mean / largest, sd / largest) for count, mean, sd in parts]
    mean = sum(share * place for share, place, _ in shares)
    variance = sum(share * (sd**2 + (place - mean) ** 2) for share, place, sd in shares)
    return Units.from_moments(mean, variance, largest, total > 0, one_scale)
