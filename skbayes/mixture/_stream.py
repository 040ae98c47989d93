"""Fits from chunks: one pass as they come, or repeated passes with memoised statistics.

A stream is cut anew, by numbers of distinct rows, whatever chunks they come in: so the
posterior depends on the rows and their order, not on the chunks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from skbayes.mixture._ascent import (
    START_ROWS,
    START_ROWS_EACH,
    Ascent,
    Heard,
    fit_mixture,
    unheard,
)
from skbayes.mixture._components import Components
from skbayes.mixture._prior import model_of
from skbayes.mixture._rows import Rows, canonical, n_that_fit
from skbayes.mixture._spread import Spread, Units, spread_of
from skbayes.mixture._update import COVARIANCE_TYPES, Mixture, Statistics, expect

__all__ = [
    "Held",
    "Reservoir",
    "Stream",
    "Summary",
    "climb_chunks",
    "fit_whole",
    "gathered",
    "measured",
    "split_chunk",
]

#: Distinct rows of a block, or so many for each component if that is more.
BLOCK_ROWS, BLOCK_ROWS_EACH = 1000, START_ROWS_EACH
#: First rows are fitted as a whole at numbers of so many binary digits and zeros.
DUE_DIGITS = 7


def split_chunk(chunk: Any) -> tuple[Any, Any]:
    """A chunk is X, or a pair of X and sample weights."""
    return chunk if isinstance(chunk, tuple) else (chunk, None)


def gathered(
    chunks: Iterable[tuple[np.ndarray, np.ndarray]],
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Put small chunks together: each is worth a posterior where it is seen, not before."""
    parts: list[tuple[np.ndarray, np.ndarray]] = []
    for chunk in chunks:
        parts.append(chunk)
        if sum(len(X) for X, _ in parts) >= START_ROWS:
            yield np.concatenate([X for X, _ in parts]), np.concatenate([w for _, w in parts])
            parts = []
    if parts:
        yield np.concatenate([X for X, _ in parts]), np.concatenate([w for _, w in parts])


def measured(estimator: Any, X: np.ndarray, weight: np.ndarray) -> tuple[Spread, Rows]:
    """The spread of rows, and the rows in its units."""
    units = Units.of(X, weight, one_scale=estimator.covariance_type == "spherical")
    rows = units.apply(X, weight)
    pairs = COVARIANCE_TYPES[estimator.covariance_type].correlated
    return spread_of(units, rows, pairs), rows


class Summary(NamedTuple):
    """What is kept of rows: their statistics under a mixture, and the spread, of one unit."""

    statistics: Statistics
    spread: Spread

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Summary:
        """What `state` gave."""
        statistics = Statistics(state["moments"], state["entropy"])
        return cls(statistics, Spread.from_state(state))

    @property
    def state(self) -> dict[str, Any]:
        """Plain arrays and numbers by name, to be stored."""
        moments, entropy = self.statistics
        return {"moments": moments, "entropy": float(entropy), **self.spread.state}

    def moved(self, components: Components, units: Units) -> Statistics:
        """The statistics in other units; the entropy of missing values has units too."""
        statistics, spread = self
        factor, shift = spread.units.within(units)
        n_missing = spread.n_rows - spread.n_observed
        entropy = statistics.entropy + float(np.log(factor) @ n_missing)
        return Statistics(components.moved(statistics.moments, factor, shift), entropy)


