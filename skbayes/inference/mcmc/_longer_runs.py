"""Where the chains of a fit stopped, as plain arrays, and how they go on from there."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch

from skbayes.data._tensors import Data
from skbayes.exceptions import DataMismatchError, DrawsUnavailableError
from skbayes.posteriors import ParticlePosterior, Posterior
from skbayes.training._encoding import Codec, digest, to_arrays, to_tensors
from skbayes.utils._random import make_generator

NO_CHAINS = "keeps no chains that could be extended; use inference='hmc' or inference='sghmc'"


def stopped(engine: Any, data: Data, state: Any, n_kept: int) -> dict[str, Any]:
    """All that going on needs beside the draws, which the posterior holds."""
    n_drawn, n_ours = len(state.draws) - state.n_earlier, n_kept - state.n_earlier
    spacing = max(1, math.ceil(n_drawn / max(n_ours, 1)))
    rest = replace(state, spacing=spacing, n_earlier=0, draws=[], noted=[])
    return {
        "state": to_arrays(Codec(engine.state_types).encode(rest)),
        "data": data_hash(data),
        "device": state.generator.device.type,
    }


def data_hash(data: Data) -> str:
    """SHA-256 of merged rows, targets and weights, as the engine saw them."""
    return digest(data.X, data.y, data.weight)


def resumed(posterior: Posterior, data: Data, before: Any, engine: Any) -> Any:
    """The state in which a fit ended, with the draws it kept, and a later target.

    Parameters
    ----------
    posterior : Posterior
        What the fit gave.
    data : Data
        The rows, which must be the fit's.
    before, engine : ChainSampler
        As the fit ran, and as the run is to go on.

    Returns
    -------
    state : ChainState

    Raises
    ------
    DrawsUnavailableError
        If there are no chains to go on from.
    DataMismatchError
        If the rows, targets or weights are others.
    """
    device = data.X.device
    if not isinstance(posterior, ParticlePosterior) or posterior.stopped is None:
        raise DrawsUnavailableError(f"{type(before).__name__} {NO_CHAINS}")
    where = posterior.stopped
    if where["data"] != data_hash(data):
        raise DataMismatchError(
            "X, y or sample_weight are not those of the fit, whose posterior more draws would "
            "not be of; give the same rows, or fit anew"
        )
    if where["device"] != device.type:
        raise DrawsUnavailableError(
            f"the fit ran on device={where['device']!r}, whose random numbers {device.type!r} "
            f"does not have; set device={where['device']!r}, or fit anew"
        )
    tree = to_tensors(where["state"], device)
    state = Codec(before.state_types).decode(tree, make_generator(0, device))
    state.draws = list(torch.from_numpy(posterior.particles.copy()).to(device).unbind(1))
    state.n_earlier = len(state.draws)
    noted = [torch.from_numpy(values) for values in posterior.sample_stats.values()]
    state.noted = list(torch.stack(noted).unbind(2))
    n_steps = engine.n_sampling_steps() - before.n_sampling_steps()
    state.target += state.spacing * n_steps
    state.extensions = 0
    return state
