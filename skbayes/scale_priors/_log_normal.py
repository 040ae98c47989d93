"""Log-normal prior of a scale."""

from __future__ import annotations

import math
from numbers import Real

import torch
from torch import Tensor

from skbayes.scale_priors._base import ScalePrior
from skbayes.utils._logs import LOG_2PI
from skbayes.utils._random import randn
from skbayes.utils._sklearn import Interval


class LogNormal(ScalePrior):
    """A normal log scale: the scale's order of magnitude is known.

    Parameters
    ----------
    sigma : float, default=1.0
        Standard deviation of the log scale.
    width : float, default=1.0
        Median of the scale.

    Examples
    --------
    >>> from skbayes.priors import LogNormal, Normal
    >>> Normal(scale=LogNormal(sigma=0.5)).scale.sigma
    0.5
    """

    _parameter_constraints: dict = {
        **ScalePrior._parameter_constraints,
        "sigma": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(self, sigma: float = 1.0, width: float = 1.0) -> None:
        self.sigma = sigma
        super().__init__(width=width)

    def log_prob(self, log_scale: Tensor) -> Tensor:
        """Elementwise log density of the log scale."""
        z = (log_scale - math.log(self.width)) / self.sigma
        return -0.5 * z * z - 0.5 * LOG_2PI - math.log(self.sigma)

    def score(self, log_scale: Tensor) -> Tensor:
        """Elementwise derivative of `log_prob`."""
        return (math.log(self.width) - log_scale) / self.sigma**2

    def sample(self, shape, like: Tensor, generator: torch.Generator) -> Tensor:
        """Draw log scales."""
        return self.sigma * randn(shape, like, generator) + math.log(self.width)

    @property
    def log_median(self) -> float:
        """Median of the log scale."""
        return math.log(self.width)
