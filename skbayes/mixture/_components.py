"""Gaussian components under their conjugate priors, one class a covariance type.

Rows are stored last, (D, N): sums over features and over components then run along
contiguous memory. A component's expected log density is linear in the features
[quadratic terms, x, 1] of a row, and its sufficient statistics are weighted sums of the
same features, so that one update of a mixture is two matrix products. Equations are those
of Bishop (2006), section 10.2.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from scipy.special import digamma, gammaln

from skbayes.utils._logs import LOG_2PI, log1p_square

__all__ = [
    "COVARIANCE_TYPES",
    "Components",
    "DiagonalComponents",
    "Draws",
    "FullComponents",
    "NormalWishart",
    "Prior",
    "SphericalComponents",
    "TiedComponents",
]


class Prior(NamedTuple):
    """Hyperparameters: mean (D,), its precision factor, degrees of freedom, scatter W0^-1."""

    mean: np.ndarray
    precision: float
    dof: float
    scatter: np.ndarray


@dataclass
class NormalWishart:
    """Posterior q(mu, Lambda) over means and precisions of K components.

    ``mean`` (K, D) and its precision factor ``precision`` (K,); ``dof`` and ``scatter`` (the
    inverse of the Wishart's scale) have shapes that depend on the covariance type, with a
    leading axis of 1 where components share one precision.
    """

    mean: np.ndarray
    precision: np.ndarray
    dof: np.ndarray
    scatter: np.ndarray

    @cached_property
    def factor(self) -> np.ndarray:
        """L of scatter = L L', where scatters are matrices."""
        return np.linalg.cholesky(self.scatter)

    @cached_property
    def inverse_factor(self) -> np.ndarray:
        """L^-1."""
        return np.linalg.inv(self.factor)

    @cached_property
    def log_det(self) -> np.ndarray:
        """Log determinants of scatters that are matrices."""
        return 2 * np.log(self.factor.diagonal(axis1=-2, axis2=-1)).sum(-1)


class Draws(NamedTuple):
    """Means (S, K, D) and roots of precisions, with the leading axes (S, K) or (S, 1)."""

    mean: np.ndarray
    root: np.ndarray


class _Components(ABC):
    """Base of the covariance types: features of rows, and sums of them.

    Parameters
    ----------
    prior : Prior
        Hyperparameters in the units of the rows.
    """

    def __init__(self, prior: Prior) -> None:
        self.prior = prior
        self.n_columns = len(prior.mean)

    @property
    @abstractmethod
    def n_quadratic(self) -> int:
        """Number of quadratic features."""

    @property
    def n_features(self) -> int:
        """Number of all features of a row."""
        return self.n_quadratic + self.n_columns + 1

    @property
    def n_parameters(self) -> int:
        """Free parameters that one more component brings, its weight among them."""
        return self.n_features

    @abstractmethod
    def fill_quadratic(self, rows: np.ndarray, out: np.ndarray) -> None:
        """Write the quadratic features of rows (D, N) into ``out`` (n_quadratic, N)."""

    def features(self, rows: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Features (n_features, N) of rows (D, N)."""
        if out is None:
            out = np.empty((self.n_features, rows.shape[1]), dtype=rows.dtype)
        quadratic = self.n_quadratic
        self.fill_quadratic(rows, out[:quadratic])
        out[quadratic:-1] = rows
        out[-1] = 1
        return out

    def split(self, moments: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Quadratic sums, sums (K, D) and counts (K,)."""
        quadratic = self.n_quadratic
        return moments[:, :quadratic], moments[:, quadratic:-1], moments[:, -1]

    def _location(self, sums: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Posterior mean and precision factor of the means (eqs. 10.60, 10.61)."""
        precision = self.prior.precision + counts
        mean = (self.prior.precision * self.prior.mean + sums) / precision[:, None]
        return mean, precision

    @abstractmethod
    def posterior(self, moments: np.ndarray) -> NormalWishart:
        """Conjugate posterior given expected statistics (K, n_features)."""

    @abstractmethod
    def log_evidences(self, q: NormalWishart, counts: np.ndarray) -> np.ndarray:
        """Log densities (K,) of the rows allocated to each component, in nats.

        Means and precisions are integrated. Of a precision that components share each
        has a Kth.
        """

    def merge_gains(self, moments: np.ndarray, pairs: np.ndarray) -> np.ndarray:
        """Gains (n,) of the log evidence when the rows of pairs (n, 2) are put together."""
        merged = moments[pairs].sum(1)
        apart = self.log_evidences(self.posterior(moments), moments[:, -1])
        together = self.log_evidences(self.posterior(merged), merged[:, -1])
        return together - apart[pairs].sum(1)


class FullComponents(_Components):
    """Normal-Wishart components: mu_k, Lambda_k ~ N(m0, (beta0 Lambda_k)^-1) W(W0, nu0).

    Parameters
    ----------
    prior : Prior
        With a scatter (D, D), the inverse of W0.
    """

    def __init__(self, prior: Prior) -> None:
        super().__init__(prior)
        log_det = np.linalg.slogdet(prior.scatter).logabsdet
        self._prior_norm = _log_wishart_norm(np.array([prior.dof]), log_det, self.n_columns)
        self._upper = np.triu_indices(self.n_columns)
        # A packed product stands for both (i, j) and (j, i) off the diagonal.
        self._twice = np.where(self._upper[0] == self._upper[1], 1.0, 2.0)

    @property
    def n_quadratic(self) -> int:
        return self.n_columns * (self.n_columns + 1) // 2

    def fill_quadratic(self, rows: np.ndarray, out: np.ndarray) -> None:
        start = 0
        for d in range(self.n_columns):
            stop = start + self.n_columns - d
            np.multiply(rows[d:], rows[d], out=out[start:stop])
            start = stop

    def quadratic(self, rows: Any) -> Any:
        """Quadratic features (n_quadratic, N) of rows (D, N), arrays or tensors."""
        return rows[self._upper[0]] * rows[self._upper[1]]

    def pack_moments(self, second: np.ndarray) -> np.ndarray:
        """Quadratic part (..., n_quadratic) of second moments (..., D, D)."""
        return second[..., self._upper[0], self._upper[1]]

    def moved(self, moments: np.ndarray, factor: np.ndarray, shift: np.ndarray) -> np.ndarray:
        """Statistics (K, n_features) of rows ``factor * x + shift``, from those of rows x."""
        quadratic, sums, counts = self.split(moments)
        sums = factor * sums
        moved = sums + shift * counts[:, None]
        rows, columns = self._upper
        packed = quadratic * (factor[rows] * factor[columns])
        packed += sums[:, rows] * shift[columns] + shift[rows] * moved[:, columns]
        return np.concatenate([packed, moved, counts[:, None]], axis=1)

    # --- posterior and evidence ------------------------------------------------------

    def posterior(self, moments: np.ndarray) -> NormalWishart:
        """Equations 10.60 to 10.63."""
        mean, precision, within = self._within(moments)
        return NormalWishart(mean, precision, *self._wishart(within, moments[:, -1]))

    def _within(self, moments: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Posterior means, their precision factors, and scatters (K, D, D) within components."""
        quadratic, sums, counts = self.split(moments)
        mean, precision = self._location(sums, counts)
        second = np.empty((len(moments), self.n_columns, self.n_columns))
        second[:, self._upper[0], self._upper[1]] = quadratic
        second[:, self._upper[1], self._upper[0]] = quadratic
        second += self.prior.precision * _outer(self.prior.mean)
        return mean, precision, second - precision[:, None, None] * _outer(mean)

    def _wishart(self, within: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Degrees of freedom and scatter of the precisions."""
        return self.prior.dof + counts, self.prior.scatter + within

    def expected_precision(self, q: NormalWishart) -> np.ndarray:
        """E[Lambda_k]: (K or 1, D, D) of matrices, or (K, D) of their diagonals."""
        root = q.inverse_factor
        return q.dof[:, None, None] * (root.mT @ root)

    def coefficients(self, q: NormalWishart) -> np.ndarray:
        """E[log N(x | mu_k, Lambda_k)] as coefficients (K, n_features) (eqs. 10.64, 10.65)."""
        n, n_components = self.n_columns, len(q.mean)
        precision = self.expected_precision(q)
        linear = (precision @ q.mean[..., None])[..., 0]
        log_det = digamma((q.dof[:, None] - np.arange(n)) / 2).sum(1)
        log_det += n * np.log(2) - q.log_det
        constant = log_det - n * LOG_2PI - n / q.precision - (linear * q.mean).sum(1)
        quadratic = -0.5 * self._twice * self.pack_moments(precision)
        quadratic = np.broadcast_to(quadratic, (n_components, self.n_quadratic))
        return np.concatenate([quadratic, linear, 0.5 * constant[:, None]], axis=1)

    def square_terms(self, q: NormalWishart, coefficients: np.ndarray) -> np.ndarray:
        """Expected sizes (K, D) of the squares in x' Lambda_k x, whose sum may cancel."""
        precision = -2 * coefficients[:, np.flatnonzero(self._twice == 1)]
        return precision * (q.mean**2 + q.scatter.diagonal(axis1=1, axis2=2) / q.dof[:, None])

    def log_evidences(self, q: NormalWishart, counts: np.ndarray) -> np.ndarray:
        n = self.n_columns
        scale = _log_wishart_norm(q.dof, q.log_det, n) - self._prior_norm
        if len(q.dof) < len(q.precision):
            scale = scale / len(q.precision)  # among those that share it
        return self._log_location(q.precision) + scale - n / 2 * LOG_2PI * counts

    def _log_location(self, precision: np.ndarray) -> np.ndarray:
        """The means' part of the log evidence."""
        return self.n_columns / 2 * np.log(self.prior.precision / precision)

    # --- predictive density and draws ------------------------------------------------

    def log_predictive(self, q: NormalWishart, rows: np.ndarray) -> np.ndarray:
        """Log Student-t densities (K, N) of rows (D, N) (eqs. 10.81, 10.82)."""
        n = len(rows)
        dof = q.dof + 1 - n
        grown = np.log1p(1 / q.precision)
        root = q.inverse_factor
        # scatter (1 + 1 / beta) plays dof times the squared scale.
        centred = rows - q.mean[:, :, None]
        away = (root @ centred) * np.exp(-0.5 * grown)[:, None, None]
        norm = gammaln((dof + n) / 2) - gammaln(dof / 2) - n / 2 * np.log(np.pi)
        norm = norm - 0.5 * (n * grown + q.log_det)
        return norm[:, None] - (dof[:, None] + n) / 2 * log1p_square(away, axis=1)

    def sample_predictive(
        self, q: NormalWishart, labels: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """Draw a row (N, D) from the Student-t density of each label (N,)."""
        n, shape = self.n_columns, (len(q.mean),)
        dof = np.broadcast_to(q.dof + 1 - n, shape)[labels]
        spread = np.sqrt((1 + 1 / q.precision[labels]) / rng.chisquare(dof))
        root = np.broadcast_to(q.factor, (*shape, n, n))[labels]
        noise = rng.standard_normal((len(labels), n, 1))
        return q.mean[labels] + spread[:, None] * (root @ noise)[..., 0]

    def sample(self, q: NormalWishart, n_samples: int, rng: np.random.Generator) -> Draws:
        """Bartlett's decomposition: Lambda = T T' with T = L^-T A, L L' the scatter."""
        n, shape = self.n_columns, (n_samples, len(q.scatter))
        chi2 = rng.chisquare(q.dof[:, None] - np.arange(n), size=(*shape, n))
        bartlett = np.tril(rng.standard_normal((*shape, n, n)), -1)
        bartlett[..., np.arange(n), np.arange(n)] = np.sqrt(chi2)
        root = q.inverse_factor.mT @ bartlett
        noise = rng.standard_normal((n_samples, len(q.mean), n))
        noise /= np.sqrt(q.precision)[:, None]
        return Draws(q.mean + np.linalg.solve(root.mT, noise[..., None])[..., 0], root)

    def log_density(self, draws: Draws, rows: np.ndarray) -> np.ndarray:
        """Normal log densities (S, K, N) of rows (D, N) under each draw."""
        centred = rows - draws.mean[..., None]
        squared = ((draws.root.mT @ centred) ** 2).sum(-2)
        # Roots of marginal draws need not be triangular.
        log_det = 2 * np.linalg.slogdet(draws.root).logabsdet[..., None]
        return 0.5 * (log_det - len(rows) * LOG_2PI - squared)

    # --- some of the columns ---------------------------------------------------------

    def marginal(self, q: NormalWishart, columns: np.ndarray) -> NormalWishart:
        """The posterior's part that `log_predictive` needs of some columns.

        Scatters of an inverse Wishart lose rows, columns and degrees of freedom.
        """
        dof = q.dof - (self.n_columns - len(columns))
        scatter = q.scatter[:, columns[:, None], columns]
        return NormalWishart(q.mean[:, columns], q.precision, dof, scatter)

    def marginal_draws(self, draws: Draws, columns: np.ndarray) -> Draws:
        """Draws of the normals' marginals over some columns."""
        half = np.linalg.inv(draws.root)[..., columns]
        factor = np.linalg.cholesky(half.mT @ half)
        return Draws(draws.mean[..., columns], np.linalg.inv(factor).mT)

    def complete(
        self, precision: np.ndarray, away: np.ndarray, observed: np.ndarray, pattern: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Normal conditionals of missing values given the observed.

        Rows ``away`` (N, K, D) from their means are zero where values are missing; row n has
        those of ``observed[pattern[n]]``, (U, D). Returns the log integral (N, K) over the
        missing values (constants apart), the rows with these filled in, and covariances
        (U, K, D, D), or their diagonals, zero where observed.
        """
        missing = ~observed
        pairs = missing[:, None, :, None] & missing[:, None, None, :]
        kept = np.where(pairs, precision, np.eye(precision.shape[-1]))
        covariance = np.where(pairs, np.linalg.inv(kept), 0.0)
        log_det = np.linalg.slogdet(kept).logabsdet
        pull = (precision @ away[..., None])[..., 0]
        shift = (covariance[pattern] @ pull[..., None])[..., 0]
        squared = ((away - shift) * pull).sum(-1)
        return -0.5 * (squared + log_det[pattern]), away - shift, covariance

    # --- shapes and units of scikit-learn's attributes -------------------------------

    def precision(self, draws: Draws) -> np.ndarray:
        """Precisions of draws, shaped as scikit-learn's ``precisions_`` with draws first."""
        return draws.root @ draws.root.mT

    def mean_covariance(self, q: NormalWishart) -> np.ndarray:
        """Inverses of the expected precisions, shaped as scikit-learn's ``covariances_``."""
        return q.scatter / q.dof[:, None, None]

    def inverse(self, covariance: np.ndarray) -> np.ndarray:
        """Precisions from covariances, or these from those."""
        return np.linalg.inv(covariance)

    def rescaled(self, covariance: np.ndarray, scale: np.ndarray) -> np.ndarray:
        """Covariances of columns multiplied by ``scale`` (D,)."""
        return covariance * scale[:, None] * scale

    def rescaled_precision(self, precision: np.ndarray, scale: np.ndarray) -> np.ndarray:
        """Precisions of columns multiplied by ``scale``."""
        return self.rescaled(precision, 1 / scale)


class TiedComponents(FullComponents):
    """Components with one common precision: one Wishart with nu0 + N degrees of freedom.

    Parameters
    ----------
    prior : Prior
        With a scatter (D, D), the inverse of W0.
    """

    @property
    def n_parameters(self) -> int:
        return self.n_columns + 1

    def _wishart(self, within: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        dof = np.array([self.prior.dof + counts.sum()])
        return dof, self.prior.scatter + within.sum(axis=0, keepdims=True)

    def merge_gains(self, moments: np.ndarray, pairs: np.ndarray) -> np.ndarray:
        _, precision, within = self._within(moments)
        _, merged_precision, merged = self._within(moments[pairs].sum(1))
        dof, scatter = self._wishart(within, moments[:, -1])
        grown = np.linalg.slogdet(scatter + merged - within[pairs].sum(1)).logabsdet
        location = self._log_location(merged_precision)
        location -= self._log_location(precision)[pairs].sum(1)
        return location - dof / 2 * (grown - np.linalg.slogdet(scatter).logabsdet)

    def precision(self, draws: Draws) -> np.ndarray:
        return super().precision(draws)[:, 0]

    def mean_covariance(self, q: NormalWishart) -> np.ndarray:
        return super().mean_covariance(q)[0]


class DiagonalComponents(_Components):
    """Normal-Gamma components: lambda_kd ~ Gamma(nu0 / 2, rate s0_d / 2), columns independent.

    Methods return what those of `FullComponents` return.

    Parameters
    ----------
    prior : Prior
        With a scatter (D,).
    """

    #: Whether all columns share one precision.
    pooled = False

    @property
    def n_quadratic(self) -> int:
        return 1 if self.pooled else self.n_columns

    def fill_quadratic(self, rows: np.ndarray, out: np.ndarray) -> None:
        if self.pooled:
            np.einsum("dn,dn->n", rows, rows, out=out[0])
        else:
            np.multiply(rows, rows, out=out)

    def quadratic(self, rows: Any) -> Any:
        squares = rows * rows
        return squares.sum(0)[None] if self.pooled else squares

    def pack_moments(self, second: np.ndarray) -> np.ndarray:
        return self._pool(second.diagonal(axis1=-2, axis2=-1))

    def _pool(self, columns: np.ndarray) -> np.ndarray:
        """Sums over the columns that share one precision."""
        return columns.sum(-1, keepdims=True) if self.pooled else columns

    def moved(self, moments: np.ndarray, factor: np.ndarray, shift: np.ndarray) -> np.ndarray:
        quadratic, sums, counts = self.split(moments)
        sums = factor * sums
        moved = sums + shift * counts[:, None]
        # Of one precision for all columns the factors are one number.
        squares = quadratic * (factor**2)[: self.n_quadratic]
        squares += self._pool(shift * (sums + moved))
        return np.concatenate([squares, moved, counts[:, None]], axis=1)

    # --- posterior and evidence ------------------------------------------------------

    def posterior(self, moments: np.ndarray) -> NormalWishart:
        """Gamma(dof / 2, scatter / 2) for every precision, by conjugacy."""
        quadratic, sums, counts = self.split(moments)
        mean, precision = self._location(sums, counts)
        prior = self.prior
        known = self._pool(prior.precision * prior.mean**2)
        within = quadratic + known - self._pool(precision[:, None] * mean**2)
        dof = prior.dof + (self.n_columns if self.pooled else 1) * counts
        return NormalWishart(mean, precision, dof, prior.scatter + within)

    def expected_precision(self, q: NormalWishart) -> np.ndarray:
        return np.broadcast_to(q.dof[:, None] / q.scatter, q.mean.shape)

    def coefficients(self, q: NormalWishart) -> np.ndarray:
        n = self.n_columns
        precision = q.dof[:, None] / q.scatter
        log_det = self._log_det(digamma(q.dof / 2)[:, None] - np.log(q.scatter / 2), n)
        linear = precision * q.mean
        constant = log_det - n * LOG_2PI - n / q.precision - (linear * q.mean).sum(1)
        return np.concatenate([-0.5 * precision, linear, 0.5 * constant[:, None]], axis=1)

    def _log_det(self, log_precision: np.ndarray, n_columns: int) -> np.ndarray:
        """Log determinants over ``n_columns`` columns from logs of the precisions."""
        return n_columns / max(1, log_precision.shape[-1]) * log_precision.sum(-1)

    def square_terms(self, q: NormalWishart, coefficients: np.ndarray) -> np.ndarray:
        precision = -2 * coefficients[:, : self.n_quadratic]
        return precision * (q.mean**2 + q.scatter / q.dof[:, None])

    def log_evidences(self, q: NormalWishart, counts: np.ndarray) -> np.ndarray:
        n, prior = self.n_columns, self.prior
        location = n / 2 * np.log(prior.precision / q.precision)
        before = _log_gamma_norm(np.array([prior.dof]), prior.scatter[None])
        scale = (_log_gamma_norm(q.dof, q.scatter) - before).sum(1)
        return location + scale - n / 2 * LOG_2PI * counts

    # --- predictive density and draws ------------------------------------------------

    def log_predictive(self, q: NormalWishart, rows: np.ndarray) -> np.ndarray:
        grown = q.scatter * (1 + 1 / q.precision)[:, None]
        away = (rows - q.mean[:, :, None]) / np.sqrt(grown)[..., None]
        if self.pooled:
            tail, n = log1p_square(away, axis=-2)[..., None, :], len(rows)
        else:
            tail, n = log1p_square(away[..., None, :], axis=-2), 1
        dof = q.dof[:, None]
        norm = gammaln((dof + n) / 2) - gammaln(dof / 2)
        norm = norm - n / 2 * (np.log(np.pi * q.scatter) + np.log1p(1 / q.precision)[:, None])
        return norm.sum(1)[:, None] - ((dof + n)[..., None] / 2 * tail).sum(1)

    def sample_predictive(
        self, q: NormalWishart, labels: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        shape = (len(labels), q.scatter.shape[1])
        spread = q.scatter[labels] * (1 + 1 / q.precision[labels])[:, None]
        spread /= rng.chisquare(q.dof[labels][:, None], size=shape)
        noise = rng.standard_normal((len(labels), self.n_columns))
        return q.mean[labels] + np.sqrt(spread) * noise

    def sample(self, q: NormalWishart, n_samples: int, rng: np.random.Generator) -> Draws:
        shape = (n_samples, *q.scatter.shape)
        root = np.sqrt(rng.chisquare(q.dof[:, None], size=shape) / q.scatter)
        # Gammas of few degrees of freedom underflow; their logs must stay finite.
        root = np.maximum(root, np.sqrt(np.finfo(float).tiny))
        noise = rng.standard_normal((n_samples, *q.mean.shape))
        return Draws(q.mean + noise / (root * np.sqrt(q.precision)[:, None]), root)

    def log_density(self, draws: Draws, rows: np.ndarray) -> np.ndarray:
        away = draws.root[..., None] * (rows - draws.mean[..., None])
        log_det = self._log_det(2 * np.log(draws.root), len(rows))[..., None]
        return 0.5 * (log_det - len(rows) * LOG_2PI - (away**2).sum(-2))

    # --- some of the columns ---------------------------------------------------------

    def marginal(self, q: NormalWishart, columns: np.ndarray) -> NormalWishart:
        scatter = q.scatter if self.pooled else q.scatter[:, columns]
        return NormalWishart(q.mean[:, columns], q.precision, q.dof, scatter)

    def marginal_draws(self, draws: Draws, columns: np.ndarray) -> Draws:
        return Draws(
            draws.mean[..., columns], draws.root if self.pooled else draws.root[..., columns]
        )

    def complete(
        self, precision: np.ndarray, away: np.ndarray, observed: np.ndarray, pattern: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        missing = ~observed[:, None]
        covariance = np.where(missing, 1 / precision, 0.0)
        log_det = np.where(missing, np.log(precision), 0.0).sum(-1)
        squared = (precision * away**2).sum(-1)
        # Columns are independent, so that missing values are at their means.
        return -0.5 * (squared + log_det[pattern]), away, covariance

    # --- shapes and units of scikit-learn's attributes -------------------------------

    def precision(self, draws: Draws) -> np.ndarray:
        squared = draws.root**2
        return squared[..., 0] if self.pooled else squared

    def mean_covariance(self, q: NormalWishart) -> np.ndarray:
        covariance = q.scatter / q.dof[:, None]
        return covariance[:, 0] if self.pooled else covariance

    def inverse(self, covariance: np.ndarray) -> np.ndarray:
        return 1 / covariance

    def rescaled(self, covariance: np.ndarray, scale: np.ndarray) -> np.ndarray:
        return covariance * (scale[0] if self.pooled else scale) ** 2

    def rescaled_precision(self, precision: np.ndarray, scale: np.ndarray) -> np.ndarray:
        return precision / (scale[0] if self.pooled else scale) ** 2


class SphericalComponents(DiagonalComponents):
    """Normal-Gamma components with one precision for all columns.

    Parameters
    ----------
    prior : Prior
        With a scatter (1,).
    """

    pooled = True


Components = FullComponents | DiagonalComponents

COVARIANCE_TYPES: dict[str, type[FullComponents] | type[DiagonalComponents]] = {
    "full": FullComponents,
    "tied": TiedComponents,
    "diag": DiagonalComponents,
    "spherical": SphericalComponents,
}


def _outer(vectors: np.ndarray) -> np.ndarray:
    return vectors[..., :, None] * vectors[..., None, :]


def _log_wishart_norm(dof: np.ndarray, log_det: np.ndarray, n: int) -> np.ndarray:
    """Log of the integral of |Lambda|^((dof - n - 1) / 2) exp(-tr(scatter Lambda) / 2)."""
    log_gamma = gammaln((dof[:, None] - np.arange(n)) / 2).sum(1) + n * (n - 1) / 4 * np.log(np.pi)
    return dof * n / 2 * np.log(2) + log_gamma - dof / 2 * log_det


def _log_gamma_norm(dof: np.ndarray, scatter: np.ndarray) -> np.ndarray:
    """Log of the integral of lambda^(dof / 2 - 1) exp(-scatter lambda / 2)."""
    half = dof[:, None] / 2
    return gammaln(half) - half * np.log(scatter / 2)
