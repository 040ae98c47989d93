"""Gaussian likelihoods: one noise scale a target, or one for all."""

from __future__ import annotations

import numpy as np
import torch
from scipy.special import ndtr
from torch import Tensor

from skbayes.likelihoods._base import NoisyLikelihood, NormalOutputs
from skbayes.utils._logs import LOG_2PI
from skbayes.utils._random import randn


class Gaussian(NoisyLikelihood):
    """Normal noise around the network's output, one standard deviation a target.

    Parameters
    ----------
    noise : "learned", ScalePrior, str or float, default="learned"
        Standard deviation of the noise in the units of y, or "learned" with the weights; an
        object or a name in `SCALE_PRIORS` is its prior, in standard deviations of the target.

    Examples
    --------
    >>> from skbayes.likelihoods import Gaussian
    >>> Gaussian(noise=2.0)
    Gaussian(noise=2.0)
    """

    unit_variance = 1.0

    def log_prob_columns(self, outputs: Tensor, y: Tensor, hyper: Tensor) -> Tensor:
        """Log density of each target (S, N, T)."""
        sd = self.scale(hyper, outputs)
        return -0.5 * ((y - outputs) / sd).square() - (torch.log(sd) + 0.5 * LOG_2PI)

    def grad(
        self, outputs: Tensor, y: Tensor, weight: Tensor, hyper: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Gradients of the weighted log likelihood in outputs (S, N, K) and hyper (S, H)."""
        sd = self.scale(hyper, outputs)
        residual = y - outputs
        grad = residual * (weight[..., None] / sd**2)
        if not self.learns_noise:
            return grad, hyper
        squares = (residual * grad).sum(1)
        return grad, (squares - weight.sum()) / sd[:, 0] * torch.exp(hyper)

    def fisher_diagonal(self, outputs: Tensor, hyper: Tensor) -> Tensor:
        """Inverse noise variance (S, N, K)."""
        return (self.scale(hyper, outputs) ** -2).expand_as(outputs)

    def target_covariance(self, outputs: NormalOutputs, hyper: Tensor) -> Tensor:
        """Covariance (N, T, T) of the targets, which are normal too where outputs are."""
        return outputs.covariance + torch.diag_embed(self.expected_variance(outputs, hyper))

    def sample(self, outputs: Tensor, hyper: Tensor, generator) -> Tensor:
        """Draw targets (S, N, T)."""
        return outputs + self.scale(hyper, outputs) * randn(outputs.shape, outputs, generator)

    def cdf(self, y: np.ndarray, outputs: Tensor, hyper: Tensor) -> np.ndarray:
        """Distribution function at y (N, T) for each draw: (S, N, T)."""
        sd = self.scale(hyper, outputs).numpy()
        return ndtr((y - outputs.numpy()) / sd)


class SharedGaussian(Gaussian):
    """Normal noise of one standard deviation around all outputs, as in PPCA.

    One scale for all columns of a row: constant ones, which a noise of their own would fit
    without error, are harmless.

    Parameters
    ----------
    noise : "learned", ScalePrior, str or float, default="learned"
        Standard deviation of the noise: "learned" with the weights, in standard deviations
        of each column, an object or a name in `SCALE_PRIORS` being its prior; or a number in
        the units of the columns.

    Examples
    --------
    >>> from skbayes.likelihoods import SharedGaussian
    >>> SharedGaussian().n_hyper(64)
    1
    """

    def n_hyper(self, n_targets: int) -> int:
        """One noise if it is learned."""
        return 1 if self.learns_noise else 0

    def grad(
        self, outputs: Tensor, y: Tensor, weight: Tensor, hyper: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Gradients of the weighted log likelihood in outputs (S, N, K) and hyper (S, H)."""
        sd = self.scale(hyper, outputs)
        residual = y - outputs
        grad = residual * (weight[..., None] / sd**2)
        if not self.learns_noise:
            return grad, hyper
        squares = (residual * grad).sum((1, 2))[:, None]
        return grad, (squares - weight.sum() * y.shape[-1]) / sd[:, 0] * torch.exp(hyper)
