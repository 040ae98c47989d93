"""Laplace (double exponential) prior."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from skbayes.priors._base import Prior
from skbayes.utils._random import rand


class LaplacePrior(Prior):
    """Independent Laplace weights; ``scale`` is b in exp(-|w| / b) / (2 b).

    Parameters
    ----------
    scale : "learned", ScalePrior, str or float, default="learned"
        Scale b of the weights before fan-in scaling; see `Prior`.
    fan_in_scaling : bool, default=True
        Divide the variance of weights by their fan-in.
    groups : {"layer", "network", "unit", "input", "weight"}, default="layer"
        Which weights share a learned scale; see `Prior`.

    Examples
    --------
    >>> from skbayes.priors import LaplacePrior
    >>> LaplacePrior(scale=0.5)
    LaplacePrior(scale=0.5)
    """

    def log_base(self, z: Tensor) -> Tensor:
        """Elementwise log density."""
        return -z.abs() - math.log(2)

    def score_base(self, z: Tensor) -> Tensor:
        """Elementwise derivative, zero at the kink."""
        return -torch.sign(z)

    def curvature_base(self, z: Tensor) -> Tensor:
        """Curvature of the variational normal bound, 1 / |z|, capped: the kink has none."""
        return 1 / z.abs().clamp_min(0.1)

    def sample_base(self, shape, like: Tensor, generator) -> Tensor:
        """Draws by the inverse distribution function."""
        u = rand(shape, like, generator) - 0.5
        return -torch.sign(u) * torch.log1p((-2 * u.abs()).clamp_min(-1 + 1e-7))
