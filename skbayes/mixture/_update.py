"""One update of a mixture: expected statistics by two matrix products a chunk, and the bound.

With q(z) the best one given the parameters' posterior, the entropy of q(z) follows from
sums that the update has anyway, so that no array of rows times components is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from skbayes.mixture._axes import DiagonalComponents, SphericalComponents
from skbayes.mixture._components import Components, NormalWishart
from skbayes.mixture._device import expect_placed
from skbayes.mixture._matrix import FullComponents, TiedComponents
from skbayes.mixture._missing import expect_missing
from skbayes.mixture._rows import Rows
from skbayes.mixture._weights import DirichletProcessWeights, DirichletWeights

__all__ = [
    "COVARIANCE_TYPES",
    "Mixture",
    "Statistics",
    "expect",
    "kept_features",
    "responsibilities",
]

COVARIANCE_TYPES: dict[str, type[Components]] = {
    "full": FullComponents,
    "tied": TiedComponents,
    "diag": DiagonalComponents,
    "spherical": SphericalComponents,
}
#: Bytes of features in a chunk, which should stay in the processor's outer cache.
CHUNK_BYTES = 2**22
#: Largest error in a log density, in nats, for which single precision is kept.
SINGLE_ERROR = 1e-3


class Statistics(NamedTuple):
    """Expected statistics (K, n_features) and the entropy of q(z) and of missing values.

    Both add over rows, so that chunks and streams are sums.
    """

    moments: np.ndarray
    entropy: float

    @property
    def counts(self) -> np.ndarray:
        """Expected numbers of rows (K,)."""
        return self.moments[:, -1]

    def plus(self, other: Statistics, sign: float = 1.0) -> Statistics:
        """Add the statistics of other rows, or take them off."""
        entropy = self.entropy + sign * other.entropy
        return Statistics(self.moments + sign * other.moments, entropy)

    def times(self, factor: float) -> Statistics:
        """The statistics of rows with ``factor`` times their weights."""
        return Statistics(factor * self.moments, factor * self.entropy)


@dataclass(frozen=True)
class Mixture:
    """The model: a prior of the weights and a prior of the components."""

    weights: DirichletWeights | DirichletProcessWeights
    components: Components

    def posterior(self, statistics: Statistics) -> NormalWishart:
        """Best q(mu, Lambda) given q(z)."""
        return self.components.posterior(statistics.moments)

    def coefficients(self, statistics: Statistics, q: NormalWishart | None = None) -> np.ndarray:
        """E[log pi_k N(x | mu_k, Lambda_k)] as coefficients (K, n_features) of features."""
        result = self.components.coefficients(q or self.posterior(statistics))
        result[:, -1] += self.weights.expected_log(statistics.counts)
        return result

    def bound(self, statistics: Statistics, q: NormalWishart | None = None) -> float:
        """The evidence lower bound, in nats, at the best q of the parameters.

        With them integrated, it is the entropy of q(z) plus log p(expected statistics),
        with every constant (Bishop 2006, eq. 10.70, at the optimum of q(pi, mu, Lambda)).
        """
        counts = statistics.counts
        parameters = self.components.log_evidence(q or self.posterior(statistics), counts)
        return statistics.entropy + self.weights.log_evidence(counts) + parameters

    def arranged(self, statistics: Statistics) -> Statistics:
        """Statistics with the largest components first, where order matters and that pays."""
        if not self.weights.ordered:
            return statistics
        counts = statistics.counts
        order = np.argsort(-counts, kind="stable")
        if self.weights.log_evidence(counts[order]) <= self.weights.log_evidence(counts):
            return statistics
        return statistics._replace(moments=statistics.moments[order])


def expect(mixture: Mixture, coefficients: np.ndarray, q: NormalWishart, rows: Rows) -> Statistics:
    """Statistics of rows under the best q(z), and q(missing | z)."""
    moments, log_norm = np.zeros(coefficients.shape), 0.0
    dtype = working_dtype(mixture.components, coefficients, q, rows)
    # Rounded once, so that log norms and moments are of the same coefficients.
    factors = coefficients.astype(dtype)
    for part in rows.parts():
        if part.placed is not None:
            log_norm += expect_placed(mixture.components, factors, part, moments)
        elif part.observed is None:
            log_norm += _expect_complete(mixture.components, factors, part, moments)
        else:
            log_norm += expect_missing(mixture.components, factors, q, part, moments)
    return Statistics(moments, log_norm - float(np.vdot(moments, factors)))


def _expect_complete(
    components: Components, factors: np.ndarray, rows: Rows, moments: np.ndarray
) -> float:
    """Add the statistics of complete rows to ``moments``; returns their summed log norms."""
    size = chunk_size(components, factors.dtype)
    if len(rows) <= size:
        return _add(factors, kept_features(components, rows, factors.dtype), rows, moments)
    work = np.empty((components.n_features, min(size, len(rows))), dtype=factors.dtype)
    log_norm = 0.0
    for chunk in rows.chunks(size):
        values = chunk.values.astype(factors.dtype, copy=False)
        features = components.features(values, out=work[:, : len(chunk)])
        log_norm += _add(factors, features, chunk, moments)
    return log_norm


def kept_features(components: Components, rows: Rows, dtype: np.dtype) -> np.ndarray:
    """Features of few rows, computed at the first update and kept with the rows."""
    if dtype not in rows.kept:
        rows.kept[dtype] = components.features(rows.values.astype(dtype, copy=False))
    return rows.kept[dtype]


def _add(factors: np.ndarray, features: np.ndarray, rows: Rows, moments: np.ndarray) -> float:
    """Add the statistics of some rows to ``moments``; returns their summed log norms."""
    joint = factors @ features
    log_norm = float(rows.weight @ responsibilities(joint))
    joint *= rows.weight.astype(factors.dtype, copy=False)
    moments += joint @ features.T
    return log_norm


def chunk_size(components: Components, dtype: np.dtype) -> int:
    """Rows whose features fill a chunk."""
    return max(32, CHUNK_BYTES // (components.n_features * dtype.itemsize))


def responsibilities(joint: np.ndarray) -> np.ndarray:
    """Turn log joints (K, N) into responsibilities, in place; returns their log norms (N,)."""
    largest = joint.max(axis=0)
    joint -= largest
    np.exp(joint, out=joint)
    total = joint.sum(axis=0)
    joint /= total
    return np.log(total) + largest


def working_dtype(
    components: Components, factors: np.ndarray, q: NormalWishart, rows: Rows
) -> np.dtype:
    """The rows' own, but double where values are missing or digits would cancel.

    They cancel where a component is narrow for its place, or flat: the terms of x' Lambda x
    are large, and what remains of their sum is small.
    """
    dtype = rows.values.dtype
    if dtype == np.float64 or rows.observed is not None:
        return np.dtype(np.float64)
    squared = q.mean**2 + components.variances(q)
    largest = (components.precision_diagonal(factors) * squared).sum(1).max()
    return np.dtype(dtype if largest * np.finfo(dtype).eps < SINGLE_ERROR else np.float64)
