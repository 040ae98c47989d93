"""What posteriors say of rows, in memory-bounded, fixed-size tiles.

Every tile has the same number of rows (the last is padded), so that a row's numbers do
not depend on how many rows stand beside it, nor on the memory budget.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skbayes._model import Model
from skbayes.data._tiles import MOST_ROWS as TILE_ROWS
from skbayes.data._tiles import Rows, by_tiles, fitting_rows, tiles
from skbayes.posteriors._base import Posterior
from skbayes.posteriors._linearised import Linearised, NormalOutputs
from skbayes.utils._threads import SMALL_TILE, limit_threads

TILE_DRAWS = 16
#: Numbers that a tile's outputs are under all draws, if those of one row are not more. What
#: is made of them takes some five arrays of doubles of that size.
OUTPUT_NUMBERS = 2**19
#: Rows of a tile whose moments are formed at most, and numbers that they hold at once, if
#: those of one row are not more.
MOMENT_ROWS, TILE_NUMBERS = 960, 2**20


class Tiles:
    """Answers to rows, tile by tile; a subclass says what `_outputs` of a tile are.

    Attributes
    ----------
    work : float
        Multiply-adds of a tile that go on together.
    """

    tile_rows = TILE_ROWS
    work = 0.0

    def _outputs(self, rows: Tensor) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must define _outputs")

    def reduce(self, X: Rows, function: Callable[[Any], Sequence]) -> list[np.ndarray]:
        """Turn the outputs of whole tiles into several results (rows, ...)."""

        def of_tile(rows: Tensor, _: slice) -> Sequence:
            return function(self._outputs(rows))

        with torch.no_grad():
            return by_tiles(X, self.tile_rows, of_tile, self.work)


class DrawTiles(Tiles):
    """Outputs (S, rows, K) of draws.

    Attributes
    ----------
    hyper : Tensor of shape (S, n_noise)
        The likelihood's unknowns of each draw.
    """

    hyper: Tensor

    def __len__(self) -> int:
        """Number S of draws."""
        return len(self.hyper)

    def tiles(self, X: Rows) -> Iterator[tuple[slice, Tensor]]:
        """Yield row slices and their outputs (S, rows, K)."""
        for at, tile in tiles(X, self.tile_rows):
            with limit_threads(self.work, SMALL_TILE), torch.no_grad():
                outputs = self._outputs(tile)
            yield at, outputs[:, : at.stop - at.start]


class FunctionDraws(DrawTiles):
    """Function draws of one posterior.

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
        self.tile_rows = fitting_rows(
            TILE_ROWS, OUTPUT_NUMBERS, len(params) * model.network.n_outputs
        )
        self._draws = self._draws_at_once(memory_budget)
        # Of as many draws as any budget allows: threads must not depend on it.
        self.work = float(self.tile_rows * min(TILE_DRAWS, len(params)) * model.network.row_work)
        self._functions = [posterior.function(model, p) for p in params.split(self._draws)]

    def _draws_at_once(self, memory_budget: float) -> int:
        per_draw = 4 * self.tile_rows * self.model.network.widest * self.params.element_size()
        return int(max(1, min(TILE_DRAWS, memory_budget * 2**20 // per_draw)))

    @torch.inference_mode()
    def _outputs(self, rows: Tensor) -> Tensor:
        """Outputs (S, rows, K) of all draws, rows last in memory, as networks make them."""
        n_outputs = self.model.network.n_outputs
        outputs = rows.new_empty(len(self.params), n_outputs, len(rows)).transpose(1, 2)
        for function, block in zip(self._functions, outputs.split(self._draws), strict=True):
            block.copy_(function(rows))
        return outputs


class Moments(Tiles):
    """The normals of the outputs at rows; ``tile_rows`` follow from the model's size alone.

    Parameters
    ----------
    normals : Linearised
    """

    def __init__(self, normals: Linearised) -> None:
        self.normals = normals
        self.tile_rows = fitting_rows(MOMENT_ROWS, TILE_NUMBERS, normals.numbers)
        self.work = self.tile_rows * normals.work

    @property
    def hyper(self) -> Tensor:
        """The likelihood's unknowns (1, n_noise)."""
        return self.normals.hyper

    def _outputs(self, rows: Tensor) -> NormalOutputs:
        return self.normals(rows)


class RowDraws(DrawTiles):
    """Draws from the normal of each row's outputs: for what is asked of single rows.

    Parameters
    ----------
    normals : Linearised
    noise : ndarray of shape (S, K)
        Standard normals, the same for all rows.
    """

    def __init__(self, normals: Linearised, noise: np.ndarray) -> None:
        self._moments, self._noise = Moments(normals), torch.from_numpy(noise)
        fitting = fitting_rows(TILE_ROWS, OUTPUT_NUMBERS, noise.size)
        self.tile_rows = min(fitting, self._moments.tile_rows)
        self.work = self.tile_rows * normals.work
        self.hyper = normals.hyper.expand(len(noise), -1)

    def _outputs(self, rows: Tensor) -> Tensor:
        outputs = self._moments._outputs(rows)
        values, vectors = torch.linalg.eigh(outputs.covariance)
        # The symmetric root is the one that varies smoothly where eigenvalues coincide.
        root = (vectors * values.clamp_min(0).sqrt()[:, None, :]) @ vectors.mT
        # Rows last in memory, as networks make them.
        moves = self._noise @ root.permute(1, 2, 0).flatten(1)
        moves = moves.unflatten(1, (-1, len(rows)))
        return (outputs.mean.T + moves).transpose(1, 2).to(rows.dtype)
