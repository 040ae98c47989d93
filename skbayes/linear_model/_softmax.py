"""Log likelihood of class labels in linear logits, and its derivatives.

Two classes have one logit, that of the second; more have one each, under a softmax.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, log_expit, log_softmax


@dataclass
class LabelledRows:
    """Rows in whitened coordinates, in which weights are standard normal a priori.

    Attributes
    ----------
    rows : ndarray of shape (N, r)
    codes : ndarray of int of shape (N,)
    weight : ndarray of shape (N,)
        Likelihood exponents.
    n_outputs : int
        Logits K: 1 for two classes, else one a class.
    """

    rows: np.ndarray
    codes: np.ndarray
    weight: np.ndarray
    n_outputs: int

    def log_likelihood(self, logits: np.ndarray) -> float:
        """Weighted log likelihood at logits (N, K)."""
        return float(self.weight @ label_log_probability(logits, self.codes))

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Probability (N, K) of each logit's class."""
        return expit(logits) if self.n_outputs == 1 else np.exp(log_softmax(logits, axis=1))

    def score(self, p: np.ndarray) -> np.ndarray:
        """Gradient (N, K) of the log likelihood in the logits."""
        if self.n_outputs == 1:
            truth = self.codes[:, None].astype(float)
        else:
            truth = np.eye(self.n_outputs)[self.codes]
        return self.weight[:, None] * (truth - p)

    def curvature(self, p: np.ndarray) -> np.ndarray:
        """Negative Hessian (N, K, K) of a row's log likelihood in its logits."""
        return p[:, :, None] * (np.eye(self.n_outputs) - p[:, None, :])

    def information(self, curvature: np.ndarray) -> np.ndarray:
        """Negative Hessian (K r, K r) in the weights (K, r), from that in the logits.

        The K of ``curvature`` (N, K, K) may be the logits, or fewer contrasts of them.
        """
        n_outputs, n_columns = curvature.shape[1], self.rows.shape[1]
        blocks = np.empty((n_outputs, n_columns, n_outputs, n_columns))
        for k in range(n_outputs):
            for j in range(k + 1):
                scaled = self.rows * (self.weight * curvature[:, k, j])[:, None]
                block = scaled.T @ self.rows
                blocks[k, :, j], blocks[j, :, k] = block, block.T
        return blocks.reshape(n_outputs * n_columns, -1)

    def volume_slope(self, p: np.ndarray, covariance: np.ndarray) -> np.ndarray:
        """Gradient (K, r) of the log determinant of the curvature in the weights.

        ``covariance`` (K r, K r) is its inverse; third derivatives of the softmax.
        """
        spread = self.logit_covariance(covariance)
        variances = np.diagonal(spread, axis1=1, axis2=2)
        if self.n_outputs == 1:
            slope = variances * p * (1 - p) * (1 - 2 * p)
        else:
            along = (spread @ p[:, :, None])[:, :, 0]
            inner = 2 * (p * along).sum(1) - (p * variances).sum(1)
            slope = p * (variances - 2 * along + inner[:, None])
        return (self.weight[:, None] * slope).T @ self.rows

    def logit_covariance(self, covariance: np.ndarray) -> np.ndarray:
        """Covariance (N, K, K) of the logits, or contrasts, of weights of this one (K r, K r)."""
        n_columns = self.rows.shape[1]
        n_outputs = len(covariance) // n_columns
        blocks = covariance.reshape(n_outputs, n_columns, n_outputs, n_columns)
        spread = np.empty((len(self.rows), n_outputs, n_outputs))
        for k in range(n_outputs):
            for j in range(k + 1):
                value = ((self.rows @ blocks[k, :, j]) * self.rows).sum(axis=1)
                spread[:, k, j] = spread[:, j, k] = value
        return spread


def label_log_probability(logits: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Log probability (..., N) of labels (N,) at logits (..., N, K)."""
    if logits.shape[-1] == 1:
        return log_expit(np.where(codes == 1, logits[..., 0], -logits[..., 0]))
    picked = np.broadcast_to(codes, logits.shape[:-1])[..., None]
    return np.take_along_axis(log_softmax(logits, axis=-1), picked, axis=-1)[..., 0]


def class_probabilities(logits: np.ndarray) -> np.ndarray:
    """Probabilities (..., n_classes) of all classes at logits (..., K)."""
    if logits.shape[-1] == 1:
        return expit(np.concatenate([-logits, logits], axis=-1))
    return np.exp(log_softmax(logits, axis=-1))
