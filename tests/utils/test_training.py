"""Batches of the training loop."""

from itertools import islice

import pytest
import torch

from skbayes.utils._adam import Adam
from skbayes.utils._random import make_generator
from skbayes.utils._tensors import Data
from skbayes.utils._training import Batches

N_ROWS = 10
DATA = Data(torch.arange(N_ROWS), torch.zeros(N_ROWS), torch.ones(N_ROWS))


def test_every_row_is_left_over_as_often():
    """One batch of six is all that fits into ten rows: four sit each permutation out."""
    n_batches, size = 4000, 6
    batches = list(islice(iter(Batches(DATA, size, make_generator(0))), n_batches))
    rows = torch.stack([batch.X for batch, _ in batches])
    assert all(len(row.unique()) == size for row in rows)
    assert {scale for _, scale in batches} == {N_ROWS / size}
    share = torch.bincount(rows.flatten(), minlength=N_ROWS) / n_batches
    expected = size / N_ROWS
    error = (expected * (1 - expected) / n_batches) ** 0.5
    # Ten frequencies, five standard errors: wrong once in two hundred thousand seeds.
    assert (share - expected).abs().max() < 5 * error


@pytest.mark.parametrize("batch_size", [None, N_ROWS, 99])
def test_a_full_batch_is_the_data_as_they_are(batch_size):
    batch, scale = next(iter(Batches(DATA, batch_size, make_generator(0))))
    assert batch is DATA
    assert scale == 1.0


@pytest.mark.parametrize("fused", [False, True])
def test_adam_is_that_of_torch(fused):
    paths = []
    for kind in (Adam, torch.optim.Adam):
        weights = torch.linspace(-1.0, 1.0, 7)
        optimizer = kind([weights], lr=0.1, fused=fused)
        for _ in range(5):
            weights.grad = weights**3 - weights
            optimizer.step()
        paths.append(weights)
    assert torch.equal(*paths)
