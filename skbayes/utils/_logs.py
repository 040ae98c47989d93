"""Logarithms of sums and constants, as densities and evidences need them."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import logsumexp

LOG_2PI = math.log(2 * math.pi)
#: Twice the entropy of a standard normal, in nats.
LOG_2PI_E = LOG_2PI + 1


def log_mean_exp(log_weights: np.ndarray) -> tuple[float, float, float]:
    """Log of a mean of exponentials (n,), its delta-method standard error, and the ESS.

    NaN counts as a weight of zero.
    """
    log_weights = np.where(np.isnan(log_weights), -np.inf, log_weights).astype(np.float64)
    n = len(log_weights)
    value = float(logsumexp(log_weights)) - math.log(n)
    with np.errstate(invalid="ignore"):  # no weight at all
        relative = np.exp(log_weights - value)
    ess = n**2 / float((relative**2).sum())
    se = float(relative.std(ddof=1)) / math.sqrt(n) if n > 1 else math.inf
    return value, se, ess
