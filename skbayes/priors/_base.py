"""Priors over network weights, written in whitened coordinates.

A weight is w = mean + scale_layer * factor * z with z drawn from the family's base density
(the mean is zero and the factor one of the fan-in, but for priors tuned on data), so that
engines work on z ("non-centred"): the prior of z does not depend on the scales, and a
posterior over scales and weights has no funnel.
"""

from __future__ import annotations

import math
from numbers import Real

import torch
from torch import Tensor

from skbayes.data._tensors import Data
from skbayes.networks import Network
from skbayes.utils._parameters import Parametrised
from skbayes.utils._sklearn import Interval, StrOptions

LOG_2_OVER_PI = math.log(2 / math.pi)


class Prior(Parametrised):
    """Independent weights with one scale a layer; a family says which base density.

    Parameters
    ----------
    scale : "learned" or float, default="learned"
        Scale of every layer. "learned" puts a half-normal prior on each layer's scale and
        infers it with the weights, of width 1, or 10 for a layer that feeds logits
        (classes far apart have logits far from zero); a number fixes all of them.
    fan_in_scaling : bool, default=True
        Multiply the scale of a layer's weights (not biases) by ``fan_in ** -1/2``, so
        that the variance of a unit's input does not grow with its number of inputs.
        Cauchy weights, which have no variance, take ``1 / fan_in``.
    """

    _parameter_constraints: dict = {
        "scale": [StrOptions({"learned"}), Interval(Real, 0, None, closed="neither")],
        "fan_in_scaling": ["boolean"],
    }
    proper = True
    closed_form_kl = False
    fan_in_exponent = -0.5

    def __init__(self, scale: str | float = "learned", fan_in_scaling: bool = True) -> None:
        self.scale = scale
        self.fan_in_scaling = fan_in_scaling

    @property
    def learns_scale(self) -> bool:
        """Whether the layer scales are unknowns."""
        return self.scale == "learned"

    def prepare(self, network: Network, likelihood, data: Data, generator) -> Prior:
        """Return the prior to use; priors tuned on data do their work here.

        ``data`` holds the rows to tune on, standardised: the training rows, unless `fit` was
        given others for the purpose.
        """
        return self

    def log_base(self, z: Tensor) -> Tensor:
        """Elementwise log density of the base distribution, normalised."""
        raise NotImplementedError(f"{type(self).__name__} must define log_base")

    def score_base(self, z: Tensor) -> Tensor:
        """Elementwise derivative of `log_base`."""
        raise NotImplementedError(f"{type(self).__name__} must define score_base")

    def curvature_base(self, z: Tensor) -> Tensor:
        """Elementwise, non-negative curvature of ``-log_base`` used by Laplace."""
        raise NotImplementedError(f"{type(self).__name__} has no curvature at a mode")

    def sample_base(self, shape, like: Tensor, generator) -> Tensor:
        """Draw from the base distribution."""
        raise NotImplementedError(f"{type(self).__name__} must define sample_base")

    def kl_base(self, mean: Tensor, sd: Tensor) -> Tensor:
        """Elementwise KL(N(mean, sd²) || base) in nats, where `closed_form_kl`."""
        raise NotImplementedError(f"{type(self).__name__} has no closed-form KL")

    def weight_means(self, network: Network, like: Tensor) -> Tensor | None:
        """Location (P,) of every weight; None where all are zero."""
        return None

    def weight_factors(self, network: Network, like: Tensor) -> Tensor:
        """Fan-in factor (P,) of every weight."""
        factors = torch.ones(network.n_weights, dtype=like.dtype, device=like.device)
        if self.fan_in_scaling:
            for block in network.layout:
                factors[block.slice] = block.fan_in**self.fan_in_exponent
        return factors

    @staticmethod
    def log_scale_prior(log_scale: Tensor) -> Tensor:
        """Half-normal(1) log density of the scale, as a density of its logarithm."""
        return 0.5 * LOG_2_OVER_PI - 0.5 * torch.exp(2 * log_scale) + log_scale

    @staticmethod
    def score_scale_prior(log_scale: Tensor) -> Tensor:
        """Derivative of `log_scale_prior`."""
        return 1 - torch.exp(2 * log_scale)
