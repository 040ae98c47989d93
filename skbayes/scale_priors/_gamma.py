"""Gamma and inverse-gamma priors of a scale."""

from __future__ import annotations

import math
from numbers import Real

import torch
from scipy.special import gammaincinv
from torch import Tensor

from skbayes.scale_priors._base import ScalePrior
from skbayes.scale_priors._sampling import log_gamma_draws
from skbayes.utils._sklearn import Interval


class Gamma(ScalePrior):
    """Gamma density of the scale itself: towards zero it goes as scale^(shape - 1).

    Parameters
    ----------
    shape : float, default=2.0
        Shape.
    width : float, default=1.0
        Scale of the gamma, one over its rate; the mean is shape times width.

    Examples
    --------
    >>> from skbayes.priors import Gamma, Normal
    >>> Normal(scale=Gamma(shape=2.0, width=0.5)).scale.shape
    2.0
    """

    _parameter_constraints: dict = {
        **ScalePrior._parameter_constraints,
        "shape": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(self, shape: float = 2.0, width: float = 1.0) -> None:
        self.shape = shape
        super().__init__(width=width)

    def log_prob(self, log_scale: Tensor) -> Tensor:
        """Elementwise log density of the log scale."""
        log_unit = log_scale - math.log(self.width)
        return self.shape * log_unit - torch.exp(log_unit) - math.lgamma(self.shape)

    def score(self, log_scale: Tensor) -> Tensor:
        """Elementwise derivative of `log_prob`."""
        return self.shape - torch.exp(log_scale - math.log(self.width))

    def sample(self, shape, like: Tensor, generator: torch.Generator) -> Tensor:
        """Draw log scales."""
        return log_gamma_draws(self.shape, shape, like, generator) + math.log(self.width)

    @property
    def log_median(self) -> float:
        """Median of the log scale."""
        return math.log(self.width) + math.log(gammaincinv(self.shape, 0.5))


class InverseGamma(ScalePrior):
    """One over a gamma: scales near zero are excluded, large ones fall as a power.

    Of the scale itself. Where a book puts an inverse gamma on the variance, as conjugate
    models do, the scale is the root of its draws and has another density.

    Parameters
    ----------
    shape : float, default=1.0
        Shape: the density of large scales falls as scale^(-shape - 1).
    width : float, default=1.0
        Scale of the inverse gamma.

    Examples
    --------
    >>> from skbayes.priors import InverseGamma, LaplacePrior
    >>> LaplacePrior(scale=InverseGamma(shape=3.0)).scale.shape
    3.0
    """

    _parameter_constraints: dict = Gamma._parameter_constraints

    def __init__(self, shape: float = 1.0, width: float = 1.0) -> None:
        self.shape = shape
        super().__init__(width=width)

    def log_prob(self, log_scale: Tensor) -> Tensor:
        """Elementwise log density of the log scale."""
        log_precision = math.log(self.width) - log_scale
        return self.shape * log_precision - torch.exp(log_precision) - math.lgamma(self.shape)

    def score(self, log_scale: Tensor) -> Tensor:
        """Elementwise derivative of `log_prob`."""
        return torch.exp(math.log(self.width) - log_scale) - self.shape

    def sample(self, shape, like: Tensor, generator: torch.Generator) -> Tensor:
        """Draw log scales."""
        return math.log(self.width) - log_gamma_draws(self.shape, shape, like, generator)

    @property
    def log_median(self) -> float:
        """Median of the log scale."""
        return math.log(self.width) - math.log(gammaincinv(self.shape, 0.5))
