"""Batches of the training loop."""

import pytest
import torch

from skbayes.base._monitor import Monitor
from skbayes.data._tensors import Data
from skbayes.training._batches import Batches
from skbayes.training._trainer import EPOCH_STEPS, N_EPOCHS, train
from skbayes.utils._adam import Adam
from skbayes.utils._random import make_generator

N_ROWS = 10
DATA = Data(torch.arange(N_ROWS), torch.zeros(N_ROWS), torch.ones(N_ROWS))


def test_every_row_is_left_over_as_often():
    """One batch of six is all that fits into ten rows: four sit each permutation out."""
    n_batches, size = 4000, 6
    stream, generator = Batches.over(DATA, size), make_generator(0)
    batches = [stream.next(DATA, generator) for _ in range(n_batches)]
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
    batch, scale = Batches.over(DATA, batch_size).next(DATA, make_generator(0))
    assert batch is DATA
    assert scale == 1.0


def test_the_rate_falls_to_zero_along_a_cosine():
    """Under an unchanging gradient Adam moves by its rate: the way is the sum of the rates."""
    check_decay()


def check_decay():
    n_steps, first = EPOCH_STEPS * N_EPOCHS, 0.01

    def slope(params, batch, scale, progress):
        position = params["x"].detach()
        return position.sum(1).double(), {"x": torch.ones_like(position)}

    found, n_iter, history = train(
        {"x": torch.zeros(1, 1, dtype=torch.float64)},
        slope,
        DATA,
        batch_size=None,
        generator=make_generator(0),
        engine="test",
        remedy="",
        max_iter=n_steps,
        learning_rate=first,
        tol=0.0,
        monitor=Monitor(),
    )
    # A rate for each fiftieth of the steps.
    share = torch.arange(N_EPOCHS, dtype=torch.float64) / N_EPOCHS
    way = -EPOCH_STEPS * first * 0.5 * (1 + torch.cos(torch.pi * share))
    assert n_iter == n_steps
    torch.testing.assert_close(found["x"][0, 0], way.sum(), rtol=1e-6, atol=0)
    # Each report is the mean of the values before the steps of its fiftieth.
    before = torch.cumsum(way, 0) - way
    exact = (before + way * (EPOCH_STEPS - 1) / EPOCH_STEPS / 2).tolist()
    assert history.losses == pytest.approx(exact, rel=1e-6, abs=1e-12)


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
