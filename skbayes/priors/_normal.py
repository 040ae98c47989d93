"""Normal prior."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from skbayes.priors._base import Prior
from skbayes.utils._random import randn


class Normal(Prior):
    """Independent normal weights; ``scale`` is their standard deviation.

    Parameters
    ----------
    scale : "learned", ScalePrior, str or float, default="learned"
        Standard deviation of the weights before fan-in scaling; see `Prior`.
    fan_in_scaling : bool, default=True
        Divide the variance of weights by their fan-in.
    groups : {"layer", "network", "unit", "input", "weight"}, default="layer"
        Which weights share a learned scale; see `Prior`.

    Examples
    --------
    >>> from skbayes import BayesianMLPRegressor
    >>> from skbayes.priors import Normal
    >>> BayesianMLPRegressor(prior=Normal(scale=0.5)).prior.scale
    0.5
    """

    closed_form_kl = True

    def log_base(self, z: Tensor) -> Tensor:
        """Elementwise standard normal log density."""
        return -0.5 * z * z - 0.5 * math.log(2 * math.pi)

    def score_base(self, z: Tensor) -> Tensor:
        """Elementwise derivative of `log_base`."""
        return -z

    def curvature_base(self, z: Tensor) -> Tensor:
        """Curvature one everywhere."""
        return torch.ones_like(z)

    def sample_base(self, shape, like: Tensor, generator) -> Tensor:
        """Standard normal draws."""
        return randn(shape, like, generator)

    def kl_base(self, mean: Tensor, sd: Tensor) -> Tensor:
        """KL between normals, elementwise."""
        return 0.5 * (sd * sd + mean * mean - 1) - torch.log(sd)
