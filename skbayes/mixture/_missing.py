"""Rows with missing values: q(missing | z) is normal, with the expected precision.

Given z = k the best q(x_mis | z) is the conditional of a normal of mean m_k and precision
E[Lambda_k]; its entropy is part of the bound, its covariance part of the statistics.
Patterns of missing values that rows share are factored once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from skbayes.mixture._components import Components, NormalWishart
from skbayes.mixture._rows import Rows
from skbayes.utils._logs import LOG_2PI

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["expect_missing", "fill_missing"]

#: Bytes of the largest temporary array.
CHUNK_BYTES = 2**24


class Completed(NamedTuple):
    """A chunk of N rows with U patterns, filled in under each component.

    ``log_joint`` (N, K) integrates the missing values; ``values`` (N, K, D) are their
    conditional means beside the observed; ``covariance`` (U, K, D, D), or (U, K, D) of
    diagonals, is zero where observed; ``pattern`` (N,) points into it.
    """

    rows: Rows
    log_joint: np.ndarray
    values: np.ndarray
    covariance: np.ndarray
    pattern: np.ndarray


def expect_missing(
    components: Components,
    factors: np.ndarray,
    q: NormalWishart,
    rows: Rows,
    moments: np.ndarray,
) -> float:
    """Add the statistics of incomplete rows to ``moments``; returns their summed log norms."""
    quadratic, log_norm = components.n_quadratic, 0.0
    for chunk in _completed(components, factors, q, rows):
        shares, norm = _shares(chunk.log_joint)
        log_norm += float(chunk.rows.weight @ norm)
        shares *= chunk.rows.weight[:, None]
        weighted = np.moveaxis(shares[..., None] * chunk.values, 1, 0)
        second = weighted.mT @ np.moveaxis(chunk.values, 1, 0)
        by_pattern = np.zeros((len(chunk.covariance), len(factors)))
        np.add.at(by_pattern, chunk.pattern, shares)
        shape = (*by_pattern.shape, *chunk.covariance.shape[2:])
        covariance = np.broadcast_to(chunk.covariance, shape)
        spread = np.einsum("uk,uk...->k...", by_pattern, covariance)
        if spread.ndim == 2:
            spread = spread[..., None] * np.eye(spread.shape[-1])
        moments[:, :quadratic] += components.pack_moments(second + spread)
        moments[:, quadratic:-1] += weighted.sum(1)
        moments[:, -1] += shares.sum(0)
    return log_norm


def fill_missing(components: Components, factors: np.ndarray, q: NormalWishart, rows: Rows) -> Rows:
    """Complete rows: missing values at their expectations."""
    filled = np.zeros(rows.values.shape)
    start = 0
    for chunk in _completed(components, factors, q, rows):
        shares, _ = _shares(chunk.log_joint)
        stop = start + len(chunk.rows)
        filled[:, start:stop] = np.einsum("nk,nkd->dn", shares, chunk.values)
        start = stop
    return rows.complete(filled)


def _shares(log_joint: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Responsibilities (N, K) and log norms (N,)."""
    largest = log_joint.max(axis=1, keepdims=True)
    shares = np.exp(log_joint - largest)
    total = shares.sum(axis=1, keepdims=True)
    return shares / total, (np.log(total) + largest)[:, 0]


def _completed(
    components: Components, factors: np.ndarray, q: NormalWishart, rows: Rows
) -> Iterator[Completed]:
    precision = components.expected_precision(q)
    complete = _complete_matrix if precision.ndim == 3 else _complete_axes
    # The constants hold -m' Lambda m / 2, which here is part of the quadratic form.
    linear = factors[:, components.n_quadratic : -1]
    constant = factors[:, -1] + 0.5 * (linear * q.mean).sum(1)
    size = max(1, CHUNK_BYTES // (8 * len(factors) * components.n_columns**2))
    for chunk in rows.chunks(size):
        mask = chunk.mask.T
        observed, pattern = np.unique(mask, axis=0, return_inverse=True)
        pattern, seen = pattern.ravel(), mask[:, None]
        deviation = np.where(seen, chunk.values.T[:, None] - q.mean, 0.0)
        log_norm, away, covariance = complete(precision, deviation, observed, pattern)
        n_missing = (~mask).sum(axis=1, keepdims=True)
        log_joint = constant + log_norm + n_missing / 2 * LOG_2PI
        yield Completed(chunk, log_joint, q.mean + away, covariance, pattern)


def _complete_matrix(
    precision: np.ndarray, deviation: np.ndarray, observed: np.ndarray, pattern: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log integral of each row, its deviation filled in, and covariances of the missing."""
    missing = ~observed
    pairs = missing[:, None, :, None] & missing[:, None, None, :]
    kept = np.where(pairs, precision, np.eye(precision.shape[-1]))
    covariance = np.where(pairs, np.linalg.inv(kept), 0.0)
    log_det = np.linalg.slogdet(kept).logabsdet
    pull = (precision @ deviation[..., None])[..., 0]
    shift = (covariance[pattern] @ pull[..., None])[..., 0]
    squared = ((deviation - shift) * pull).sum(-1)
    return -0.5 * (squared + log_det[pattern]), deviation - shift, covariance


def _complete_axes(
    precision: np.ndarray, deviation: np.ndarray, observed: np.ndarray, pattern: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same for independent columns: missing values are at their means."""
    missing = ~observed[:, None]
    covariance = np.where(missing, 1 / precision, 0.0)
    log_det = np.where(missing, np.log(precision), 0.0).sum(-1)
    squared = (precision * deviation**2).sum(-1)
    return -0.5 * (squared + log_det[pattern]), deviation, covariance
