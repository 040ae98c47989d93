"""Rows in tiles: each row once, in tiles of one shape, whatever stands beside it."""

from itertools import product

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

from skbayes.data._tensors import Data
from skbayes.data._tiles import SIZES, EncodedRows, by_tiles, fitting_rows, tiles

X = torch.randn(11, 3, generator=torch.Generator().manual_seed(0))
KINDS = {
    "tensor": X,
    "encoded": EncodedRows(X.numpy(), torch.from_numpy),
    "data": Data(X, X, torch.arange(11.0), X > 0, X[:, :1]),
}


def table(tile):
    return tile.X if isinstance(tile, Data) else tile


@pytest.mark.parametrize("size", [1, 4, 11, 20])
@pytest.mark.parametrize("kind", KINDS)
def test_every_row_has_its_results_once(kind, size):
    seen = []

    def function(tile, at):
        seen.append((at, len(tile)))
        return [2 * table(tile), table(tile).sum(1).numpy()]

    double, total = by_tiles(KINDS[kind], size, function)
    assert_array_equal(double, 2 * X.numpy())
    np.testing.assert_allclose(total, X.sum(1), rtol=1e-6)
    assert {length for _, length in seen} == {size}
    assert [at.start for at, _ in seen] == list(range(0, 11, size))
    assert seen[-1][0].stop == 11


@pytest.mark.parametrize("kind", KINDS)
def test_a_tile_is_filled_with_copies_of_its_last_row(kind):
    *_, (_, tile) = tiles(KINDS[kind], 4)
    assert_array_equal(table(tile), X[[8, 9, 10, 10]])
    if kind == "data":
        assert tile.y is tile.X
        assert_array_equal(tile.weight, [8, 9, 10, 10])
        assert_array_equal(tile.observed, X[[8, 9, 10, 10]] > 0)
        assert_array_equal(tile.context, X[[8, 9, 10, 10], :1])


def test_a_row_has_the_same_bits_in_any_company():
    W = torch.randn(3, 5, generator=torch.Generator().manual_seed(1))

    def function(tile, _):
        return [tile @ W]

    whole = by_tiles(X, 4, function)[0]
    assert_array_equal(by_tiles(X[10:], 4, function)[0], whole[10:])


def test_rows_that_fit_are_of_a_size_that_rounds_all_alike():
    assert [fitting_rows(250, 1000, n) for n in (1, 4, 7, 300, 2000)] == [192, 192, 96, 1, 1]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", SIZES)
def test_columns_of_a_product_are_rounded_alike_in_any_place(size, dtype):
    generator = torch.Generator().manual_seed(0)
    order = torch.randperm(size, generator=generator)
    for n_out, n_in in product((1, 2, 4, 5, 7, 50), (2, 3, 13, 50)):
        rows = torch.randn(n_in, size, dtype=dtype, generator=generator)
        W = torch.randn(3, n_out, n_in, dtype=dtype, generator=generator)
        assert_array_equal((W[0] @ rows)[:, order], W[0] @ rows[:, order])
        if size >= 192:
            assert_array_equal(rows.sum(0)[order], rows[:, order].sum(0))
        rows = torch.randn(3, n_in, size, dtype=dtype, generator=generator)
        assert_array_equal((W @ rows)[..., order], W @ rows[..., order])
