"""Laplace approximation over the parameters of a PPCA: its evidence and its draws.

The model is Minka's (2001) with priors that are proper, so that evidences are densities:
the components are uniform over orthonormal frames; the standard deviations along them and
the noise's are half-Cauchy, in units of the data's root mean variance; the mean is normal
around the data's with the mean variance in every direction. All is expanded around the
posterior's mode. In coordinates of rotations in planes, log variances and the mean, the
information is diagonal but for the mean when nothing is missing; where values are missing
its diagonal is kept.

Rotations and the mean take degrees of freedom from the variances: integrated out, they
leave powers of them, about half a power of the noise for every plane between a component
and the rest. Given these each variance is taken to be inverse gamma.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.special import gammaln, log_ndtr

from skbayes.decomposition._codes import Patterns, blocks
from skbayes.decomposition._loadings import Factors
from skbayes.decomposition._mode import (
    Mode,
    group_squares,
    likely_variances,
    log_prior,
    prior_shape,
)
from skbayes.decomposition._moments import Moments
from skbayes.utils._logs import LOG_2PI

#: Inverse variance of an angle that may be anything within half a turn.
ANY_ANGLE = 12 / np.pi**2
#: No posterior of a variance is broader than the prior's tail.
LEAST_SHAPE = 0.5
#: Steps to a saddle point; a handful reach it.
MAX_NEWTON = 50


@dataclass(frozen=True)
class Information:
    """The posterior's mode, and the information there, the prior's share included.

    ``basis`` has the components as its first q rows and completes them to D directions.
    """

    mean: np.ndarray  # (D,)
    basis: np.ndarray  # (D, D)
    variances: np.ndarray  # (q + 1,), marginal modes of their logarithms, the noise last
    shape: np.ndarray  # (q + 1,), of their inverse gamma posteriors
    rotation: np.ndarray  # (q, D), of turning component i towards direction j
    mean_covariance: np.ndarray  # (D, D)

    def sample(self, n_samples: int, rng: np.random.RandomState) -> dict:
        """Named draws of the parameters."""
        n_codes, n_features = self.rotation.shape
        # The symmetric root exists where rounding leaves no Cholesky factor.
        values, axes = np.linalg.eigh(self.mean_covariance)
        root = (axes * np.sqrt(np.maximum(values, 0.0))) @ axes.T
        mean = self.mean + rng.normal(size=(n_samples, n_features)) @ root
        gamma = rng.gamma(self.shape, size=(n_samples, n_codes + 1))
        variances = self.shape * self.variances / gamma
        noise = variances[:, -1]
        # A component is a direction of more than the noise; draws that cross are at par.
        strength = np.maximum(variances[:, :-1], noise[:, None])
        return {
            "mean": mean,
            "components": self._frames(n_samples, rng),
            "explained_variance": strength,
            "noise_variance": noise,
        }

    def _frames(self, n_samples: int, rng: np.random.RandomState) -> np.ndarray:
        """Orthonormal frames (n, q, D) around the components."""
        precision = np.maximum(self.rotation, ANY_ANGLE)
        turn = rng.normal(size=(n_samples, *precision.shape)) / np.sqrt(precision)
        turn *= _later(precision)
        # Orthogonalising in order turns the later components away from the earlier ones.
        frame, upper = np.linalg.qr((np.eye(*precision.shape) + turn).swapaxes(1, 2))
        signs = np.sign(np.diagonal(upper, axis1=1, axis2=2))
        return (frame * signs[:, None, :]).swapaxes(1, 2) @ self.basis


@dataclass(frozen=True)
class Variances:
    """Posterior of the variances (q + 1,), the noise last: inverse gammas, given the mode.

    Rotations and the mean, integrated out, multiply the density by ``power`` of each.
    """

    mode: np.ndarray
    shape_at_mode: np.ndarray
    power: np.ndarray
    log_frames: float

    @property
    def shape(self) -> np.ndarray:
        """Shapes of the marginal posteriors."""
        return np.maximum(self.shape_at_mode - self.power, LEAST_SHAPE)

    @property
    def marginal_mode(self) -> np.ndarray:
        """Modes of the log variances once all else is integrated out."""
        return self.mode * self.shape_at_mode / self.shape

    @property
    def log_volume(self) -> float:
        """Integral over frames and falling variances, over the density at the mode, log.

        How likely variances fall is taken from neighbours, as if these were log-normal.
        """
        at_mode, shape = self.shape_at_mode, self.shape
        integrals = gammaln(shape) - shape * np.log(at_mode) + at_mode
        falls = -np.diff(np.log(self.marginal_mode)) / np.sqrt(1 / shape[1:] + 1 / shape[:-1])
        return float(integrals.sum() + log_ndtr(falls).sum()) + self.log_frames


def _integrate(
    mode: np.ndarray,
    counts: np.ndarray,
    rotation: Callable[[np.ndarray], np.ndarray],
    known: np.ndarray,
    prior_variance: float,
) -> Variances:
    """Posterior of the variances from their mode and what else is known there.

    ``counts`` are the values that speak of each variance, ``rotation`` is the information
    on turns given the variances, ``known`` the share of each direction's mean (D,) that is
    from rows and not from the prior.
    """
    n_codes = len(mode) - 1
    shape = np.maximum(counts / 2 + prior_shape(mode, prior_variance), LEAST_SHAPE)
    of_mean = np.append(known[:n_codes], known[n_codes:].sum()) / 2
    log_frames, squares = _log_frames(rotation(mode))
    power = of_mean + _rotation_powers(rotation(mode) * squares / 2, mode)
    return Variances(mode, shape, power, log_frames)


def _rotation_powers(slope: np.ndarray, variances: np.ndarray) -> np.ndarray:
    """Powers of the variances (q + 1,) that rotations leave once integrated out.

    From the slopes (q, D) of the share of frames in the log information on each turn,
    which depends on the variances by 1/l_j - 1/l_i.
    """
    n_codes = len(slope)
    ratio = _per_direction(variances, slope.shape[1]) / variances[:-1, None]
    pull = np.where(ratio < 1, slope / np.where(ratio < 1, 1 - ratio, 1), 0.0)
    later = pull.sum(axis=0)
    power = np.append(later[:n_codes], later[n_codes:].sum())
    power[:n_codes] -= (pull * ratio).sum(axis=1)
    return power


def complete_information(moments: Moments, n_codes: int, prior_scale: float) -> Information:
    """Information in complete rows."""
    (values, axes), n_rows = moments.spectrum(), moments.weight
    found = _complete_variances(values, n_codes, n_rows, prior_scale)
    variances = found.marginal_mode
    model = _per_direction(variances, len(values))
    of_mean = 1 / (n_rows / model + 1 / values.mean())
    covariance = (axes.T * of_mean) @ axes
    rotation = _rotation(values, variances, n_rows)
    return Information(moments.mean, axes, variances, found.shape, rotation, covariance)


def _complete_variances(
    values: np.ndarray, n_codes: int, n_rows: float, prior_scale: float
) -> Variances:
    """Posterior of the variances of complete rows with these eigenvalues (D,)."""
    spread = values.mean()
    squares, counts = group_squares(values, n_codes, n_rows)
    mode = likely_variances(squares, counts, prior_scale**2 * spread)
    known = 1 / (1 + _per_direction(mode, len(values)) / (n_rows * spread))
    rotation = partial(_rotation, values, n_rows=n_rows)
    return _integrate(mode, counts, rotation, known, prior_scale**2 * spread)


def _rotation(values: np.ndarray, variances: np.ndarray, n_rows: float) -> np.ndarray:
    """Minka's equation 21: n (1/l_j - 1/l_i) (s_i - s_j), for l the model's variances."""
    n_codes = len(variances) - 1
    gaps = 1 / _per_direction(variances, len(values)) - 1 / variances[:-1, None]
    return np.maximum(n_rows * gaps * (values[:n_codes, None] - values), 0.0)


def _per_direction(variances: np.ndarray, n_features: int) -> np.ndarray:
    """The model's variance in each direction (D,)."""
    n_codes = len(variances) - 1
    return np.append(variances[:-1], np.full(n_features - n_codes, variances[-1]))


