"""Laplace approximation over the parameters of a PPCA: its evidence and its draws.

The model is Minka's (2001) with priors that are proper, so that evidences are densities:
the components are uniform over orthonormal frames; each of their variances and the noise
is inverse gamma with the weight of one value, centred at the data's mean variance; the
mean is normal around the data's with the covariance of one row. All is expanded around the
posterior's mode. In coordinates of rotations in planes, log variances and the mean, the
information is diagonal but for the mean when nothing is missing; where values are missing
its diagonal is kept, and given mean and axes each variance is taken to be inverse gamma,
as it is for complete rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln, i0e

from skbayes.decomposition._codes import Patterns, blocks
from skbayes.decomposition._factors import Factors
from skbayes.decomposition._mode import SHAPE, Mode, likely_variances
from skbayes.decomposition._moments import Moments
from skbayes.utils._logs import LOG_2PI

#: Inverse variance of an angle that may be anything within half a turn.
ANY_ANGLE = 12 / np.pi**2


@dataclass(frozen=True)
class Information:
    """The posterior's mode, and the information there, the prior's share included.

    ``basis`` has the components as its first q rows and completes them to D directions.
    """

    mean: np.ndarray  # (D,)
    basis: np.ndarray  # (D, D)
    variances: np.ndarray  # (q + 1,), modes of their logarithms, the noise last
    shape: np.ndarray  # (q + 1,), of their inverse gamma posteriors
    rotation: np.ndarray  # (q, D), of turning component i towards direction j
    mean_covariance: np.ndarray  # (D, D)

    def sample(self, n_samples: int, rng: np.random.RandomState) -> dict:
        """Named draws of the parameters."""
        n_codes, n_features = self.rotation.shape
        root = np.linalg.cholesky(self.mean_covariance)
        mean = self.mean + rng.normal(size=(n_samples, n_features)) @ root.T
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
        n_codes = len(self.rotation)
        precision = np.maximum(self.rotation, ANY_ANGLE)
        later = np.arange(self.rotation.shape[1]) > np.arange(n_codes)[:, None]
        turn = rng.normal(size=(n_samples, *precision.shape)) / np.sqrt(precision) * later
        # Orthogonalising in order turns the later components away from the earlier ones.
        frame, upper = np.linalg.qr((np.eye(*precision.shape) + turn).swapaxes(1, 2))
        signs = np.sign(np.diagonal(upper, axis1=1, axis2=2))
        return (frame * signs[:, None, :]).swapaxes(1, 2) @ self.basis


def complete_information(moments: Moments, n_codes: int) -> Information:
    """Information in complete rows."""
    (values, axes), n_rows = moments.spectrum(), moments.weight
    variances, shape = likely_variances(values, n_codes, n_rows, values.mean())
    mode = Factors(moments.mean, axes[:n_codes], variances[:-1], float(variances[-1]))
    rotation = _rotation(values, variances, n_rows)
    covariance = mode.covariance / (n_rows + 1)
    return Information(moments.mean, axes, variances, shape, rotation, covariance)


def _rotation(values: np.ndarray, variances: np.ndarray, n_rows: float) -> np.ndarray:
    """Minka's equation 21: n (1/l_j - 1/l_i) (s_i - s_j), for l the model's variances."""
    n_codes = len(variances) - 1
    model = np.append(variances[:-1], np.full(len(values) - n_codes, variances[-1]))
    gaps = 1 / model - 1 / variances[:-1, None]
    return np.maximum(n_rows * gaps * (values[:n_codes, None] - values), 0.0)


def complete_evidence(values: np.ndarray, n_codes: int, n_rows: float) -> float:
    """Log evidence of complete rows whose covariance has these eigenvalues (D,), falling.

    Mean and variances are integrated exactly, given axes at the eigenvectors.
    """
    n_features, scale = len(values), values.mean()
    variances, shape = likely_variances(values, n_codes, n_rows, scale)
    gamma = (
        SHAPE * np.log(SHAPE * scale)
        - gammaln(SHAPE)
        + gammaln(shape)
        - shape * np.log(shape * variances)
    )
    mean = -0.5 * n_features * (n_rows * LOG_2PI + np.log1p(n_rows))
    return float(mean + gamma.sum() + _log_frames(_rotation(values, variances, n_rows)))


def _log_frames(rotation: np.ndarray) -> float:
    """Share of orthonormal frames near the fitted one or its equals, log.

    Turning by an angle t in one plane costs h sin²(t) / 2 nats, so each of the planes
    integrates to pi exp(-h/4) I0(h/4), which is finite where eigenvalues are equal. Frames
    with flipped signs fit as well; orders are counted once, with a prior n! times as dense.
    """
    n_codes, n_features = rotation.shape
    later = np.arange(n_features) > np.arange(n_codes)[:, None]
    near = n_codes * np.log(2) + (np.log(np.pi) + np.log(i0e(rotation[later] / 4))).sum()
    dims = (n_features - np.arange(n_codes)) / 2
    everything = n_codes * np.log(2) + (dims * np.log(np.pi) - gammaln(dims)).sum()
    return min(near - everything, 0.0) + gammaln(n_codes + 2)


def missing_information(mode: Mode, patterns: Patterns, weight: np.ndarray) -> Information:
    """Diagonal of the information in the observed values; dense for the mean.

    What complete rows of the expected moments would say of rotations, times the share of
    the expected information that the observed values hold.
    """
    factors, S, n_rows = mode.factors, mode.moments.covariance, mode.moments.weight
    share = np.bincount(patterns.of_row, weight, minlength=len(patterns.observed))
    total = _weighted_precision(factors, patterns.observed, share)
    basis = _complete_basis(factors, total, S)
    n_codes, n_features = factors.components.shape
    variances = np.append(factors.variances, factors.noise)
    # In units of the noise, so that no square overflows.
    model = np.append(factors.variances / factors.noise, np.ones(n_features - n_codes))
    squares, products = _information_of_patterns(factors, patterns.observed, share, basis)
    seen = np.outer(model, model) * (products + squares) / n_rows
    spread = np.einsum("ij,jk,ik->i", basis, S, basis)
    counts = model[:n_codes] ** 2 * np.diagonal(squares)[:n_codes]
    rest = squares[n_codes:, n_codes:].sum()
    return Information(
        factors.mean,
        basis,
        variances,
        SHAPE + np.append(counts, rest) / 2,
        _rotation(spread, variances, n_rows) * seen[:n_codes],
        np.linalg.inv(total + factors.precision),
    )


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


def missing_evidence(information: Information, mode: Mode) -> float:
    """Log evidence of the observed values, from the log joint density at the mode."""
    shape = information.shape
    # The integral of an inverse gamma over its value at the mode, in the log variance.
    variances = gammaln(shape) - shape * np.log(shape) + shape
    mean = 0.5 * (np.linalg.slogdet(information.mean_covariance)[1] - mode.factors.log_det)
    return float(mode.log_joint + mean + variances.sum() + _log_frames(information.rotation))
