"""Means over a normal logit: probability, spread, entropy and log loss, by quadrature.

A logit of standard deviation at most 1 takes Gauss-Hermite nodes: the logistic function's
poles are then at least pi standard deviations off the real axis. Beyond, the integrals run
over the logit itself, where the functions are bumps of width 1 and the trapezoid rule
converges as fast: a probability is the mean of its derivative against the normal's
distribution function. Errors are below 1e-12 either way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import expit, log_expit, ndtr, roots_hermitenorm

#: Nodes in units of the standard deviation, their weights a normal's.
NODES, WEIGHTS = roots_hermitenorm(40)
WEIGHTS = WEIGHTS / WEIGHTS.sum()
#: Logits of the trapezoid rule; a bump has fallen by exp(-40) at the ends.
STEP = 0.4
LOGITS = np.arange(-100, 101) * STEP
SLOPE = expit(LOGITS) * expit(-LOGITS)
ENTROPY = -expit(LOGITS) * log_expit(LOGITS) - expit(-LOGITS) * log_expit(-LOGITS)
#: Rows worked on at once.
BLOCK_ROWS = 8192

Rule = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, ...]]


class LogitMoments(NamedTuple):
    """Means (N,) over the logit's normal distribution, p the probability.

    Attributes
    ----------
    zero, one : ndarray of shape (N,)
        Means of 1 - p and of p, both to full relative precision.
    aleatoric : ndarray of shape (N,)
        Mean of p (1 - p).
    entropy : ndarray of shape (N,)
        Mean entropy of the label given the logit, in nats.
    """

    zero: np.ndarray
    one: np.ndarray
    aleatoric: np.ndarray
    entropy: np.ndarray


def logit_moments(mean: np.ndarray, variance: np.ndarray) -> LogitMoments:
    """Integrate over normal logits of these means and variances (N,)."""
    return LogitMoments(*_integrate(_narrow, _wide, mean, variance, 4))


class LossMoments(NamedTuple):
    """Means (N,) over the logit's normal distribution.

    Attributes
    ----------
    loss : ndarray of shape (N,)
        Mean of log(1 + exp(logit)), in nats.
    slope, curvature : ndarray of shape (N,)
        Means of its first two derivatives, p and p (1 - p).
    """

    loss: np.ndarray
    slope: np.ndarray
    curvature: np.ndarray


def loss_moments(mean: np.ndarray, variance: np.ndarray) -> LossMoments:
    """Integrate the log loss over normal logits of these means and variances (N,)."""
    return LossMoments(*_integrate(_narrow_loss, _wide_loss, mean, variance, 3))


def _integrate(
    narrow: Rule, wide: Rule, mean: np.ndarray, variance: np.ndarray, n_results: int
) -> np.ndarray:
    """Results (n_results, N), each row by the rule that suits its spread."""
    std = np.sqrt(variance)
    result = np.empty((n_results, len(mean)))
    for start in range(0, len(mean), BLOCK_ROWS):
        at = slice(start, start + BLOCK_ROWS)
        small = std[at] <= 1
        for rule, mine in ((narrow, small), (wide, ~small)):
            result[:, at][:, mine] = rule(mean[at][mine, None], std[at][mine, None])
    return result


def _narrow(mean: np.ndarray, std: np.ndarray) -> tuple[np.ndarray, ...]:
    logits = mean + std * NODES
    one, zero = expit(logits), expit(-logits)
    entropy = -one * log_expit(logits) - zero * log_expit(-logits)
    return zero @ WEIGHTS, one @ WEIGHTS, (one * zero) @ WEIGHTS, entropy @ WEIGHTS


def _wide(mean: np.ndarray, std: np.ndarray) -> tuple[np.ndarray, ...]:
    z = (LOGITS - mean) / std
    density = np.exp(-0.5 * z * z) / (np.sqrt(2 * np.pi) * std)
    # P(logit > u) and P(logit < u), averaged over u with the logistic density.
    one, zero = ndtr(-z) @ SLOPE, ndtr(z) @ SLOPE
    return zero * STEP, one * STEP, density @ SLOPE * STEP, density @ ENTROPY * STEP


def _narrow_loss(mean: np.ndarray, std: np.ndarray) -> tuple[np.ndarray, ...]:
    logits = mean + std * NODES
    p = expit(logits)
    return np.logaddexp(0, logits) @ WEIGHTS, p @ WEIGHTS, (p * (1 - p)) @ WEIGHTS


def _wide_loss(mean: np.ndarray, std: np.ndarray) -> tuple[np.ndarray, ...]:
    z = (LOGITS - mean) / std
    density = np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi)
    beyond = ndtr(-z)
    # log(1 + exp(f)) is the mean of max(f - u, 0) over u with the logistic density.
    loss = std[:, 0] * ((density - z * beyond) @ SLOPE)
    return loss * STEP, beyond @ SLOPE * STEP, density @ SLOPE * STEP / std[:, 0]
