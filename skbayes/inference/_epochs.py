"""Where a sampler stands in its passes over the rows."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from skbayes._model import Data


@dataclass
class Epochs:
    """Fresh permutations of the canonical rows, cut into whole batches.

    Drawing rows with replacement would spoil the weak order of every integrator: over a
    permutation the errors of the batches' gradients cancel.

    Parameters
    ----------
    batch_size : int
        Rows in a batch.
    order : Tensor of int
        The present permutation.
    position : int
        Rows of it that are used up.
    """

    batch_size: int
    order: Tensor
    position: int

    @classmethod
    def over(cls, data: Data, batch_size: int | None) -> Epochs:
        """At the end of a pass, so that the first batch makes a permutation."""
        size = min(batch_size or len(data), len(data))
        return cls(size, torch.empty(0, dtype=torch.int64), len(data))

    def n_batches(self, data: Data) -> int:
        """Whole batches in a pass."""
        return len(data) // self.batch_size

    def next(self, data: Data, generator: torch.Generator) -> tuple[Data, float]:
        """The next batch, and rows over batch: the factor of its log likelihood."""
        n = len(data)
        if self.batch_size == n:
            return data, 1.0
        if self.position + self.batch_size > n:
            self.order = torch.randperm(n, generator=generator, device=generator.device)
            self.position = 0
        rows = self.order[self.position : self.position + self.batch_size]
        self.position += self.batch_size
        return data.rows(rows), n / self.batch_size
