"""Fits from chunks: one pass as they come, or repeated passes with memoised statistics.

A stream is cut anew: into blocks of so many distinct rows, whatever chunks they come in.
Rows of the last block, which may grow, are held; what is known of the others are
statistics. So the posterior depends on the rows and their order, not on the chunks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from skbayes.mixture._ascent import START_ROWS_EACH, Ascent, best_start, climb
from skbayes.mixture._components import Components
from skbayes.mixture._prior import model_of
from skbayes.mixture._rows import Rows, canonical, n_that_fit
from skbayes.mixture._spread import Spread, Units, spread_of
from skbayes.mixture._update import COVARIANCE_TYPES, Mixture, Statistics, expect

__all__ = ["Reservoir", "Stream", "Summary", "climb_chunks", "measured", "split_chunk"]

#: Distinct rows of a block: so many for each component, and no fewer than so many in all
#: where early rows are not forgotten.
BLOCK_ROWS, BLOCK_ROWS_EACH = 1000, START_ROWS_EACH


def split_chunk(chunk: Any) -> tuple[Any, Any]:
    """A chunk is X, or a pair of X and sample weights."""
    return chunk if isinstance(chunk, tuple) else (chunk, None)


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


@dataclass
class Stream:
    """What an estimator knows of the rows so far, and how it takes in more.

    Rows of the first block, held in ``X`` and ``weight``, are fitted as a whole: ``before``
    is a start, searched for when the block had fewer rows. Afterwards it sums up the blocks
    that are settled.
    """

    estimator: Any
    seed: int
    X: np.ndarray
    weight: np.ndarray
    before: Summary | None = None
    settled: bool = False
    forgets: bool = False
    n_moves: int = 0
    converged: bool = True

    @classmethod
    def from_state(cls, estimator: Any, seed: int, state: dict[str, Any]) -> Stream:
        """Go on from a fitted estimator's state: that of a stream, or of a whole fit."""
        known = state["stream"]
        if known is None:
            n_columns = len(state["centre"])
            held = np.empty((0, n_columns), dtype=state["dtype"])
            stream = cls(estimator, seed, held, np.empty(0), Summary.from_state(state), True)
        else:
            before = Summary.from_state(known["before"])
            parts = (known[name] for name in ("X", "weight"))
            stream = cls(estimator, seed, *parts, before, known["settled"], known["forgets"])
        stream.n_moves = estimator.n_moves_
        return stream

    @property
    def state(self) -> dict[str, Any]:
        """Plain arrays by name, to be stored."""
        assert self.before is not None
        return {
            "X": self.X,
            "weight": self.weight,
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
        size = BLOCK_ROWS_EACH * self.estimator.n_components
        if self.estimator.learning_decay == 1:
            size = max(BLOCK_ROWS, size)
        while len(X):
            n = n_that_fit(self.X, X, size)
            if not n:
                self._settle()
                continue
            self._hold(X[:n], weight[:n])
            X, weight = X[n:], weight[n:]

    def _hold(self, X: np.ndarray, weight: np.ndarray) -> None:
        held, total = self._with(X, weight)
        if not self.settled:
            n_searched = last_search(len(held))
            n = n_that_fit(self.X, X, n_searched)
            if n:
                held, total = self._with(X[:n], weight[:n])
                if len(held) == n_searched:
                    self._search(held, total)
                held, total = self._with(X, weight)
        self.X, self.weight = held, total

    def _with(self, X: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return canonical(np.concatenate([self.X, X]), np.concatenate([self.weight, weight]))

    def _search(self, X: np.ndarray, weight: np.ndarray) -> None:
        """Look for a start among these rows, as `fit` does."""
        estimator = self.estimator
        spread, rows = measured(estimator, X, weight)
        found = best_start(
            model_of(estimator, spread),
            rows.in_single_precision(),
            np.random.RandomState(self.seed),
            estimator.tol,
            estimator.n_init,
            estimator.n_moves,
        )
        self.before, self.n_moves = Summary(found.statistics, spread), found.n_moves

    def _settle(self) -> None:
        """End a block."""
        _, ascent, spread = self.result()
        self.forgets = self.forgets_now
        self.before, self.settled = Summary(ascent.statistics, spread), True
        self.converged &= ascent.converged
        self.X, self.weight = self.X[:0], self.weight[:0]

    def result(self) -> tuple[Mixture, Ascent, Spread]:
        """The posterior of all rows so far."""
        estimator, before = self.estimator, self.before
        assert before is not None
        spread, rows = measured(estimator, self.X, self.weight)
        if self.settled:
            old, new = _shares(before.spread.n_rows, spread.n_rows, estimator.learning_decay)
            one_scale = estimator.covariance_type == "spherical"
            spread = before.spread.times(old).plus(spread.times(new), one_scale)
            rows = spread.units.apply(self.X, self.weight)
        mixture = model_of(estimator, spread)
        start = before.moved(mixture.components, spread.units)
        if self.settled:
            ascent = absorb(
                mixture, start.times(old), rows, new, estimator.tol, estimator.max_iter
            )
        else:
            share = before.spread.n_rows / spread.n_rows
            ascent = climb(
                mixture, rows, start.times(1 / share), estimator.tol, estimator.max_iter
            )
        ascent.n_moves = self.n_moves
        return mixture, ascent, spread


def last_search(n_rows: int) -> int:
    """The number of rows, no more than these, at which a start was last searched for.

    Numbers of four binary digits and zeros: searches are some tenth apart.
    """
    step = 1 << max(0, n_rows.bit_length() - 4)
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
