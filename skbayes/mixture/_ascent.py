"""Coordinate ascent to convergence, and where it starts."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

from skbayes.mixture._components import NormalWishart
from skbayes.mixture._device import place
from skbayes.mixture._moves import improve
from skbayes.mixture._rows import Rows
from skbayes.mixture._update import Mixture, Statistics, chunk_size, expect
from skbayes.utils._threads import limit_sklearn

__all__ = ["Ascent", "best_start", "climb", "fit_mixture"]

#: Passes of k-means over the rows of a start.
KMEANS_ITERATIONS = 10
#: Starts and moves look at this many rows, or so many for each component.
START_ROWS, START_ROWS_EACH = 10_000, 100
#: Updates that gain more than this share of the last gain go farther: each time by this
#: factor, up to so many times their way.
SLOW, GROWTH, LONGEST = 0.5, 1.5, 8.0
#: Updates before moves, and how much earlier these stop than the last ascent.
START_UPDATES, START_SLACK = 30, 10.0


@dataclass
class Ascent:
    """Where an ascent stands: statistics, the bound after each update, whether it settled."""

    statistics: Statistics
    bounds: list[float] = field(default_factory=list)
    converged: bool = False
    n_moves: int = 0
    n_rejected: int = 0

    @property
    def n_iter(self) -> int:
        """Updates made, kept or not."""
        return len(self.bounds) + self.n_rejected


#: Is told of the statistics after each update; True ends the ascent.
Heard = Callable[[Statistics], bool]


def unheard(statistics: Statistics) -> bool:
    """Nobody listens."""
    return False


def climb(
    mixture: Mixture,
    rows: Rows,
    statistics: Statistics,
    tol: float,
    max_iter: int,
    heard: Heard = unheard,
) -> Ascent:
    """Update in turn until the bound per unit of weight gains less than ``tol``.

    Clusters that overlap settle slowly, in ever the same direction: updates go farther and
    farther along it, and back to plain ones when the bound says that it was too far
    (Salakhutdinov and Roweis 2003, adaptive overrelaxation).
    """
    ascent, stretch, before = Ascent(statistics), 1.0, np.inf
    least = tol * float(rows.weight.sum())
    factors, q = _parameters(mixture, statistics)
    for _ in range(max_iter):
        found = mixture.arranged(expect(mixture, factors, q, rows))
        reached = mixture.posterior(found)
        bound = mixture.bound(found, reached)
        gain = bound - ascent.bounds[-1] if ascent.bounds else np.inf
        if stretch > 1 and gain < max(least, 0.0):
            # Too far, or so near the end that a plain update should tell.
            stretch, (factors, q) = 1.0, _parameters(mixture, ascent.statistics)
            ascent.n_rejected += 1
            continue
        ascent.bounds.append(bound)
        last, ascent.statistics = ascent.statistics, found
        if gain < least:
            ascent.converged = True
        if heard(found) or ascent.converged:
            break
        slow, before = gain > SLOW * before, gain
        stretch = min(LONGEST, GROWTH * stretch) if slow else 1.0
        ahead = _farther(mixture, last, found, stretch) if stretch > 1 else None
        factors, q = ahead or (mixture.coefficients(found, reached), reached)
    return ascent


def _parameters(mixture: Mixture, statistics: Statistics) -> tuple[np.ndarray, NormalWishart]:
    """Coefficients of the log joint, and the posterior that they come from."""
    q = mixture.posterior(statistics)
    return mixture.coefficients(statistics, q), q


def _farther(
    mixture: Mixture, last: Statistics, found: Statistics, stretch: float
) -> tuple[np.ndarray, NormalWishart] | None:
    """Parameters beyond those of the statistics found, where such statistics can be."""
    ahead = last.moments + stretch * (found.moments - last.moments)
    if mixture.weights.ordered or (ahead[:, -1] < 0).any():
        return None
    try:
        with np.errstate(invalid="raise", divide="raise"):
            return _parameters(mixture, found._replace(moments=ahead))
    except (np.linalg.LinAlgError, FloatingPointError):
        return None  # a scatter that is no longer positive


def fit_mixture(
    mixture: Mixture,
    rows: Rows,
    rng: np.random.RandomState,
    *,
    tol: float,
    max_iter: int,
    n_init: int,
    n_moves: int,
    device: str,
    heard: Heard = unheard,
) -> Ascent:
    """Find the best of several starts on part of the rows, then climb on all of them."""
    part = some_rows(rows, mixture.weights.n_components, rng)
    share = float(part.weight.sum() / rows.weight.sum())

    def heard_of_part(statistics: Statistics) -> bool:
        return heard(statistics.times(1 / share))

    part = part.in_single_precision()
    best = best_start(mixture, part, rng, tol, n_init, n_moves, heard_of_part)
    rows = place(rows, device)
    ascent = climb(mixture, rows, best.statistics.times(1 / share), tol, max_iter, heard)
    ascent.n_moves = best.n_moves
    return ascent


def best_start(
    mixture: Mixture,
    rows: Rows,
    rng: np.random.RandomState,
    tol: float,
    n_init: int,
    n_moves: int,
    heard: Heard = unheard,
) -> Ascent:
    """The start with the highest bound."""
    starts = [begin(mixture, rows, rng, tol, n_moves, heard) for _ in range(n_init)]
    return max(starts, key=lambda ascent: mixture.bound(ascent.statistics))


def some_rows(rows: Rows, n_components: int, rng: np.random.RandomState) -> Rows:
    """All rows, or a random part of many."""
    n_rows = max(START_ROWS, START_ROWS_EACH * n_components)
    if len(rows) <= n_rows:
        return rows
    return rows.take(np.sort(rng.permutation(len(rows))[:n_rows]))


def begin(
    mixture: Mixture,
    rows: Rows,
    rng: np.random.RandomState,
    tol: float,
    n_moves: int,
    heard: Heard = unheard,
) -> Ascent:
    """A start: clusters, some updates, moves."""
    statistics = clusters(mixture, rows, rng)
    ascent = climb(mixture, rows, statistics, START_SLACK * tol, START_UPDATES, heard)
    ascent.statistics, ascent.n_moves = improve(
        mixture, rows, ascent.statistics, START_SLACK * tol, n_moves
    )
    return ascent


def clusters(mixture: Mixture, rows: Rows, rng: np.random.RandomState) -> Statistics:
    """Statistics of k-means clusters: seeds far from one another, a few passes."""
    values = rows.values.T.astype(np.float64)
    n_clusters = min(mixture.weights.n_components, len(rows))
    kmeans = KMeans(n_clusters, n_init=1, max_iter=KMEANS_ITERATIONS, random_state=rng)
    with limit_sklearn(), warnings.catch_warnings():
        # Fewer distinct rows than clusters: some components start empty.
        warnings.simplefilter("ignore", ConvergenceWarning)
        labels = kmeans.fit(values, sample_weight=rows.weight).labels_
    moments = np.zeros((mixture.weights.n_components, mixture.components.n_features))
    size, numbers = chunk_size(mixture.components, values.dtype), np.arange(len(moments))
    for start in range(0, len(rows), size):
        at = slice(start, start + size)
        shares = (labels[at] == numbers[:, None]) * rows.weight[at]
        moments += shares @ mixture.components.features(np.ascontiguousarray(values[at].T)).T
    return mixture.arranged(Statistics(moments, 0.0))
