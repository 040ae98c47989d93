"""Components with matrix precisions: one each (full) or one for all (tied)."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import digamma, gammaln

from skbayes.mixture._components import Components, Draws, NormalWishart, Prior
from skbayes.utils._logs import LOG_2PI, log1p_square

__all__ = ["FullComponents", "TiedComponents"]


class FullComponents(Components):
    """Normal-Wishart components: mu_k, Lambda_k ~ N(m0, (beta0 Lambda_k)^-1) W(W0, nu0).

    Parameters
    ----------
    prior : Prior
        With a scatter (D, D), the inverse of W0.
    """

    correlated = True

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
        return rows[self._upper[0]] * rows[self._upper[1]]

    def pack_moments(self, second: np.ndarray) -> np.ndarray:
        return second[..., self._upper[0], self._upper[1]]

    def moved(self, moments: np.ndarray, factor: np.ndarray, shift: np.ndarray) -> np.ndarray:
        quadratic, sums, counts = self._split(moments)
        sums, moved = self._moved_sums(sums, counts, factor, shift)
        rows, columns = self._upper
        packed = quadratic * (factor[rows] * factor[columns])
        packed += sums[:, rows] * shift[columns] + shift[rows] * moved[:, columns]
        return np.concatenate([packed, moved, counts[:, None]], axis=1)

    def _unpack(self, packed: np.ndarray) -> np.ndarray:
        full = np.empty((len(packed), self.n_columns, self.n_columns))
        full[:, self._upper[0], self._upper[1]] = packed
        full[:, self._upper[1], self._upper[0]] = packed
        return full

    def posterior(self, moments: np.ndarray) -> NormalWishart:
        """Equations 10.60 to 10.63."""
        mean, precision, within = self._within(moments)
        return NormalWishart(mean, precision, *self._precision_posterior(within, moments[:, -1]))

    def _within(self, moments: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Posterior means, their precision factors, and the components' own scatters."""
        quadratic, sums, counts = self._split(moments)
        mean, precision = self._location(sums, counts)
        second = self._unpack(quadratic) + self.prior.precision * _outer(self.prior.mean)
        return mean, precision, second - precision[:, None, None] * _outer(mean)

    def _precision_posterior(
        self, within: np.ndarray, counts: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Degrees of freedom and scatter from the components' own scatters (K, D, D)."""
        return self.prior.dof + counts, self.prior.scatter + within

    def expected_precision(self, q: NormalWishart) -> np.ndarray:
        root = q.inverse_factor
        return q.dof[:, None, None] * (root.mT @ root)

    def coefficients(self, q: NormalWishart) -> np.ndarray:
        """Equations 10.64, 10.65."""
        n = self.n_columns
        precision = self.expected_precision(q)
        linear = (precision @ q.mean[..., None])[..., 0]
        log_det = digamma((q.dof[:, None] - np.arange(n)) / 2).sum(1)
        log_det += n * np.log(2) - q.log_det
        constant = log_det - n * LOG_2PI - n / q.precision - (linear * q.mean).sum(1)
        quadratic = -0.5 * self._twice * self.pack_moments(precision)
        n_components = len(q.mean)
        return np.concatenate(
            [
                np.broadcast_to(quadratic, (n_components, self.n_quadratic)),
                linear,
                0.5 * constant[:, None],
            ],
            axis=1,
        )

    def precision_diagonal(self, factors: np.ndarray) -> np.ndarray:
        return -2 * factors[:, np.flatnonzero(self._twice == 1)]

    def variances(self, q: NormalWishart) -> np.ndarray:
        return q.scatter.diagonal(axis1=1, axis2=2) / q.dof[:, None]

    def log_evidences(self, q: NormalWishart, counts: np.ndarray) -> np.ndarray:
        constant = self.n_columns / 2 * LOG_2PI
        return self._log_location(q.precision) + self._log_scale(q) - constant * counts

    def _log_scale(self, q: NormalWishart) -> np.ndarray:
        """What integrating the precisions brings to log evidence."""
        return _log_wishart_norm(q.dof, q.log_det, self.n_columns) - self._prior_norm

    def _log_location(self, precision: np.ndarray) -> np.ndarray:
        """What integrating the means brings to log evidence."""
        return self.n_columns / 2 * np.log(self.prior.precision / precision)

    def log_predictive(self, q: NormalWishart, rows: np.ndarray) -> np.ndarray:
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

    def precision(self, draws: Draws) -> np.ndarray:
        return draws.root @ draws.root.mT

    def log_density(self, draws: Draws, rows: np.ndarray) -> np.ndarray:
        centred = rows - draws.mean[..., None]
        squared = ((draws.root.mT @ centred) ** 2).sum(-2)
        log_det = _root_log_det(draws.root)[..., None]
        return 0.5 * (log_det - len(rows) * LOG_2PI - squared)

    def sample_predictive(
        self, q: NormalWishart, labels: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        n, shape = self.n_columns, (len(q.mean),)
        dof = np.broadcast_to(q.dof + 1 - n, shape)[labels]
        spread = np.sqrt((1 + 1 / q.precision[labels]) / rng.chisquare(dof))
        root = np.broadcast_to(q.factor, (*shape, n, n))[labels]
        noise = rng.standard_normal((len(labels), n, 1))
        return q.mean[labels] + spread[:, None] * (root @ noise)[..., 0]

    def mean_covariance(self, q: NormalWishart) -> np.ndarray:
        return q.scatter / q.dof[:, None, None]

    def inverse(self, covariance: np.ndarray, scale: np.ndarray) -> np.ndarray:
        return self.rescaled(np.linalg.inv(covariance), 1 / scale)

    def rescaled(self, scatter: np.ndarray, scale: np.ndarray) -> np.ndarray:
        return scatter * scale[:, None] * scale

    def rescaled_precision(self, precision: np.ndarray, scale: np.ndarray) -> np.ndarray:
        return self.rescaled(precision, 1 / scale)

    def marginal(self, q: NormalWishart, columns: np.ndarray) -> NormalWishart:
        """Scatters of an inverse Wishart lose rows, columns and degrees of freedom."""
        dof = q.dof - (self.n_columns - len(columns))
        scatter = q.scatter[:, columns[:, None], columns]
        return NormalWishart(q.mean[:, columns], q.precision, dof, scatter)

    def marginal_draws(self, draws: Draws, columns: np.ndarray) -> Draws:
        half = np.linalg.inv(draws.root)[..., columns]
        factor = np.linalg.cholesky(half.mT @ half)
        return Draws(draws.mean[..., columns], np.linalg.inv(factor).mT)


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

    def _precision_posterior(
        self, within: np.ndarray, counts: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        dof = np.array([self.prior.dof + counts.sum()])
        return dof, self.prior.scatter + within.sum(axis=0, keepdims=True)

    def _log_scale(self, q: NormalWishart) -> np.ndarray:
        """Each component's share of the one precision's."""
        return super()._log_scale(q) / len(q.precision)

    def merge_gains(self, moments: np.ndarray, pairs: np.ndarray) -> np.ndarray:
        _, precision, within = self._within(moments)
        _, merged_precision, merged = self._within(moments[pairs].sum(1))
        dof, scatter = self._precision_posterior(within, moments[:, -1])
        grown = np.linalg.slogdet(scatter + merged - within[pairs].sum(1)).logabsdet
        location = self._log_location(merged_precision)
        location -= self._log_location(precision)[pairs].sum(1)
        return location - dof / 2 * (grown - np.linalg.slogdet(scatter).logabsdet)

    def precision(self, draws: Draws) -> np.ndarray:
        return super().precision(draws)[:, 0]

    def mean_covariance(self, q: NormalWishart) -> np.ndarray:
        return super().mean_covariance(q)[0]


def _outer(vectors: np.ndarray) -> np.ndarray:
    return vectors[..., :, None] * vectors[..., None, :]


def _root_log_det(root: np.ndarray) -> np.ndarray:
    """Log determinant of root root', whose root need not be triangular."""
    return 2 * np.linalg.slogdet(root).logabsdet


def _log_wishart_norm(dof: np.ndarray, log_det: np.ndarray, n: int) -> np.ndarray:
    """Log of the integral of |Lambda|^((dof - n - 1) / 2) exp(-tr(scatter Lambda) / 2)."""
    log_gamma = gammaln((dof[:, None] - np.arange(n)) / 2).sum(1) + n * (n - 1) / 4 * np.log(np.pi)
    return dof * n / 2 * np.log(2) + log_gamma - dof / 2 * log_det