def complete_evidence(
    values: np.ndarray, n_codes: int, n_rows: float, prior_scale: float = 1.0
) -> float:
    """Log evidence of complete rows whose covariance has these eigenvalues (D,), falling."""
    n_features, spread = len(values), values.mean()
    found = _complete_variances(values, n_codes, n_rows, prior_scale)
    squares, counts = group_squares(values, n_codes, n_rows)
    distance = counts @ np.log(found.mode) + (squares / found.mode).sum()
    log_likelihood = -0.5 * (n_rows * n_features * LOG_2PI + distance)
    log_joint = log_likelihood + log_prior(found.mode, prior_scale**2 * spread)
    model = _per_direction(found.mode, n_features)
    mean = -0.5 * np.log1p(n_rows * spread / model).sum()
    return float(log_joint + mean + found.log_volume)


def _log_frames(rotation: np.ndarray) -> tuple[float, np.ndarray]:
    """Share of orthonormal frames near the fitted one or its equals, log.

    Component by component: each is any direction x of the sphere that earlier ones leave,
    at a cost of sum_j h_j x_j² / 2 nats for what it turns towards directions j. That is
    Bingham's integral, by the saddle point t of Kume and Wood (2005), where the expected
    squares 1 / (h_j - 2t), returned as (q, D), add up to one; what Stirling's formula lacks
    on spheres of few dimensions is put back, so that equal h and large h come out exactly.
    Orders of components are counted once, with a prior n! times as dense.
    """
    n_codes, n_features = rotation.shape
    dims = n_features - np.arange(n_codes)
    here = np.arange(n_features) >= np.arange(n_codes)[:, None]
    cost = np.where(here, np.where(_later(rotation), rotation / 2, 0.0), np.inf)
    t = -dims / 2.0
    for _ in range(MAX_NEWTON):
        squares = 0.5 / (cost - t[:, None])
        total, before = squares.sum(axis=1), t
        # Newton's step on 1 / total, which comes down from the right side after the first.
        t = np.clip(t + total * (1 - total) / (2 * (squares**2).sum(axis=1)), -dims / 2, -0.5)
        if np.abs(t / before - 1).max() < 1e-9:
            break
    squares = 0.5 / (cost - t[:, None])
    second, third, fourth = (c * (squares**k).sum(axis=1) for c, k in ((2, 2), (8, 3), (48, 4)))
    integral = np.log(2 * squares, where=here, out=np.zeros_like(squares)).sum(axis=1) / 2
    integral += fourth / second**2 / 8 - 5 / 24 * third**2 / second**3 - t - np.log(second) / 2
    integral += _stirling_excess(1 / second) + gammaln(dims / 2) - LOG_2PI / 2
    return float(integral.sum() + gammaln(n_codes + 2)), squares


