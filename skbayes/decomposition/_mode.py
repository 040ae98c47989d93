"""The mode of the posterior of a PPCA's parameters, which Laplace's method expands around.

It is not the fit. Noise far below the data's mean variance has a prior of slope s / v in
its logarithm, thousands at times, so that an expansion around maximum likelihood is off
by as many nats. The M step of complete rows has the prior's mode in closed form too, so
that EM over missing values climbs to it from the moments of the fit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln

from skbayes.decomposition._codes import Patterns
from skbayes.decomposition._factors import Factors
from skbayes.decomposition._moments import Moments
from skbayes.decomposition._relevance import complete_rows

#: Shape of the inverse gamma priors: half a row, the weight of one value.
SHAPE = 0.5


@dataclass(frozen=True)
class Mode:
    """Parameters of the largest posterior density, and what they say of the rows."""

    factors: Factors
    moments: Moments
    log_joint: float  # log likelihood and log prior of the log variances
    n_iter: int


def likely_variances(
    values: np.ndarray, n_codes: int, n_rows: float, prior_scale: float
) -> tuple[np.ndarray, np.ndarray]:
    """Modes of the log variances, the noise last, and shapes of their posteriors (q + 1,).

    Of complete rows whose covariance has the eigenvalues ``values``, falling.
    """
    n_rest = len(values) - n_codes
    shape = SHAPE + n_rows * np.append(np.ones(n_codes), n_rest) / 2
    squares = n_rows * np.append(values[:n_codes], values[n_codes:].sum())
    return (SHAPE * prior_scale + squares / 2) / shape, shape


def log_prior(variances: np.ndarray, prior_scale: float) -> float:
    """Log density of the log variances."""
    scale = SHAPE * prior_scale
    log_density = SHAPE * np.log(scale / variances) - gammaln(SHAPE) - scale / variances
    return float(log_density.sum())


def find_mode(
    start: Moments,
    X: np.ndarray,
    patterns: Patterns,
    weight: np.ndarray,
    n_codes: int,
    prior_scale: float,
    max_iter: int,
    tol: float,
) -> Mode:
    """Climb from moments until a step gains less than ``tol`` nats a row."""
    moments, trace = start, list[float]()
    for _ in range(max_iter):
        values, axes = moments.spectrum()
        variances, _ = likely_variances(values, n_codes, moments.weight, prior_scale)
        factors = Factors(moments.mean, axes[:n_codes], variances[:-1], float(variances[-1]))
        moments, log_likelihood = complete_rows(factors, X, patterns, weight)
        trace.append(log_likelihood + log_prior(variances, prior_scale))
        if len(trace) > 1 and trace[-1] - trace[-2] < tol * moments.weight:
            break
    return Mode(factors, moments, trace[-1], len(trace))
