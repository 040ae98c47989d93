"""Rows in tiles of one shape, so that a row's numbers do not depend on the rows beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from skbayes.data._tensors import Data
from skbayes.utils._memory import keep_freed_memory
from skbayes.utils._threads import SMALL_TILE, limit_threads

#: Numbers in the largest intermediate of a tile.
TILE_NUMBERS = 2**22
#: Rows that a tile may have. Matrix products go by blocks of 4, 8, 12, 16, 24 or 48 columns, by
#: processor and precision, and round the columns that fill no block in other ways: of these
#: sizes all do. Sums over another axis go by 16, 32 or 64 of them: the largest sizes fill these
#: too.
SIZES = (960, 384, 192, 96, 48, 24, 12, 8, 4, 1)
LEAST_ROWS, MOST_ROWS = 8, 192


class Rows(Protocol):
    """Rows that become a tensor when a slice of them is read: a tensor is one."""

    def __len__(self) -> int: ...

    def __getitem__(self, at: slice, /) -> Tensor: ...


@dataclass(frozen=True)
class EncodedRows:
    """Rows encoded slice by slice, so that no copy of the whole table is made."""

    X: np.ndarray
    encode: Callable[[np.ndarray], Tensor]

    def __len__(self) -> int:
        return len(self.X)

    def __getitem__(self, at: slice) -> Tensor:
        return self.encode(self.X[at])


def tile_rows(numbers_per_row: int) -> int:
    """Rows of a tile whose intermediates hold so many numbers a row, `LEAST_ROWS` at least."""
    return max(LEAST_ROWS, fitting_rows(MOST_ROWS, TILE_NUMBERS, max(1, numbers_per_row)))


def fitting_rows(most: int, numbers: int, of_row: int) -> int:
    """Rows of a tile of so many numbers; the memory budget has no say, lest bits follow it."""
    fitting = max(1, min(most, numbers // of_row))
    return next(size for size in SIZES if size <= fitting)


def tiles(rows: Rows | Data, size: int) -> Iterator[tuple[slice, Any]]:
    """Yield slices of rows and tiles of ``size``; the last is padded with its own last row."""
    keep_freed_memory()
    for start in range(0, len(rows), size):
        at = slice(start, min(start + size, len(rows)))
        if isinstance(rows, Data):
            yield at, rows.rows(torch.arange(start, start + size).clamp_max(len(rows) - 1))
            continue
        tile = rows[at]
        if len(tile) < size:
            tile = torch.cat([tile, tile[-1:].expand(size - len(tile), *tile.shape[1:])])
        yield at, tile


def by_tiles(
    rows: Rows | Data, size: int, function: Callable[[Any, slice], Sequence], work: float = 0.0
) -> list[np.ndarray]:
    """Results of a function of rows, tile by tile.

    Parameters
    ----------
    rows : rows or Data
        N rows.
    size : int
        Rows of every tile.
    function : callable
        Takes a tile and the slice of rows that it stands for; returns tensors or arrays whose
        first axis is the tile's rows. It sees whole tiles, padding included: sums over a
        shorter tile would be vectorised, and rounded, otherwise.
    work : float, default=0.0
        Multiply-adds of a tile that go on together.

    Returns
    -------
    results : list of ndarray
        One for each part, (N, ...).
    """
    results: list[np.ndarray] = []
    for at, tile in tiles(rows, size):
        with limit_threads(work, SMALL_TILE):
            parts = [_as_array(part) for part in function(tile, at)]
        # Results kept piece by piece would stop the allocator from reusing the memory
        # between them.
        results = results or [np.empty((len(rows), *p.shape[1:]), p.dtype) for p in parts]
        for result, part in zip(results, parts, strict=True):
            result[at] = part[: at.stop - at.start]
    return results


def _as_array(part: Any) -> np.ndarray:
    return part.detach().numpy() if isinstance(part, Tensor) else np.asarray(part)