def _stirling_excess(z: np.ndarray) -> np.ndarray:
    """By how much Stirling's formula with one correction exceeds the log gamma function."""
    return (z - 0.5) * np.log(z) - z + 0.5 * LOG_2PI + 1 / (12 * z) - gammaln(z)


def _later(rotation: np.ndarray) -> np.ndarray:
    """Where a component and a later direction span a plane (q, D)."""
    return np.arange(rotation.shape[1]) > np.arange(len(rotation))[:, None]


def missing_information(
    mode: Mode, patterns: Patterns, weight: np.ndarray, spread: float, prior_scale: float
) -> tuple[Information, float]:
    """Information in the observed values, and their log evidence.

    Its diagonal for rotations: what complete rows of the expected moments would say, times
    the share of the expected information that the observed values hold. Dense for the mean.
    """
    factors, S, n_rows = mode.factors, mode.moments.covariance, mode.moments.weight
    share = np.bincount(patterns.of_row, weight, minlength=len(patterns.observed))
    total = _weighted_precision(factors, patterns.observed, share)
    basis = _complete_basis(factors, total, S)
    n_codes, n_features = factors.components.shape
    variances = np.append(factors.variances, factors.noise)
    # In units of the noise, so that no square overflows.
    model = _per_direction(variances / factors.noise, n_features)
    squares, products = _information_of_patterns(factors, patterns.observed, share, basis)
    seen = (np.outer(model, model) * (products + squares) / n_rows)[:n_codes]
    values = np.einsum("ij,jk,ik->i", basis, S, basis)
    counts = model[:n_codes] ** 2 * np.diagonal(squares)[:n_codes]
    counts = np.append(counts, squares[n_codes:, n_codes:].sum())
    of_mean = _mean_covariance(total, spread)
    known = 1 - np.einsum("ij,jk,ik->i", basis, of_mean, basis) / spread

    def rotation(of: np.ndarray) -> np.ndarray:
        return _rotation(values, of, n_rows) * seen

    found = _integrate(variances, counts, rotation, known, prior_scale**2 * spread)
    mean = 0.5 * (np.linalg.slogdet(of_mean)[1] - n_features * np.log(spread))
    evidence = mode.log_joint + mean + found.log_volume
    settled = found.marginal_mode
    freed = Factors(factors.mean, factors.components, settled[:-1], float(settled[-1]))
    information = Information(
        factors.mean,
        basis,
        settled,
        found.shape,
        rotation(settled),
        _mean_covariance(_weighted_precision(freed, patterns.observed, share), spread),
    )
    return information, float(evidence)