def fit_whole(
    estimator: Any,
    X: np.ndarray,
    weight: np.ndarray,
    seed: int,
    listening: Callable[[Mixture, Spread], Heard] = lambda *_: unheard,
) -> tuple[Mixture, Ascent, Spread]:
    """Fit an estimator's model to canonical rows at once, each update heard."""
    spread, rows = measured(estimator, X, weight)
    mixture = model_of(estimator, spread)
    names = ("tol", "max_iter", "n_init", "n_moves", "device")
    settings = {name: getattr(estimator, name) for name in names}
    rng, heard = np.random.RandomState(seed), listening(mixture, spread)
    return mixture, fit_mixture(mixture, rows, rng, **settings, heard=heard), spread


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
            _, self.ascent, spread = fit_whole(self.estimator, *self.early, self.seed)
            self.before = Summary(self.ascent.statistics, spread)
            self.n_moves = self.ascent.n_moves
        self.latest = self.latest.plus(X[n:], weight[n:])

    def _settle(self) -> None:
        """Keep of all rows their summary only."""
        if len(self.latest.X):
            _, ascent, spread = self.result()
            self.forgets, self.before = self.forgets_now, Summary(ascent.statistics, spread)
            self.converged &= ascent.converged
        self.settled = True
        self.early, self.latest = self.early.none, self.latest.none

    def result(self) -> tuple[Mixture, Ascent, Spread]:
        """The posterior of all rows so far: the latest join the others, which stay as they are."""
        estimator, before = self.estimator, self.before
        assert before is not None
        if not len(self.latest.X):
            assert self.ascent is not None
            return model_of(estimator, before.spread), self.ascent, before.spread
        spread, _ = measured(estimator, *self.latest)
        decay = estimator.learning_decay if self.settled else 1.0
        old, new = _shares(before.spread.n_rows, spread.n_rows, decay)
        one_scale = estimator.covariance_type == "spherical"
        spread = before.spread.times(old).plus(spread.times(new), one_scale)
        mixture, rows = model_of(estimator, spread), spread.units.apply(*self.latest)
        start = before.moved(mixture.components, spread.units).times(old)
        ascent = absorb(mixture, start, rows, new, estimator.tol, estimator.max_iter)
        ascent.n_moves = self.n_moves
        return mixture, ascent, spread


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
    ascent, statistics = Ascent(before), before
    for _ in range(max_iter):
        q = mixture.posterior(statistics)
        fresh = expect(mixture, mixture.coefficients(statistics, q), q, rows)
        statistics = before.plus(fresh.times(share))
        ascent.bounds.append(mixture.bound(statistics))
        if len(ascent.bounds) > 1 and ascent.bounds[-1] - ascent.bounds[-2] < tol * weight:
            ascent.converged = True
            break
    ascent.statistics = mixture.arranged(statistics)
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
        for place, fresh in enumerate(_visits(mixture, chunks(), ascent, kept)):
            if number == 0:
                kept.append(fresh)
            else:
                kept[place] = fresh
        # Summed anew, so that rounding does not pile up over passes.
        ascent.statistics = _sum(kept)
        ascent.bounds.append(mixture.bound(ascent.statistics))
        least = tol * float(ascent.statistics.counts.sum())
        if number and ascent.bounds[-1] - ascent.bounds[-2] < least:
            ascent.converged = True
            break
    return ascent


def _visits(
    mixture: Mixture, chunks: Iterable[Rows], ascent: Ascent, kept: list[Statistics]
) -> Iterator[Statistics]:
    """Statistics of each chunk; after the first pass, parameters follow every one of them."""
    first = not kept
    n_chunks = 0
    for place, rows in enumerate(chunks):
        if not first and place >= len(kept):
            raise ValueError(_changed(len(kept)))
        q = mixture.posterior(ascent.statistics)
        fresh = expect(mixture, mixture.coefficients(ascent.statistics, q), q, rows)
        if not first:
            ascent.statistics = ascent.statistics.plus(kept[place], -1.0).plus(fresh)
        n_chunks += 1
        yield fresh
    if not first and n_chunks != len(kept):
        raise ValueError(_changed(len(kept)))


def _changed(n_chunks: int) -> str:
    return (
        f"the first pass gave {n_chunks} chunks and a later one another number; X() must "
        "return the same chunks at every call"
    )


def _sum(parts: list[Statistics]) -> Statistics:
    total = parts[0]
    for part in parts[1:]:
        total = total.plus(part)
    return total
