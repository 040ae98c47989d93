"""The model: priors of weights and components, and the steps of variational inference.

The E-step gives expected statistics of rows by two matrix products a chunk, the M-step the
best q of the parameters given these, and both give the bound. With q(z) the best one given
the parameters' posterior, its entropy follows from sums that the E-step has anyway, so that
no array of rows times components is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from skbayes.mixture._components import COVARIANCE_TYPES, Components, NormalWishart, Prior
from skbayes.mixture._rows import MATRICES, RowMoments, Rows
from skbayes.mixture._weights import WEIGHT_PRIORS, DirichletProcessWeights, DirichletWeights
from skbayes.utils._logs import LOG_2PI

if TYPE_CHECKING:
    import torch

__all__ = ["Mixture", "Posterior", "Statistics", "make_mixture", "model_of", "responsibilities"]

#: Bytes of features in a chunk, which should stay in the processor's outer cache; of those in
#: a chunk on a torch device; of the largest array where values are missing.
CHUNK_BYTES, DEVICE_BYTES, MISSING_BYTES = 2**22, 2**28, 2**24
#: Largest error in a log density, in nats, for which single precision is kept.
SINGLE_ERROR = 1e-3
#: Least variance of a column in the default prior, relative to that of the data.
LEAST_VARIANCE = 1e-6


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


@dataclass
class Posterior:
    """q(pi) and q(mu, Lambda), the best given expected statistics."""

    mixture: Mixture
    statistics: Statistics

    @cached_property
    def q(self) -> NormalWishart:
        """Normal-Wishart factor of the means and precisions."""
        return self.mixture.components.posterior(self.statistics.moments)

    @cached_property
    def coefficients(self) -> np.ndarray:
        """E[log pi_k N(x | mu_k, Lambda_k)] as coefficients (K, n_features) of features."""
        result = self.mixture.components.coefficients(self.q)
        result[:, -1] += self.mixture.weights.expected_log(self.statistics.counts)
        return result


@dataclass(frozen=True)
class Mixture:
    """The model: a prior of the weights and a prior of the components."""

    weights: DirichletWeights | DirichletProcessWeights
    components: Components

    def m_step(self, statistics: Statistics) -> Posterior:
        """Best q of the parameters given q(z)."""
        return Posterior(self, statistics)

    def e_step(self, posterior: Posterior, rows: Rows) -> Statistics:
        """Expected statistics of rows under the best q(z), and q(missing | z)."""
        # Rounded once, so that log norms and moments are of the same coefficients.
        coefficients = posterior.coefficients.astype(self._dtype(posterior, rows))
        moments, log_norm = np.zeros(coefficients.shape), 0.0
        for part in rows.parts():
            if part.placed is not None:
                log_norm += self._add_placed(coefficients, part, moments)
            elif part.observed is None:
                log_norm += self._add_complete(coefficients, part, moments)
            else:
                log_norm += self._add_incomplete(coefficients, posterior.q, part, moments)
        return Statistics(moments, log_norm - float(np.vdot(moments, coefficients)))

    def bound(self, posterior: Posterior) -> float:
        """The evidence lower bound, in nats, at the best q of the parameters.

        With them integrated, it is the entropy of q(z) plus log p(expected statistics),
        with every constant (Bishop 2006, eq. 10.70, at the optimum of q(pi, mu, Lambda)).
        """
        moments, entropy = posterior.statistics
        counts = moments[:, -1]
        components = float(self.components.log_evidences(posterior.q, counts).sum())
        return entropy + self.weights.log_evidence(counts) + components

    def arranged(self, statistics: Statistics) -> Statistics:
        """Statistics with the largest components first, where order matters and that pays."""
        if not self.weights.ordered:
            return statistics
        counts = statistics.counts
        order = np.argsort(-counts, kind="stable")
        if self.weights.log_evidence(counts[order]) <= self.weights.log_evidence(counts):
            return statistics
        return statistics._replace(moments=statistics.moments[order])

    # --- complete rows ---------------------------------------------------------------

    def _dtype(self, posterior: Posterior, rows: Rows) -> np.dtype:
        """The rows' own, but double where values are missing or digits would cancel.

        They cancel where a component is narrow for its place, or flat: the terms of
        x' Lambda x are large, and what remains of their sum is small.
        """
        dtype = rows.values.dtype
        if dtype == np.float64 or rows.observed is not None:
            return np.dtype(np.float64)
        terms = self.components.square_terms(posterior.q, posterior.coefficients)
        error = terms.sum(1).max() * np.finfo(dtype).eps
        return np.dtype(dtype if error < SINGLE_ERROR else np.float64)

    def chunk_rows(self, dtype: np.dtype) -> int:
        """Number of rows whose features fill a chunk."""
        return max(32, CHUNK_BYTES // (self.components.n_features * dtype.itemsize))

    def chunks(self, rows: Rows, dtype: np.dtype) -> Iterator[tuple[slice, np.ndarray]]:
        """Slices of complete rows and their features, which the next chunk overwrites.

        Features of few rows are computed once and kept with them.
        """
        size, components = self.chunk_rows(dtype), self.components
        if len(rows) <= size:
            if dtype not in rows.kept:
                rows.kept[dtype] = components.features(rows.values.astype(dtype, copy=False))
            yield slice(0, len(rows)), rows.kept[dtype]
            return
        work = np.empty((components.n_features, size), dtype=dtype)
        for start in range(0, len(rows), size):
            at = slice(start, min(start + size, len(rows)))
            values = rows.values[:, at].astype(dtype, copy=False)
            yield at, components.features(values, out=work[:, : at.stop - start])

    def _add_complete(self, coefficients: np.ndarray, rows: Rows, moments: np.ndarray) -> float:
        """Add the statistics of complete rows to ``moments``; returns their summed log norms."""
        log_norm, dtype = 0.0, coefficients.dtype
        for at, features in self.chunks(rows, dtype):
            weight, joint = rows.weight[at], coefficients @ features
            log_norm += float(weight @ responsibilities(joint))
            joint *= weight.astype(dtype, copy=False)
            moments += joint @ features.T
        return log_norm

    def _add_placed(self, coefficients: np.ndarray, rows: Rows, moments: np.ndarray) -> float:
        """The same on a torch device: rows stay there, sums come back in double precision."""
        import torch

        placed: torch.Tensor = rows.placed
        numpy_dtype, dtype = coefficients.dtype, getattr(torch, str(coefficients.dtype))
        factors = torch.tensor(coefficients, device=placed.device)
        size = max(32, DEVICE_BYTES // (self.components.n_features * numpy_dtype.itemsize))
        log_norm = 0.0
        for start in range(0, len(rows), size):
            values = placed[:, start : start + size].to(dtype)
            weight = rows.weight[start : start + size]
            ones = torch.ones_like(values[:1])
            features = torch.cat([self.components.quadratic(values), values, ones])
            joint = factors @ features
            norm = joint.logsumexp(0)
            shares = (joint - norm).exp_() * torch.tensor(weight.astype(numpy_dtype)).to(values)
            moments += (shares @ features.T).cpu().double().numpy()
            log_norm += float(weight @ norm.cpu().double().numpy())
        return log_norm

    # --- rows with missing values ----------------------------------------------------

    def _add_incomplete(
        self, coefficients: np.ndarray, q: NormalWishart, rows: Rows, moments: np.ndarray
    ) -> float:
        """The same of incomplete rows: their values are moments given the observed."""
        quadratic, log_norm = self.components.n_quadratic, 0.0
        for at, completed in self._completed(coefficients, q, rows):
            norm = responsibilities(completed.log_joint)
            log_norm += float(rows.weight[at] @ norm)
            shares = completed.log_joint.T * rows.weight[at][:, None]
            weighted = np.moveaxis(shares[..., None] * completed.values, 1, 0)
            second = weighted.mT @ np.moveaxis(completed.values, 1, 0)
            by_pattern = np.zeros((len(completed.covariance), len(moments)))
            np.add.at(by_pattern, completed.pattern, shares)
            shape = (*by_pattern.shape, *completed.covariance.shape[2:])
            covariance = np.broadcast_to(completed.covariance, shape)
            covariance = np.einsum("uk,uk...->k...", by_pattern, covariance)
            if covariance.ndim == 2:
                covariance = covariance[..., None] * np.eye(covariance.shape[-1])
            moments[:, :quadratic] += self.components.pack_moments(second + covariance)
            moments[:, quadratic:-1] += weighted.sum(1)
            moments[:, -1] += shares.sum(0)
        return log_norm

    def filled(self, posterior: Posterior, rows: Rows) -> Rows:
        """Complete rows: missing values at their expectations."""
        if rows.observed is None:
            return rows
        values = np.zeros(rows.values.shape)
        for at, completed in self._completed(posterior.coefficients, posterior.q, rows):
            responsibilities(completed.log_joint)
            values[:, at] = np.einsum("kn,nkd->dn", completed.log_joint, completed.values)
        return Rows(np.where(rows.observed, rows.values, values), rows.weight)

    def _completed(
        self, coefficients: np.ndarray, q: NormalWishart, rows: Rows
    ) -> Iterator[tuple[slice, Completed]]:
        """Chunks of incomplete rows.

        Given z = k the best q(missing | z) is the conditional of a normal of mean m_k and
        precision E[Lambda_k]; its entropy is part of the bound, its covariance part of the
        statistics. Patterns of missing values that rows share are factored once.
        """
        components = self.components
        precision = components.expected_precision(q)
        # The constants hold -m' Lambda m / 2, which here is part of the quadratic form.
        linear = coefficients[:, components.n_quadratic : -1]
        constant = coefficients[:, -1] + 0.5 * (linear * q.mean).sum(1)
        size = max(1, MISSING_BYTES // (8 * len(coefficients) * components.n_columns**2))
        for start in range(0, len(rows), size):
            at = slice(start, min(start + size, len(rows)))
            mask = rows.mask[:, at].T
            observed, pattern = np.unique(mask, axis=0, return_inverse=True)
            pattern = pattern.ravel()
            away = np.where(mask[:, None], rows.values[:, at].T[:, None] - q.mean, 0.0)
            log_norm, away, covariance = components.complete(precision, away, observed, pattern)
            n_missing = (~mask).sum(axis=1, keepdims=True)
            log_joint = constant + log_norm + n_missing / 2 * LOG_2PI
            yield at, Completed(log_joint.T, q.mean + away, covariance, pattern)


class Completed(NamedTuple):
    """A chunk of N rows with U patterns of missing values, filled in under each component.

    ``log_joint`` (K, N) integrates the missing values; ``values`` (N, K, D) are their
    conditional means beside the observed; ``covariance`` (U, K, D, D), or (U, K, D) of
    diagonals, is zero where observed; ``pattern`` (N,) points into it.
    """

    log_joint: np.ndarray
    values: np.ndarray
    covariance: np.ndarray
    pattern: np.ndarray


def responsibilities(joint: np.ndarray) -> np.ndarray:
    """Turn log joints (K, N) into responsibilities, in place; returns their log norms (N,)."""
    largest = joint.max(axis=0)
    joint -= largest
    np.exp(joint, out=joint)
    total = joint.sum(axis=0)
    joint /= total
    return np.log(total) + largest


# --- the model of an estimator's parameters ----------------------------------------------


def make_mixture(
    weight_prior: str, n_components: int, concentration: float, covariance_type: str, prior: Prior
) -> Mixture:
    """The model of given priors."""
    return Mixture(
        WEIGHT_PRIORS[weight_prior](n_components, concentration),
        COVARIANCE_TYPES[covariance_type](prior),
    )


def model_of(estimator: Any, data: RowMoments) -> Mixture:
    """The model of an estimator's parameters and, where these are None, of the rows' moments.

    Priors are in units of the computation.
    """
    n_components, concentration = estimator.n_components, estimator.weight_concentration
    covariance_type, units = estimator.covariance_type, data.units
    if concentration is None:
        concentration = 1 / n_components if estimator.weight_prior == "dirichlet" else 1.0
    n_columns = len(units.centre)
    mean = _checked(estimator, "mean_prior", (n_columns,))
    mean = np.zeros(n_columns) if mean is None else (mean - units.centre) / units.scale
    least = n_columns - 1 if covariance_type in MATRICES else 0
    dof = estimator.degrees_of_freedom_prior
    if dof is None:
        dof = least + 1  # every variance alone has one
    elif dof <= least:
        raise ValueError(
            f"degrees_of_freedom_prior={dof!r} leaves no density: with {n_columns} columns and "
            f"covariance_type={covariance_type!r} it must exceed {least}"
        )
    scatter = _prior_scatter(estimator, data)
    prior = Prior(mean, float(estimator.mean_precision_prior), float(dof), scatter)
    return make_mixture(estimator.weight_prior, n_components, concentration, covariance_type, prior)


def _prior_scatter(estimator: Any, data: RowMoments) -> np.ndarray:
    """The given prior covariance in the rows' units, or that of the data."""
    units, type_ = data.units, estimator.covariance_type
    n_columns = len(units.centre)
    shapes = {"diag": (n_columns,), "spherical": ()}
    given = _checked(estimator, "covariance_prior", shapes.get(type_, (n_columns, n_columns)))
    if given is None:
        return _default_scatter(data, type_)
    if type_ == "spherical":
        scatter = np.atleast_1d(given) / units.scale[0] ** 2
    elif type_ == "diag":
        scatter = given / units.scale**2
    else:
        scatter = given / units.scale / units.scale[:, None]
        if not np.allclose(scatter, scatter.T):
            raise ValueError("covariance_prior must be symmetric; use (C + C.T) / 2")
    least = np.linalg.eigvalsh(scatter)[0] if scatter.ndim == 2 else scatter.min()
    if not least > 0:
        raise ValueError(
            "covariance_prior must be positive definite; add a small multiple of the identity"
        )
    return scatter


def _default_scatter(data: RowMoments, covariance_type: str) -> np.ndarray:
    """Covariance of the data; of a column without a value so far, a variance of one."""
    known = data.n_observed > 0
    variance = np.where(known, data.mean_and_variance()[1], 1.0)
    if covariance_type == "spherical":
        common = variance[known] if known.any() else variance
        return np.maximum(common.mean(keepdims=True), LEAST_VARIANCE)
    variance = variance + LEAST_VARIANCE
    if covariance_type == "diag":
        return variance
    covariance = data.covariance()
    np.fill_diagonal(covariance, variance)
    return covariance


def _checked(estimator: Any, name: str, shape: tuple[int, ...]) -> np.ndarray | None:
    """A parameter as a finite array of the right shape, or None."""
    value = getattr(estimator, name)
    if value is None:
        return None
    array = np.asarray(value, dtype=np.float64)
    if array.shape != shape:
        raise ValueError(
            f"{name} has shape {array.shape}, but covariance_type="
            f"{estimator.covariance_type!r} and the columns of X need {shape}"
        )
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, got {value!r}")
    return array
