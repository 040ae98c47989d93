"""Posterior draws pushed through the network in memory-bounded, fixed-size tiles.

Every tile has the same number of rows (the last is padded), so that a row's numbers do
not depend on how many rows stand beside it, nor on the memory budget.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from skbayes._model import Model
from skbayes.posteriors._base import Posterior
from skbayes.utils._memory import keep_freed_memory

TILE_ROWS = 256
TILE_DRAWS = 16


class Rows(Protocol):
    """Rows that become a tensor when a slice of them is read: a tensor is one."""

    def __len__(self) -> int: ...

    def __getitem__(self, at: slice, /) -> Tensor: ...


class Predictive:
    """Function draws of one posterior, tile by tile.

    Parameters
    ----------
    model : Model
    posterior : Posterior
    params : Tensor of shape (S, n_params)
        The draws to push through.
    memory_budget : float
        MiB that intermediate values of one tile may take.
    """

    def __init__(
        self, model: Model, posterior: Posterior, params: Tensor, memory_budget: float
    ) -> None:
        self.model, self.params = model, params
        self.hyper = model.hyper(params)
        self._draws = self._draws_at_once(memory_budget)
        self._functions = [posterior.function(model, p) for p in params.split(self._draws)]

    def _draws_at_once(self, memory_budget: float) -> int:
        per_draw = 4 * TILE_ROWS * self.model.network.widest * self.params.element_size()
        return int(max(1, min(TILE_DRAWS, memory_budget * 2**20 // per_draw)))

    def tiles(self, X: Rows) -> Iterator[tuple[slice, Tensor]]:
        """Yield row slices and their outputs (S, rows, K)."""
        for at, outputs in self._whole_tiles(X):
            yield at, outputs[:, : at.stop - at.start]

    def reduce(self, X: Rows, function: Callable[[Tensor], Sequence]) -> list[np.ndarray]:
        """Turn outputs (S, rows, K) into several results (rows, ...), tile by tile.

        ``function`` sees whole tiles, padding included: sums over a shorter tile would be
        vectorised, and rounded, otherwise.
        """
        results: list[np.ndarray] = []
        for at, outputs in self._whole_tiles(X):
            parts = [np.asarray(part) for part in function(outputs)]
            # Results kept piece by piece would stop the allocator from reusing the memory
            # between them.
            results = results or [np.empty((len(X), *p.shape[1:]), p.dtype) for p in parts]
            for result, part in zip(results, parts, strict=True):
                result[at] = part[: at.stop - at.start]
        return results

    @torch.inference_mode()
    def _whole_tiles(self, X: Rows) -> Iterator[tuple[slice, Tensor]]:
        keep_freed_memory()
        for start in range(0, len(X), TILE_ROWS):
            rows = X[start : start + TILE_ROWS]
            n_rows = len(rows)
            if n_rows < TILE_ROWS:
                rows = torch.cat([rows, rows.new_zeros(TILE_ROWS - n_rows, rows.shape[1])])
            yield slice(start, start + n_rows), self._outputs(rows)

    def _outputs(self, rows: Tensor) -> Tensor:
        """Outputs (S, rows, K) of all draws, rows last in memory, as networks make them."""
        n_outputs = self.model.network.n_outputs
        outputs = rows.new_empty(len(self.params), n_outputs, len(rows)).transpose(1, 2)
        for function, block in zip(self._functions, outputs.split(self._draws), strict=True):
            block.copy_(function(rows))
        return outputs
