"""Fits from chunks: one pass as they come, or repeated passes with memoised statistics.

A stream is cut anew, by numbers of distinct rows, whatever chunks they come in: so the
posterior depends on the rows and their order, not on the chunks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import reduce
from typing import Any, NamedTuple

import numpy as np

from skbayes.mixture._ascent import START_ROWS, START_ROWS_EACH, Ascent, best_start, fit_rows
from skbayes.mixture._components import Components
from skbayes.mixture._mixture import Mixture, Statistics, model_of
from skbayes.mixture._rows import (
    RowMoments,
    Rows,
    Units,
    canonical,
    check_observed,
    measured,
    n_that_fit,
)

__all__ = ["Held", "Reservoir", "Stream", "Summary", "fit_passes", "gathered"]

#: Distinct rows of a block, or so many for each component if that is more.
BLOCK_ROWS, BLOCK_ROWS_EACH = 1000, START_ROWS_EACH
#: First rows are fitted as a whole at numbers of so many binary digits and zeros.
DUE_DIGITS = 7


#: Chunks of validated rows and their weights.
Chunks = Iterable[tuple[np.ndarray, np.ndarray]]


def gathered(chunks: Chunks) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Put small chunks together: each is worth a posterior where it is seen, not before."""
    parts: list[tuple[np.ndarray, np.ndarray]] = []
    for chunk in chunks:
        parts.append(chunk)
        if sum(len(X) for X, _ in parts) >= START_ROWS:
            yield _joined(parts)
            parts = []
    if parts:
        yield _joined(parts)


