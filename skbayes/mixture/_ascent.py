"""Fits of rows at once: starts, moves of components, coordinate ascent to convergence.

Ascent alone ends in poor optima, so that births and merges of components are tried before:
a move proposes statistics, a few updates follow, and it is kept only if the bound rose.
Births are ranked by what they would gain in expected log density, fitting two halves to
every component at once; merges by what the components' log evidence gains, which is exact
but for the entropy of who has which row (split and merge as in Ueda et al., 2000; ranks as
in Hughes and Sudderth, 2013).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

from skbayes.mixture._mixture import Mixture, Posterior, Statistics, model_of, responsibilities
from skbayes.mixture._rows import RowMoments, Rows, measured
from skbayes.utils._threads import limit_sklearn

__all__ = ["Ascent", "Callback", "best_start", "climb", "fit_rows", "improve", "propose"]

#: Passes of k-means over the rows of a start.
KMEANS_ITERATIONS = 10
#: Starts and moves look at this many rows, or so many for each component.
START_ROWS, START_ROWS_EACH = 10_000, 100
#: Updates that gain more than this share of the last gain go farther: each time by this
#: factor, up to so many times their way.
SLOW, GROWTH, LONGEST = 0.5, 1.5, 8.0
#: Updates before moves, and how much earlier these stop than the last ascent.
START_UPDATES, START_SLACK = 30, 10.0
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

#: Called with the statistics after each update; True ends the ascent.
Callback = Callable[[Statistics], bool]


def go_on(statistics: Statistics) -> bool:
    """The callback of a fit that nobody follows."""
    return False


@dataclass
class Ascent:
    """State of an ascent: statistics, the bound after each update, whether it converged."""

    statistics: Statistics
    bounds: list[float] = field(default_factory=list)
    converged: bool = False
    n_moves: int = 0
    n_rejected: int = 0

    @property
    def n_iter(self) -> int:
        """Updates made, kept or not."""
        return len(self.bounds) + self.n_rejected


def fit_rows(
    estimator: Any,
    X: np.ndarray,
    weight: np.ndarray,
    seed: int,
    follow: Callable[[Mixture, RowMoments], Callback] = lambda *_: go_on,
) -> tuple[Mixture, Ascent, RowMoments]:
    """Fit an estimator's model to canonical rows: the best start on some of them, then all.

    ``follow`` makes the callback of each update.
    """
    data, rows = measured(X, weight, estimator.covariance_type)
    mixture = model_of(estimator, data)
    callback, rng = follow(mixture, data), np.random.RandomState(seed)
    part, n_rows = rows, max(START_ROWS, START_ROWS_EACH * estimator.n_components)
    if len(rows) > n_rows:
        part = rows.take(np.sort(rng.permutation(len(rows))[:n_rows]))
    share = float(part.weight.sum() / rows.weight.sum())
    start = best_start(
        mixture,
        part.in_single_precision(),
        rng,
        estimator,
        lambda statistics: callback(statistics.times(1 / share)),
    )
    ascent = climb(
        mixture,
        rows.on(estimator.device),
        start.statistics.times(1 / share),
        estimator.tol,
        estimator.max_iter,
        callback,
    )
    ascent.n_moves = start.n_moves
    return mixture, ascent, data


def best_start(
    mixture: Mixture,
    rows: Rows,
    rng: np.random.RandomState,
    estimator: Any,
    callback: Callback = go_on,
) -> Ascent:
    """The start with the highest bound; each is clusters, some updates, and moves."""
    starts, tol = [], START_SLACK * estimator.tol
    for _ in range(estimator.n_init):
        ascent = climb(mixture, rows, clusters(mixture, rows, rng), tol, START_UPDATES, callback)
        ascent.statistics, ascent.n_moves = improve(
            mixture, rows, ascent.statistics, tol, estimator.n_moves
        )
        starts.append(ascent)
    return max(starts, key=lambda ascent: mixture.bound(mixture.m_step(ascent.statistics)))


def clusters(mixture: Mixture, rows: Rows, rng: np.random.RandomState) -> Statistics:
    """Statistics of k-means clusters: seeds far from one another, a few passes."""
    values, n_components = rows.values.T.astype(np.float64), mixture.weights.n_components
    kmeans = KMeans(
        min(n_components, len(rows)), n_init=1, max_iter=KMEANS_ITERATIONS, random_state=rng
    )
    with limit_sklearn(), warnings.catch_warnings():
        # Fewer distinct rows than clusters: some components start empty.
        warnings.simplefilter("ignore", ConvergenceWarning)
        labels = kmeans.fit(values, sample_weight=rows.weight).labels_
    moments = np.zeros((n_components, mixture.components.n_features))
    for at, features in mixture.chunks(rows, values.dtype):
        moments += ((labels[at] == np.arange(n_components)[:, None]) * rows.weight[at]) @ features.T
    return mixture.arranged(Statistics(moments, 0.0))


def climb(
    mixture: Mixture,
    rows: Rows,
    statistics: Statistics,
    tol: float,
    max_iter: int,
    callback: Callback = go_on,
) -> Ascent:
    """Alternate E- and M-steps until the bound per unit of weight gains less than ``tol``.

    Clusters that overlap settle slowly, in ever the same direction: updates go farther and
    farther along it, and back to plain ones when the bound says that it was too far
    (Salakhutdinov and Roweis 2003, adaptive overrelaxation).
    """
    ascent, stretch, last_gain = Ascent(statistics), 1.0, np.inf
    least = tol * float(rows.weight.sum())
    posterior = mixture.m_step(statistics)
    for _ in range(max_iter):
        statistics = mixture.arranged(mixture.e_step(posterior, rows))
        posterior = mixture.m_step(statistics)
        bound = mixture.bound(posterior)
        gain = bound - ascent.bounds[-1] if ascent.bounds else np.inf
        if stretch > 1 and gain < max(least, 0.0):
            # Too far, or so near the end that a plain update should tell.
            stretch, posterior = 1.0, mixture.m_step(ascent.statistics)
            ascent.n_rejected += 1
            continue
        ascent.bounds.append(bound)
        before, ascent.statistics = ascent.statistics, statistics
        ascent.converged = gain < least
        if callback(statistics) or ascent.converged:
            break
        slow, last_gain = gain > SLOW * last_gain, gain
        stretch = min(LONGEST, GROWTH * stretch) if slow else 1.0
        if stretch > 1:
            posterior = _farther(mixture, before, statistics, stretch) or posterior
    return ascent


def _farther(
    mixture: Mixture, before: Statistics, after: Statistics, stretch: float
) -> Posterior | None:
    """The posterior given statistics beyond those of an update, if there can be such."""
    moments = before.moments + stretch * (after.moments - before.moments)
    if mixture.weights.ordered or (moments[:, -1] < 0).any():
        return None
    posterior = mixture.m_step(after._replace(moments=moments))
    try:
        with np.errstate(invalid="raise", divide="raise"):
            posterior.coefficients  # noqa: B018 (computed now and kept)
    except (np.linalg.LinAlgError, FloatingPointError):
        return None  # a scatter that is no longer positive
    return posterior


# --- births and merges -------------------------------------------------------------------


def improve(
    mixture: Mixture, rows: Rows, statistics: Statistics, tol: float, n_moves: int
) -> tuple[Statistics, int]:
    """Try moves until ``n_moves`` in a row fail; returns statistics and the number kept."""
    bound, kept, failed = mixture.bound(mixture.m_step(statistics)), 0, 0
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
    reached, posterior = -np.inf, mixture.m_step(statistics)
    for left in range(TRIAL_UPDATES - 1, -1, -1):
        posterior = mixture.m_step(mixture.arranged(mixture.e_step(posterior, rows)))
        before, reached = reached, mixture.bound(posterior)
        if np.isfinite(before) and reached + left * (reached - before) < target:
            break
    return posterior.statistics, reached


def propose(mixture: Mixture, rows: Rows, statistics: Statistics) -> Iterator[Statistics]:
    """Moves in order of promise: many merges or births at once, then fewer, then swaps."""
    posterior = mixture.m_step(statistics)
    rows = mixture.filled(posterior, rows)
    rows = Rows(rows.values.astype(np.float64, copy=False), rows.weight)
    pairs, gains = best_merges(posterior)
    n_parameters = mixture.components.n_parameters
    price = 0.5 * n_parameters * np.log(np.maximum(statistics.counts, 2.0))
    n_merges = int((gains > -MERGE_LENIENCE * price[pairs].max(axis=1)).sum())
    while n_merges:
        yield _merged(statistics, pairs[:n_merges])
        n_merges //= 2
    gains, halves = split_all(posterior, rows)
    order = np.argsort(price - gains, kind="stable")
    promising = order[gains[order] > LENIENCE * price[order]]
    free = np.flatnonzero(statistics.counts < EMPTY)
    n_births = min(len(free), len(promising))
    while n_births:
        yield _born(statistics, halves, promising[:n_births], free)
        n_births //= 2
    for pair in pairs[:N_SWAPS]:
        merged = _merged(statistics, pair[None])
        other = promising[~np.isin(promising, pair)]
        if len(other):
            yield _born(merged, halves, other[:1], pair[1:])
        yield merged


def _born(
    statistics: Statistics, halves: np.ndarray, parents: np.ndarray, free: np.ndarray
) -> Statistics:
    """Put one half in the parent's place, the other in a free one."""
    moments = statistics.moments.copy()
    moments[free[: len(parents)]] = halves[parents, 1]
    moments[parents] = halves[parents, 0]
    return statistics._replace(moments=moments)


