"""Tuning of step sizes and masses during warm-up."""

from __future__ import annotations

import math

import torch
from torch import Tensor

#: Gain, offset and decay of dual averaging. Acceptance is averaged over chains and their
#: trajectories share a length, so that a gentler gain than the paper's 0.05 settles at the
#: target instead of swinging.
GAIN, OFFSET, DECAY = 0.2, 10, 0.75


class DualAveraging:
    """Step size that drives acceptance to a target.

    References
    ----------
    Hoffman and Gelman (2014), The No-U-Turn sampler, section 3.2.
    """

    def __init__(self, first: float, target: float) -> None:
        self.target = target
        self.centre = math.log(first)
        self.log_step = self.log_average = math.log(first)
        self.error, self.count = 0.0, 0

    @property
    def current(self) -> float:
        """Step size to try next."""
        return math.exp(self.log_step)

    @property
    def average(self) -> float:
        """Step size to keep."""
        return math.exp(self.log_average)

    def update(self, accept: float) -> None:
        """Learn from the acceptance of one step."""
        self.count += 1
        rate = 1 / (self.count + OFFSET)
        self.error += rate * (self.target - accept - self.error)
        self.log_step = self.centre - math.sqrt(self.count) / GAIN * self.error
        weight = self.count**-DECAY
        self.log_average += weight * (self.log_step - self.log_average)


class RunningVariance:
    """Welford's variance over draws and chains."""

    def __init__(self, size: int) -> None:
        self.count = 0
        self.mean = torch.zeros(size, dtype=torch.float64)
        self.squares = torch.zeros(size, dtype=torch.float64)

    def update(self, draws: Tensor) -> None:
        """Add draws (S, size), one per chain."""
        draws = draws.to(self.mean)
        n, mean = len(draws), draws.mean(0)
        total = self.count + n
        shift = mean - self.mean
        self.squares += ((draws - mean) ** 2).sum(0) + shift**2 * (self.count * n / total)
        self.mean += shift * (n / total)
        self.count = total

    def regularised(self, prior_draws: int = 20) -> Tensor:
        """Variance shrunk towards 1, the prior's variance in whitened coordinates."""
        variance = self.squares / max(self.count - 1, 1)
        return (self.count * variance + prior_draws) / (self.count + prior_draws)


class RunningCovariance(RunningVariance):
    """The same with all covariances.

    Regularised, correlations are shrunk towards none by as much as their number of
    draws asks for, and the variances as `RunningVariance` shrinks them.

    References
    ----------
    Chen, Wiesel, Eldar and Hero (2010), Shrinkage algorithms for MMSE covariance
    estimation, eq. 23 (OAS).
    """

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.products = torch.zeros(size, size, dtype=torch.float64)

    def update(self, draws: Tensor) -> None:
        """Add draws (S, size), one per chain."""
        draws = draws.to(self.mean)
        before, n = self.count, len(draws)
        centred, shift = draws - draws.mean(0), draws.mean(0) - self.mean
        self.products.addmm_(centred.T, centred)
        self.products.addr_(shift, shift, alpha=before * n / (before + n))
        super().update(draws)

    def regularised(self, prior_draws: int = 20) -> Tensor:
        """Covariance (size, size), positive definite."""
        sd = super().regularised(prior_draws).sqrt()
        root = self.squares.sqrt().clamp_min(torch.finfo(torch.float64).tiny)
        correlation = self.products / torch.outer(root, root)
        correlation.fill_diagonal_(1.0)
        correlation *= 1 - oas_shrinkage(correlation, self.count)
        correlation.fill_diagonal_(1.0)
        return correlation * torch.outer(sd, sd)


def oas_shrinkage(correlation: Tensor, n_draws: int) -> float:
    """Weight in [0, 1] of no correlation, by the oracle approximating formula."""
    size = len(correlation)
    squares = float(correlation.square().sum())
    excess = (n_draws + 1 - 2 / size) * (squares - size)
    found = ((1 - 2 / size) * squares + size**2) / excess if excess > 0 else 1.0
    return min(1.0, found)
