"""Where the chains of a sampler start."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from skbayes._model import Model
from skbayes.data._tensors import Data
from skbayes.inference._base import Run, batch_rows, starting_points
from skbayes.inference.mode._curvature import affordable_curvature
from skbayes.inference.mode._search import MOST_LEVERAGE, ModeObjective, find_mode
from skbayes.likelihoods import NoisyLikelihood
from skbayes.utils._random import randn

#: First rate of the optimiser that starts the chains.
INIT_RATE = 0.03
REMEDY = "Set inference__init_steps=0, which starts the chains at draws from the prior."
#: Steps of the search for scales and noise, in those that fit the weights to them.
SEARCH = 3
#: Standard deviation of the chains' first log scales and noise about those of the search:
#: wider than the posterior, as R-hat needs them.
SPREAD = 0.3
#: Share of the targets' variance that chains miss, beside the mode, where they are stuck.
MISSED = 0.5


def optimised_start(
    model: Model,
    data: Data,
    run: Run,
    n_chains: int,
    max_iter: int,
    engine: str,
    search: bool = False,
) -> Tensor:
    """Each chain's weights fitted from its own random start, scales and noise held.

    Letting go of the noise would start the chains in the joint mode's spike, from which a
    short warm-up does not come back. A warm start stays where its posterior was.

    Parameters
    ----------
    model, data, run
        What the engine was given.
    n_chains, max_iter : int
        Chains, and steps in which their weights are fitted; none leaves them at prior draws.
    engine : str
        Name for messages.
    search : bool, default=False
        Whether chains that explain little start anew about a mode that explains far more, its
        scales and noise held. Under the noise of the median a fast curve is a flat line, whose
        noise stays large: a part of the posterior that chains do not leave.

    Returns
    -------
    params : Tensor of shape (n_chains, n_params)
    """
    start, n_earlier = starting_points(model, run, n_chains)
    if n_earlier >= n_chains or not max_iter:
        return start
    params = _fitted(model, data, run, start, max_iter, engine)
    noisy = model.n_noise > 0 and isinstance(model.likelihood, NoisyLikelihood)
    if not (search and noisy and run.start is None) or _explained(model, data, params) > MISSED:
        return params
    curvature = affordable_curvature(model, data)
    if curvature is None:
        return params
    training = _training(model, data, SEARCH * max_iter, engine)
    mode, _, _ = find_mode(model, data, run, curvature=curvature, start_only=True, **training)
    leverages = curvature(model, data, mode).leverages(model, data, mode)
    if _explained(model, data, mode, leverages) - _explained(model, data, params) < MISSED:
        return params
    start, tail = model.init(n_chains, run.training), model.tail(mode)
    model.tail(start)[:] = tail + SPREAD * randn(model.tail(start).shape, tail, run.training)
    return _fitted(model, data, run, start, max_iter, engine)


def _fitted(
    model: Model, data: Data, run: Run, start: Tensor, max_iter: int, engine: str
) -> Tensor:
    """Starting points (n_chains, n_params), their weights fitted at their hyperparameters."""
    training = _training(model, data, max_iter, engine)
    trained, _, _ = run.train({"params": start}, ModeObjective(model), data, **training)
    return trained["params"]


def _training(model: Model, data: Data, max_iter: int, engine: str) -> dict[str, Any]:
    """What `Run.train` takes."""
    return {
        "engine": engine,
        "remedy": REMEDY,
        "max_iter": max_iter,
        "learning_rate": INIT_RATE,
        "batch_size": batch_rows("auto", data, model),
        "tol": 0.0,
    }


@torch.no_grad()
def _explained(model: Model, data: Data, params: Tensor, leverages: Tensor | None = None) -> float:
    """Share of the targets' variance that the median of points (S, n_params) explains.

    With leverages (N, K) about that of rows that are left out, as `with_held_out_noise` has it.
    """
    share = (data.weight / data.total_weight)[:, None]
    away = data.y - (share * data.y).sum(0)
    variance = float((share * away**2).sum())
    off = model.network.forward(model.weights(params), data.X) - data.y
    if leverages is not None:
        off = off / (1 - (leverages.to(off) / data.weight[:, None]).clamp(max=MOST_LEVERAGE))
    misfit = (share * off**2).sum((1, 2)).median()
    return 1 - float(misfit) / variance if variance > 0 else 1.0
