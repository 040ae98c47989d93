"""Laplace approximation over the parameters of a PPCA: its evidence and its draws.

The model is Minka's (2001) with priors that are proper, so that evidences are densities:
the components are uniform over orthonormal frames; each of their variances and the noise
is inverse gamma with the weight of one value, centred at the data's mean variance; the
mean is normal around the data's with the covariance of one row. In coordinates of
rotations in planes, log variances and the mean, the expected information is diagonal but
for the mean when nothing is missing; where values are missing its diagonal is kept.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln, i0e

from skbayes.decomposition._codes import Patterns, blocks
from skbayes.decomposition._factors import LOG_2PI, Factors

#: Shape of the inverse gamma priors: half a row, the weight of one value.
SHAPE = 0.5
#: Inverse variance of an angle that may be anything within half a turn.
ANY_ANGLE = 12 / np.pi**2


@dataclass(frozen=True)
class Information:
    """Expected information on the parameters, with the prior's scale and the mean's share.

    ``basis`` has the components as its first q rows and completes them to D directions.
    """

    basis: np.ndarray  # (D, D)
    rotation: np.ndarray  # (q, D), of turning component i towards direction j
    n_values: np.ndarray  # (q + 1,), values behind each variance, the noise last
    mean_covariance: np.ndarray  # (D, D)
    prior_scale: float

    def sample(self, factors: Factors, n_samples: int, rng: np.random.RandomState) -> dict:
        """Named draws of the parameters."""
        n_codes, n_features = self.rotation.shape
        root = np.linalg.cholesky(self.mean_covariance)
        mean = factors.mean + rng.normal(size=(n_samples, n_features)) @ root.T
        shape = SHAPE + self.n_values / 2
        fitted = np.append(factors.variances, factors.noise)
        scale = SHAPE * self.prior_scale + self.n_values * fitted / 2
        variances = scale / rng.gamma(shape, size=(n_samples, n_codes + 1))
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


def complete_information(
    values: np.ndarray, axes: np.ndarray, factors: Factors, n_rows: float, prior_scale: float
) -> Information:
    """Information in complete rows, from the eigenvalues (D,) and axes of their covariance."""
    n_codes, n_features = factors.components.shape
    counts = n_rows * np.append(np.ones(n_codes), n_features - n_codes)
    rotation = _rotation(values, factors.variances, factors.noise, n_rows)
    covariance = factors.covariance / (n_rows + 1)
    return Information(axes, rotation, counts, covariance, prior_scale)


def _rotation(values: np.ndarray, variances: np.ndarray, noise: float, n_rows: float) -> np.ndarray:
    """Minka's equation 21: n (1/l_j - 1/l_i) (s_i - s_j), for l the model's variances."""
    model = np.append(variances, np.full(len(values) - len(variances), noise))
    n_codes = len(variances)
    gaps = 1 / model - 1 / variances[:, None]
    return np.maximum(n_rows * gaps * (values[:n_codes, None] - values), 0.0)


def complete_evidence(values: np.ndarray, n_codes: int, n_rows: float) -> float:
    """Log evidence of complete rows whose covariance has these eigenvalues (D,), falling.

    Mean and variances are integrated exactly, given axes at the eigenvectors.
    """
    n_features, scale = len(values), values.mean()
    counts = n_rows * np.append(np.ones(n_codes), n_features - n_codes)
    squares = n_rows * np.append(values[:n_codes], values[n_codes:].sum())
    variances = (SHAPE * scale + squares / 2) / (SHAPE + counts / 2)
    rotation = _rotation(values, variances[:-1], variances[-1], n_rows)
    gamma = (
        SHAPE * np.log(SHAPE * scale)
        - gammaln(SHAPE)
        + gammaln(SHAPE + counts / 2)
        - (SHAPE + counts / 2) * np.log(SHAPE * scale + squares / 2)
    )
    mean = -0.5 * n_features * (n_rows * LOG_2PI + np.log1p(n_rows))
    return float(mean + gamma.sum() + _log_frames(rotation))


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


def missing_information(
    factors: Factors, patterns: Patterns, weight: np.ndarray, prior_scale: float
) -> Information:
    """Diagonal of the expected information in the observed values; dense for the mean."""
    share = np.bincount(patterns.of_row, weight, minlength=len(patterns.observed))
    total = _weighted_precision(factors, patterns.observed, share)
    basis = _complete_basis(factors.components, total)
    n_codes, n_features = factors.components.shape
    n_rest = n_features - n_codes
    # In units of the noise, so that no square overflows.
    variances = factors.variances / factors.noise
    model = np.append(variances, np.ones(n_rest))
    squares, products = np.zeros((2, n_features, n_features))
    for at in blocks(len(share), 2 * n_features**2):
        G = factors.noise * basis @ _precisions(factors, patterns.observed[at]) @ basis.T
        diagonal = np.diagonal(G, axis1=1, axis2=2)
        squares += np.tensordot(share[at], G**2, axes=1)
        products += diagonal.T @ (diagonal * share[at][:, None])
    rotation = (variances[:, None] - model) ** 2 * (products + squares)[:n_codes]
    counts = variances**2 * np.diagonal(squares)[:n_codes]
    rest = squares[n_codes:, n_codes:].sum()
    covariance = np.linalg.inv(total + factors.precision)
    return Information(basis, rotation, np.append(counts, rest), covariance, prior_scale)


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


def _complete_basis(components: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Components and, beside them, the axes of the information that is left."""
    n_codes = len(components)
    rest = np.linalg.svd(components, full_matrices=True)[2][n_codes:]
    axes = np.linalg.eigh(rest @ total @ rest.T)[1]
    return np.vstack([components, axes.T @ rest])


def missing_evidence(information: Information, factors: Factors, log_likelihood: float) -> float:
    """Log evidence of the observed values, whose log likelihood is given."""
    fitted = np.append(factors.variances, factors.noise)
    scale = SHAPE * information.prior_scale
    prior = SHAPE * (np.log(scale) - np.log(fitted)) - gammaln(SHAPE) - scale / fitted
    curvature = information.n_values / 2 + scale / fitted
    mean = 0.5 * (np.linalg.slogdet(information.mean_covariance)[1] - factors.log_det)
    variances = prior + 0.5 * (LOG_2PI - np.log(curvature))
    return float(log_likelihood + mean + variances.sum() + _log_frames(information.rotation))
