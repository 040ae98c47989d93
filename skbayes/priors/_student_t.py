"""Student-t and Cauchy priors."""

from __future__ import annotations

import math
from numbers import Real

import torch
from torch import Tensor

from skbayes.priors._base import Prior
from skbayes.scale_priors import ScalePrior
from skbayes.utils._random import rand, randn
from skbayes.utils._sklearn import Interval


class StudentT(Prior):
    """Independent Student-t weights.

    Parameters
    ----------
    df : float, default=4.0
        Degrees of freedom.
    scale : "learned", ScalePrior, str or float, default="learned"
        Scale of the weights before fan-in scaling; see `Prior`.
    fan_in_scaling : bool, default=True
        Multiply the scale of weights by ``fan_in ** (-1 / min(df, 2))``: the exponent under
        which a sum of ``fan_in`` such weights keeps its scale.
    groups : {"layer", "network", "unit", "input", "weight"}, default="layer"
        Which weights share a learned scale; see `Prior`.

    Examples
    --------
    >>> from skbayes.priors import StudentT
    >>> StudentT(df=3.0).fan_in_exponent
    -0.5
    """

    _parameter_constraints: dict = {
        **Prior._parameter_constraints,
        "df": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self,
        df: float = 4.0,
        scale: ScalePrior | str | float = "learned",
        fan_in_scaling: bool = True,
        groups: str = "layer",
    ) -> None:
        self.df = df
        super().__init__(scale=scale, fan_in_scaling=fan_in_scaling, groups=groups)

    @property
    def fan_in_exponent(self) -> float:  # type: ignore[override]
        """Exponent of the fan-in, by the generalised central limit theorem."""
        return -1 / min(self.df, 2.0)

    def log_base(self, z: Tensor) -> Tensor:
        """Elementwise standard Student-t log density."""
        df = self.df
        norm = math.lgamma((df + 1) / 2) - math.lgamma(df / 2) - 0.5 * math.log(df * math.pi)
        return norm - (df + 1) / 2 * torch.log1p(z * z / df)

    def score_base(self, z: Tensor) -> Tensor:
        """Elementwise derivative of `log_base`."""
        return -(self.df + 1) * z / (self.df + z * z)

    def curvature_base(self, z: Tensor) -> Tensor:
        """Curvature of the normal scale-mixture bound at z; positive where -log is concave."""
        return (self.df + 1) / (self.df + z * z)

    def sample_base(self, shape, like: Tensor, generator) -> Tensor:
        """Draws as a normal over the root of a gamma."""
        half = torch.full(shape, self.df / 2, dtype=torch.float64, device=like.device)
        gamma = torch._standard_gamma(half, generator=generator) / (self.df / 2)
        return randn(shape, like, generator) / gamma.clamp_min(1e-30).sqrt().to(like.dtype)


class Cauchy(Prior):
    """Independent Cauchy weights.

    Parameters
    ----------
    scale : "learned", ScalePrior, str or float, default="learned"
        Scale of the weights before fan-in scaling; see `Prior`.
    fan_in_scaling : bool, default=True
        Divide the scale (there is no variance) of weights by their fan-in.
    groups : {"layer", "network", "unit", "input", "weight"}, default="layer"
        Which weights share a learned scale; see `Prior`.

    Examples
    --------
    >>> from skbayes.priors import Cauchy
    >>> Cauchy().fan_in_exponent
    -1.0
    """

    fan_in_exponent = -1.0

    def log_base(self, z: Tensor) -> Tensor:
        """Elementwise standard Cauchy log density."""
        return -torch.log1p(z * z) - math.log(math.pi)

    def score_base(self, z: Tensor) -> Tensor:
        """Elementwise derivative of `log_base`."""
        return -2 * z / (1 + z * z)

    def curvature_base(self, z: Tensor) -> Tensor:
        """Curvature of the normal scale-mixture bound at z."""
        return 2 / (1 + z * z)

    def sample_base(self, shape, like: Tensor, generator) -> Tensor:
        """Draws by the inverse distribution function."""
        return torch.tan(math.pi * (rand(shape, like, generator) - 0.5))
