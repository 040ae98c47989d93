"""Scale mixture of two normals (Blundell et al. 2015)."""

from __future__ import annotations

import math
from numbers import Real

import torch
from torch import Tensor

from skbayes.priors._base import Prior
from skbayes.scale_priors import ScalePrior
from skbayes.utils._random import rand, randn
from skbayes.utils._sklearn import Interval


class ScaleMixture(Prior):
    """Mixture of two zero-mean normals, a slab and a spike.

    Parameters
    ----------
    mixing : float, default=0.5
        Probability of the wide component.
    narrow : float, default=0.05
        Standard deviation of the narrow component relative to the wide one.
    scale : "learned", ScalePrior, str or float, default="learned"
        Standard deviation of the wide component before fan-in scaling; see `Prior`.
    fan_in_scaling : bool, default=True
        Divide the variance of weights by their fan-in.
    groups : {"layer", "network", "unit", "input", "weight"}, default="layer"
        Which weights share a learned scale; see `Prior`.

    References
    ----------
    Blundell et al. (2015), Weight uncertainty in neural networks, eq. 7.

    Examples
    --------
    >>> from skbayes.priors import ScaleMixture
    >>> ScaleMixture(mixing=0.25).mixing
    0.25
    """

    _parameter_constraints: dict = {
        **Prior._parameter_constraints,
        "mixing": [Interval(Real, 0, 1, closed="neither")],
        "narrow": [Interval(Real, 0, 1, closed="neither")],
    }

    def __init__(
        self,
        mixing: float = 0.5,
        narrow: float = 0.05,
        scale: ScalePrior | str | float = "learned",
        fan_in_scaling: bool = True,
        groups: str = "layer",
    ) -> None:
        self.mixing = mixing
        self.narrow = narrow
        super().__init__(scale=scale, fan_in_scaling=fan_in_scaling, groups=groups)

    def _log_components(self, z: Tensor) -> tuple[Tensor, Tensor]:
        norm = -0.5 * math.log(2 * math.pi)
        wide = math.log(self.mixing) + norm - 0.5 * z * z
        narrow = math.log1p(-self.mixing) + norm - math.log(self.narrow)
        return wide, narrow - 0.5 * (z / self.narrow) ** 2

    def _precision(self, z: Tensor) -> Tensor:
        """Posterior mean precision of the component that made z."""
        wide, narrow = self._log_components(z)
        share = torch.sigmoid(wide - narrow)
        return share + (1 - share) / self.narrow**2

    def log_base(self, z: Tensor) -> Tensor:
        """Elementwise log density."""
        return torch.logaddexp(*self._log_components(z))

    def score_base(self, z: Tensor) -> Tensor:
        """Elementwise derivative of `log_base`."""
        return -z * self._precision(z)

    def curvature_base(self, z: Tensor) -> Tensor:
        """Mean precision of the component at z (the mixture itself may be convex there)."""
        return self._precision(z)

    def sample_base(self, shape, like: Tensor, generator) -> Tensor:
        """Draw a component, then a normal."""
        wide = rand(shape, like, generator) < self.mixing
        noise = randn(shape, like, generator)
        return torch.where(wide, noise, noise * self.narrow)
