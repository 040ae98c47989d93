"""Student-t likelihood, for targets with outliers."""

from __future__ import annotations

import math
from numbers import Real

import numpy as np
import torch
from scipy.special import stdtr
from torch import Tensor

from skbayes.likelihoods._base import NoisyLikelihood
from skbayes.scale_priors import ScalePrior
from skbayes.utils._random import randn
from skbayes.utils._sklearn import Interval


class StudentTLikelihood(NoisyLikelihood):
    """Student-t noise: outliers move the fit less than under a Gaussian.

    Parameters
    ----------
    df : float, default=4.0
        Degrees of freedom, above 2 so that the predictive standard deviation exists.
    noise : "learned", ScalePrior, str or float, default="learned"
        Scale of the noise in the units of y (its standard deviation is
        ``noise * sqrt(df / (df - 2))``), or "learned" with the weights; an object or a name
        in `SCALE_PRIORS` is its prior, in standard deviations of the target.

    Examples
    --------
    >>> from skbayes.likelihoods import StudentTLikelihood
    >>> StudentTLikelihood(df=5.0)
    StudentTLikelihood(df=5.0)
    """

    _parameter_constraints: dict = {
        **NoisyLikelihood._parameter_constraints,
        "df": [Interval(Real, 2, None, closed="neither")],
    }

    def __init__(self, df: float = 4.0, noise: ScalePrior | str | float = "learned") -> None:
        self.df = df
        super().__init__(noise=noise)

    @property
    def unit_variance(self) -> float:
        """Variance of the noise at scale 1."""
        return self.df / (self.df - 2)

    def log_prob_columns(self, outputs: Tensor, y: Tensor, hyper: Tensor) -> Tensor:
        """Log density of each target (S, N, T)."""
        df, sd = self.df, self.scale(hyper, outputs)
        norm = math.lgamma((df + 1) / 2) - math.lgamma(df / 2) - 0.5 * math.log(df * math.pi)
        kernel = torch.log1p(((y - outputs) / sd) ** 2 / df)
        return norm - torch.log(sd) - (df + 1) / 2 * kernel

    def fisher_diagonal(self, outputs: Tensor, hyper: Tensor) -> Tensor:
        """Fisher information (S, N, K) of each output: (df + 1) / (df + 3) / scale²."""
        information = (self.df + 1) / (self.df + 3) * self.scale(hyper, outputs) ** -2
        return information.expand_as(outputs)

    def sample(self, outputs: Tensor, hyper: Tensor, generator) -> Tensor:
        """Draw targets (S, N, T)."""
        half = torch.full_like(outputs, self.df / 2)
        gamma = torch._standard_gamma(half, generator=generator) / (self.df / 2)
        noise = randn(outputs.shape, outputs, generator) * gamma.rsqrt()
        return outputs + self.scale(hyper, outputs) * noise

    def cdf(self, y: np.ndarray, outputs: Tensor, hyper: Tensor) -> np.ndarray:
        """Distribution function at y (N, T) for each draw: (S, N, T)."""
        sd = self.scale(hyper, outputs).numpy()
        return stdtr(self.df, (y - outputs.numpy()) / sd)
