"""Rows in tiles of one shape, so that a row's numbers do not depend on the rows beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from skbayes.autoencoder._table import Rows
from skbayes.utils._threads import SMALL_TILE, limit_threads

#: Numbers in the largest intermediate of a tile, and bounds of its rows.
TILE_NUMBERS = 2**22
LEAST_ROWS, MOST_ROWS = 8, 256


def tile_rows(numbers_per_row: int) -> int:
    """Rows of a tile whose intermediates hold so many numbers a row."""
    return int(min(MOST_ROWS, max(LEAST_ROWS, TILE_NUMBERS // max(1, numbers_per_row))))


def by_tiles(
    rows: Rows, size: int, function: Callable[[Rows, slice], Sequence[Tensor]], work: float = 0.0
) -> list[np.ndarray]:
    """Results of a function of rows, tile by tile.

    Parameters
    ----------
    rows : Rows
        N rows.
    size : int
        Rows of every tile; the last is padded with copies of its own last row.
    function : callable
        Takes a tile and the slice of rows that it stands for; returns tensors whose first
        axis is the tile's rows.
    work : float, default=0.0
        Multiply-adds a row that go on together.

    Returns
    -------
    results : list of ndarray
        One for each tensor, (N, ...).
    """
    results: list[list[np.ndarray]] = []
    for start in range(0, len(rows), size):
        at = slice(start, min(start + size, len(rows)))
        index = torch.arange(start, start + size).clamp_max(len(rows) - 1)
        with limit_threads(size * work, SMALL_TILE):
            parts = function(rows.rows(index), at)
        results.append([part[: at.stop - start].detach().numpy() for part in parts])
    return [np.concatenate(pieces) for pieces in zip(*results, strict=True)]
