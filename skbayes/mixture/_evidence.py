"""Log evidence of new rows, jointly, under the mixture's posterior."""

from __future__ import annotations

import numpy as np
from scipy.special import logsumexp

from skbayes.mixture._predictive import draw, draw_joint, draw_log_prob, log_joint
from skbayes.mixture._rows import Rows
from skbayes.mixture._update import Mixture, Statistics, expect

__all__ = ["log_evidence_of_new_rows"]

#: Updates of the proposal, and draws from it.
MAX_UPDATES, N_DRAWS = 100, 1000
#: The proposal is settled when its bound gains less, in nats.
SETTLED = 1e-3


def log_evidence_of_new_rows(
    mixture: Mixture, statistics: Statistics, rows: Rows, seed: int
) -> tuple[float, float, float]:
    """Log of the integral of q(parameters) times the product of p(row | parameters).

    One row has a closed form. Several are importance sampled from the posterior updated by
    them, so that a single component has no error at all.

    Returns
    -------
    log_evidence, std_error, n_effective : float
    """
    if len(rows) == 1:
        return float(logsumexp(log_joint(mixture, statistics, rows))), 0.0, np.inf
    updated = _updated(mixture, statistics, rows)
    draws = draw(mixture, updated, N_DRAWS, np.random.default_rng(seed))
    log_weight = draw_log_prob(mixture, statistics, draws)
    log_weight -= draw_log_prob(mixture, updated, draws)
    for _, joint in draw_joint(mixture, draws, rows):
        log_weight += logsumexp(joint, axis=1).sum(axis=-1)
    value = float(logsumexp(log_weight) - np.log(N_DRAWS))
    relative = np.exp(log_weight - value)
    # Equal weights differ by rounding alone.
    error = float(relative.std() / np.sqrt(N_DRAWS))
    return value, error, float(relative.sum() ** 2 / (relative**2).sum())


def _updated(mixture: Mixture, before: Statistics, rows: Rows) -> Statistics:
    """Statistics of the posterior after the new rows, by coordinate ascent."""
    statistics, last = before, -np.inf
    for _ in range(MAX_UPDATES):
        q = mixture.posterior(statistics)
        fresh = expect(mixture, mixture.coefficients(statistics, q), q, rows)
        statistics = before.plus(fresh)
        bound = mixture.bound(statistics)
        if bound - last < SETTLED:
            break
        last = bound
    return statistics
