"""Fits from chunks: one pass as they come, or repeated passes with memoised statistics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from skbayes.mixture._ascent import Ascent
from skbayes.mixture._rows import Rows
from skbayes.mixture._update import Mixture, Statistics, expect

__all__ = ["Reservoir", "absorb", "climb_chunks", "split_chunk"]


def split_chunk(chunk: Any) -> tuple[Any, Any]:
    """A chunk is X, or a pair of X and sample weights."""
    return chunk if isinstance(chunk, tuple) else (chunk, None)


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


def absorb(
    mixture: Mixture,
    before: Statistics,
    rows: Rows,
    decay: float,
    tol: float,
    max_iter: int,
) -> Ascent:
    """Update by one chunk: its q(z) to convergence, earlier rows' statistics as they are.

    A chunk that makes up the share f of all weight so far enters with the share f**decay,
    Hoffman et al. (2013) in terms of statistics: with decay 1 every row counts the same and
    the bound is one of all rows, below it early rows are forgotten.
    """
    weight = float(rows.weight.sum())
    earlier = float(before.counts.sum())
    rate = (weight / (weight + earlier)) ** decay
    old = before.times((1 - rate) * (weight + earlier) / earlier)
    ascent, statistics = Ascent(before), before
    for _ in range(max_iter):
        q = mixture.posterior(statistics)
        fresh = expect(mixture, mixture.coefficients(statistics, q), q, rows)
        statistics = old.plus(fresh.times(rate * (weight + earlier) / weight))
        ascent.bounds.append(mixture.bound(statistics))
        if len(ascent.bounds) > 1 and ascent.bounds[-1] - ascent.bounds[-2] < tol * weight:
            ascent.converged = True
            break
    ascent.statistics = mixture.arranged(statistics)
    return ascent


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
