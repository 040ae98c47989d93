"""Gaussian likelihood whose noise depends on the inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from scipy.special import ndtr
from torch import Tensor

from skbayes.likelihoods._base import NOISE_FLOOR, IndependentOutputs, NormalOutputs
from skbayes.utils._logs import LOG_2PI
from skbayes.utils._random import randn

MAX_LOG_SCALE = 8.0
#: Gauss-Legendre nodes and weights on (-1, 1), and standard deviations that they span.
NODES, WEIGHTS = np.polynomial.legendre.leggauss(64)
SPAN = 12.0


class Heteroscedastic(IndependentOutputs):
    """Normal noise with a standard deviation given by a second head of the network.

    The network has two outputs a target: its mean, and the logarithm of its noise.

    Examples
    --------
    >>> from skbayes.likelihoods import Heteroscedastic
    >>> Heteroscedastic().n_outputs(3)
    6
    """

    target: Literal["numeric", "classes"] = "numeric"
    #: Noise is this plus the exponential of the second head.
    floor = NOISE_FLOOR

    def n_outputs(self, n_targets: int) -> int:
        """Two heads a target."""
        return 2 * n_targets

    def location_scale(self, outputs: Tensor, hyper: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation (S, N, T)."""
        return self._heads(outputs)

    def _heads(self, outputs: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_sd = outputs.chunk(2, dim=-1)
        return mean, self.floor + torch.exp(log_sd.clamp(-MAX_LOG_SCALE, MAX_LOG_SCALE))

    def log_prob_columns(self, outputs: Tensor, y: Tensor, hyper: Tensor) -> Tensor:
        """Log density of each target (S, N, T)."""
        mean, sd = self._heads(outputs)
        return -0.5 * ((y - mean) / sd).square() - (torch.log(sd) + 0.5 * LOG_2PI)

    def fisher_diagonal(self, outputs: Tensor, hyper: Tensor) -> Tensor:
        """Information of each output (S, N, K): of mean 1 / sd², of log noise 2."""
        _, sd = self._heads(outputs)
        of_log_sd = 2 * ((sd - self.floor) / sd) ** 2
        return torch.cat([sd**-2, of_log_sd], dim=2)

    def mean(self, outputs: Tensor, hyper: Tensor) -> Tensor:
        """Mean of the targets (S, N, T)."""
        return self._heads(outputs)[0]

    def variance(self, outputs: Tensor, hyper: Tensor) -> Tensor:
        """Noise variance (S, N, T)."""
        return self._heads(outputs)[1] ** 2

    def expected_mean(self, outputs: NormalOutputs, hyper: Tensor) -> Tensor:
        """Average (N, T) of `mean` over normal outputs."""
        return outputs.mean.chunk(2, dim=1)[0]

    def variance_of_mean(self, outputs: NormalOutputs, hyper: Tensor) -> Tensor:
        """Variance (N, T) of `mean` over normal outputs."""
        return outputs.variance.chunk(2, dim=1)[0]

    def expected_variance(self, outputs: NormalOutputs, hyper: Tensor) -> Tensor:
        """Average (N, T) of `variance` over normal outputs."""
        return _average(lambda log_sd: (NOISE_FLOOR + np.exp(log_sd)) ** 2, outputs)

    def expected_log_sd(self, outputs: NormalOutputs, hyper: Tensor) -> Tensor:
        """Average (N, T) of half the logarithm of `variance` over normal outputs."""
        return _average(lambda log_sd: np.log(NOISE_FLOOR + np.exp(log_sd)), outputs)

    def sample(self, outputs: Tensor, hyper: Tensor, generator) -> Tensor:
        """Draw targets (S, N, T)."""
        mean, sd = self._heads(outputs)
        return mean + sd * randn(mean.shape, mean, generator)

    def cdf(self, y: np.ndarray, outputs: Tensor, hyper: Tensor) -> np.ndarray:
        """Distribution function at y (N, T) for each draw: (S, N, T)."""
        mean, sd = self._heads(outputs)
        return ndtr((y - mean.numpy()) / sd.numpy())


def _average(function: Callable[[np.ndarray], np.ndarray], outputs: NormalOutputs) -> Tensor:
    """Average (N, T) of a function of the clamped log noise, which is normal.

    The clamp's two ends have masses of their own; between them the integral runs over what
    the normal spans. ``function`` grows at most as exp(2 log_sd), which moves the integrand's
    peak by two variances: within the span, or beyond the clamp.
    """
    mean = outputs.mean.chunk(2, dim=1)[1].numpy()
    # The least is for a division: a known output is known to rounding anyway.
    sd = np.sqrt(outputs.variance.chunk(2, dim=1)[1].numpy()).clip(1e-150)
    ends = [(-MAX_LOG_SCALE - mean) / sd, (MAX_LOG_SCALE - mean) / sd]
    low, high = np.clip(ends, -SPAN, SPAN)[..., None]
    z = low + (high - low) / 2 * (1 + NODES)
    density = (high - low) / 2 * np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)
    inside = (function(mean[..., None] + sd[..., None] * z) * density) @ WEIGHTS
    below, above = function(np.array([-MAX_LOG_SCALE, MAX_LOG_SCALE]))
    masses = below * ndtr(ends[0]) + above * ndtr(-ends[1])
    return torch.from_numpy(inside + masses)
