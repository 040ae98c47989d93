"""Batches of rows, and where a run stands in its passes over them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor


class RowsLike(Protocol):
    """Rows of any kind, pictures and holes too."""

    def __len__(self) -> int: ...

    def rows(self, index: Any) -> Any:
        """The chosen rows."""
        ...


@dataclass
class Batches:
    """Fresh permutations of canonical rows, cut into whole batches of distinct rows.

    The rows left over sit a permutation out, which the fresh draw of the next makes as likely
    for any row as for another. Drawing rows with replacement would spoil the weak order of
    every integrator: over a permutation the errors of the batches' gradients cancel.

    Parameters
    ----------
    size : int
        Rows in a batch.
    order : Tensor of int
        The present permutation.
    position : int
        Rows of it that are used up.
    """

    size: int
    order: Tensor
    position: int

    @classmethod
    def over(cls, rows: RowsLike, size: int | None) -> Batches:
        """At the end of a pass, so that the first batch makes a permutation; None for all rows."""
        size = min(size or len(rows), len(rows))
        return cls(size, torch.empty(0, dtype=torch.int64), len(rows))

    def n_batches(self, rows: RowsLike) -> int:
        """Whole batches in a pass."""
        return len(rows) // self.size

    def next(self, rows: RowsLike, generator: torch.Generator) -> tuple[Any, float]:
        """The next batch, and rows over batch: the factor of its log likelihood."""
        n = len(rows)
        if self.size == n:
            return rows, 1.0
        if self.position + self.size > n:
            self.order = torch.randperm(n, generator=generator, device=generator.device)
            self.position = 0
        chosen = self.order[self.position : self.position + self.size]
        self.position += self.size
        return rows.rows(chosen), n / self.size
