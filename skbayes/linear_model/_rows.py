"""Rows of a linear model, compressed to a triangular factor that forgets nothing.

A normal likelihood of linear functions keeps of its rows only their triangular factor,
the R of a QR decomposition of [design, targets]. New rows are put below it and it is
made triangular again. Unlike cross products it does not square the condition number.
"""

from __future__ import annotations

import numpy as np

#: Noise below this share of the targets' size is rounding: a triangular factor of rows errs by
#: up to a few tens of epsilons. The variance goes with the square, which at times in seconds
#: or at steep slopes is far below any noise; epsilon itself is not.
NOISE_FLOOR = 16 * float(np.finfo(float).eps)
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

    Attributes
    ----------
    table : ndarray of shape (k, P + T)
        Upper triangular, k at most P + T.
    weight : float
        Sum of the rows' weights.
    """

    def __init__(self, n_columns: int, n_targets: int) -> None:
        self.n_columns = n_columns
        self.table = np.zeros((0, n_columns + n_targets))
        self.weight = 0.0

    def absorb(
        self, design: np.ndarray, targets: np.ndarray, weight: np.ndarray | None = None
    ) -> RowFactor:
        """Take in rows: design (N, P), targets (N, T), likelihood exponents (N,)."""
        size = max(BLOCK_ROWS, 4 * self.table.shape[1])
        for start in range(0, len(design), size):
            at = slice(start, start + size)
            rows = np.column_stack([design[at], targets[at]])
            if weight is not None:
                rows *= np.sqrt(weight[at])[:, None]
            self.table = np.asarray(np.linalg.qr(np.vstack([self.table, rows]), mode="r"))
        self.weight += float(len(design) if weight is None else weight.sum())
        return self

    def copy(self) -> RowFactor:
        """A factor of its own; tables are replaced, never written into."""
        other = RowFactor(self.n_columns, self.table.shape[1] - self.n_columns)
        other.table, other.weight = self.table, self.weight
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
        one = RowFactor(self.n_columns, 1)
        one.table = self.table[:, [*range(self.n_columns), self.n_columns + target]].copy()
        one.table[:, -1] /= unit
        one.weight = self.weight
        return one

    def in_units(self, unit: np.ndarray) -> RowFactor:
        """The same rows with targets divided by ``unit`` (T,)."""
        scaled = RowFactor(self.n_columns, len(unit))
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
        mean_square = ((self.targets**2).sum(axis=0) + self.residual**2) / self.weight
        return NOISE_FLOOR**2 * np.where(mean_square > 0, mean_square, 1.0)

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
