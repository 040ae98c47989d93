"""One thread, array API dispatch on, and global state that every test leaves alone."""

import os

# Read when SciPy and the thread pools are loaded, so before any other import.
os.environ["SCIPY_ARRAY_API"] = "1"
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def torch_state_stays():
    """Fail a test that moves torch's global generator or leaves another thread count."""
    before = torch.get_rng_state()
    yield
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    assert threads == 1, f"the test left torch with {threads} threads"
    assert torch.equal(torch.get_rng_state(), before), "the test moved torch's global generator"


@pytest.fixture(autouse=True)
def numpy_state_stays():
    """Fail a test that moves NumPy's global generator: every estimator takes a seed."""
    before = np.random.get_state()  # noqa: NPY002
    yield
    after = np.random.get_state()  # noqa: NPY002
    moved = after[2] != before[2] or not np.array_equal(after[1], before[1])
    assert not moved, "the test moved NumPy's global generator; give random_state a number"
