"""Means over a normal logit: probability, spread, entropy and log loss, by quadrature.

A logit of standard deviation at most 1 takes Gauss-Hermite nodes: the logistic function's
poles are then at least pi standard deviations off the real axis. Beyond, the integrals run
over the logit itself, where the functions are bumps of width 1 and the trapezoid rule
converges as fast: a probability is the mean of its derivative against the normal's
distribution function. Errors are below 1e-12 either way.

Log losses, on which a fit spends most of its time, take no more nodes than their spread
asks for. A standard deviation of a fifth needs eight; and above 4 the normal's
distribution function is so smooth that a few Gauss nodes of the logistic density do, whose
recurrence is that of the continuous Hahn polynomials.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import expit, log_expit, ndtr, roots_hermitenorm


def normal_nodes(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights (n,) of the Gauss rule of the standard normal."""
    nodes, weights = roots_hermitenorm(n)
    return nodes, weights / weights.sum()


def logistic_nodes(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights (n,) of the Gauss rule of the standard logistic density."""
    k = np.arange(1, n)
    beside = np.pi * k**2 / np.sqrt(4 * k**2 - 1)
    nodes, vectors = np.linalg.eigh(np.diag(beside, 1) + np.diag(beside, -1))
    return nodes, vectors[0] ** 2


#: Nodes in units of the standard deviation, and their weights.
NODES, WEIGHTS = normal_nodes(40)
#: Logits of the trapezoid rule; a bump has fallen by exp(-40) at the ends.
STEP = 0.4
LOGITS = np.arange(-100, 101) * STEP
SLOPE = expit(LOGITS) * expit(-LOGITS)
ENTROPY = -expit(LOGITS) * log_expit(LOGITS) - expit(-LOGITS) * log_expit(-LOGITS)
#: Standard deviations from which on a log loss takes so many nodes: of the normal, and of
#: the logistic density.
HERMITE, HAHN = ((0.0, 8), (0.2, 16), (0.5, 40)), ((4.0, 32), (6.0, 16), (16.0, 8))
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
    return LogitMoments(*_integrate([(0, _narrow), (1, _wide)], mean, variance, 4))


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
    return LossMoments(*_integrate(LOSS_RULES, mean, variance, 3))


def _integrate(
    rules: list[tuple[float, Rule]], mean: np.ndarray, variance: np.ndarray, n_results: int
) -> np.ndarray:
    """Results (n_results, N), each row by the last of the rules whose least spread it exceeds."""
    std = np.sqrt(variance)
    result = np.empty((n_results, len(mean)))
    for start in range(0, len(mean), BLOCK_ROWS):
        at = slice(start, start + BLOCK_ROWS)
        which = np.searchsorted([least for least, _ in rules[1:]], std[at])
        for number in np.unique(which):
            mine = which == number
            result[:, at][:, mine] = rules[number][1](mean[at][mine, None], std[at][mine, None])
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


def _narrow_loss(nodes: np.ndarray, weights: np.ndarray) -> Rule:
    """Averages over the normal, by a rule for it."""

    def rule(mean: np.ndarray, std: np.ndarray) -> tuple[np.ndarray, ...]:
        logits = mean + std * nodes
        p = expit(logits)
        loss = np.logaddexp(0, logits)
        return loss @ weights, p @ weights, (p * (1 - p)) @ weights

    return rule


def _wide_loss(nodes: np.ndarray, weights: np.ndarray) -> Rule:
    """Averages over the logistic density, by a rule for it."""

    def rule(mean: np.ndarray, std: np.ndarray) -> tuple[np.ndarray, ...]:
        z = (nodes - mean) / std
        density = np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi)
        beyond = ndtr(-z)
        # log(1 + exp(f)) is the mean of max(f - u, 0) over u with the logistic density.
        loss = std[:, 0] * ((density - z * beyond) @ weights)
        return loss, beyond @ weights, density @ weights / std[:, 0]

    return rule


#: Least spread, and rule from there on.
LOSS_RULES: list[tuple[float, Rule]] = [
    *((least, _narrow_loss(*normal_nodes(n))) for least, n in HERMITE),
    (1.0, _wide_loss(LOGITS, SLOPE * STEP)),
    *((least, _wide_loss(*logistic_nodes(n))) for least, n in HAHN),
]
