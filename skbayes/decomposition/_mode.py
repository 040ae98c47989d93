"""The mode of the posterior of a PPCA's parameters, which Laplace's method expands around.

The prior of each standard deviation, of the components and of the noise, is half-Cauchy
(Gelman, 2006), so that noise a thousand times smaller than a feature costs a few nats, as it
should, and not the thousands that an inverse gamma takes. The M step of complete rows has
the prior's mode in closed form, so that EM over missing values climbs to it from the moments
of the fit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skbayes.decomposition._codes import Patterns
from skbayes.decomposition._loadings import Factors
from skbayes.decomposition._moments import Moments
from skbayes.decomposition._relevance import complete_rows


@dataclass(frozen=True)
class Mode:
    """Parameters of the largest posterior density, and what they say of the rows."""

    factors: Factors
    moments: Moments
    log_joint: float  # log likelihood and log prior of the log variances
    n_iter: int


def likely_variances(squares: np.ndarray, counts: np.ndarray, prior_variance: float) -> np.ndarray:
    """Modes of log variances from sums of squares of ``counts`` normal values.

    With p the prior's variance, N values and squares S, the joint density is stationary at
    the positive root of (N + 1) v² + ((N - 1) p - S) v - S p.
    """
    total = squares / prior_variance
    half = (total - counts + 1) / 2
    root = np.sqrt(half**2 + (counts + 1) * total)
    # Of the two forms of the root, the one without a difference of like numbers.
    large = (half + root) / (counts + 1)
    small = total / np.where(half > 0, 1.0, root - half)
    return prior_variance * np.where(half > 0, large, small)


def log_prior(variances: np.ndarray, prior_variance: float) -> float:
    """Log density of the log variances."""
    distance = np.abs(np.log(variances / prior_variance))
    return float((-np.log(np.pi) - distance / 2 - np.log1p(np.exp(-distance))).sum())


def prior_shape(variances: np.ndarray, prior_variance: float) -> np.ndarray:
    """Shapes of the inverse gammas that have the prior's slope at these variances."""
    return 0.5 * (variances - prior_variance) / (variances + prior_variance)


def find_mode(
    start: Moments,
    X: np.ndarray,
    patterns: Patterns,
    weight: np.ndarray,
    n_codes: int,
    prior_variance: float,
    least: float,
    max_iter: int,
    tol: float,
) -> Mode:
    """Climb from moments until a step gains less than ``tol`` nats a row.

    Variances stay above ``least``.
    """
    moments, trace = start, list[float]()
    for _ in range(max_iter):
        values, axes = moments.spectrum()
        variances = likely_variances(
            *group_squares(values, n_codes, moments.weight), prior_variance
        )
        variances = np.maximum(variances, least)
        factors = Factors(moments.mean, axes[:n_codes], variances[:-1], float(variances[-1]))
        moments, log_likelihood = complete_rows(factors, X, patterns, weight)
        trace.append(log_likelihood + log_prior(variances, prior_variance))
        if len(trace) > 1 and trace[-1] - trace[-2] < tol * moments.weight:
            break
    return Mode(factors, moments, trace[-1], len(trace))


def group_squares(values: np.ndarray, n_codes: int, n_rows: float) -> tuple[np.ndarray, np.ndarray]:
    """Squares and counts (q + 1,) of complete rows along components, and of the noise."""
    counts = n_rows * np.append(np.ones(n_codes), len(values) - n_codes)
    return n_rows * np.append(values[:n_codes], values[n_codes:].sum()), counts
