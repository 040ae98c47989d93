"""Expected moments of rows with missing values, and the EM that rests on them.

The missing values are the unknowns here, codes integrated out: a row that lacks m values
costs an m x m system, where inferring its q codes costs a q x q one. The M step is the
closed form of complete rows, so that steps are few where little is missing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skbayes.decomposition._closed_form import maximum_likelihood
from skbayes.decomposition._codes import Patterns, blocks, centre
from skbayes.decomposition._em import Heard, hold_noise, unheard
from skbayes.decomposition._loadings import Factors
from skbayes.decomposition._moments import Moments
from skbayes.utils._logs import LOG_2PI


@dataclass(frozen=True)
class Gaps:
    """A block of rows whose patterns lack equally many features, m."""

    rows: np.ndarray  # (R,)
    of_row: np.ndarray  # (R,), which of the patterns below
    features: np.ndarray  # (G, m), those that a pattern lacks


def group_gaps(patterns: Patterns) -> list[Gaps]:
    """Patterns by the number of features that they lack, complete ones left out."""
    counts = (patterns.observed == 0).sum(axis=1)
    groups = []
    for m in np.unique(counts[counts > 0]):
        own = np.flatnonzero(counts == m)
        rows = np.flatnonzero(np.isin(patterns.of_row, own))
        rows = rows[np.argsort(patterns.of_row[rows], kind="stable")]
        for at in blocks(len(rows), int(m) ** 2):
            used, of_row = np.unique(patterns.of_row[rows[at]], return_inverse=True)
            features = np.nonzero(patterns.observed[used] == 0)[1].reshape(len(used), m)
            groups.append(Gaps(rows[at], of_row.ravel(), features))
    return groups


def gaps_are_small(patterns: Patterns, n_components: int) -> bool:
    """Whether rows lack fewer values, on average over patterns, than they have codes."""
    return 0 < float((patterns.observed == 0).sum(axis=1).mean()) < n_components


def expected_moments(
    factors: Factors, X: np.ndarray, weight: np.ndarray, groups: list[Gaps]
) -> tuple[Moments, float]:
    """Moments of the rows given their observed values, and the log likelihood of these."""
    filled, precision = centre(X, factors.mean), factors.precision
    n_features = len(precision)
    unseen, log_det = np.zeros(n_features**2), factors.log_det * weight.sum()
    n_observed = float(weight.sum()) * n_features
    for gaps in groups:
        inner = precision[gaps.features[:, :, None], gaps.features[:, None, :]]
        covariance = np.linalg.inv(inner)
        at = gaps.rows[:, None], gaps.features[gaps.of_row]
        pull = (filled[gaps.rows] @ precision)[np.arange(len(gaps.rows))[:, None], at[1]]
        filled[at] = -(covariance[gaps.of_row] @ pull[:, :, None])[:, :, 0]
        share = np.bincount(gaps.of_row, weight[gaps.rows], minlength=len(gaps.features))
        pairs = gaps.features[:, :, None] * n_features + gaps.features[:, None, :]
        terms = (share[:, None, None] * covariance).ravel()
        unseen += np.bincount(pairs.ravel(), terms, minlength=n_features**2)
        root = np.diagonal(np.linalg.cholesky(inner), axis1=1, axis2=2)
        log_det += share @ (2 * np.log(root).sum(axis=1))
        n_observed -= float(share.sum()) * gaps.features.shape[1]
    total = float(weight.sum())
    shift = weight @ filled / total
    second = filled.T @ (filled * weight[:, None]) + unseen.reshape(n_features, n_features)
    moments = Moments(total, factors.mean + shift, second / total - np.outer(shift, shift))
    quadratic = float(weight @ _distances(factors, filled))
    return moments, float(-0.5 * (n_observed * LOG_2PI + log_det + quadratic))


def _distances(factors: Factors, filled: np.ndarray) -> np.ndarray:
    """Squared distances (N,) from the mean in the metric of the density.

    Of rows filled with their expectations, which are the nearest: so these are the
    distances of what was observed.
    """
    along = filled @ factors.components.T
    rest = filled - along @ factors.components
    return (along**2 / factors.variances).sum(axis=1) + (rest**2).sum(axis=1) / factors.noise


def fit_completed(
    start: Factors,
    X: np.ndarray,
    patterns: Patterns,
    weight: np.ndarray,
    max_iter: int,
    tol: float,
    least: float = 0.0,
    heard: Heard = unheard,
) -> tuple[Factors, list[float]]:
    """Climb from ``start``, as `fit_em` does, with its arguments and results."""
    factors, trace, groups = start, list[float](), group_gaps(patterns)
    scale, n_codes = start.covariance.trace() / len(start.mean), len(start.variances)
    for _ in range(max_iter):
        moments, log_likelihood = expected_moments(factors, X, weight, groups)
        trace.append(log_likelihood)
        if len(trace) > 1 and trace[-1] - trace[-2] < tol * weight.sum():
            break
        values, axes = moments.spectrum()
        variances, noise = maximum_likelihood(values, n_codes)
        factors = Factors(moments.mean, axes[:n_codes], variances, noise)
        reached = f"log likelihood {trace[-1]:.6g}"
        factors = hold_noise(factors, least, scale, len(trace), reached)
        if heard(factors):
            break
    return factors, trace
