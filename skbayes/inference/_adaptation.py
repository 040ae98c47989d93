"""Tuning of step sizes and masses during warm-up."""

from __future__ import annotations

import math

import torch
from torch import Tensor


class DualAveraging:
    """Step size that drives acceptance to a target.

    References
    ----------
    Hoffman and Gelman (2014), The No-U-Turn sampler, section 3.2.
    """

    def __init__(
        self, first: float, target: float, gamma: float = 0.2, t0: float = 10, kappa: float = 0.75
    ) -> None:
        # Acceptance is averaged over chains and trajectories share a length, so that a
        # gentler gain than the paper's 0.05 settles at the target instead of swinging.
        self.target, self.gamma, self.t0, self.kappa = target, gamma, t0, kappa
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
        rate = 1 / (self.count + self.t0)
        self.error += rate * (self.target - accept - self.error)
        self.log_step = self.centre - math.sqrt(self.count) / self.gamma * self.error
        weight = self.count**-self.kappa
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
