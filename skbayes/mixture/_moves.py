"""Moves that coordinate ascent cannot make: birth, merge, and both at once.

A move proposes statistics, a few updates follow, and it is kept only if the bound rose.
Births are ranked by what they would gain in expected log density, fitting two halves to
every component at once; merges by what the components' log evidence gains, which is exact
but for the entropy of who has which row (split and merge as in Ueda et al., 2000; ranks as
in Hughes and Sudderth, 2013).
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
    kept_features,
    responsibilities,
)

__all__ = ["improve"]

#: Updates of the halves before births are ranked, and of a proposal before it is judged.
BIRTH_UPDATES, TRIAL_UPDATES = 4, 5
#: Moves kept at most, in terms of those that may fail in a row.
MOST_KEPT = 5
#: Features are kept from update to update of the halves if they fill so few chunks.
KEPT_CHUNKS = 8
#: A component with less expected weight than this is free for a birth.
EMPTY = 1.0
#: Pairs whose merge is weighed, for each component.
PAIRS_EACH = 5
#: Pairs that are merged singly, with and without a birth in the freed place.
N_SWAPS = 3
#: A birth is tried if it gains this share of half a logarithm a parameter (Schwarz, 1978).
LENIENCE = 0.5
#: A merge is tried if it loses at most this share: the updates that follow win it back.
MERGE_LENIENCE = 0.25


class Births(NamedTuple):
    """Gain of splitting each component (K,), in nats, and its halves (K, 2, n_features)."""

    gains: np.ndarray
    halves: np.ndarray


def improve(
    mixture: Mixture, rows: Rows, statistics: Statistics, tol: float, n_moves: int
) -> tuple[Statistics, int]:
    """Try moves until ``n_moves`` in a row fail; returns statistics and the number kept."""
    bound, kept, failed = mixture.bound(statistics), 0, 0
    least = tol * float(rows.weight.sum())
    proposals = propose(mixture, rows, statistics)
    while failed < n_moves and kept < MOST_KEPT * n_moves:
        proposal = next(proposals, None)
        if proposal is None:
            break
        failed += 1
        trial, reached = try_out(mixture, rows, proposal, bound + least)
        if reached > bound + least:
            statistics, bound, kept, failed = trial, reached, kept + 1, 0
            proposals = propose(mixture, rows, statistics)
    return statistics, kept


def try_out(
    mixture: Mixture, rows: Rows, statistics: Statistics, target: float
) -> tuple[Statistics, float]:
    """Some updates from a proposal, and the bound they reach; hopeless ones end early.

    Gains shrink from update to update, so that one which leaves the target out of reach
    of as many more ends the trial.
    """
    reached, q = -np.inf, mixture.posterior(statistics)
    for left in range(TRIAL_UPDATES - 1, -1, -1):
        factors = mixture.coefficients(statistics, q)
        statistics = mixture.arranged(expect(mixture, factors, q, rows))
        q = mixture.posterior(statistics)
        before, reached = reached, mixture.bound(statistics, q)
        if np.isfinite(before) and reached + left * (reached - before) < target:
            break
    return statistics, reached


def propose(mixture: Mixture, rows: Rows, statistics: Statistics) -> Iterator[Statistics]:
    """Moves in order of promise: many merges or births at once, then fewer, then swaps."""
    q = mixture.posterior(statistics)
    factors = mixture.coefficients(statistics, q)
    if rows.observed is not None:
        rows = fill_missing(mixture.components, factors, q, rows)
    rows = Rows(rows.values.astype(np.float64, copy=False), rows.weight)
    pairs, gains = best_merges(mixture, statistics, factors)
    n_parameters = mixture.components.n_parameters
    price = 0.5 * n_parameters * np.log(np.maximum(statistics.counts, 2.0))
    n_merges = int((gains > -MERGE_LENIENCE * price[pairs].max(axis=1)).sum())
    while n_merges:
        yield _merged(statistics, pairs[:n_merges])
        n_merges //= 2
    births = split_all(mixture, rows, statistics, factors, q)
    order = np.argsort(price - births.gains, kind="stable")
    promising = order[births.gains[order] > LENIENCE * price[order]]
    free = np.flatnonzero(statistics.counts < EMPTY)
    n_births = min(len(free), len(promising))
    while n_births:
        yield _born(statistics, births, promising[:n_births], free)
        n_births //= 2
    for pair in pairs[:N_SWAPS]:
        merged = _merged(statistics, pair[None])
        other = promising[~np.isin(promising, pair)]
        if len(other):
            yield _born(merged, births, other[:1], pair[1:])
        yield merged


def _born(
    statistics: Statistics, births: Births, parents: np.ndarray, free: np.ndarray
) -> Statistics:
    """Put one half in the parent's place, the other in a free one."""
    moments = statistics.moments.copy()
    moments[free[: len(parents)]] = births.halves[parents, 1]
    moments[parents] = births.halves[parents, 0]
    return statistics._replace(moments=moments)


def _merged(statistics: Statistics, pairs: np.ndarray) -> Statistics:
    """Give all that disjoint pairs (n, 2) of components have to the first of each."""
    moments = statistics.moments.copy()
    moments[pairs[:, 0]] += moments[pairs[:, 1]]
    moments[pairs[:, 1]] = 0
    return statistics._replace(moments=moments)


