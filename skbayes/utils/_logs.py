"""Logarithms of sums and constants, as densities and evidences need them."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import logsumexp

LOG_2PI = math.log(2 * math.pi)
#: Twice the entropy of a standard normal, in nats.
LOG_2PI_E = LOG_2PI + 1
#: Effective draws that an evidence must rest on: below, its error cannot be told either.
MIN_EFFECTIVE_DRAWS = 50
#: Batches of weights whose means are compared.
N_BATCHES = 16


def log_mean_exp(
    log_weights: np.ndarray, n_each: int = 1, inefficiency: float = 1.0
) -> tuple[float, float, float]:
    """Log of a mean of exponentials, its standard error, and effective draws.

    The error is the delta method's or, where this is larger, that of a lognormal's mean with
    the spread that batches of the weights have in theirs. One weight that outweighs all others
    bounds the former by 1, however far off the mean is then; the latter goes on to grow.

    Parameters
    ----------
    log_weights : ndarray of shape (n,)
        NaN counts as a weight of zero.
    n_each : int, default=1
        Draws behind each of the weights.
    inefficiency : float, default=1.0
        Draws that are worth an independent one.

    Returns
    -------
    value : float
        Minus infinity where all weights are zero.
    std_error : float
        Of ``value``, in nats.
    n_effective : float
        Independent draws from the target whose mean would have this error; Kish's number
        where the error is the delta method's.
    """
    log_weights = np.where(np.isnan(log_weights), -np.inf, log_weights).astype(np.float64)
    n = len(log_weights)
    value = float(logsumexp(log_weights)) - math.log(n)
    if value == -math.inf or n == 1:
        return value, math.inf, 0.0
    relative = np.exp(log_weights - value).var(ddof=1) / n
    # Chains stand side by side or one after the other; batches are to be alike.
    batches = np.array_split(np.random.default_rng(0).permutation(log_weights), min(n, N_BATCHES))
    log_means = np.array([logsumexp(batch) - math.log(len(batch)) for batch in batches])
    finite = log_means[log_means > -math.inf]
    spread = finite.var(ddof=1) if len(finite) > 1 else 0.0
    with np.errstate(over="ignore"):  # as good as no number at all
        lognormal = (spread + spread**2 / 2) / len(batches)
    square = max(relative, lognormal) * inefficiency
    return value, math.sqrt(square), 1 / (inefficiency / (n * n_each) + square)


#: Numbers whose squares, and sums of some of them, stay in double precision.
SQUARABLE = 1e150


def log1p_square(away: np.ndarray, axis: int) -> np.ndarray:
    """Log of 1 + the sum of squares along an axis, which may leave double precision."""
    far = np.abs(away).max(axis=axis, initial=0.0)
    unit = np.where(far > SQUARABLE, far, 1.0)
    square = ((away / np.expand_dims(unit, axis)) ** 2).sum(axis=axis)
    # Beside squares that large, one is nothing.
    return np.where(unit > 1, 2 * np.log(unit) + np.log(square + (unit == 1)), np.log1p(square))
