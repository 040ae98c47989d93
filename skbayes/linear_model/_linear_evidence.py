"""Precisions of the linear model: those of maximum evidence, or variational Gamma posteriors.

Both climb one function of the log prior precisions theta, in units of the noise: the log
evidence with the noise integrated out,

    -sum(log sqrt(1 + s²)) - a log b,   a = a0 + N/2,  b = b0 + Q/2,

whose stationary points for a0 = b0 = 0 are MacKay's, alpha = gamma / m² and beta =
(N - gamma) / |error|² (Bishop 2006, eq. 3.92 and 3.95), and which for a Gamma prior on
alpha gains c0 theta - d0 exp(theta): the fixed points of the factorised posterior
q(w, beta) q(alpha) of Drugowitsch (2013, section 2).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import digamma, gammaln

from skbayes.linear_model._centre import log_centres
from skbayes.linear_model._conjugate import Spectrum
from skbayes.linear_model._newton import Maximum, maximise
from skbayes.linear_model._noise import GammaNoise, log_constant
from skbayes.linear_model._weighted_rows import RowFactor

#: Prior precisions tried first, in e-folds around the columns' own.
GRID = np.linspace(-25, 25, 101)


@dataclass
class EvidenceProblem:
    """One target's rows, and what is known before of its weights and noise.

    Parameters
    ----------
    rows : RowFactor
        Of one target, in units in which its numbers are moderate.
    mean, sd : ndarray of shape (P,)
        Prior means, and standard deviations at precision 1.
    groups : ndarray of int of shape (P,)
        Weights of one group share a precision; groups are numbered from 0.
    fit_intercept : bool
        Whether the first weight is an intercept, of a group of its own.
    noise_prior : tuple of float
        Shape a0 and log rate of the noise precision's Gamma prior; (0, -inf) for none.
    precision_prior : tuple of float
        Shape c0 and rate d0 of the prior precisions' Gamma prior; (0, 0) for none.
    """

    rows: RowFactor
    mean: np.ndarray
    sd: np.ndarray
    groups: np.ndarray
    fit_intercept: bool
    noise_prior: tuple[float, float] = (0.0, -np.inf)
    precision_prior: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        self.floor = float(self.rows.rounding[0])

    @property
    def n_groups(self) -> int:
        """Number of precisions."""
        return int(self.groups.max()) + 1

    def scales(self, theta: np.ndarray) -> np.ndarray:
        """Prior standard deviations (P,) at log precisions (n_groups,)."""
        return self.sd * np.exp(-0.5 * theta[self.groups])

    def spectrum(self, theta: np.ndarray) -> Spectrum:
        """The rows as the prior at these log precisions sees them."""
        return Spectrum.of(self.rows, self.mean[None], self.scales(theta)[None])

    def noise(self, square: np.ndarray) -> tuple[float, np.ndarray]:
        """Shape a and rate b (n,) of the noise precision, at quadratic forms (n,)."""
        shape, log_rate = self.noise_prior
        n = self.rows.weight
        return shape + 0.5 * n, np.exp(log_rate) + 0.5 * (square + n * self.floor)

    def start(self) -> np.ndarray:
        """The best of many common precisions, relative to each group's columns."""
        centre = log_centres(self.rows.design, self.sd, self.groups, self.fit_intercept)
        if self.precision_prior[1] > 0:
            # No further than the prior lets a precision go.
            centre = np.minimum(centre, np.log(len(self.sd) / self.precision_prior[1]))
        spectrum = self.spectrum(centre)
        values, rotated = spectrum.values[0], spectrum.rotated[0]
        root = np.hypot(1, values * np.exp(-0.5 * GRID)[:, None])
        square = spectrum.residual[0] ** 2 + ((rotated / root) ** 2).sum(axis=1)
        shape, rate = self.noise(square)
        extra = self.log_prior(centre + GRID[:, None]).sum(axis=1)
        best = (-np.log(root).sum(axis=1) - shape * np.log(rate) + extra).argmax()
        return centre + GRID[best]

    def log_prior(self, theta: np.ndarray) -> np.ndarray:
        """Log density of a precision's Gamma prior, as one of its logarithm, unnormalised."""
        return self.precision_prior[0] * theta - self.prior_pull(theta)

    def prior_pull(self, theta: np.ndarray) -> np.ndarray:
        """Rate of a precision's Gamma prior times the precision; zero without a prior."""
        rate = self.precision_prior[1]
        return rate * np.exp(theta) if rate > 0 else np.zeros_like(theta)

    def objective(self, theta: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """Value, gradient and Hessian in the log precisions (n_groups,)."""
        spectrum = self.spectrum(theta)
        values, vectors = spectrum.values[0], spectrum.vectors[0]
        determined = (values / np.hypot(1, values)) ** 2
        shape, rate = (float(x) for x in self.noise(spectrum.square[0]))
        moments = _group_moments(spectrum.weights()[0], vectors, determined, self.groups)
        size, gamma, cross, overlap = moments
        precision = shape / rate
        pull = self.prior_pull(theta)
        value = -spectrum.log_volume[0] - shape * np.log(rate) + self.log_prior(theta).sum()
        grad = 0.5 * (gamma - precision * size) + self.precision_prior[0] - pull
        count = np.bincount(self.groups)
        hessian = 0.5 * (overlap - np.diag(count - gamma))
        hessian -= 0.5 * precision * (np.diag(size) - 2 * cross)
        hessian += 0.25 * shape / rate**2 * np.outer(size, size) - np.diag(pull)
        return float(value), grad, hessian

    def maximise(self, tol: float, max_iter: int) -> Maximum:
        """The log precisions (n_groups,) at the top of the objective."""
        return maximise(self.objective, self.start(), tol, max_iter)

    def best_noise_precision(self, theta: np.ndarray) -> float:
        """Noise precision of the largest evidence at these log precisions."""
        shape, rate = self.noise(self.spectrum(theta).square[0])
        return float(shape / rate)

    def elbo(self, theta: np.ndarray) -> float:
        """Lower bound on the log evidence, noise and precisions integrated out."""
        shape, log_rate = self.noise_prior
        parts = (np.array([[part]]) for part in (shape, log_rate, self.floor))
        noise = GammaNoise(*parts)
        value = self.spectrum(theta).log_evidence(noise)[0]
        return float(value) + gamma_gap(theta, np.bincount(self.groups), self.precision_prior)


def gamma_gap(theta: np.ndarray, count: np.ndarray, prior: tuple[float, float]) -> float:
    """What a bound at known log precisions gains when their Gamma posteriors are integrated.

    Parameters
    ----------
    theta : ndarray of shape (n_groups,)
        Logs of the posterior means.
    count : ndarray of shape (n_groups,)
        Weights that share each precision.
    prior : tuple of float
        Shape and rate of the prior; zeros for the weak one, even over the doubles.
    """
    c0, d0 = prior
    constant = log_constant(c0, np.log(d0) if d0 > 0 else -np.inf)
    c = c0 + 0.5 * count
    log_ratio = digamma(c) - np.log(c)
    pull = d0 * np.exp(theta) if d0 > 0 else 0.0
    divergence = (c - c0) * digamma(c) - gammaln(c) - constant
    divergence += c0 * (np.log(c) - theta) + pull - c
    return float((0.5 * count * log_ratio - divergence).sum())


def _group_moments(
    u: np.ndarray, vectors: np.ndarray, determined: np.ndarray, groups: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Sums over groups of what the derivatives need, C the posterior covariance of u.

    Returns
    -------
    size, gamma : ndarray of shape (n_groups,)
        Squared means, and numbers of well-determined weights (Bishop 2006, eq. 3.91).
    cross, overlap : ndarray of shape (n_groups, n_groups)
        u' C u and squared entries of C, block by block.
    """
    n_groups, count = int(groups.max()) + 1, np.bincount(groups)
    lost = vectors.T * determined
    size = np.bincount(groups, u * u)
    gamma = np.bincount(groups, (vectors.T * lost).sum(axis=1))
    if n_groups == len(u):
        covariance = np.eye(len(u)) - lost @ vectors
        return size, gamma, u[:, None] * covariance * u, covariance**2
    members = [groups == g for g in range(n_groups)]
    means = np.stack([vectors[:, at] @ u[at] for at in members])
    grams = np.stack([vectors[:, at] @ vectors[:, at].T for at in members])
    weighted = grams * determined
    cross = np.diag(size) - (means * determined) @ means.T
    overlap = np.einsum("gij,hji->gh", weighted, weighted)
    return size, gamma, cross, overlap + np.diag(count - 2 * gamma)
