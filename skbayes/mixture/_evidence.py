"""Log evidence of new rows, jointly, under the mixture's posterior.

Given the rows' components all parameters are integrated in closed form, so that only
allocations are summed over: every one while they are few, then some that are drawn row by
row, each component given the rows before (particle filters; Doucet and Johansen 2009).
A proposal over parameters will not do: it is centred on one way to allocate the rows, and
its weights don't show what the others would have added.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple, TypeVar

import numpy as np
from scipy.special import gammaln, logsumexp

from skbayes.mixture._components import NormalWishart
from skbayes.mixture._mixture import Mixture, Statistics
from skbayes.mixture._rows import Rows
from skbayes.utils._logs import log_mean_exp

__all__ = ["log_evidence_of_new_rows", "make_particles"]

Self = TypeVar("Self", bound="Particles")

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
        start = make_particles(mixture.m_step(statistics).q, statistics.counts)
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


# --- particles ---------------------------------------------------------------------------


@dataclass
class Particles:
    """Posteriors of the components under many allocations at once, updated row by row.

    A particle is one allocation of the rows seen so far; given it, means and precisions have
    their conjugate posterior, which a further row changes in one component. Arrays lead with
    the axis of particles (S), then that of components (K), or 1 where these share a precision:
    counts and precision factors (S, K), means (S, K, D), degrees of freedom (S, .).
    """

    counts: np.ndarray
    mean: np.ndarray
    precision: np.ndarray
    dof: np.ndarray

    def __len__(self) -> int:
        return len(self.counts)

    @property
    def n_bytes(self) -> int:
        """Bytes of all arrays."""
        return sum(getattr(self, field.name).nbytes for field in fields(self))

    def take(self: Self, index: np.ndarray) -> Self:
        """Copies of the chosen particles."""
        return type(self)(*(getattr(self, field.name)[index] for field in fields(self)))

    def absorb(self, labels: np.ndarray, rows: np.ndarray) -> None:
        """Let a row (D,), or one each (S, D), join the components ``labels`` (S,), in place."""
        at = (np.arange(len(self)), labels)
        away, before = rows - self.mean[at], self.precision[at]
        self._absorb_scatter(labels, away, before / (1 + before))
        self.counts[at] += 1
        self.precision[at] += 1
        self.mean[at] += away / (1 + before)[:, None]

    def _absorb_scatter(self, labels: np.ndarray, away: np.ndarray, share: np.ndarray) -> None:
        """Add share (S,) times the squares of ``away`` (S, D) to the scatters."""
        raise NotImplementedError(f"{type(self).__name__} must define _absorb_scatter")

    def log_predictive(self, row: np.ndarray, seen: np.ndarray) -> np.ndarray:
        """Log Student-t densities (S, K) of a row's observed columns (eqs. 10.81, 10.82)."""
        raise NotImplementedError(f"{type(self).__name__} must define log_predictive")

    def complete(
        self, labels: np.ndarray, row: np.ndarray, seen: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """Rows (S, D) whose missing values are drawn given the observed and the component."""
        raise NotImplementedError(f"{type(self).__name__} must define complete")


@dataclass
class MatrixParticles(Particles):
    """Precisions are matrices: roots R (S, ., D, D) of inverse scatters R'R, log det scatter."""

    root: np.ndarray
    log_det: np.ndarray

    def _own(self, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Index of each particle's precision."""
        shared = self.root.shape[1] == 1
        return np.arange(len(self)), np.zeros_like(labels) if shared else labels

    def _absorb_scatter(self, labels: np.ndarray, away: np.ndarray, share: np.ndarray) -> None:
        """A rank-one update of the root, which keeps R'R positive."""
        own = self._own(labels)
        root = self.root[own]
        turned = np.sqrt(share)[:, None] * _apply(root, away)
        squared = (turned**2).sum(-1)
        longer = np.sqrt(1 + squared)
        step = _apply(root.mT, turned) / (longer * (1 + longer))[:, None]
        root -= turned[:, :, None] * step[:, None, :]
        self.root[own] = root
        self.log_det[own] += np.log1p(squared)
        self.dof[own] += 1

    def log_predictive(self, row: np.ndarray, seen: np.ndarray) -> np.ndarray:
        n, grown = seen.sum(), 1 + 1 / self.precision
        dof, log_det = self.dof + 1 - len(row), self.log_det
        if seen.all():
            turned = _apply(self.root, row - self.mean)
        else:
            turned, _, factor = _rest(self.root, row - self.mean, seen)
            log_det = log_det + 2 * np.log(factor.diagonal(axis1=-2, axis2=-1)).sum(-1)
        squared = np.einsum("skd,skd->sk", turned, turned) / grown
        norm = gammaln((dof + n) / 2) - gammaln(dof / 2) - log_det / 2
        norm = norm - n / 2 * np.log(np.pi * grown)
        return norm - (dof + n) / 2 * np.log1p(squared)

    def complete(
        self, labels: np.ndarray, row: np.ndarray, seen: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        at, own = (np.arange(len(self)), labels), self._own(labels)
        mean, grown = self.mean[at], 1 + 1 / self.precision[at]
        turned, filled, factor = _rest(self.root[own], row - mean, seen)
        dof = self.dof[own] + 1 - len(row) + seen.sum()
        spread = np.sqrt((grown + (turned**2).sum(-1)) / rng.chisquare(dof))
        noise = spread[:, None] * rng.standard_normal(filled.shape)
        filled += np.linalg.solve(factor.mT, noise[..., None])[..., 0]
        return _filled(row, mean, filled, seen)


@dataclass
class AxisParticles(Particles):
    """Precisions are numbers: scatters (S, K, D), or (S, K, 1) of one for all columns.

    Their logs are kept, for all are read at each row and one changes.
    """

    scatter: np.ndarray
    log_scatter: np.ndarray

    @property
    def _pooled(self) -> bool:
        return self.scatter.shape[-1] < self.mean.shape[-1]

    def _pool(self, squared: np.ndarray) -> np.ndarray:
        """Sum squares (..., D) over the columns that share one precision."""
        return squared.sum(-1, keepdims=True) if self._pooled else squared

    def _absorb_scatter(self, labels: np.ndarray, away: np.ndarray, share: np.ndarray) -> None:
        at = (np.arange(len(self)), labels)
        self.scatter[at] += share[:, None] * self._pool(away**2)
        self.log_scatter[at] = np.log(self.scatter[at])
        self.dof[at] += away.shape[-1] if self._pooled else 1

    def log_predictive(self, row: np.ndarray, seen: np.ndarray) -> np.ndarray:
        kept = np.ones(1, dtype=bool) if self._pooled else seen
        n = seen.sum() if self._pooled else 1
        grown = 1 + 1 / self.precision
        squared = self._pool((row[seen] - self.mean[..., seen]) ** 2)
        ratio = squared / (self.scatter[..., kept] * grown[..., None])
        norm = gammaln((self.dof + n) / 2) - gammaln(self.dof / 2) - n / 2 * np.log(np.pi * grown)
        norm = kept.sum() * norm - n / 2 * self.log_scatter[..., kept].sum(-1)
        return norm - (self.dof + n) / 2 * np.log1p(ratio).sum(-1)

    def complete(
        self, labels: np.ndarray, row: np.ndarray, seen: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        at = (np.arange(len(self)), labels)
        mean = self.mean[at]
        grown = self.scatter[at] * (1 + 1 / self.precision[at])[:, None]
        dof = self.dof[at][:, None]
        if self._pooled:
            grown = grown + self._pool(np.where(seen, row - mean, 0.0) ** 2)
            dof = dof + seen.sum()
        spread = np.sqrt(grown / rng.chisquare(dof, size=grown.shape))
        noise = spread * rng.standard_normal(mean.shape)
        return _filled(row, mean, noise[:, ~seen], seen)


def make_particles(q: NormalWishart, counts: np.ndarray) -> Particles:
    """One particle: the posterior itself."""
    shared = (counts[None], q.mean[None], q.precision[None], q.dof[None])
    if q.scatter.ndim == 3:
        return MatrixParticles(*shared, q.inverse_factor[None], q.log_det[None])
    return AxisParticles(*shared, q.scatter[None], np.log(q.scatter)[None])


def _apply(matrices: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Matrices (..., D, D) times vectors (..., D)."""
    # Many small products: einsum runs them faster than a call each.
    return np.einsum("...de,...e->...d", matrices, vectors)


def _rest(
    root: np.ndarray, away: np.ndarray, seen: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Least |R a| over the missing part of a deviation a: R a, that part, the part's factor.

    The Cholesky factor is of (R'R) at missing columns, the precision that they have given
    the others.
    """
    some = root[..., ~seen]
    turned = _apply(root[..., seen], away[..., seen])
    factor = np.linalg.cholesky(some.mT @ some)
    pull = np.linalg.solve(factor, some.mT @ turned[..., None])
    part = -np.linalg.solve(factor.mT, pull)[..., 0]
    return turned + _apply(some, part), part, factor


def _filled(row: np.ndarray, mean: np.ndarray, part: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """A row for each particle, its missing values at ``mean`` plus ``part``."""
    rows = np.broadcast_to(row, mean.shape).copy()
    rows[:, ~seen] = mean[:, ~seen] + part
    return rows
