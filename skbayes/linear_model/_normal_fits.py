"""Normal approximations to the weights of a logistic model, each with an evidence.

- Laplace: the mode and the curvature there (Bishop 2006, section 4.5).
- Jaakkola and Jordan (2000), two classes: a quadratic lower bound of each row's log
  likelihood, as tight as a parameter xi a row can make it (Bishop 2006, section 10.6).
- Böhning (1992), several classes: the softmax's curvature is at most (I - 11'/K) / 2, so
  a quadratic of that curvature which touches at the mode bounds the log likelihood from
  below. The best normal then has the mode for its mean, and its evidence bound is

      log joint at the mode - (K - 1) / 2 * sum(log(1 + s²/2)),

  s the singular values of the whitened rows.

Weights are standard normal a priori: the caller whitens the rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.special import log_expit

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
    """

    mean: np.ndarray
    covariance: np.ndarray
    log_evidence: float
    volume_slope: np.ndarray
    n_iter: int
    converged: bool


def laplace(data: LabelledRows, start: np.ndarray, tol: float, max_iter: int) -> NormalFit:
    """Normal at the mode with the curvature there."""
    top, n_iter, converged = _mode(data, start, tol, max_iter)
    p = data.probabilities(data.rows @ top.T)
    covariance, log_volume = _invert(data.information(p))
    value = _log_joint(data, top) - log_volume
    slope = data.volume_slope(p, covariance)
    return NormalFit(top, covariance, value, slope, n_iter, converged)


def boehning(data: LabelledRows, start: np.ndarray, tol: float, max_iter: int) -> NormalFit:
    """Normal at the mode with the largest curvature that a softmax can have."""
    top, n_iter, converged = _mode(data, start, tol, max_iter)
    n_outputs = data.n_outputs
    bound = 0.5 * (np.eye(n_outputs) - 1 / n_outputs)
    gram = (data.rows * data.weight[:, None]).T @ data.rows
    covariance, log_volume = _invert(np.kron(bound, gram))
    value = _log_joint(data, top) - log_volume
    return NormalFit(top, covariance, value, np.zeros_like(top), n_iter, converged)


def jaakkola_jordan(data: LabelledRows, start: np.ndarray, tol: float, max_iter: int) -> NormalFit:
    """Best normal under a quadratic bound of each row's log likelihood; two classes.

    Expectation maximisation in xi, each two steps extrapolated (Varadhan and Roland 2008,
    SQUAREM, scheme S3); an extrapolation that lowers the bound is dropped.
    """
    x = np.log(1e-12 + (data.rows @ start[0]) ** 2)
    before, converged, n_iter = -np.inf, False, 0
    while not converged and n_iter < max_iter:
        n_iter += 1
        one = _jj_step(data, x)
        second = _jj_step(data, one.log_square)
        change = one.log_square - x
        bend = second.log_square - one.log_square - change
        rate = -np.sqrt((change @ change) / max(bend @ bend, 1e-300))
        far = _jj_step(data, x - 2 * rate * change + rate**2 * bend)
        best = far if far.bound > second.bound else second
        converged = best.bound - before <= tol and best.bound - one.bound <= tol
        x, before = best.log_square, best.bound
    zero = np.zeros_like(best.mean[None])
    return NormalFit(best.mean[None], best.covariance, best.bound, zero, n_iter, converged)


class _Step(NamedTuple):
    """The best normal at given xi, its bound, and log xi² of the next step."""

    mean: np.ndarray
    covariance: np.ndarray
    bound: float
    log_square: np.ndarray


def _jj_step(data: LabelledRows, log_square: np.ndarray) -> _Step:
    """One step of expectation maximisation (Bishop 2006, eq. 10.156 to 10.163)."""
    rows, weight = data.rows, data.weight
    xi = np.exp(0.5 * np.clip(log_square, -60, 60))
    rate = _jj_rate(xi)
    pull = (weight * (data.codes - 0.5)) @ rows
    covariance, log_volume = _invert((rows * (2 * weight * rate)[:, None]).T @ rows)
    mean = covariance @ pull
    bound = 0.5 * (mean @ pull) - log_volume + weight @ (log_expit(xi) - 0.5 * xi + rate * xi**2)
    square = ((rows @ covariance) * rows).sum(axis=1) + (rows @ mean) ** 2
    return _Step(mean, covariance, float(bound), np.log(np.maximum(square, 1e-26)))


def _jj_rate(xi: np.ndarray) -> np.ndarray:
    """tanh(xi / 2) / (4 xi), whose limit at zero is 1/8 (Bishop 2006, eq. 10.150)."""
    small = xi < 1e-4
    safe = np.where(small, 1.0, xi)
    return np.where(small, 0.125, np.tanh(0.5 * safe) / (4 * safe))


def _log_joint(data: LabelledRows, mean: np.ndarray) -> float:
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
        return _log_joint(data, mean), grad.ravel(), -data.information(p) - np.eye(x.size)

    top = maximise(derivatives, start.ravel(), tol, max_iter)
    return top.x.reshape(start.shape), top.n_iter, top.converged


def _invert(information: np.ndarray) -> tuple[np.ndarray, float]:
    """Inverse of I + information, and half its log determinant."""
    factor = cho_factor(np.eye(len(information)) + information, lower=True)
    inverse = cho_solve(factor, np.eye(len(information)))
    return inverse, float(np.log(np.diagonal(factor[0])).sum())
