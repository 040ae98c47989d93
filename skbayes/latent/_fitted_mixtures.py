"""Densities of the latents of several draws: one mixture each, in the draw's own coordinates."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from sklearn.base import clone
from torch import Tensor

from skbayes.latent._latent_mixture import LatentMixture
from skbayes.latent._mixture_priors import predictive_mixture
from skbayes.mixture import VariationalGMM
from skbayes.posteriors._particles import chains_in_turn

#: Densities of latents by the names that autoencoders accept.
LATENT_DENSITIES: dict[str, Any] = {
    "dpmm": partial(VariationalGMM, weight_prior="dirichlet_process"),
}
#: Posterior draws that have a density of latents, spread evenly over those behind predictions.
N_DENSITY_DRAWS = 8
#: Training rows whose latents a density learns from; canonical ones come in hashed order, so
#: the first are as good as random.
DENSITY_ROWS = 10_000


def spread_evenly(n_draws: int, n_chains: int) -> np.ndarray:
    """Numbers of at most `N_DENSITY_DRAWS` of draws in which chains take turns, ascending."""
    n_chains = min(n_chains, n_draws)
    n_times = n_draws // n_chains
    n = min(N_DENSITY_DRAWS, n_chains * n_times)
    return np.sort(chains_in_turn(n, n_chains, n_times))


def fit_mixtures(
    gmm: VariationalGMM, latents: np.ndarray, weight: np.ndarray, seed: int
) -> dict[str, np.ndarray]:
    """Fit a mixture to the latents of each draw.

    Parameters
    ----------
    gmm : VariationalGMM
        Unfitted; copies of it are fitted. One without a seed gets one.
    latents : ndarray of shape (N, S, q)
        Latents of N rows under S draws.
    weight : ndarray of shape (N,)
        Weights of the rows.
    seed : int
        Source of the seeds of mixtures without one.

    Returns
    -------
    mixtures : dict of ndarray
        Parameters of a `LatentMixture` a draw, stacked: the posterior predictive densities.
    """
    found = []
    for own, of_draw in zip(latents.swapaxes(0, 1), streams(seed, latents.shape[1]), strict=True):
        copy = clone(gmm)
        if copy.random_state is None:
            copy.random_state = of_draw
        found.append(predictive_mixture(copy.fit(own, sample_weight=weight)))
    return {name: np.stack([mixture[name] for mixture in found]) for name in found[0]}


def mixture_of(mixtures: dict[str, np.ndarray], draw: int) -> LatentMixture:
    """The mixture of one draw, in double precision."""
    parts: dict[str, Tensor] = {k: torch.from_numpy(v[draw]) for k, v in mixtures.items()}
    return LatentMixture(**parts)


def streams(seed: int, n: int) -> list[int]:
    """Seeds of ``n`` independent streams."""
    return [int(word) for word in np.random.SeedSequence(seed).generate_state(n) >> 1]
