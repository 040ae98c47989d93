"""Posterior draws pushed through the network in memory-bounded, fixed-size tiles.

Every tile has the same number of rows (the last is padded), so that a row's numbers do
not depend on how many rows stand beside it, nor on the memory budget.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from skbayes._model import Model
from skbayes.posteriors._base import Posterior

TILE_ROWS = 256
TILE_DRAWS = 32


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
        draws = self._draws_at_once(memory_budget)
        blocks = params.split(draws)
        self._functions = [posterior.function(model, block) for block in blocks]

    def _draws_at_once(self, memory_budget: float) -> int:
        widest = max(block.shape[0] for block in self.model.network.layout)
        per_draw = 4 * TILE_ROWS * widest * self.params.element_size()
        return int(max(1, min(TILE_DRAWS, memory_budget * 2**20 // per_draw)))

    def tiles(self, X: Tensor) -> Iterator[tuple[slice, Tensor]]:
        """Yield row slices and their outputs (S, rows, K)."""
        for at, outputs in self._whole_tiles(X):
            yield at, outputs[:, : at.stop - at.start]

    def reduce(self, X: Tensor, function: Callable[[Tensor], Sequence[Tensor]]) -> list[np.ndarray]:
        """Turn outputs (S, rows, K) into several results (rows, ...), tile by tile.

        ``function`` sees whole tiles, padding included: sums over a shorter tile would be
        vectorised, and rounded, otherwise.
        """
        tiles = [
            [result[: at.stop - at.start].numpy() for result in function(outputs)]
            for at, outputs in self._whole_tiles(X)
        ]
        return [np.concatenate(parts) for parts in zip(*tiles, strict=True)]

    @torch.inference_mode()
    def _whole_tiles(self, X: Tensor) -> Iterator[tuple[slice, Tensor]]:
        for start in range(0, len(X), TILE_ROWS):
            rows = X[start : start + TILE_ROWS]
            n_rows = len(rows)
            if n_rows < TILE_ROWS:
                rows = torch.cat([rows, rows.new_zeros(TILE_ROWS - n_rows, rows.shape[1])])
            outputs = torch.cat([function(rows) for function in self._functions])
            yield slice(start, start + n_rows), outputs
