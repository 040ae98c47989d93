"""The normal at the mode of a logistic model's weights, and what every normal fit tells.

Bishop (2006), section 4.5. Weights are standard normal a priori: the caller whitens the
rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from skbayes.linear_model._newton import maximise
from skbayes.linear_model._softmax import LabelledRows


@dataclass
class NormalFit:
    """A normal over whitened weights (K, r).

    Attributes
    ----------
    mean : ndarray of shape (K, r)
    covariance : ndarray of shape (K r, K r)
    log_evidence : float
        Of the labels, in nats; a lower bound from the bounds.
    volume_slope : ndarray of shape (K, r)
        Gradient of the log determinant of the precision in the mean; zero where the
        evidence is stationary in all but the prior.
    n_iter : int
    converged : bool
    curvature : ndarray of shape (N, K, K)
        Of each row's log likelihood in its logits: with the prior it makes the precision.
    error : float
        About the nats that the evidence may lack however small the tolerance.
    """

    mean: np.ndarray
    covariance: np.ndarray
    log_evidence: float
    volume_slope: np.ndarray
    n_iter: int
    converged: bool
    curvature: np.ndarray
    error: float


class Start(NamedTuple):
    """Where a search begins.

    Attributes
    ----------
    mean : ndarray of shape (K, r)
    curvature : ndarray of shape (N, K, K) or None
        That of an earlier fit, where there is one.
    """

    mean: np.ndarray
    curvature: np.ndarray | None


def laplace(data: LabelledRows, start: Start, tol: float, max_iter: int) -> NormalFit:
    """Normal at the mode with the curvature there."""
    top, n_iter, converged = _mode(data, start.mean, tol, max_iter)
    p = data.probabilities(data.rows @ top.T)
    curvature = data.curvature(p)
    covariance, log_volume = invert(data.information(curvature))
    value = log_joint(data, top) - log_volume
    slope = data.volume_slope(p, covariance)
    return NormalFit(top, covariance, value, slope, n_iter, converged, curvature, 0.0)


def log_joint(data: LabelledRows, mean: np.ndarray) -> float:
    """Log likelihood and prior, the latter without its constant."""
    return data.log_likelihood(data.rows @ mean.T) - 0.5 * float((mean**2).sum())


def _mode(
    data: LabelledRows, start: np.ndarray, tol: float, max_iter: int
) -> tuple[np.ndarray, int, bool]:
    """Mode (K, r) of the posterior, which is log-concave."""

    def derivatives(x: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        mean = x.reshape(start.shape)
        p = data.probabilities(data.rows @ mean.T)
        grad = data.score(p).T @ data.rows - mean
        hessian = -data.information(data.curvature(p)) - np.eye(x.size)
        return log_joint(data, mean), grad.ravel(), hessian

    top = maximise(derivatives, start.ravel(), tol, max_iter)
    return top.x.reshape(start.shape), top.n_iter, top.converged


def invert(information: np.ndarray) -> tuple[np.ndarray, float]:
    """Inverse of I + information, and half its log determinant."""
    if not np.isfinite(information).all():
        raise np.linalg.LinAlgError("the information leaves double precision")
    factor = cho_factor(np.eye(len(information)) + information, lower=True)
    inverse = cho_solve(factor, np.eye(len(information)))
    return inverse, float(np.log(np.diagonal(factor[0])).sum())
