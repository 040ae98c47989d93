"""The posterior that Monte Carlo dropout stands for: a mode times random unit masks."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from skbayes.posteriors._base import Posterior


class DropoutPosterior(Posterior):
    """Packed vectors whose weights out of dropped units are zero.

    A mask shared by all rows of a prediction is a mask on the weights, so draws are
    ordinary weight draws.

    Parameters
    ----------
    mean : ndarray of shape (n_params,)
    sizes : list of int
        Width of every layer, inputs first.
    rate : float
        Probability of dropping a unit.
    origin : ndarray of shape (n_params,) or None, default=None
        What to add to packed vectors so that a weight of zero is zero: the prior's means in
        units of its scales. None where they are zero.
    """

    def __init__(
        self, mean: np.ndarray, sizes: list[int], rate: float, origin: np.ndarray | None = None
    ) -> None:
        super().__init__()
        self.mean, self.sizes, self.rate = mean, sizes, rate
        self.origin = np.zeros_like(mean) if origin is None else origin

    @property
    def n_params(self) -> int:
        """Length of the packed vector."""
        return len(self.mean)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw ``n`` packed vectors (n, n_params)."""
        origin = torch.from_numpy(self.origin)
        draws = (torch.from_numpy(self.mean) + origin).repeat(n, 1)
        start = 0
        for n_in, n_out in zip(self.sizes[:-1], self.sizes[1:], strict=True):
            keep = torch.full((n, 1, n_in), 1 - self.rate, dtype=draws.dtype)
            mask = torch.bernoulli(keep, generator=generator) / (1 - self.rate)
            weights = draws[:, start : start + n_out * n_in].view(n, n_out, n_in)
            weights *= mask
            start += n_out * n_in + n_out
        return draws - origin

    def start(self, n_particles: int, generator: torch.Generator) -> Tensor:
        """The undropped weights, repeated."""
        return torch.from_numpy(self.mean).repeat(n_particles, 1)
