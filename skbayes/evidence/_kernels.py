"""A density to draw from that follows posterior draws: normal kernels about some of them."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from skbayes._model import FEW_GROUPS, Model
from skbayes.utils._logs import LOG_2PI
from skbayes.utils._random import randn

#: Most kernels, their width in units of the draws' covariance, and how much wider than the
#: draws all of it is: importance weights need tails.
N_KERNELS, WIDTH, INFLATION = 300, 0.7, 1.1


class Kernels:
    """A mixture of equal normals about draws, moved together to have the draws' covariance.

    Weights that the data settle move, while they are whitened, with the scale of their group;
    those that the prior settles do not. Each of a few groups is taken with its scale or
    without, whichever makes the draws' normal the smaller.

    Parameters
    ----------
    model : Model
        Tells scales and weights apart.
    draws : Tensor of shape (n, n_params)
        Whitened, in double precision.

    References
    ----------
    West (1993), Approximating posterior distributions by mixtures, section 2.
    """

    def __init__(self, model: Model, draws: Tensor) -> None:
        self._scales = slice(model.n_weights, model.n_weights + model.n_scales)
        # Scale by unknown: whose logarithm is added to whose.
        self._scaled = draws.new_zeros(model.n_scales, model.n_params)
        best = self._fit(draws)
        for group in range(model.n_scales if model.n_scales <= FEW_GROUPS else 0):
            before = self._scaled.clone()
            self._scaled[group, : model.n_weights] = (model.groups == group).to(draws)
            found = self._fit(draws)
            if found[2] < best[2]:
                best = found
            else:
                self._scaled = before
        self._mean, self._root, _ = best
        picked = np.linspace(0, len(draws) - 1, min(N_KERNELS, len(draws))).round().astype(int)
        some = draws[picked] * torch.exp(self._stretch(draws[picked])) - self._mean
        white = torch.linalg.solve_triangular(self._root, some.T, upper=False).T
        self._centres = math.sqrt(1 - WIDTH**2) * white

    def sample_with_density(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draws (n, n_params), whitened, and the log density (n,) of each."""
        n_kernels, size = self._centres.shape
        device = self._centres.device
        which = torch.randint(n_kernels, (n,), generator=generator, device=device)
        white = self._centres[which] + WIDTH * randn((n, size), self._centres, generator)
        squares = torch.cdist(white, self._centres) ** 2 / WIDTH**2
        log_density = torch.logsumexp(-0.5 * squares, 1) - math.log(n_kernels)
        log_density -= torch.log(torch.diagonal(self._root)).sum()
        log_density -= size * (0.5 * LOG_2PI + math.log(WIDTH * INFLATION))
        points = self._mean + INFLATION * white @ self._root.T
        stretch = self._stretch(points)
        return points * torch.exp(-stretch), log_density + stretch.sum(1)

    def _stretch(self, points: Tensor) -> Tensor:
        """Logarithm (n, n_params) of what unknowns are multiplied by to be a normal's."""
        return points[:, self._scales] @ self._scaled

    def _fit(self, draws: Tensor) -> tuple[Tensor, Tensor, float]:
        """Mean (P,), Cholesky factor (P, P) of a shrunk covariance, and log volume."""
        stretch = self._stretch(draws)
        points, (n, size) = draws * torch.exp(stretch), draws.shape
        covariance = torch.atleast_2d(torch.cov(points.T))
        keep = n / (n + size)
        diagonal = torch.diag(torch.diagonal(covariance).clamp_min(1e-12))
        shrunk = keep * covariance + (1 - keep) * diagonal + 1e-9 * diagonal
        root = torch.linalg.cholesky(shrunk)
        volume = torch.log(torch.diagonal(root)).sum() - stretch.sum(1).mean()
        return points.mean(0), root, float(volume)
