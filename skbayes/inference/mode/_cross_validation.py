"""Prior scales and sharpness by held-out log loss, for engines that predict from modes.

Evidence asks which scales make the *average over weights* likely. A mode is not that
average: on classes that hardly overlap it predicts best with scales far wider than the
evidence's. And the average over members is less sure than each of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skbayes._model import Model
from skbayes.data._tensors import Data
from skbayes.inference._base import Run
from skbayes.inference.mode._class_information import has_many_classes
from skbayes.inference.mode._search import ModeObjective

#: Parts of the rows, and held-out rows of a part that are asked.
N_FOLDS, N_ROWS = 3, 1000
#: One scale for all layers, in units of the prior's 1 / sqrt(fan_in).
SCALES = (2.0, 4.0, 8.0, 16.0)
#: Factors on the logits, and held-out rows that can tell between them.
SHARPER, ENOUGH_ROWS = (1.0, 1.25, 1.5, 2.0), 500


def cross_validated_scale(
    model: Model,
    data: Data,
    run: Run,
    training: Callable[[Data], dict[str, Any]],
) -> tuple[float, int]:
    """Log of the scale with the least held-out log loss, and the optimiser steps taken.

    The candidates train together, one particle each, once a fold; folds are random parts
    of the canonical rows, so that weights and repeated rows mean the same.

    Parameters
    ----------
    model, data, run
        What the engine was given; the model has layer scales and no noise.
    training : callable
        What `Run.train` takes of rows, in the engine's own parameters.
    """
    n_folds = min(N_FOLDS, len(data))
    fold = random_folds(data, n_folds, run.training)
    log_scales = torch.tensor(SCALES).log().to(model.like)
    log_losses, n_iter = model.like.new_zeros(len(SCALES), dtype=torch.float64), 0
    for held_out in range(n_trained_folds(model, data)):
        train_rows = data.rows(fold != held_out)
        start = model.init(1, run.training).repeat(len(SCALES), 1)
        model.tail(start)[:] = log_scales[:, None]
        trained, steps, _ = run.train(
            {"params": start}, ModeObjective(model), train_rows, **training(train_rows)
        )
        log_losses -= model.log_likelihood(trained["params"], data.rows(fold == held_out))
        n_iter += steps
    return math.log(SCALES[int(log_losses.argmin())]), n_iter


def n_trained_folds(model: Model, data: Data) -> int:
    """Folds by which `cross_validated_scale` goes: none where no row can be left out."""
    n_folds = min(N_FOLDS, len(data))
    # Of many classes each fold takes long, and a third of so many rows does.
    enough = has_many_classes(model) and len(data) >= N_FOLDS * ENOUGH_ROWS
    return 0 if n_folds == 1 else 1 if enough else n_folds


def sharpens(data: Data, n_members: int) -> bool:
    """Whether the rows can tell how sharp an average of so many members should be."""
    return n_members > 1 and len(data) >= N_FOLDS * ENOUGH_ROWS


def held_out_sharpness(
    model: Model,
    data: Data,
    run: Run,
    log_scale: float,
    n_members: int,
    training: Callable[[Data], dict[str, Any]],
) -> tuple[float, int]:
    """Log of the factor on all members' logits with the least held-out loss of their average.

    Of an ensemble on two thirds of the rows; 0 where the rest are too few to tell. And the
    optimiser steps taken.

    Parameters
    ----------
    model, data, run
        What the engine was given; the model has layer scales and no noise.
    log_scale : float
        Of all layers.
    n_members : int
        Of the ensemble.
    training : callable
        What `Run.train` takes of rows, in the engine's own parameters.

    References
    ----------
    Rahaman and Thiery (2021), Uncertainty quantification and deep ensembles: pooled first,
    then calibrated.
    """
    if not sharpens(data, n_members):
        return 0.0, 0
    rows, held = held_out_third(data, run.training)
    start = model.init(n_members, run.training)
    model.tail(start)[:] = log_scale
    trained, n_iter, _ = run.train({"params": start}, ModeObjective(model), rows, **training(rows))
    params = trained["params"]
    outputs = model.network.forward(model.weights(params), held.X)
    losses = [average_loss(model, held, factor * outputs, params) for factor in SHARPER]
    return math.log(SHARPER[int(np.argmin(losses))]), n_iter


def sharpened(model: Model, params: Tensor, log_factor: float) -> Tensor:
    """The same networks (S, n_params) with so many times their outputs, by the last scale."""
    params = params.clone()
    model.split(params)[1][:, -1] += log_factor
    return params


def random_folds(data: Data, n_folds: int, generator: torch.Generator) -> Tensor:
    """Fold (N,) of each canonical row, so that weights and repeated rows mean the same."""
    return torch.randperm(len(data), generator=generator, device=data.X.device) % n_folds


def held_out_third(data: Data, generator: torch.Generator) -> tuple[Data, Data]:
    """Two thirds of the canonical rows at random, and `N_ROWS` of the rest at most."""
    fold = random_folds(data, N_FOLDS, generator)
    return data.rows(fold > 0), data.rows((fold == 0).nonzero()[:N_ROWS, 0])


def average_loss(model: Model, held: Data, outputs: Tensor, params: Tensor) -> float:
    """Log loss of held-out rows, summed, of the average over particles' outputs (S, N, K)."""
    log_prob = model.likelihood.log_prob(outputs, held.y, model.hyper(params)).double()
    average = torch.logsumexp(log_prob, 0) - math.log(len(params))
    return -float((average * held.weight).sum())
