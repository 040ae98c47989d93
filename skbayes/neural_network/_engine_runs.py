"""Running an engine, and what a fitted network keeps of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from skbayes._model import Model
from skbayes.data._scaling import Standardizer
from skbayes.data._tensors import Data
from skbayes.inference import Inference, Run
from skbayes.inference.vi._gaussian import normal_of
from skbayes.posteriors import (
    DiagonalFactor,
    GaussianPosterior,
    ParticlePosterior,
    Posterior,
    to_numpy,
)
from skbayes.utils._memory import keep_freed_memory
from skbayes.utils._threads import limit_threads
from skbayes.utils._warnings import warn


def run_engine(
    inference: Inference, model: Model, data: Data, run: Run, jacobian: float
) -> dict[str, Any]:
    """The fitted attributes that an engine gives; its evidence is put in the units of y."""
    keep_freed_memory()
    with limit_threads(float(len(data)) * model.network.row_work):
        posterior = inference.run(model, data, run)
    return engine_attributes(inference, posterior, jacobian)


def posterior_of(state: dict[str, Tensor]) -> Posterior:
    """What a run that ended at a state of it would give, for callbacks to score.

    The networks at hand: members, chains with their draws so far, the mode; of a normal
    approximation, its mean and standard deviations.
    """
    if "root" in state or "directions" in state:
        return normal_of(state)
    if "log_sd" in state:
        sd = to_numpy(torch.exp(state["log_sd"][0]))
        return GaussianPosterior(to_numpy(state["mean"][0]), [DiagonalFactor(0, sd)])
    particles = to_numpy(state["params"])
    return ParticlePosterior(particles if particles.ndim == 3 else particles[:, None])


def engine_attributes(
    inference: Inference, posterior: Posterior, jacobian: float
) -> dict[str, Any]:
    """Fitted attributes of a posterior and the engine that it comes from."""
    evidence = posterior.log_evidence
    return {
        "posterior_": posterior,
        "inference_": inference,
        "diagnostics_": posterior.diagnostics,
        "n_iter_": posterior.n_iter,
        "evidence_kind_": posterior.evidence_kind,
        "evidence_se_": posterior.evidence_se if posterior.evidence_kind else None,
        "_log_evidence": None if evidence is None else float(evidence - jacobian),
        "_evidence_ess": posterior.evidence_ess,
    }


def warn_if_zero(estimator: Any, kind: str) -> None:
    """Say of a kind of spread that it cannot be other than zero."""
    if kind == "epistemic" and estimator.posterior_.is_point:
        engine = getattr(estimator, "inference_", estimator)
        name, several = type(engine).__name__, hasattr(engine, "n_members")
        remedy = "raise n_members" if several else "use inference='laplace' or 'deep_ensemble'"
        warn(
            f"kind='epistemic' is zero everywhere: {name} keeps one set of weights, which says "
            f"nothing of what more data would change; {remedy}",
        )


def log_jacobian(y_scaler: Standardizer | None, weight: np.ndarray) -> float:
    """Log of d(targets) / d(standardised targets), summed over weighted rows and targets."""
    return 0.0 if y_scaler is None else float(weight.sum() * np.log(y_scaler.scale).sum())


def check_squares(y: np.ndarray, targets: Tensor) -> None:
    """Refuse targets whose squares overflow in the precision of the computation."""
    if not torch.isfinite(targets.square()).all():
        dtype = str(targets.dtype).removeprefix("torch.")
        raise ValueError(
            f"y reaches {np.abs(y).max():.3g}, whose square overflows {dtype}; set "
            "scale_targets=True, or divide y by np.abs(y).max()"
        )
