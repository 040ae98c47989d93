"""Moves that coordinate ascent cannot make: birth, merge, and both at once.

A move proposes statistics, a few updates follow, and it is kept only if the bound rose.
Candidates are ranked by what each would gain in expected log density: births by fitting two
halves to every component at once, merges by what two components lose in each other's place
(split and merge as in Ueda et al., 2000; births as in Hughes and Sudderth, 2013).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from skbayes.mixture._components import NormalWishart
from skbayes.mixture._missing import fill_missing
from skbayes.mixture._rows import Rows
from skbayes.mixture._update import (
    Mixture,
    Statistics,
    chunk_size,
    expect,
    responsibilities,
)

__all__ = ["improve"]

#: Updates of the halves before births are ranked, and of a proposal before it is judged.
BIRTH_UPDATES, TRIAL_UPDATES = 4, 5
#: A component with less expected weight than this is free for a birth.
EMPTY = 1.0
#: Merges tried in one round.
N_MERGES = 3


class Births(NamedTuple):
    """Gain of splitting each component (K,), in nats, and its halves (K, 2, n_features)."""

    gains: np.ndarray
    halves: np.ndarray


def improve(
    mixture: Mixture, rows: Rows, statistics: Statistics, tol: float, n_moves: int
) -> tuple[Statistics, int]:
    """Try at most ``n_moves`` moves; returns the best statistics and the number kept."""
    bound, kept = mixture.bound(statistics), 0
    least = tol * float(rows.weight.sum())
    proposals = propose(mixture, rows, statistics)
    for _ in range(n_moves):
        proposal = next(proposals, None)
        if proposal is None:
            break
        trial, reached = try_out(mixture, rows, proposal)
        if reached > bound + least:
            statistics, bound, kept = trial, reached, kept + 1
            proposals = propose(mixture, rows, statistics)
    return statistics, kept


def try_out(mixture: Mixture, rows: Rows, statistics: Statistics) -> tuple[Statistics, float]:
    """Some updates from a proposal, and the bound they reach."""
    for _ in range(TRIAL_UPDATES):
        q = mixture.posterior(statistics)
        factors = mixture.coefficients(statistics, q)
        statistics = mixture.arranged(expect(mixture, factors, q, rows))
    return statistics, mixture.bound(statistics)


def propose(mixture: Mixture, rows: Rows, statistics: Statistics) -> Iterator[Statistics]:
    """Moves in order of promise."""
    q = mixture.posterior(statistics)
    factors = mixture.coefficients(statistics, q)
    if rows.observed is not None:
        rows = fill_missing(mixture.components, factors, q, rows)
    births = split_all(mixture, rows, statistics, factors, q)
    promising = np.argsort(-births.gains, kind="stable")
    promising = promising[births.gains[promising] > 0]
    free = np.flatnonzero(statistics.counts < EMPTY)
    n_births = min(len(free), len(promising))
    while n_births:
        yield _born(statistics, births, promising[:n_births], free)
        n_births //= 2
    for pair in closest_pairs(statistics, factors):
        merged = _merged(statistics, *pair)
        other = promising[~np.isin(promising, pair)]
        if len(other):
            yield _born(merged, births, other[:1], np.array([pair[1]]))
        yield merged


def _born(
    statistics: Statistics, births: Births, parents: np.ndarray, free: np.ndarray
) -> Statistics:
    """Put one half in the parent's place, the other in a free one."""
    moments = statistics.moments.copy()
    moments[free[: len(parents)]] = births.halves[parents, 1]
    moments[parents] = births.halves[parents, 0]
    return statistics._replace(moments=moments)


def _merged(statistics: Statistics, first: int, second: int) -> Statistics:
    """Give all that two components have to the first of them."""
    moments = statistics.moments.copy()
    moments[first] += moments[second]
    moments[second] = 0
    return statistics._replace(moments=moments)


def closest_pairs(statistics: Statistics, factors: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of components that lose least in each other's place."""
    density = statistics.moments @ factors.T
    loss = density.diagonal()[:, None] - density
    loss += loss.T
    first, second = np.triu_indices(len(loss), 1)
    live = statistics.counts >= EMPTY
    use = live[first] & live[second]
    first, second = first[use], second[use]
    best = np.argsort(loss[first, second], kind="stable")[:N_MERGES]
    return [(int(first[i]), int(second[i])) for i in best]


def split_all(
    mixture: Mixture, rows: Rows, statistics: Statistics, factors: np.ndarray, q: NormalWishart
) -> Births:
    """Split every component at once: each row goes to a half of the one that explains it best."""
    components, n_components = mixture.components, len(factors)
    axes = longest_axes(components.expected_precision(q), q.mean.shape)
    halves = np.zeros((2 * n_components, components.n_features))
    parents, alone = np.zeros(len(rows), dtype=int), np.zeros(len(rows))
    for at, features in _features(mixture, rows):
        joint = factors @ features
        label = parents[at] = joint.argmax(axis=0)
        alone[at] = joint.max(axis=0)
        away = rows.values[:, at].T - q.mean[label]
        side = (away * axes[label]).sum(1) > 0
        _allocate(np.stack([side, ~side]) * rows.weight[at], label, features, halves)
    expected_log = mixture.weights.expected_log(statistics.counts)
    for _ in range(BIRTH_UPDATES):
        own = _half_coefficients(mixture, halves, expected_log)
        halves, gains = np.zeros_like(halves), np.zeros(n_components)
        for at, features in _features(mixture, rows):
            label = parents[at]
            joint = (own @ features).reshape(n_components, 2, -1)
            shares = joint[label, :, np.arange(len(label))].T.copy()
            gain = rows.weight[at] * (responsibilities(shares) - alone[at])
            gains += np.bincount(label, gain, n_components)
            _allocate(shares * rows.weight[at], label, features, halves)
    return Births(gains, halves.reshape(n_components, 2, -1))


def _half_coefficients(
    mixture: Mixture, halves: np.ndarray, expected_log: np.ndarray
) -> np.ndarray:
    """Coefficients (2 K, n_features) of halves, which divide their parents' weights."""
    components = mixture.components
    own = components.coefficients(components.posterior(halves))
    counts = halves[:, -1].reshape(-1, 2) + 0.5
    own[:, -1] += np.log(counts / counts.sum(1, keepdims=True)).ravel()
    own[:, -1] += np.repeat(expected_log, 2)
    return own


def _features(mixture: Mixture, rows: Rows) -> Iterator[tuple[slice, np.ndarray]]:
    """Chunks of rows and their features in double precision."""
    size = chunk_size(mixture.components, np.dtype(np.float64))
    for start in range(0, len(rows), size):
        at = slice(start, start + size)
        yield at, mixture.components.features(rows.values[:, at].astype(np.float64))


def _allocate(
    shares: np.ndarray, parents: np.ndarray, features: np.ndarray, halves: np.ndarray
) -> None:
    """Add rows to the halves (2 K, n_features) of their parents, by shares (2, N)."""
    table = np.zeros((len(halves) // 2, 2, len(parents)))
    table[parents, :, np.arange(len(parents))] = shares.T
    halves += table.reshape(len(halves), -1) @ features.T


def longest_axes(precision: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Directions (K, D) of largest variance."""
    if precision.ndim == 2:
        return np.eye(shape[1])[precision.argmin(axis=1)]
    return np.broadcast_to(np.linalg.eigh(precision).eigenvectors[:, :, 0], shape)
