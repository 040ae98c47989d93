"""Convergence of stored draws, judged on function values and hyperparameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from skbayes._model import Model
from skbayes.data._tensors import Data

#: Rows on which function values are watched: canonical rows come in hashed order, so the
#: first ones are as good as random.
N_WATCHED = 50
#: Draws pushed through the network at once.
AT_ONCE = 256
#: Function values watched at most: networks with many outputs have them by the thousand.
MOST_WATCHED = 500
#: Quantiles whose effective sample size is that of the tails.
TAILS = (0.05, 0.95)


def function_values(model: Model, data: Data, particles: np.ndarray) -> np.ndarray:
    """Outputs (n_chains, n_draws, values) at a few training rows, spread evenly over them.

    Class logits are turned into probabilities, which is what predictions average.
    """
    flat = torch.from_numpy(particles.reshape(-1, particles.shape[-1])).to(model.like)
    rows = data.X[:N_WATCHED]
    with torch.inference_mode():
        outputs = [
            model.network.forward(model.weights(block), rows) for block in flat.split(AT_ONCE)
        ]
        values = torch.cat(outputs)
        if model.likelihood.target == "classes":
            values = model.likelihood.probabilities(values)[..., 1:]  # type: ignore[attr-defined]
    watched = values.flatten(1)
    if watched.shape[1] > MOST_WATCHED:
        watched = watched[:, np.linspace(0, watched.shape[1] - 1, MOST_WATCHED).round().astype(int)]
    return watched.double().cpu().numpy().reshape(*particles.shape[:2], -1)


def agreement(
    model: Model, data: Data, particles: np.ndarray, values: np.ndarray | None = None
) -> dict[str, float | None]:
    """Median R-hat of function values and largest of hyperparameters.

    A single chain has None for R-hat. ``values`` are the function values, if at hand.
    """
    names = ("r_hat", "r_hat_hyper") if model.n_hyper else ("r_hat",)
    report: dict[str, float | None] = dict.fromkeys(names)
    if len(particles) > 1:
        values = function_values(model, data, particles) if values is None else values
        report["r_hat"] = median_r_hat(values)
        if model.n_hyper:
            report["r_hat_hyper"] = _statistic("rhat", _hyper(model, particles), np.max)
    return report


def convergence(model: Model, data: Data, particles: np.ndarray) -> dict[str, float | None]:
    """`agreement`, and effective sample sizes: median of functions, least of hyperparameters."""
    values, tail = function_values(model, data, particles), {"method": "tail", "prob": TAILS}
    report = agreement(model, data, particles, values)
    report["ess_bulk"] = _statistic("ess", values, np.median, method="bulk")
    report["ess_tail"] = _statistic("ess", values, np.median, **tail)
    if model.n_hyper:
        hyper = _hyper(model, particles)
        report["ess_bulk_hyper"] = _statistic("ess", hyper, np.min, method="bulk")
        report["ess_tail_hyper"] = _statistic("ess", hyper, np.min, **tail)
    return report


def median_r_hat(values: np.ndarray) -> float:
    """Median over values (n_chains, n_draws, values) of the rank-normalised split R-hat."""
    return _statistic("rhat", values, np.median)


def _hyper(model: Model, particles: np.ndarray) -> np.ndarray:
    return particles[..., model.n_weights :].astype(np.float64)


def _statistic(name: str, draws: np.ndarray, reduce: Callable, **options: Any) -> float:
    """A diagnostic over values (n_chains, n_draws, values); the worst if chains stood still."""
    worst = np.inf if name == "rhat" else 0.0
    draws = draws[..., np.ptp(draws, axis=1).any(axis=0)]
    if not draws.shape[-1]:
        return worst
    from arviz_stats.base import array_stats

    # Chains that stood still in both their halves have no variance to divide by.
    with np.errstate(divide="ignore", invalid="ignore"):
        numbers = getattr(array_stats, name)(draws, chain_axis=0, draw_axis=1, **options)
    return float(reduce(np.nan_to_num(numbers, nan=worst, posinf=np.inf)))
