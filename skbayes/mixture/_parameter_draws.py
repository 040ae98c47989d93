"""The posterior predictive: a mixture of Student-t densities, and normals under draws of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from skbayes.mixture._components import Draws
from skbayes.mixture._mixture import Mixture, Statistics, responsibilities
from skbayes.mixture._rows import Rows

__all__ = ["MixtureDraws", "draw", "draw_joint", "log_joint", "shares_variance"]

#: Bytes of the largest temporary array.
CHUNK_BYTES = 2**26


class MixtureDraws(NamedTuple):
    """Draws of weights (S, K) and of components."""

    weights: np.ndarray
    components: Draws


def draw(
    mixture: Mixture, statistics: Statistics, n_samples: int, rng: np.random.Generator
) -> MixtureDraws:
    """Draw the mixture's parameters from their posterior."""
    weights = mixture.weights.sample(statistics.counts, n_samples, rng)
    return MixtureDraws(
        weights, mixture.components.sample(mixture.m_step(statistics).q, n_samples, rng)
    )


def log_joint(mixture: Mixture, statistics: Statistics, rows: Rows) -> np.ndarray:
    """Log E[pi_k] St(x | k) of each row and component (N, K); missing values are integrated."""
    components, q = mixture.components, mixture.m_step(statistics).q

    def density(values: np.ndarray, columns: np.ndarray | None) -> np.ndarray:
        own = q if columns is None else components.marginal(q, columns)
        return components.log_predictive(own, values)

    n_components = len(statistics.moments)
    joint = np.empty((len(rows), n_components))
    for index, values, columns in _blocks(rows, n_components * components.n_columns):
        joint[index] = density(values, columns).T
    with np.errstate(divide="ignore"):
        return joint + np.log(mixture.weights.mean(statistics.counts))


def draw_joint(
    mixture: Mixture, draws: MixtureDraws, rows: Rows
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Blocks of rows: their index, and log pi_k N(x | k) (S, K, block) under each draw."""
    components = mixture.components
    weights = np.log(draws.weights)[..., None]
    for index, values, columns in _blocks(rows, weights.size * components.n_columns):
        own = draws.components
        if columns is not None:
            own = components.marginal_draws(own, columns)
        yield index, components.log_density(own, values) + weights


def shares_variance(mixture: Mixture, draws: MixtureDraws, rows: Rows) -> np.ndarray:
    """Posterior variance (N, K) of each row's responsibilities, given that row too.

    A draw counts by the density that it gives the row, so that the mean of the
    responsibilities is the posterior predictive probability.
    """
    variance = np.empty((len(rows), draws.weights.shape[1]))
    for index, joint in draw_joint(mixture, draws, rows):
        shares = np.moveaxis(joint, 1, 0)
        # Over components, whose log norms are densities; then these over draws.
        weight = responsibilities(shares)
        responsibilities(weight)
        mean = np.einsum("sn,ksn->kn", weight, shares)
        variance[index] = np.einsum("sn,ksn->kn", weight, (shares - mean[:, None]) ** 2).T
    return variance


def _blocks(
    rows: Rows, numbers_a_row: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray | None]]:
    """Rows of one pattern of missing values: index, values (d, n), observed columns."""
    size = max(1, CHUNK_BYTES // (8 * numbers_a_row))
    for index, columns in _patterns(rows):
        for start in range(0, len(index), size):
            at = index[start : start + size]
            values = rows.values[:, at] if columns is None else rows.values[columns[:, None], at]
            yield at, values.astype(np.float64, copy=False), columns


def _patterns(rows: Rows) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """Rows that miss the same columns, and the columns they have (None: all)."""
    if rows.observed is None:
        yield np.arange(len(rows)), None
        return
    observed, pattern = np.unique(rows.observed.T, axis=0, return_inverse=True)
    order = np.argsort(pattern.ravel(), kind="stable")
    ends = np.cumsum(np.bincount(pattern.ravel()))
    for seen, index in zip(observed, np.split(order, ends[:-1]), strict=True):
        yield index, None if seen.all() else np.flatnonzero(seen)
