"""Rows in canonical form and in units of the computation, and their first two moments.

Moments add, so that a stream knows place and scale of all its rows: the units and default
priors of rows that came in pieces are those of the same rows at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from skbayes.data._scaling import ROUNDING, ColumnMoments

__all__ = [
    "MATRICES",
    "RowMoments",
    "Rows",
    "Units",
    "canonical",
    "check_observed",
    "measured",
    "n_that_fit",
]

#: Covariance types with matrices, whose rows' moments are of pairs of columns.
MATRICES = ("full", "tied")
#: Rows whose products are formed at a time.
CHUNK_ROWS = 2**16


@dataclass(frozen=True)
class Rows:
    """Rows last: ``values`` (D, N), ``weight`` (N,) and, where some are missing, ``observed``.

    Missing values are zeros in ``values`` and False in ``observed`` (D, N). ``placed`` is a
    copy of complete rows on a torch device, ``kept`` their features if these are few.
    """

    values: np.ndarray
    weight: np.ndarray
    observed: np.ndarray | None = None
    placed: Any = None
    kept: dict[np.dtype, np.ndarray] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return self.values.shape[1]

    @classmethod
    def of(cls, table: np.ndarray, weight: np.ndarray) -> Rows:
        """Rows of a table (N, D) in which NaN is missing."""
        values = np.ascontiguousarray(table.T)
        observed = ~np.isnan(values)
        if observed.all():
            return cls(values, weight)
        return cls(np.where(observed, values, 0), weight, observed)

    @property
    def mask(self) -> np.ndarray:
        """Observed values (D, N), whether or not some are missing."""
        return np.ones(self.values.shape, dtype=bool) if self.observed is None else self.observed

    def take(self, index: np.ndarray | slice) -> Rows:
        """The chosen rows."""
        observed = None if self.observed is None else self.observed[:, index]
        return Rows(self.values[:, index], self.weight[index], observed)

    def in_single_precision(self) -> Rows:
        """The same rows in single precision, where no value is missing."""
        if self.observed is not None:
            return self
        return Rows(self.values.astype(np.float32, copy=False), self.weight)

    def on(self, device: str) -> Rows:
        """The same rows with a copy on a torch device; incomplete ones stay with NumPy."""
        if device == "cpu" or self.observed is not None:
            return self
        import torch

        return replace(self, placed=torch.tensor(self.values, device=device))

    def parts(self) -> list[Rows]:
        """Rows without and rows with missing values."""
        if self.observed is None:
            return [self]
        whole: np.ndarray = np.logical_and.reduce(self.observed, axis=0)
        first = self.take(np.flatnonzero(whole))
        both = [Rows(first.values, first.weight), self.take(np.flatnonzero(~whole))]
        return [part for part in both if len(part)]


def canonical(X: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Merge equal rows, sum their weights, drop weights of zero, and sort by columns.

    Weighted and repeated rows become the same bits, in any order of rows and, because a
    sort does not know of them, in any units.
    """
    keep = weight > 0
    if not keep.all():
        X, weight = X[keep], weight[keep]
    order, starts = _sorted(X)
    if len(starts) == len(order):
        return X[order], weight[order]
    return X[order[starts]], np.add.reduceat(weight[order], starts)