def _mean_covariance(information: np.ndarray, spread: float) -> np.ndarray:
    """Covariance (D, D) of the mean, its prior's variance ``spread`` in every direction."""
    return np.linalg.inv(information + np.eye(len(information)) / spread)


def _information_of_patterns(
    factors: Factors, observed: np.ndarray, share: np.ndarray, basis: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Sums over rows of G_ij² and of G_ii G_jj, for G the precision in units of the noise."""
    n_features = len(basis)
    squares, products = np.zeros((2, n_features, n_features))
    for at in blocks(len(share), 2 * n_features**2):
        G = factors.noise * basis @ _precisions(factors, observed[at]) @ basis.T
        diagonal = np.diagonal(G, axis1=1, axis2=2)
        squares += np.tensordot(share[at], G**2, axes=1)
        products += diagonal.T @ (diagonal * share[at][:, None])
    return squares, products


def _precisions(factors: Factors, observed: np.ndarray) -> np.ndarray:
    """Inverse covariances (P, D, D) of the observed features, zero elsewhere."""
    W, v = factors.loadings, factors.noise
    seen = observed[:, :, None] * W
    M = seen.swapaxes(1, 2) @ seen + v * np.eye(W.shape[1])
    inner = seen @ np.linalg.solve(M, seen.swapaxes(1, 2))
    return (observed[:, :, None] * np.eye(len(W)) - inner) / v


def _weighted_precision(factors: Factors, observed: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Information on the mean (D, D)."""
    n_features = observed.shape[1]
    total = np.zeros((n_features, n_features))
    for at in blocks(len(share), 2 * n_features**2):
        total += np.tensordot(share[at], _precisions(factors, observed[at]), axes=1)
    return total


def _complete_basis(factors: Factors, total: np.ndarray, S: np.ndarray) -> np.ndarray:
    """Components and, beside them, the axes of the information on turning the weakest.

    That is the product of what was seen and of the variance that the turn gives away.
    """
    rest = np.linalg.svd(factors.components, full_matrices=True)[2][len(factors.variances) :]
    lost = factors.variances.min() * np.eye(len(rest)) - rest @ S @ rest.T
    turning = factors.noise * (rest @ total @ rest.T) @ (lost / factors.variances.min())
    axes = np.linalg.eigh(turning + turning.T)[1]
    return np.vstack([factors.components, axes.T @ rest])
