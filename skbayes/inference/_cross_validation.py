"""Prior scales by cross-validated log loss, for engines that predict from modes.

Evidence asks which scales make the *average over weights* likely. A mode is not that
average: on classes that hardly overlap it predicts best with scales far wider than the
evidence's.
"""

from __future__ import annotations

import math

import torch

from skbayes._model import Data, Model
from skbayes.inference._base import Run, batch_rows
from skbayes.inference._mode import ModeObjective
from skbayes.inference._remedies import smaller_rate
from skbayes.utils._training import Batches, train

N_FOLDS = 3
#: One scale for all layers, in units of the prior's 1 / sqrt(fan_in).
SCALES = (2.0, 4.0, 8.0, 16.0)


def cross_validated_scale(
    model: Model,
    data: Data,
    run: Run,
    *,
    engine: str,
    max_iter: int,
    learning_rate: float,
    batch_size: int | str | None,
    tol: float,
) -> tuple[float, int]:
    """Log of the scale with the least held-out log loss, and the optimiser steps taken.

    The candidates train together, one particle each, once a fold; folds are random parts
    of the canonical rows, so that weights and repeated rows mean the same.

    Parameters
    ----------
    model, data, run
        What the engine was given; the model has layer scales and no noise.
    engine, max_iter, learning_rate, batch_size, tol
        As in the engine's parameters.
    """
    n_folds = min(N_FOLDS, len(data))
    fold = torch.randperm(len(data), generator=run.training, device=data.X.device) % n_folds
    log_scales = torch.tensor(SCALES).log().to(model.like)
    log_losses, n_iter = model.like.new_zeros(len(SCALES), dtype=torch.float64), 0
    for held_out in range(n_folds if n_folds > 1 else 0):
        train_rows = data.rows(fold != held_out)
        start = model.init(1, run.training).repeat(len(SCALES), 1)
        model.tail(start)[:] = log_scales[:, None]
        trained, steps, _ = train(
            {"params": start},
            ModeObjective(model),
            Batches(train_rows, batch_rows(batch_size, train_rows), run.training),
            engine=engine,
            remedy=smaller_rate(learning_rate),
            max_iter=max_iter,
            learning_rate=learning_rate,
            tol=tol,
            monitor=run.monitor,
        )
        log_losses -= model.log_likelihood(trained["params"], data.rows(fold == held_out))
        n_iter += steps
    return math.log(SCALES[int(log_losses.argmin())]), n_iter
