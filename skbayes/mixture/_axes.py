"""Components with diagonal precisions: one a column (diag) or one for all columns (spherical)."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import digamma, gammaln

from skbayes.mixture._components import Components, Draws, NormalWishart
from skbayes.utils._logs import LOG_2PI, log1p_square

__all__ = ["DiagonalComponents", "SphericalComponents"]


class DiagonalComponents(Components):
    """Normal-Gamma components: lambda_kd ~ Gamma(nu0 / 2, rate s0_d / 2), columns independent.

    Parameters
    ----------
    prior : Prior
        With a scatter (D,).
    """

    @property
    def n_quadratic(self) -> int:
        return self.n_columns

    @property
    def _shared(self) -> int:
        """Columns that share one precision."""
        return 1

    def fill_quadratic(self, rows: np.ndarray, out: np.ndarray) -> None:
        np.multiply(rows, rows, out=out)

    def quadratic(self, rows: Any) -> Any:
        return rows * rows

    def pack_moments(self, second: np.ndarray) -> np.ndarray:
        return second.diagonal(axis1=-2, axis2=-1)

    def moved(self, moments: np.ndarray, factor: np.ndarray, shift: np.ndarray) -> np.ndarray:
        quadratic, sums, counts = self._split(moments)
        sums, moved = self._moved_sums(sums, counts, factor, shift)
        # Of one precision for all columns the factors are one number.
        squares = quadratic * (factor**2)[: self.n_quadratic]
        squares += self._pool(shift * (sums + moved))
        return np.concatenate([squares, moved, counts[:, None]], axis=1)

    def _pool(self, columns: np.ndarray) -> np.ndarray:
        """Sum over the columns that share one precision."""
        return columns

    def posterior(self, moments: np.ndarray) -> NormalWishart:
        """Gamma(dof / 2, scatter / 2) for every precision, by conjugacy."""
        quadratic, sums, counts = self._split(moments)
        mean, precision = self._location(sums, counts)
        prior = self.prior
        known = self._pool(prior.precision * prior.mean**2)
        within = quadratic + known - self._pool(precision[:, None] * mean**2)
        return NormalWishart(
            mean, precision, prior.dof + self._shared * counts, prior.scatter + within
        )

    def expected_precision(self, q: NormalWishart) -> np.ndarray:
        return np.broadcast_to(q.dof[:, None] / q.scatter, q.mean.shape)

    def _log_det(self, log_precision: np.ndarray, n_columns: int) -> np.ndarray:
        """Log determinants over ``n_columns`` columns from logs of the precisions."""
        return n_columns / max(1, log_precision.shape[-1]) * log_precision.sum(-1)

    def coefficients(self, q: NormalWishart) -> np.ndarray:
        n = self.n_columns
        precision = q.dof[:, None] / q.scatter
        log_det = self._log_det(digamma(q.dof / 2)[:, None] - np.log(q.scatter / 2), n)
        linear = precision * q.mean
        constant = log_det - n * LOG_2PI - n / q.precision - (linear * q.mean).sum(1)
        return np.concatenate([-0.5 * precision, linear, 0.5 * constant[:, None]], axis=1)

    def precision_diagonal(self, factors: np.ndarray) -> np.ndarray:
        return -2 * factors[:, : self.n_quadratic]

    def variances(self, q: NormalWishart) -> np.ndarray:
        return q.scatter / q.dof[:, None]

    def log_evidences(self, q: NormalWishart, counts: np.ndarray) -> np.ndarray:
        n, prior = self.n_columns, self.prior
        location = n / 2 * np.log(prior.precision / q.precision)
        before = _log_gamma_norm(np.array([prior.dof]), prior.scatter[None])
        scale = (_log_gamma_norm(q.dof, q.scatter) - before).sum(1)
        return location + scale - n / 2 * LOG_2PI * counts

    def _student_t(self, q: NormalWishart, tail: np.ndarray, n: int) -> np.ndarray:
        """Log densities (K, N) from logs (K, ., N) of one plus squares over the scatter.

        Of ``n`` columns each.
        """
        dof = q.dof[:, None]
        norm = gammaln((dof + n) / 2) - gammaln(dof / 2)
        norm = norm - n / 2 * (np.log(np.pi * q.scatter) + np.log1p(1 / q.precision)[:, None])
        return norm.sum(1)[:, None] - ((dof + n)[..., None] / 2 * tail).sum(1)

    def log_predictive(self, q: NormalWishart, rows: np.ndarray) -> np.ndarray:
        grown = q.scatter * (1 + 1 / q.precision)[:, None]
        away = (rows - q.mean[:, :, None]) / np.sqrt(grown)[..., None]
        tail = self._log1p_squares(away)
        return self._student_t(q, tail, len(rows) // max(1, tail.shape[1]))

    def _log1p_squares(self, away: np.ndarray) -> np.ndarray:
        """Logs of one plus the squares (..., D, N) over the columns that share one precision."""
        return log1p_square(away[..., None, :], axis=-2)

    def sample(self, q: NormalWishart, n_samples: int, rng: np.random.Generator) -> Draws:
        shape = (n_samples, *q.scatter.shape)
        root = np.sqrt(rng.chisquare(q.dof[:, None], size=shape) / q.scatter)
        # Gammas of few degrees of freedom underflow; their logs must stay finite.
        root = np.maximum(root, np.sqrt(np.finfo(float).tiny))
        noise = rng.standard_normal((n_samples, *q.mean.shape))
        return Draws(q.mean + noise / (root * np.sqrt(q.precision)[:, None]), root)

    def precision(self, draws: Draws) -> np.ndarray:
        return draws.root**2

    def log_density(self, draws: Draws, rows: np.ndarray) -> np.ndarray:
        away = draws.root[..., None] * (rows - draws.mean[..., None])
        log_det = self._log_det(2 * np.log(draws.root), len(rows))[..., None]
        return 0.5 * (log_det - len(rows) * LOG_2PI - (away**2).sum(-2))

    def sample_predictive(
        self, q: NormalWishart, labels: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        shape = (len(labels), q.scatter.shape[1])
        spread = q.scatter[labels] * (1 + 1 / q.precision[labels])[:, None]
        spread /= rng.chisquare(q.dof[labels][:, None], size=shape)
        noise = rng.standard_normal((len(labels), self.n_columns))
        return q.mean[labels] + np.sqrt(spread) * noise

    def mean_covariance(self, q: NormalWishart) -> np.ndarray:
        return self.variances(q)

    def inverse(self, covariance: np.ndarray, scale: np.ndarray) -> np.ndarray:
        return self.rescaled_precision(1 / covariance, scale)

    def rescaled(self, scatter: np.ndarray, scale: np.ndarray) -> np.ndarray:
        return scatter * scale**2

    def rescaled_precision(self, precision: np.ndarray, scale: np.ndarray) -> np.ndarray:
        return precision / scale**2

    def marginal(self, q: NormalWishart, columns: np.ndarray) -> NormalWishart:
        return NormalWishart(q.mean[:, columns], q.precision, q.dof, q.scatter[:, columns])

    def marginal_draws(self, draws: Draws, columns: np.ndarray) -> Draws:
        return Draws(draws.mean[..., columns], draws.root[..., columns])


class SphericalComponents(DiagonalComponents):
    """Normal-Gamma components with one precision for all columns.

    Parameters
    ----------
    prior : Prior
        With a scatter (1,).
    """

    @property
    def n_quadratic(self) -> int:
        return 1

    @property
    def _shared(self) -> int:
        return self.n_columns

    def fill_quadratic(self, rows: np.ndarray, out: np.ndarray) -> None:
        np.einsum("dn,dn->n", rows, rows, out=out[0])

    def quadratic(self, rows: Any) -> Any:
        return (rows * rows).sum(0)[None]

    def pack_moments(self, second: np.ndarray) -> np.ndarray:
        return super().pack_moments(second).sum(-1, keepdims=True)

    def _pool(self, columns: np.ndarray) -> np.ndarray:
        return columns.sum(-1, keepdims=True)

    def _log1p_squares(self, away: np.ndarray) -> np.ndarray:
        return log1p_square(away, axis=-2)[..., None, :]

    def precision(self, draws: Draws) -> np.ndarray:
        return super().precision(draws)[..., 0]

    def mean_covariance(self, q: NormalWishart) -> np.ndarray:
        return super().mean_covariance(q)[:, 0]

    def rescaled(self, scatter: np.ndarray, scale: np.ndarray) -> np.ndarray:
        return scatter * scale[0] ** 2

    def rescaled_precision(self, precision: np.ndarray, scale: np.ndarray) -> np.ndarray:
        return precision / scale[0] ** 2

    def marginal(self, q: NormalWishart, columns: np.ndarray) -> NormalWishart:
        return NormalWishart(q.mean[:, columns], q.precision, q.dof, q.scatter)

    def marginal_draws(self, draws: Draws, columns: np.ndarray) -> Draws:
        return Draws(draws.mean[..., columns], draws.root)


def _log_gamma_norm(dof: np.ndarray, scatter: np.ndarray) -> np.ndarray:
    """Log of the integral of lambda^(dof / 2 - 1) exp(-scatter lambda / 2)."""
    half = dof[:, None] / 2
    return gammaln(half) - half * np.log(scatter / 2)
