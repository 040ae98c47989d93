"""Priors over network weights, written in whitened coordinates.

A weight is w = mean + scale_group * factor * z with z drawn from the family's base density
(the mean is zero and the factor one of the fan-in, but for priors tuned on data), so that
engines work on z ("non-centred"): the prior of z does not depend on the scales, and a
posterior over scales and weights has no funnel.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from skbayes.data._tensors import Data
from skbayes.networks import Network
from skbayes.priors._groups import GROUPS, group_index
from skbayes.scale_priors import SCALE_CONSTRAINTS, SCALE_NAMES, ScalePrior, as_scale_prior
from skbayes.utils._parameters import Parametrised
from skbayes.utils._sklearn import StrOptions


class Prior(Parametrised):
    """Independent weights that share scales; a family says which base density.

    Parameters
    ----------
    scale : "learned", ScalePrior, str or float, default="learned"
        Scale of the weights. An object or a name in `SCALE_PRIORS` is the prior of each
        group's scale, which is inferred with the weights, in units of 1, or of 10 where they
        feed logits (classes far apart have logits far from zero); "learned" is the
        half-normal of width 1. A number fixes all scales.
    fan_in_scaling : bool, default=True
        Multiply the scale of a layer's weights (not biases) by ``fan_in ** -1/2``, so
        that the variance of a unit's input does not grow with its number of inputs.
        Cauchy weights, which have no variance, take ``1 / fan_in``.
    groups : {"layer", "network", "unit", "input", "weight"}, default="layer"
        Which weights share a learned scale: those of a layer, all of them, those that enter
        a unit, those that leave an input (the first layer's biases are a group more, and
        each later layer is one), or none.
    """

    _parameter_constraints: dict = {
        "scale": SCALE_CONSTRAINTS,
        "fan_in_scaling": ["boolean"],
        "groups": [StrOptions(set(GROUPS))],
    }
    _registries: ClassVar[dict[str, dict[str, type]]] = {"scale": SCALE_NAMES}
    groups = "layer"
    proper = True
    closed_form_kl = False
    fan_in_exponent = -0.5

    def __init__(
        self,
        scale: ScalePrior | str | float = "learned",
        fan_in_scaling: bool = True,
        groups: str = "layer",
    ) -> None:
        self.scale: Any = scale
        self.fan_in_scaling = fan_in_scaling
        self.groups = groups

    @property
    def scale_prior(self) -> ScalePrior | None:
        """Prior of each group's scale; None where it is fixed."""
        return as_scale_prior(self.scale)

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

    def scale_groups(self, network: Network) -> Tensor:
        """Which of the learned scales every weight has: integers (P,) from 0 on."""
        return group_index(self.groups, network)
