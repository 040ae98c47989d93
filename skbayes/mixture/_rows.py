"""Training rows in canonical form: equal rows merged, in an order free of units."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["Rows", "canonical", "n_that_fit"]


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

    def complete(self, values: np.ndarray) -> Rows:
        """The same rows with ``values`` (D, N) where some are missing."""
        return Rows(np.where(self.mask, self.values, values), self.weight)

    def chunks(self, size: int) -> Iterator[Rows]:
        """Views of at most ``size`` rows."""
        for start in range(0, len(self), size):
            yield self.take(slice(start, start + size))

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
