"""Posteriors made of stored particles: sampler draws, ensemble members, one mode."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from skbayes.posteriors._base import Posterior


class ParticlePosterior(Posterior):
    """Stored draws (n_chains, n_draws, n_params); independent members are chains of one.

    Parameters
    ----------
    particles : ndarray of shape (n_chains, n_draws, n_params)
    monte_carlo : bool
        False where the particles are the posterior, as in an ensemble.

    Attributes
    ----------
    sample_stats : dict of ndarray of shape (n_chains, n_draws)
        What a sampler noted at each draw.
    stopped : dict or None
        Where a sampler's chains stopped, in plain arrays, to go on from.
    """

    def __init__(self, particles: np.ndarray, monte_carlo: bool = True) -> None:
        super().__init__()
        self.particles, self.monte_carlo = particles, monte_carlo
        self.sample_stats: dict[str, np.ndarray] = {}
        self.stopped: dict[str, Any] | None = None

    @property
    def n_params(self) -> int:
        """Length of the packed vector."""
        return int(self.particles.shape[-1])

    @property
    def is_point(self) -> bool:
        """Whether there is one particle alone."""
        return self.particles.shape[0] * self.particles.shape[1] == 1

    def _flat(self) -> Tensor:
        # Draws of one time stand together.
        draws = np.ascontiguousarray(self.particles.swapaxes(0, 1))
        return torch.from_numpy(draws.reshape(-1, draws.shape[-1]))

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw without replacement while there are enough particles, else with."""
        flat = self._flat()
        if n <= len(flat):
            index = torch.randperm(len(flat), generator=generator)[:n]
        else:
            index = torch.randint(len(flat), (n,), generator=generator)
        return flat[index]

    def predictive_draws(self, n: int, generator: torch.Generator) -> Tensor:
        """All stored particles, or ``n`` of them: chains in turn, at evenly spaced times."""
        flat = self._flat()
        if n >= len(flat):
            return flat
        n_chains, n_times = self.particles.shape[:2]
        return flat[chains_in_turn(n, n_chains, n_times)]

    def start(self, n_particles: int, generator: torch.Generator) -> Tensor:
        """The last draw of every chain, repeated as needed."""
        last = torch.from_numpy(self.particles[:, -1].copy())
        return last[torch.arange(n_particles) % len(last)]


def chains_in_turn(n: int, n_chains: int, n_times: int) -> np.ndarray:
    """Numbers (n,) of draws that stand by their times: chains in turn, at evenly spaced times.

    All differ, up to ``n_chains * n_times`` of them. Even steps through the draws, near a
    multiple of the chains, would leave most of the chains out.
    """
    draw = np.arange(n)
    return (2 * draw + 1) * n_times // (2 * n) * n_chains + draw % n_chains
