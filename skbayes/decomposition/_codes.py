"""Posterior of the codes of rows with missing values, without a loop over rows.

Rows that lack the same features share a posterior covariance, so q x q systems are solved
once a pattern, all in one batched call; everything else is matrix products.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from skbayes.decomposition._loadings import Factors
from skbayes.utils._logs import LOG_2PI

#: Numbers in the largest temporary array of a block of rows.
BLOCK_SIZE = 2**22
#: Noise of a larger share of the squared loadings leaves digits to a plain inverse.
WELL_CONDITIONED = 1e-9


@dataclass(frozen=True)
class Patterns:
    """The distinct patterns of observed features, and which of them each row has."""

    observed: np.ndarray  # (P, D), 1.0 where observed
    of_row: np.ndarray  # (N,)

    @classmethod
    def of_rows(cls, X: np.ndarray) -> Patterns:
        """Patterns of rows whose missing values are NaN."""
        mask = ~np.isnan(X)
        if mask.all():
            return cls(np.ones((1, X.shape[1])), np.zeros(len(X), dtype=np.intp))
        # One opaque item a row sorts far faster than rows of booleans do.
        packed = np.packbits(mask, axis=1)
        keys = np.ascontiguousarray(packed).view(f"V{packed.shape[1]}").ravel()
        _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
        return cls(mask[first].astype(np.float64), inverse.ravel())

    def __getitem__(self, at: slice) -> Patterns:
        """The patterns of a block of rows."""
        if at.start == 0 and at.stop >= len(self.of_row):
            return self
        used, of_row = np.unique(self.of_row[at], return_inverse=True)
        return Patterns(self.observed[used], of_row.ravel())


@dataclass(frozen=True)
class Codes:
    """Normal posteriors of the codes of N rows of P patterns."""

    mean: np.ndarray  # (N, q)
    covariance: np.ndarray  # (P, q, q)
    log_density: np.ndarray  # (N,), of the rows' observed values


def infer_codes(factors: Factors, centred: np.ndarray, patterns: Patterns) -> Codes:
    """Posterior of the codes (Tipping and Bishop, 1999, section 3), and log density.

    ``centred`` holds rows less the mean, and zero where a value is missing.
    """
    W, v = factors.loadings, factors.noise
    n_codes = W.shape[1]
    squares = (W[:, :, None] * W[:, None, :]).reshape(len(W), -1)
    inner = (patterns.observed @ squares).reshape(-1, n_codes, n_codes)
    projected = centred @ W
    if v > WELL_CONDITIONED * inner.max(initial=0.0):
        M = inner + v * np.eye(n_codes)
        inverse = np.linalg.inv(M)
        mean = np.einsum("nij,nj->ni", inverse[patterns.of_row], projected)
        root = np.diagonal(np.linalg.cholesky(M), axis1=1, axis2=2)
        log_det = 2 * np.log(root).sum(axis=1)
    else:
        # By a root of the inverse, or codes that a row says nothing of spoil the others.
        values, axes = np.linalg.eigh(inner)
        values = np.maximum(values, 0.0) + v
        root = axes / np.sqrt(values)[:, None, :]
        inverse, log_det = root @ root.swapaxes(1, 2), np.log(values).sum(axis=1)
        parts = np.einsum("nji,nj->ni", root[patterns.of_row], projected)
        mean = np.einsum("nij,nj->ni", root[patterns.of_row], parts)
    residual = centred - (mean @ W.T) * patterns.observed[patterns.of_row]
    # The least value over z of |x - Wz|² / v + |z|²: no difference of large numbers.
    quadratic = (residual**2).sum(axis=1) / v + (mean**2).sum(axis=1)
    n_observed = patterns.observed.sum(axis=1)
    log_det = log_det + (n_observed - n_codes) * np.log(v)
    constant = (n_observed * LOG_2PI + log_det)[patterns.of_row]
    return Codes(mean, v * inverse, -0.5 * (constant + quadratic))


def blocks(n_rows: int, width: int) -> Iterator[slice]:
    """Slices of rows whose temporaries of ``width`` numbers a row stay small."""
    step = max(1, BLOCK_SIZE // width)
    for start in range(0, n_rows, step):
        yield slice(start, start + step)


def width(factors: Factors) -> int:
    """Numbers a row in the temporaries of `infer_codes` and of the sums over codes."""
    return len(factors.mean) + (len(factors.variances) + 1) ** 2


def centre(X: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Rows less the mean, in double precision, zero where a value is missing."""
    centred = X.astype(np.float64) - mean
    return np.where(np.isnan(centred), 0.0, centred)