def best_merges(
    mixture: Mixture, statistics: Statistics, factors: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Disjoint pairs (n, 2) of live components, and what log evidence gains by each merge.

    Candidates are the pairs that lose the least in each other's place.
    """
    density = statistics.moments @ factors.T
    loss = density.diagonal()[:, None] - density
    loss += loss.T
    live = np.flatnonzero(statistics.counts >= EMPTY)
    first, second = np.triu_indices(len(live), 1)
    pairs = np.stack([live[first], live[second]], axis=1)
    closest = np.argsort(loss[pairs[:, 0], pairs[:, 1]], kind="stable")
    pairs = pairs[closest[: PAIRS_EACH * len(live)]]
    gains = mixture.components.merge_gains(statistics.moments, pairs)
    chosen, taken = [], np.zeros(len(loss), dtype=bool)
    for at in np.argsort(-gains, kind="stable"):
        if not taken[pairs[at]].any():
            chosen.append(at)
            taken[pairs[at]] = True
    return pairs[chosen], gains[chosen]


def split_all(
    mixture: Mixture, rows: Rows, statistics: Statistics, factors: np.ndarray, q: NormalWishart
) -> Births:
    """Split every component; each row goes to a half of the one that explains it best.

    Rows are sorted by component, so that a row meets its own two halves only.
    """
    components = mixture.components
    parents, alone = _best_component(mixture, rows, factors)
    order = np.argsort(parents, kind="stable")
    rows, alone = rows.take(order), alone[order]
    ends = np.bincount(parents, minlength=len(factors)).cumsum()
    side = _sides(components.expected_precision(q), q.mean, rows, ends)
    size = chunk_size(components, rows.values.dtype)
    segments = list(_segments(rows, ends, size))
    few = len(rows) <= KEPT_CHUNKS * size

    def features_of(part: Rows) -> np.ndarray:
        if few:
            return kept_features(components, part, part.values.dtype)
        return components.features(part.values)

    halves = np.zeros((len(factors), 2, components.n_features))
    for parent, at, part in segments:
        own = np.stack([side[at], ~side[at]])
        halves[parent] += (own * part.weight) @ features_of(part).T
    expected_log = mixture.weights.expected_log(statistics.counts)
    for _ in range(BIRTH_UPDATES):
        own_factors = _half_coefficients(mixture, halves, expected_log)
        halves, gains = np.zeros_like(halves), np.zeros(len(factors))
        for parent, at, part in segments:
            features = features_of(part)
            shares = own_factors[parent] @ features
            gains[parent] += part.weight @ (responsibilities(shares) - alone[at])
            halves[parent] += (shares * part.weight) @ features.T
    return Births(gains, halves)


def _best_component(
    mixture: Mixture, rows: Rows, factors: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The component that explains each row best, and its log joint density with the row."""
    parents, alone = np.zeros(len(rows), dtype=int), np.zeros(len(rows))
    size = chunk_size(mixture.components, rows.values.dtype)
    for start in range(0, len(rows), size):
        at = slice(start, start + size)
        joint = factors @ mixture.components.features(rows.values[:, at])
        parents[at], alone[at] = joint.argmax(axis=0), joint.max(axis=0)
    return parents, alone


def _segments(rows: Rows, ends: np.ndarray, size: int) -> Iterator[tuple[int, slice, Rows]]:
    """Runs of at most ``size`` rows of one component, from rows sorted by component."""
    for parent, (first, last) in enumerate(zip(np.append(0, ends[:-1]), ends, strict=True)):
        for start in range(first, last, size):
            at = slice(start, min(start + size, last))
            yield parent, at, rows.take(at)


def _sides(precision: np.ndarray, mean: np.ndarray, rows: Rows, ends: np.ndarray) -> np.ndarray:
    """Half (N,) of each row, rows sorted by component, that a cut puts it in."""
    side = np.zeros(len(rows), dtype=bool)
    for parent, at, part in _segments(rows, ends, len(rows)):
        away = part.values.T - mean[parent]
        if precision.ndim == 3:
            own = precision[parent if len(precision) > 1 else 0]
            away = away @ np.linalg.eigh(own).eigenvectors
        side[at] = _most_humped(away, part.weight) > 0
    return side


def _most_humped(away: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The column (N,) of deviations (N, D) that looks most like two humps.

    By Sarle's coefficient, (squared skewness + 1) / kurtosis, which is 1 for two points,
    5/9 for a uniform and 1/3 for a normal distribution.
    """
    squared, share = away * away, weight / weight.sum()
    second, third, fourth = (share @ values for values in (squared, squared * away, squared**2))
    flat = second < 1e-100
    second = np.where(flat, 1.0, second)
    humps = (third**2 / second**3 + 1) * second**2 / np.maximum(fourth, second**2)
    return away[:, np.where(flat, 0.0, humps).argmax()]


def _half_coefficients(
    mixture: Mixture, halves: np.ndarray, expected_log: np.ndarray
) -> np.ndarray:
    """Coefficients (K, 2, n_features) of halves, which divide their parents' weights."""
    components = mixture.components
    moments = halves.reshape(-1, components.n_features)
    own = components.coefficients(components.posterior(moments)).reshape(halves.shape)
    counts = halves[..., -1] + 0.5
    own[..., -1] += np.log(counts / counts.sum(1, keepdims=True)) + expected_log[:, None]
    return own