def _joined(parts: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    return np.concatenate([X for X, _ in parts]), np.concatenate([weight for _, weight in parts])


class Summary(NamedTuple):
    """What is kept of rows: their statistics under a mixture, and their moments, of one unit."""

    statistics: Statistics
    data: RowMoments

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Summary:
        """Inverse of `state`."""
        units = Units(state["centre"], state["scale"])
        data = RowMoments(units, *(state[name] for name in RowMoments._fields[1:]))
        return cls(Statistics(state["moments"], state["entropy"]), data)

    @property
    def state(self) -> dict[str, Any]:
        """Plain arrays and numbers by name, to be stored."""
        moments, entropy = self.statistics
        data = self.data._asdict()
        units = data.pop("units")._asdict()
        return {"moments": moments, "entropy": float(entropy), **units, **data}

    def moved(self, components: Components, units: Units) -> Statistics:
        """The statistics in other units; the entropy of missing values has units too."""
        statistics, data = self
        factor, shift = data.units.within(units)
        n_missing = data.n_rows - data.n_observed
        entropy = statistics.entropy + float(np.log(factor) @ n_missing)
        return Statistics(components.moved(statistics.moments, factor, shift), entropy)


class Held(NamedTuple):
    """Rows in canonical form and their weights."""

    X: np.ndarray
    weight: np.ndarray

    def plus(self, X: np.ndarray, weight: np.ndarray) -> Held:
        """These and other rows."""
        both = np.concatenate([self.X, X]), np.concatenate([self.weight, weight])
        return Held(*canonical(*both))

    @property
    def none(self) -> Held:
        """No rows, of the same kind."""
        return Held(self.X[:0].copy(), self.weight[:0].copy())


@dataclass
class Stream:
    """What an estimator knows of the rows so far, and how it takes in more.

    ``before`` sums up all rows but the latest. While these are few, as many as a start may
    look at, it is a fit to all of them at once, made anew when there are a hundredth or so
    more; ``early`` holds the rows for that. Afterwards it is settled, and grows by one block
    after another. The ``latest`` rows are taken in provisionally.
    """

    estimator: Any
    seed: int
    early: Held
    latest: Held
    before: Summary | None = None
    settled: bool = False
    forgets: bool = False
    n_moves: int = 0
    converged: bool = True
    ascent: Ascent | None = None

    @classmethod
    def from_state(cls, estimator: Any, seed: int, state: dict[str, Any]) -> Stream:
        """Go on from a fitted estimator's state: that of a stream, or of a whole fit."""
        known = state["stream"]
        if known is None:
            held = Held(np.empty((0, len(state["centre"])), dtype=state["dtype"]), np.empty(0))
            stream = cls(estimator, seed, held, held, Summary.from_state(state), True)
        else:
            early, latest = (Held(**known[name]) for name in ("early", "latest"))
            before = Summary.from_state(known["before"])
            flags = known["settled"], known["forgets"]
            stream = cls(estimator, seed, early, latest, before, *flags)
        stream.n_moves = estimator.n_moves_
        return stream

    @property
    def state(self) -> dict[str, Any]:
        """Plain arrays by name, to be stored."""
        assert self.before is not None
        return {
            "early": self.early._asdict(),
            "latest": self.latest._asdict(),
            "before": self.before.state,
            "settled": self.settled,
            "forgets": self.forgets,
        }

    @property
    def forgets_now(self) -> bool:
        """Whether some rows count less than others."""
        return self.forgets or (self.settled and self.estimator.learning_decay < 1)

    def add(self, X: np.ndarray, weight: np.ndarray) -> None:
        """Take in rows of a chunk, none of which has a weight of zero."""
        while len(X):
            held = self.early.plus(*self.latest)
            n = n_that_fit(held.X, X, self._most_held())
            if n and self.settled:
                self.latest = self.latest.plus(X[:n], weight[:n])
            elif n:
                self._add_early(held, X[:n], weight[:n])
            else:
                self._settle()
            X, weight = X[n:], weight[n:]

    def _most_held(self) -> int:
        """Distinct rows that are fitted as a whole, or that make a block."""
        size = START_ROWS_EACH * self.estimator.n_components
        if self.estimator.learning_decay < 1:
            return size
        return max(BLOCK_ROWS if self.settled else START_ROWS, size)

    def _add_early(self, held: Held, X: np.ndarray, weight: np.ndarray) -> None:
        """Fit the first rows, as many as were due at last, as a whole; the others are latest."""
        n = n_that_fit(held.X, X, last_due(len(held.plus(X, weight).X)))
        if n:
            self.early, self.latest = held.plus(X[:n], weight[:n]), self.latest.none
            _, self.ascent, data = fit_rows(self.estimator, *self.early, self.seed)
            self.before = Summary(self.ascent.statistics, data)
            self.n_moves = self.ascent.n_moves
        self.latest = self.latest.plus(X[n:], weight[n:])

    def _settle(self) -> None:
        """Keep of all rows their summary only."""
        if len(self.latest.X):
            _, ascent, data = self.result()
            self.forgets, self.before = self.forgets_now, Summary(ascent.statistics, data)
            self.converged &= ascent.converged
        self.settled = True
        self.early, self.latest = self.early.none, self.latest.none

    def result(self) -> tuple[Mixture, Ascent, RowMoments]:
        """The posterior of all rows so far: the latest join the others, which stay as they are."""
        estimator, before = self.estimator, self.before
        assert before is not None
        if not len(self.latest.X):
            assert self.ascent is not None
            return model_of(estimator, before.data), self.ascent, before.data
        covariance_type = estimator.covariance_type
        data, _ = measured(*self.latest, covariance_type)
        decay = estimator.learning_decay if self.settled else 1.0
        old, new = _shares(before.data.n_rows, data.n_rows, decay)
        data = before.data.times(old).plus(data.times(new), covariance_type == "spherical")
        mixture, rows = model_of(estimator, data), data.units.apply(*self.latest)
        start = before.moved(mixture.components, data.units).times(old)
        ascent = absorb(mixture, start, rows, new, estimator.tol, estimator.max_iter)
        ascent.n_moves = self.n_moves
        return mixture, ascent, data


def last_due(n_rows: int) -> int:
    """The number of rows, no more than these, at which a whole fit was due.

    At every row of the first, then at each hundredth or so more.
    """
    step = 1 << max(0, n_rows.bit_length() - DUE_DIGITS)
    return n_rows - n_rows % step


def _shares(earlier: float, weight: float, decay: float) -> tuple[float, float]:
    """Factors of earlier and of new statistics; the total stays the same.

    A block that makes up the share f of all weight so far enters with the share f**decay,
    Hoffman et al. (2013) in terms of statistics: with decay 1 every row counts the same and
    the bound is one of all rows, below it early rows are forgotten.
    """
    if decay == 1:
        return 1.0, 1.0
    total = weight + earlier
    rate = (weight / total) ** decay
    return (1 - rate) * total / earlier, rate * total / weight


def absorb(
    mixture: Mixture, before: Statistics, rows: Rows, share: float, tol: float, max_iter: int
) -> Ascent:
    """Update by one block: its q(z) to convergence, earlier rows' statistics as they are.

    The block's statistics count ``share`` times.
    """
    weight = float(rows.weight.sum())
    ascent, posterior = Ascent(before), mixture.m_step(before)
    for _ in range(max_iter):
        statistics = before.plus(mixture.e_step(posterior, rows).times(share))
        posterior = mixture.m_step(statistics)
        ascent.bounds.append(mixture.bound(posterior))
        if len(ascent.bounds) > 1 and ascent.bounds[-1] - ascent.bounds[-2] < tol * weight:
            ascent.converged = True
            break
    ascent.statistics = mixture.arranged(posterior.statistics)
    return ascent


class Reservoir:
    """A uniform random sample of the rows of a stream: those with the smallest keys."""

    def __init__(self, size: int, rng: np.random.RandomState) -> None:
        self.size, self._rng = size, rng
        self.keys = np.empty(0)
        self.X: np.ndarray | None = None
        self.weight = np.empty(0)
        self.total = 0.0

    def add(self, X: np.ndarray, weight: np.ndarray) -> None:
        """Consider the rows of a chunk."""
        self.total += float(weight.sum())
        keys = np.concatenate([self.keys, self._rng.uniform(size=len(X))])
        kept = np.argsort(keys, kind="stable")[: self.size]
        table = X if self.X is None else np.concatenate([self.X, X])
        self.keys, self.X = keys[kept], table[kept]
        self.weight = np.concatenate([self.weight, weight])[kept]


def fit_passes(
    estimator: Any, read: Callable[[], Chunks], seed: int
) -> tuple[Mixture, Ascent, RowMoments, np.dtype]:
    """A first pass for units, priors and a start; then passes until the bound converges."""
    size = max(START_ROWS, START_ROWS_EACH * estimator.n_components)
    reservoir, data = Reservoir(size, np.random.RandomState(seed)), None
    covariance_type = estimator.covariance_type
    for X, weight in read():
        reservoir.add(X, weight)
        own, _ = measured(X, weight, covariance_type)
        data = own if data is None else data.plus(own, covariance_type == "spherical")
    if reservoir.X is None or data is None:
        raise ValueError("X() gave no chunk; let it return at least one array of rows")
    check_observed(data.n_observed > 0)
    mixture, units = model_of(estimator, data), data.units
    X, weight = canonical(reservoir.X, reservoir.weight)
    start = best_start(mixture, units.apply(X, weight), np.random.RandomState(seed), estimator)
    statistics = start.statistics.times(reservoir.total / float(weight.sum()))

    def visit() -> Iterator[Rows]:
        for X, weight in read():
            yield units.apply(*canonical(X, weight))

    ascent = climb_chunks(mixture, visit, statistics, estimator.tol, estimator.max_iter)
    ascent.n_moves = start.n_moves
    return mixture, ascent, data, reservoir.X.dtype


def climb_chunks(
    mixture: Mixture,
    chunks: Callable[[], Iterable[Rows]],
    statistics: Statistics,
    tol: float,
    max_iter: int,
) -> Ascent:
    """Passes over chunks, the statistics of each kept, so that every chunk updates all.

    Source: Hughes and Sudderth (2013), Memoized online variational inference; the bound
    never falls, as in a fit to all rows at once.
    """
    ascent = Ascent(statistics)
    kept: list[Statistics] = []
    for number in range(max_iter):
        n_chunks, posterior = 0, mixture.m_step(ascent.statistics)
        for rows in chunks():
            fresh = mixture.e_step(posterior, rows)
            if number == 0:
                kept.append(fresh)
            elif n_chunks < len(kept):
                # After the first pass, parameters follow every chunk.
                statistics = posterior.statistics.plus(kept[n_chunks], -1.0).plus(fresh)
                posterior, kept[n_chunks] = mixture.m_step(statistics), fresh
            n_chunks += 1
        if n_chunks != len(kept):
            raise ValueError(
                f"the first pass gave {len(kept)} chunks and a later one another number; X() must "
                "return the same chunks at every call"
            )
        # Summed anew, so that rounding does not pile up over passes.
        ascent.statistics = reduce(Statistics.plus, kept)
        posterior = mixture.m_step(ascent.statistics)
        ascent.bounds.append(mixture.bound(posterior))
        least = tol * float(ascent.statistics.counts.sum())
        if number and ascent.bounds[-1] - ascent.bounds[-2] < least:
            ascent.converged = True
            break
    return ascent
