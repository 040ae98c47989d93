"""Half-t and half-Cauchy priors of a scale."""

from __future__ import annotations

import math
from numbers import Real

import torch
from scipy.special import stdtrit
from torch import Tensor
from torch.nn.functional import softplus

from skbayes.scale_priors._base import ScalePrior
from skbayes.scale_priors._sampling import log_gamma_draws
from skbayes.utils._random import randn
from skbayes.utils._sklearn import Interval

#: Where softplus may be its argument: the rest is below the rounding of doubles.
LINEAR_FROM = 40.0


class HalfStudentT(ScalePrior):
    """Absolute value of a Student-t: the density of large scales falls as a power.

    Parameters
    ----------
    df : float, default=3.0
        Degrees of freedom.
    width : float, default=1.0
        Scale of the Student-t.

    References
    ----------
    Gelman (2006), Prior distributions for variance parameters in hierarchical models.

    Examples
    --------
    >>> from skbayes.priors import HalfStudentT, Normal
    >>> Normal(scale=HalfStudentT(df=4.0)).scale.df
    4.0
    """

    _parameter_constraints: dict = {
        **ScalePrior._parameter_constraints,
        "df": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(self, df: float = 3.0, width: float = 1.0) -> None:
        self.df = df
        super().__init__(width=width)

    def _log_ratio(self, log_scale: Tensor) -> Tensor:
        """Log of scale² / (df width²), which doesn't overflow as the ratio does."""
        return 2 * log_scale - math.log(self.df * self.width**2)

    def log_prob(self, log_scale: Tensor) -> Tensor:
        """Elementwise log density of the log scale."""
        df = self.df
        norm = math.lgamma((df + 1) / 2) - math.lgamma(df / 2) - 0.5 * math.log(df * math.pi)
        norm += math.log(2 / self.width)
        tail = softplus(self._log_ratio(log_scale), threshold=LINEAR_FROM)
        return norm - (df + 1) / 2 * tail + log_scale

    def score(self, log_scale: Tensor) -> Tensor:
        """Elementwise derivative of `log_prob`."""
        return 1 - (self.df + 1) * torch.sigmoid(self._log_ratio(log_scale))

    def sample(self, shape, like: Tensor, generator: torch.Generator) -> Tensor:
        """Draw log scales: a normal over the root of a gamma."""
        log_normal = randn(shape, like, generator).abs().log()
        log_gamma = log_gamma_draws(self.df / 2, shape, like, generator) - math.log(self.df / 2)
        return log_normal - 0.5 * log_gamma + math.log(self.width)

    @property
    def log_median(self) -> float:
        """Median of the log scale: the Student-t's third quartile."""
        return math.log(self.width) + math.log(stdtrit(self.df, 0.75))


class HalfCauchy(HalfStudentT):
    """Absolute value of a Cauchy: half of all scales beyond the width, some far beyond.

    Parameters
    ----------
    width : float, default=1.0
        Scale of the Cauchy, and the median.

    References
    ----------
    Carvalho et al. (2010), The horseshoe estimator for sparse signals.

    Examples
    --------
    >>> from skbayes.likelihoods import Gaussian
    >>> from skbayes.priors import HalfCauchy
    >>> Gaussian(noise=HalfCauchy(width=0.5))
    Gaussian(noise=HalfCauchy(width=0.5))
    """

    _parameter_constraints: dict = ScalePrior._parameter_constraints
    df = 1.0

    def __init__(self, width: float = 1.0) -> None:
        self.width = width
