"""Rows of a linear model, compressed to a triangular factor that forgets nothing.

A normal likelihood of linear functions keeps of its rows only their triangular factor,
the R of a QR decomposition of [design, targets]. New rows are put below it and it is
made triangular again. Unlike cross products it does not square the condition number.

Beside an intercept, columns and targets are measured from a number of their own, and the
first row alone, the intercept's, is told of it afterwards: what a column far from zero varies
by is then as exact as the numbers are.
"""

from __future__ import annotations

import numpy as np

#: Noise below this share of the targets' size is rounding: a triangular factor of rows errs by
#: up to a few tens of epsilons. The variance goes with the square, which at times in seconds
#: or at steep slopes is far below any noise; epsilon itself is not.
NOISE_FLOOR = 16 * float(np.finfo(float).eps)
#: Of what an intercept takes up, only the rounding of the targets themselves is left.
ROUNDED = 0.1 * float(np.finfo(float).eps)
#: Multiply-adds per block are worth the overhead from about this many rows on.
BLOCK_ROWS = 4096


class RowFactor:
    """Triangular factor of weighted rows [design, targets].

    Parameters
    ----------
    n_columns : int
        Columns P of the design.
    n_targets : int
        Targets T.
    fit_intercept : bool
        Whether the first column is constant.

    Attributes
    ----------
    table : ndarray of shape (k, P + T)
        Upper triangular, k at most P + T.
    origin : ndarray of shape (P + T,)
        What columns and targets are measured from until they are in the table.
    weight : float
        Sum of the rows' weights.
    """

    def __init__(self, n_columns: int, n_targets: int, fit_intercept: bool = False) -> None:
        self.n_columns, self.fit_intercept = n_columns, fit_intercept
        self.origin = np.zeros(n_columns + n_targets)
        self.table = self._shifted = np.zeros((0, n_columns + n_targets))
        self.weight = 0.0

    def absorb(
        self, design: np.ndarray, targets: np.ndarray, weight: np.ndarray | None = None
    ) -> RowFactor:
        """Take in rows: design (N, P), targets (N, T), likelihood exponents (N,)."""
        size = max(BLOCK_ROWS, 4 * self.table.shape[1])
        if self.fit_intercept and not len(self._shifted) and len(design):
            first = np.column_stack([design[:size], targets[:size]])
            # One of the column's own numbers: a constant column becomes zeros.
            middle = (len(first) - 1) // 2
            self.origin = np.partition(first, middle, axis=0)[middle]
            self.origin[0] = 0.0
        for start in range(0, len(design), size):
            at = slice(start, start + size)
            rows = np.column_stack([design[at], targets[at]]) - self.origin
            if weight is not None:
                rows *= np.sqrt(weight[at])[:, None]
            self._shifted = np.asarray(np.linalg.qr(np.vstack([self._shifted, rows]), mode="r"))
        self.table = self._shifted
        if self.fit_intercept and len(self.table):
            self.table = self._shifted.copy()
            self.table[0] += self._shifted[0, 0] * self.origin
        self.weight += float(len(design) if weight is None else weight.sum())
        return self

    def copy(self) -> RowFactor:
        """A factor of its own; tables are replaced, never written into."""
        other = RowFactor(self.n_columns, self.table.shape[1] - self.n_columns, self.fit_intercept)
        other.table, other.weight = self.table, self.weight
        other._shifted, other.origin = self._shifted, self.origin
        return other

    @property
    def centre(self) -> tuple[np.ndarray, np.ndarray]:
        """Means (P,) of the columns, in two parts: what they are measured from, and the rest."""
        origin, rest = self.origin[: self.n_columns], self._shifted[0, : self.n_columns].copy()
        rest /= rest[0]
        rest[0] = 0.0
        return origin, rest

    def centred(self) -> RowFactor:
        """The same rows, their columns measured from their means."""
        other = self.copy()
        other.table = self.table.copy()
        other.table[:1, 1 : self.n_columns] = 0.0
        return other

    def in_basis(self, basis: np.ndarray | None) -> RowFactor:
        """The same rows with the design times ``basis`` (P, P)."""
        other = self.copy()
        if basis is not None:
            other.table = self.table.copy()
            other.table[:, : self.n_columns] = self.table[:, : self.n_columns] @ basis
        return other

    def pick(self, target: int, unit: float) -> RowFactor:
        """The same rows with one of the targets, divided by ``unit``."""
        one = RowFactor(self.n_columns, 1, self.fit_intercept)
        one.table = self.table[:, [*range(self.n_columns), self.n_columns + target]].copy()
        one.table[:, -1] /= unit
        one.weight = self.weight
        return one

    def in_units(self, unit: np.ndarray) -> RowFactor:
        """The same rows with targets divided by ``unit`` (T,)."""
        scaled = RowFactor(self.n_columns, len(unit), self.fit_intercept)
        scaled.table = self.table / np.concatenate([np.ones(self.n_columns), unit])
        scaled.weight = self.weight
        return scaled

    @property
    def target_size(self) -> np.ndarray:
        """Targets' size (T,), within a factor, as a power of two: dividing by it is exact."""
        largest = np.abs(self.table[:, self.n_columns :]).max(axis=0, initial=0.0)
        largest = np.where(largest > 0, largest / np.sqrt(self.weight), 1.0)
        return 2.0 ** np.round(np.log2(largest))

    @property
    def rounding(self) -> np.ndarray:
        """Noise variance (T,) below which there is only rounding."""
        squares, own = self.targets**2, int(self.fit_intercept)
        varying = squares[own:].sum(axis=0) + self.residual**2
        floor = NOISE_FLOOR**2 * varying + ROUNDED**2 * squares[:own].sum(axis=0)
        return np.where(floor > 0, floor / self.weight, NOISE_FLOOR**2)

    @property
    def design(self) -> np.ndarray:
        """Factor (r, P) of the design, r at most P."""
        return self.table[: self.n_columns, : self.n_columns]

    @property
    def targets(self) -> np.ndarray:
        """Targets (r, T) in the coordinates of `design`."""
        return self.table[: self.n_columns, self.n_columns :]

    @property
    def residual(self) -> np.ndarray:
        """Norm (T,) of the targets' part that no weights reach."""
        beyond = self.table[self.n_columns :, self.n_columns :]
        return np.hypot.reduce(beyond, axis=0, initial=0.0)
