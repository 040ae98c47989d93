"""How wide a posterior of classes may be, by held-out log loss.

A normal around the mode is symmetric where the posterior of logits is not: on classes that
hardly overlap the likelihood lets them grow and forbids them to shrink. The average over
the normal is then less sure than it should be, by a tenth of a nat a row.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from skbayes._model import Model
from skbayes.data._tensors import Data
from skbayes.inference._base import Run
from skbayes.inference.mode._cross_validation import N_FOLDS, N_ROWS, average_loss, random_folds
from skbayes.inference.mode._search import ModeObjective
from skbayes.posteriors import GaussianPosterior
from skbayes.utils._random import make_generator

#: Factors on the covariance, and nats a row that a wider posterior may lose to the best.
TEMPERATURES, NEGLIGIBLE = (1.0, 0.3, 0.1, 0.03, 0.01), 0.005
N_DRAWS = 64
#: Held-out rows of one fold that do.
ENOUGH_ROWS = 300
#: Numbers of the widest layer, over rows and draws, that are made at once.
BLOCK = 2**24
#: The part of the optimiser steps, one in so many, that a fold's network takes.
SHARE = 4


def cross_validated_temperature(
    model: Model,
    data: Data,
    tail: Tensor,
    run: Run,
    posterior_at: Callable[[Data, Tensor], GaussianPosterior],
    **training: Any,
) -> tuple[float, int]:
    """The highest temperature whose held-out log loss is all but the least, and steps taken.

    Folds are random parts of the canonical rows, so that weights and repeated rows mean the
    same. Of a network that came trained, which has seen all rows, it is the highest that loses
    all but nothing to the network itself on the rows at hand.

    Parameters
    ----------
    model, data, run
        What the engine was given.
    tail : Tensor of shape (1, n_hyper)
        Scales, as the whole of the data has set them.
    posterior_at : callable
        The posterior of rows around a mode (1, n_params) of theirs.
    **training
        What `Run.train` takes.

    References
    ----------
    Wenzel et al. (2020), How good is the Bayes posterior in deep neural networks really?
    """
    if run.trained is not None:
        params = model.like.new_zeros(1, model.n_params)
        model.tail(params)[:] = tail
        mode = model.packed(run.trained, params)
        return _temperature_of_trained(model, data, mode, run, posterior_at), 0
    n_folds = min(N_FOLDS, len(data))
    n_steps = temperature_steps(data, training["max_iter"])
    if not n_steps:
        return 1.0, 0
    fold = random_folds(data, n_folds, run.training)
    few = len(data) < n_folds * ENOUGH_ROWS
    # Of few rows all folds train together, in the time that one takes.
    rows = without_their_folds(data, fold, n_folds) if few else data.rows(fold > 0)
    start = model.init(n_folds if few else 1, run.training)
    model.tail(start)[:] = tail
    training["max_iter"] = n_steps
    if few:
        training["batch_size"] = None
    trained, n_iter, _ = run.train({"params": start}, ModeObjective(model), rows, **training)
    losses, total = torch.zeros(len(TEMPERATURES), dtype=torch.float64), 0.0
    for held_out, mode in enumerate(trained["params"].split(1)):
        posterior = posterior_at(data.rows(fold != held_out), mode)
        held = data.rows((fold == held_out).nonzero()[:N_ROWS, 0])
        losses += _losses(model, held, posterior, run.training)
        total += held.total_weight
    good = losses <= losses.min() + NEGLIGIBLE * total
    return TEMPERATURES[int(good.nonzero()[0])], n_iter


def _temperature_of_trained(
    model: Model,
    data: Data,
    mode: Tensor,
    run: Run,
    posterior_at: Callable[[Data, Tensor], GaussianPosterior],
) -> float:
    """The highest temperature that loses next to nothing to a trained network."""
    held = data.rows(slice(N_ROWS))
    losses = _losses(model, held, posterior_at(data, mode), run.training)
    outputs = model.network.forward(model.weights(mode), held.X)
    most = average_loss(model, held, outputs, mode) + NEGLIGIBLE * held.total_weight
    good = (losses <= most).nonzero()
    return TEMPERATURES[int(good[0]) if len(good) else -1]


def temperature_steps(data: Data, max_iter: int) -> int:
    """Steps that the choice takes of an engine's; none where no row can be left out."""
    return max(1, max_iter // SHARE) if len(data) > 1 else 0


def temperature_folds(data: Data) -> int:
    """Folds by which the choice goes."""
    n_folds = min(N_FOLDS, len(data))
    return n_folds if 1 < len(data) < n_folds * ENOUGH_ROWS else int(len(data) > 1)


def without_their_folds(data: Data, fold: Tensor, n_folds: int) -> Data:
    """The rows for so many particles, each without one fold: weights (n_folds, N)."""
    counts = fold != torch.arange(n_folds).to(fold)[:, None]
    return Data(data.X, data.y, data.weight * counts)


def _losses(
    model: Model, held: Data, posterior: GaussianPosterior, generator: torch.Generator
) -> Tensor:
    """Log loss (n_temperatures,) of held-out rows, summed."""
    mean = torch.from_numpy(posterior.mean).to(model.like)
    moves = draws_of(posterior, model, generator) - mean
    draws = (mean + temperature**0.5 * moves for temperature in TEMPERATURES)
    return torch.tensor([log_loss(model, held, posterior, params) for params in draws]).double()


def draws_of(posterior: GaussianPosterior, model: Model, generator: torch.Generator) -> Tensor:
    """Draws (S, n_params) of a posterior, which is on the CPU, for a model where it may not be."""
    seed = torch.randint(2**31 - 1, (1,), generator=generator, device=generator.device)
    return posterior.sample(N_DRAWS, make_generator(int(seed))).to(model.like)


def log_loss(model: Model, held: Data, posterior: GaussianPosterior, params: Tensor) -> float:
    """Log loss of held-out rows, summed, of the average over draws (S, n_params)."""
    function = posterior.function(model, params)
    n_rows = max(1, BLOCK // (len(params) * model.network.widest))
    blocks = (held.rows(slice(at, at + n_rows)) for at in range(0, len(held), n_rows))
    return sum(average_loss(model, rows, function(rows.X), params) for rows in blocks)