def _merged(statistics: Statistics, pairs: np.ndarray) -> Statistics:
    """Give all that disjoint pairs (n, 2) of components have to the first of each."""
    moments = statistics.moments.copy()
    moments[pairs[:, 0]] += moments[pairs[:, 1]]
    moments[pairs[:, 1]] = 0
    return statistics._replace(moments=moments)


def best_merges(posterior: Posterior) -> tuple[np.ndarray, np.ndarray]:
    """Disjoint pairs (n, 2) of live components, and what log evidence gains by each merge.

    Candidates are the pairs that lose the least in each other's place.
    """
    mixture, statistics = posterior.mixture, posterior.statistics
    density = statistics.moments @ posterior.coefficients.T
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


def split_all(posterior: Posterior, rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    """Split every component; each row goes to a half of the one that explains it best.

    Returns the gain of each split (K,), in nats, and the halves' statistics
    (K, 2, n_features). Rows are sorted by component, so that a row meets its own two halves
    only.
    """
    mixture, components = posterior.mixture, posterior.mixture.components
    dtype, n_components = rows.values.dtype, len(posterior.coefficients)
    parents, alone = np.zeros(len(rows), dtype=int), np.zeros(len(rows))
    for at, features in mixture.chunks(rows, dtype):
        joint = posterior.coefficients @ features
        parents[at], alone[at] = joint.argmax(axis=0), joint.max(axis=0)
    order = np.argsort(parents, kind="stable")
    rows, alone = rows.take(order), alone[order]
    ends = np.bincount(parents, minlength=n_components).cumsum()
    size = mixture.chunk_rows(dtype)
    segments = [
        (parent, slice(start, min(start + size, end)))
        for parent, end in enumerate(ends)
        for start in range(ends[parent - 1] if parent else 0, end, size)
    ]
    few = len(rows) <= KEPT_CHUNKS * size
    kept = [components.features(rows.values[:, at]) for _, at in segments] if few else []

    def visits() -> Iterator[tuple[int, slice, np.ndarray]]:
        for i, (parent, at) in enumerate(segments):
            yield parent, at, kept[i] if few else components.features(rows.values[:, at])

    side = _sides(posterior, rows, ends)
    halves = np.zeros((n_components, 2, components.n_features))
    for parent, at, features in visits():
        halves[parent] += (np.stack([side[at], ~side[at]]) * rows.weight[at]) @ features.T
    for _ in range(BIRTH_UPDATES):
        coefficients = _half_coefficients(posterior, halves)
        halves, gains = np.zeros_like(halves), np.zeros(n_components)
        for parent, at, features in visits():
            weight, shares = rows.weight[at], coefficients[parent] @ features
            gains[parent] += weight @ (responsibilities(shares) - alone[at])
            halves[parent] += (shares * weight) @ features.T
    return gains, halves


def _sides(posterior: Posterior, rows: Rows, ends: np.ndarray) -> np.ndarray:
    """Half (N,) of each row, rows sorted by component, on either side of its mean.

    Along the principal axis, or the column, that looks most like two humps by Sarle's
    coefficient, (squared skewness + 1) / kurtosis, which is 1 for two points, 5/9 for a
    uniform and 1/3 for a normal distribution.
    """
    side, q = np.zeros(len(rows), dtype=bool), posterior.q
    precision = posterior.mixture.components.expected_precision(q)
    for parent, (start, end) in enumerate(zip(np.append(0, ends[:-1]), ends, strict=True)):
        if start == end:
            continue
        away, weight = rows.values[:, start:end].T - q.mean[parent], rows.weight[start:end]
        if precision.ndim == 3:
            own = precision[parent if len(precision) > 1 else 0]
            away = away @ np.linalg.eigh(own).eigenvectors
        squared, share = away * away, weight / weight.sum()
        second, third, fourth = (share @ v for v in (squared, squared * away, squared**2))
        flat = second < 1e-100
        second = np.where(flat, 1.0, second)
        humps = (third**2 / second**3 + 1) * second**2 / np.maximum(fourth, second**2)
        side[start:end] = away[:, np.where(flat, 0.0, humps).argmax()] > 0
    return side


def _half_coefficients(posterior: Posterior, halves: np.ndarray) -> np.ndarray:
    """Coefficients (K, 2, n_features) of halves, which divide their parents' weights."""
    mixture, components = posterior.mixture, posterior.mixture.components
    q = components.posterior(halves.reshape(-1, components.n_features))
    coefficients = components.coefficients(q).reshape(halves.shape)
    counts = halves[..., -1] + 0.5
    log_weights = mixture.weights.expected_log(posterior.statistics.counts)
    coefficients[..., -1] += np.log(counts / counts.sum(1, keepdims=True)) + log_weights[:, None]
    return coefficients
