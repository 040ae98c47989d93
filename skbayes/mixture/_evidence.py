"""Log evidence of new rows, jointly, under the mixture's posterior.

Given the rows' components all parameters are integrated in closed form, so that only
allocations are summed over: every one while they are few, then some that are drawn row by
row, each component given the rows before (particle filters; Doucet and Johansen 2009).
A proposal over parameters will not do: it is centred on one way to allocate the rows, and
its weights don't show what the others would have added.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp

from skbayes.mixture._particles import Particles, make_particles
from skbayes.mixture._rows import Rows
from skbayes.mixture._update import Mixture, Statistics
from skbayes.utils._logs import log_mean_exp

__all__ = ["log_evidence_of_new_rows"]

#: Independent filters, whose spread gives the standard error, and particles in each.
N_FILTERS, N_PARTICLES = 16, 64
#: Bytes of the posteriors that filters run side by side may hold.
GROUP_BYTES = 2**26


class Sequence(NamedTuple):
    """Rows (N, D) one after another, equal ones apart, and which values they have."""

    mixture: Mixture
    values: np.ndarray
    seen: np.ndarray

    def log_joint(self, particles: Particles, i: int) -> np.ndarray:
        """Log p(row i, its component | rows before) under each particle (S, K)."""
        with np.errstate(divide="ignore"):
            log_weights = np.log(self.mixture.weights.mean(particles.counts))
        return log_weights + particles.log_predictive(self.values[i], self.seen[i])


def log_evidence_of_new_rows(
    mixture: Mixture, statistics: Statistics, rows: Rows, seed: int
) -> tuple[float, float, float]:
    """Log of the integral of q(parameters) times the product of p(row | parameters).

    Exact while `N_PARTICLES` allocations of all rows but the last are all there are. Else
    the log of a mean over filters, each unbiased for the integral.

    Returns
    -------
    log_evidence, std_error, n_effective : float
        In nats. The standard error is that of the mean, relative to it.
    """
    rng = np.random.default_rng(seed)
    sequence = _sequence(mixture, rows, rng)
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isinf(sequence.values**2).any():
            return -np.inf, 0.0, np.inf
        start = make_particles(mixture.posterior(statistics), statistics.counts)
        particles, log_weight, n_done = _enumerate(sequence, start)
        if n_done == len(sequence.values):
            return float(logsumexp(log_weight)), 0.0, np.inf
        size = max(1, GROUP_BYTES // (N_PARTICLES * start.n_bytes))
        groups = [min(size, N_FILTERS - first) for first in range(0, N_FILTERS, size)]
        log_means = np.concatenate(
            [_filter(sequence, particles, log_weight, n_done, n, rng) for n in groups]
        )
    value, error, n_effective = log_mean_exp(log_means, n_each=N_PARTICLES)
    # Rows that no filter can place are out of the question for the mixture, too.
    return (value, 0.0, np.inf) if value == -np.inf else (value, error, n_effective)


def _sequence(mixture: Mixture, rows: Rows, rng: np.random.Generator) -> Sequence:
    """Any order has the same evidence; incomplete rows come last, for theirs is never exact.

    Sorted rows would come cluster by cluster. Rows without a value say nothing.
    """
    order = rng.permutation(np.repeat(np.arange(len(rows)), rows.weight.astype(int)))
    seen = rows.mask.T[order]
    n_seen = seen.sum(axis=1)
    last = np.argsort(n_seen < seen.shape[1], kind="stable")
    last = last[n_seen[last] > 0]
    return Sequence(mixture, rows.values.T[order][last], seen[last])


def _enumerate(sequence: Sequence, start: Particles) -> tuple[Particles, np.ndarray, int]:
    """Every allocation of the first rows: particles, log weights, and how many rows."""
    particles, log_weight = start, np.zeros(1)
    n_rows, n_components = len(sequence.values), start.counts.shape[1]
    for i in range(n_rows):
        last = i + 1 == n_rows
        # Nothing follows on the last row, so that it needs neither particles nor values.
        if not last and len(particles) * n_components > N_PARTICLES:
            return particles, log_weight, i
        if not (last or sequence.seen[i].all()):
            return particles, log_weight, i
        log_weight = (log_weight[:, None] + sequence.log_joint(particles, i)).ravel()
        if not last:
            parents, labels = np.divmod(np.arange(len(log_weight)), n_components)
            particles = particles.take(parents)
            particles.absorb(labels, sequence.values[i])
    return particles, log_weight, n_rows


def _filter(
    sequence: Sequence,
    particles: Particles,
    log_weight: np.ndarray,
    n_done: int,
    n_filters: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Log evidence (n_filters,) of all rows, given the allocations of the first ones."""
    gained = np.full(n_filters, logsumexp(log_weight))
    index = _resample(np.broadcast_to(log_weight, (n_filters, len(log_weight))), rng)
    particles, log_weight = particles.take(index.ravel()), np.zeros(index.shape)
    for i in range(n_done, len(sequence.values)):
        joint = sequence.log_joint(particles, i)
        log_weight += logsumexp(joint, axis=1).reshape(log_weight.shape)
        if i + 1 == len(sequence.values):
            break
        # Before components are drawn, so that copies of a particle may part again.
        poor = _n_effective(log_weight) < N_PARTICLES / 2
        if poor.any():
            gained[poor] += _log_mean(log_weight[poor])
            index = np.arange(len(joint)).reshape(log_weight.shape)
            index[poor] = np.take_along_axis(index[poor], _resample(log_weight[poor], rng), axis=1)
            log_weight[poor] = 0.0
            particles, joint = particles.take(index.ravel()), joint[index.ravel()]
        labels, row, seen = _draw(joint, rng), sequence.values[i], sequence.seen[i]
        complete = row if seen.all() else particles.complete(labels, row, seen, rng)
        particles.absorb(labels, complete)
    return gained + _log_mean(log_weight)


def _log_mean(log_values: np.ndarray) -> np.ndarray:
    return logsumexp(log_values, axis=-1) - np.log(log_values.shape[-1])


def _n_effective(log_weight: np.ndarray) -> np.ndarray:
    weight = np.exp(log_weight - log_weight.max(axis=1, keepdims=True))
    return weight.sum(axis=1) ** 2 / (weight**2).sum(axis=1)


def _edges(log_weight: np.ndarray) -> np.ndarray:
    """Cumulative shares along the last axis."""
    edges = np.exp(log_weight - log_weight.max(axis=1, keepdims=True)).cumsum(axis=1)
    return edges / edges[:, -1:]


def _resample(log_weight: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Systematic draws (F, N_PARTICLES) by each filter's weights (F, A)."""
    points = (np.arange(N_PARTICLES) + rng.random((len(log_weight), 1))) / N_PARTICLES
    return (points[:, :, None] >= _edges(log_weight)[:, None, :-1]).sum(axis=2)


def _draw(log_joint: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A component (S,) by each particle's log probabilities (S, K)."""
    return (rng.random((len(log_joint), 1)) >= _edges(log_joint)[:, :-1]).sum(axis=1)
