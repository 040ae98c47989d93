"""Dtypes and devices."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

from skbayes.data._tensors import (
    Data,
    as_tensor,
    by_columns,
    resolve_device,
)
from skbayes.utils._threads import SMALL_WORK


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6.0)[::-1],
        np.arange(6.0).astype(">f8"),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(6, dtype=np.uint16),
    ],
    ids=["reversed", "big-endian", "fortran", "unsigned"],
)
def test_as_tensor_copies_any_memory(array):
    array.flags.writeable = False
    tensor = as_tensor(array, torch.float64)
    assert_array_equal(tensor.numpy(), array)
    tensor[:] = 0
    assert array.any()


def test_targets_lie_by_columns():
    """As outputs do, and in chosen rows too; class codes and values stay what they are."""
    y = torch.arange(12.0).view(4, 3)
    assert_array_equal(by_columns(y), y)
    chosen = Data(y, by_columns(y), torch.ones(4)).rows(torch.tensor([2, 0]))
    assert_array_equal(chosen.y, y[[2, 0]])
    assert by_columns(y).stride() == (1, 4)
    assert chosen.y.stride() == (1, 2)
    codes = torch.arange(4)
    assert by_columns(codes) is codes


def test_auto_device_goes_by_work(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("auto", 2 * SMALL_WORK) == "cuda"
    assert resolve_device("auto", 0.5 * SMALL_WORK) == "cpu"
    assert resolve_device("cpu", 2 * SMALL_WORK) == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_device("auto", 2 * SMALL_WORK) == "cpu"