def _sorted(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """An order by columns, first come first, and where in it other rows than before start."""
    table = np.where(np.isnan(X), -np.inf, X) + 0.0  # -0.0 becomes 0.0
    order = np.argsort(table[:, 0], kind="stable")
    first = table[order, 0]
    tied = np.zeros(len(first) + 1, dtype=bool)
    tied[1:-1] = first[1:] == first[:-1]
    tied = tied[1:] | tied[:-1]
    if not tied.any():
        return order, np.arange(len(order))
    among = order[tied]
    order[tied] = among[np.lexsort(table[among].T[::-1])]
    table = table[order]
    new = np.ones(len(table), dtype=bool)
    new[1:] = (table[1:] != table[:-1]).any(axis=1)
    return order, np.flatnonzero(new)


def n_that_fit(held: np.ndarray, X: np.ndarray, size: int) -> int:
    """How many rows of X, in their order, make no more than ``size`` rows of those held.

    Equal rows are one row.
    """
    window = max(size - len(held), 0) + 1
    while True:
        table = np.concatenate([held, X[:window]])
        order, starts = _sorted(table)
        new = np.zeros(len(table), dtype=bool)
        new[order[starts]] = True
        within = int((new.cumsum() <= size).sum()) - len(held)
        if within < window or window >= len(X):
            return max(within, 0)
        window *= 2


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


class RowMoments(NamedTuple):
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
    def from_state(cls, state: dict[str, Any]) -> RowMoments:
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

    def mean_and_variance(self) -> tuple[np.ndarray, np.ndarray]:
        """Means and variances (D,) of the observed values."""
        count = self.n_observed
        known = np.where(count > 0, count, 1.0)
        mean = _of_columns(np.broadcast_to(self.sums, self.products.shape)) / known
        return mean, np.maximum(_of_columns(self.products) / known - mean**2, 0.0)

    def covariance(self) -> np.ndarray:
        """Covariance (D, D) with missing values at their means, but variances of the observed."""
        mean, variance = self.mean_and_variance()
        product = self.products - mean * self.sums - (mean * self.sums).T
        covariance = (product + np.outer(mean, mean) * self.counts) / self.n_rows
        np.fill_diagonal(covariance, variance)
        return covariance

    def times(self, factor: float) -> RowMoments:
        """The moments of rows with ``factor`` times their weights."""
        counts, sums, products = (factor * part for part in self[1:4])
        return RowMoments(self.units, counts, sums, products, factor * self.n_rows)

    def plus(self, other: RowMoments, one_scale: bool) -> RowMoments:
        """The moments of both, in the units that all rows together have."""
        units = _joint_units(self, other, one_scale)
        one, two = self.moved(units), other.moved(units)
        counts, sums, products = (a + b for a, b in zip(one[1:4], two[1:4], strict=True))
        return RowMoments(units, counts, sums, products, self.n_rows + other.n_rows)

    def moved(self, units: Units) -> RowMoments:
        """The same in other units."""
        factor, shift = self.units.within(units)
        if self.products.ndim == 1:
            sums = factor * self.sums
            products = factor**2 * self.products + 2 * shift * sums + shift**2 * self.counts
            return RowMoments(units, self.counts, sums + shift * self.counts, products, self.n_rows)
        sums = factor[:, None] * self.sums
        cross = sums * shift
        products = np.outer(factor, factor) * self.products + cross + cross.T
        products = products + np.outer(shift, shift) * self.counts
        sums = sums + shift[:, None] * self.counts
        return RowMoments(units, self.counts, sums, products, self.n_rows)


def measured(X: np.ndarray, weight: np.ndarray, covariance_type: str) -> tuple[RowMoments, Rows]:
    """Moments of rows as a covariance type needs them, and the rows in their units."""
    units = Units.of(X, weight, one_scale=covariance_type == "spherical")
    rows = units.apply(X, weight)
    n_columns, pairs = len(rows.values), covariance_type in MATRICES
    complete = rows.observed is None
    shape = (n_columns, n_columns) if pairs else (n_columns,)
    counts = np.zeros((1, 1) if pairs and complete else shape)
    sums = np.zeros((n_columns, 1) if pairs and complete else shape)
    products = np.zeros(shape)
    for start in range(0, len(rows), CHUNK_ROWS):
        chunk = rows.take(slice(start, start + CHUNK_ROWS))
        values, own = chunk.values.astype(np.float64), chunk.weight
        seen = chunk.mask.astype(np.float64)
        if pairs:
            weighted = values * own
            products += weighted @ values.T
            counts += own.sum() if complete else (seen * own) @ seen.T
            sums += weighted.sum(1, keepdims=True) if complete else weighted @ seen.T
        else:
            products += values**2 @ own
            counts += seen @ own
            sums += values @ own
    return RowMoments(units, counts, sums, products, float(rows.weight.sum())), rows


def check_observed(observed: np.ndarray) -> None:
    """Refuse rows with a column that has no value, of which ``observed`` (D,) is False."""
    empty = np.flatnonzero(~observed)
    if len(empty):
        raise ValueError(
            f"X has no observed value in column {empty[0]}; drop the column, or impute it"
        )


def _of_columns(pairs: np.ndarray) -> np.ndarray:
    return pairs.diagonal() if pairs.ndim == 2 else pairs


def _joint_units(one: RowMoments, two: RowMoments, one_scale: bool) -> Units:
    """Units of the rows of both; magnitudes are divided out, so that no square overflows."""
    largest, parts = np.zeros(len(one.units.scale)), []
    for part in (one, two):
        mean, variance = part.mean_and_variance()
        mean = mean * part.units.scale + part.units.centre
        deviation = np.sqrt(variance) * part.units.scale
        count = part.n_observed
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
