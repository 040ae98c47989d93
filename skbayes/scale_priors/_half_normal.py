"""Half-normal prior of a scale."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from skbayes.scale_priors._base import ScalePrior
from skbayes.utils._random import randn

LOG_2_OVER_PI = math.log(2 / math.pi)
#: Median of the absolute value of a standard normal.
MEDIAN = 0.6744897501960817


class HalfNormal(ScalePrior):
    """Absolute value of a normal: scales far beyond the width are all but excluded.

    Parameters
    ----------
    width : float, default=1.0
        Standard deviation of the normal.

    Examples
    --------
    >>> from skbayes.priors import HalfNormal, Normal
    >>> Normal(scale=HalfNormal(width=0.5))
    Normal(scale=HalfNormal(width=0.5))
    """

    def log_prob(self, log_scale: Tensor) -> Tensor:
        """Elementwise log density of the log scale."""
        norm = 0.5 * LOG_2_OVER_PI - math.log(self.width)
        return norm - 0.5 / self.width**2 * torch.exp(2 * log_scale) + log_scale

    def score(self, log_scale: Tensor) -> Tensor:
        """Elementwise derivative of `log_prob`."""
        return torch.rsub(torch.exp(2 * log_scale), 1, alpha=self.width**-2)

    def sample(self, shape, like: Tensor, generator: torch.Generator) -> Tensor:
        """Draw log scales."""
        return randn(shape, like, generator).abs().log() + math.log(self.width)

    @property
    def log_median(self) -> float:
        """Median of the log scale."""
        return math.log(self.width) + math.log(MEDIAN)
