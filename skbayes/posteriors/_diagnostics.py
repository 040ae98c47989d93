"""Convergence of stored draws, judged on function values and hyperparameters."""

from __future__ import annotations

import numpy as np
import torch

from skbayes._model import Data, Model

#: Rows on which function values are watched: canonical rows come in hashed order, so the
#: first ones are as good as random.
N_WATCHED = 50


def function_values(model: Model, data: Data, particles: np.ndarray) -> np.ndarray:
    """Outputs (n_chains, n_draws, values) at a few training rows.

    Class logits are turned into probabilities, which is what predictions average.
    """
    flat = torch.from_numpy(particles.reshape(-1, particles.shape[-1])).to(model.like)
    rows = data.X[:N_WATCHED]
    with torch.inference_mode():
        outputs = [
            model.network.forward(model.weights(block), rows) for block in flat.split(256)
        ]
        values = torch.cat(outputs)
        if model.likelihood.target == "classes":
            values = model.likelihood.probabilities(values)[..., 1:]  # type: ignore[attr-defined]
    return values.cpu().numpy().reshape(*particles.shape[:2], -1)


def convergence(model: Model, data: Data, particles: np.ndarray) -> dict[str, float]:
    """Median R-hat and ESS of function values, largest R-hat of hyperparameters."""
    from arviz_stats.base import array_stats

    axes = {"chain_axis": 0, "draw_axis": 1}
    values = function_values(model, data, particles).astype(np.float64)
    report = {
        "r_hat": float(np.nanmedian(array_stats.rhat(values, **axes))),
        "ess_bulk": float(np.nanmedian(array_stats.ess(values, method="bulk", **axes))),
        "ess_tail": float(np.nanmedian(array_stats.ess(values, method="tail", prob=(0.05, 0.95), **axes))),
    }
    hyper = particles[..., model.n_weights :].astype(np.float64)
    if hyper.shape[-1]:
        report["r_hat_hyper"] = float(np.nanmax(array_stats.rhat(hyper, **axes)))
        report["ess_bulk_hyper"] = float(np.nanmin(array_stats.ess(hyper, method="bulk", **axes)))
    return report
