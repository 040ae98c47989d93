"""Posteriors of a logistic model's weights: a normal, or draws; and what they predict."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy.special import entr

from skbayes.linear_model._conjugate import coordinates
from skbayes.linear_model._softmax import class_probabilities
from skbayes.utils._logit_normal import logit_moments
from skbayes.utils._sobol import sobol_normals

#: Numbers that intermediate arrays of a prediction may hold.
BLOCK_VALUES = 2**21


class Prediction(NamedTuple):
    """Moments of class probabilities p over the posterior.

    Attributes
    ----------
    mean : ndarray of shape (N, n_classes)
        Means of p.
    within : ndarray of shape (N, n_classes)
        Means of p (1 - p).
    entropy : ndarray of shape (N,)
        Mean entropy of the label under p, in nats.
    """

    mean: np.ndarray
    within: np.ndarray
    entropy: np.ndarray

    @classmethod
    def of_draws(cls, p: np.ndarray) -> Prediction:
        """Averages over draws (S, N, n_classes)."""
        return cls(p.mean(0), (p * (1 - p)).mean(0), entr(p).sum(-1).mean(0))

    @classmethod
    def joined(cls, blocks: list[Prediction]) -> Prediction:
        """Blocks of rows, one after another."""
        return cls(*(np.concatenate(parts) for parts in zip(*blocks, strict=True)))


def blocks(n_rows: int, values_a_row: int) -> Iterator[slice]:
    size = max(1, BLOCK_VALUES // values_a_row)
    return (slice(start, start + size) for start in range(0, n_rows, size))


class NormalLogits:
    """Normal weights: sd * (V' u + what no training row touches), u normal.

    Parameters
    ----------
    sd : ndarray of shape (P,)
        Prior standard deviations.
    vectors : ndarray of shape (r, P)
        Orthonormal rows V'.
    mean : ndarray of shape (K, r)
    covariance : ndarray of shape (K r, K r)
        Mean and covariance of u.
    origin : ndarray of shape (r,) or None
        The first weight is then the logit at the mean row, ``origin @ u``.
    """

    inefficiency = 1.0

    def __init__(
        self,
        sd: np.ndarray,
        vectors: np.ndarray,
        mean: np.ndarray,
        covariance: np.ndarray,
        origin: np.ndarray | None,
    ) -> None:
        self.sd, self.vectors, self.mean, self.origin = sd, vectors, mean, origin
        self.root = np.linalg.cholesky(covariance)

    def weights(self) -> np.ndarray:
        """Posterior mean (K, P) of the weights."""
        return self._of_axes(self.mean, self.mean @ self.vectors)

    def _of_axes(self, along: np.ndarray, whitened: np.ndarray) -> np.ndarray:
        """Weights (..., P) of whitened ones, whose part along the axes is given."""
        weights = whitened * self.sd
        if self.origin is not None:
            weights[..., 0] = along @ self.origin
        return weights

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Draws (n, K, P) of the weights."""
        n_outputs, rank = self.mean.shape
        u = rng.standard_normal((n, n_outputs * rank)) @ self.root.T
        along = self.mean + u.reshape(n, n_outputs, rank)
        draws = along @ self.vectors
        if rank < len(self.sd):
            free = rng.standard_normal(draws.shape)
            draws += free - (free @ self.vectors.T) @ self.vectors
        return self._of_axes(along, draws)

    def predict(self, design: np.ndarray, n_draws: int, seed: int) -> Prediction:
        """Exact quadrature for one logit; quasi-random draws of a row's logits for more."""
        n_outputs, rank = self.mean.shape
        if n_outputs == 1:
            mean, covariance = self._moments(design)
            zero, one, within, entropy = logit_moments(mean[:, 0], covariance[:, 0, 0])
            # Sums of weights over nodes may exceed one by their rounding.
            mean = np.minimum(np.stack([zero, one], 1), 1.0)
            return Prediction(mean, np.stack([within, within], 1), entropy)
        noise = sobol_normals(n_draws, n_outputs, seed)
        values = max(n_draws * n_outputs, n_outputs**2 * rank)
        parts = [self._predict_block(design[at], noise) for at in blocks(len(design), values)]
        return Prediction.joined(parts)

    def _predict_block(self, design: np.ndarray, noise: np.ndarray) -> Prediction:
        mean, covariance = self._moments(design)
        values, vectors = np.linalg.eigh(covariance)
        # The symmetric root is the one that varies smoothly where eigenvalues coincide.
        scaled = vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]
        root = scaled @ vectors.swapaxes(1, 2)
        logits = mean[None] + np.moveaxis(root @ noise.T, 2, 0)
        return Prediction.of_draws(class_probabilities(logits))

    def _moments(self, design: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean (N, K) and covariance (N, K, K) of the rows' logits."""
        n_outputs, rank = self.mean.shape
        rows, across = coordinates(design, self.sd, self.vectors, self.origin)
        along = np.stack([rows @ root for root in np.split(self.root, n_outputs)], axis=1)
        covariance = along @ along.swapaxes(1, 2)
        if rank < len(self.sd):
            free = (across**2).sum(axis=1)
            covariance += free[:, None, None] * np.eye(n_outputs)
        return rows @ self.mean.T, covariance


class DrawnLogits:
    """Stored draws of the weights.

    Parameters
    ----------
    draws : ndarray of shape (S, K, P)
        Those of one time stand together, so that thinning evenly keeps every chain.
    inefficiency : float
        Draws per independent one.
    """

    def __init__(self, draws: np.ndarray, inefficiency: float) -> None:
        self.draws, self.inefficiency = draws, inefficiency

    def weights(self) -> np.ndarray:
        """Posterior mean (K, P) of the weights."""
        return self.draws.mean(axis=0)

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Draws (n, K, P) without replacement while there are enough, else with."""
        return self.draws[rng.choice(len(self.draws), n, replace=n > len(self.draws))]

    def predict(self, design: np.ndarray, n_draws: int, seed: int) -> Prediction:
        """Averages over the stored draws, thinned evenly to ``n_draws``."""
        last = len(self.draws) - 1
        index = np.linspace(0, last, min(n_draws, last + 1)).round().astype(int)
        draws = self.draws[index]
        values = draws.shape[0] * draws.shape[1]
        logits = (function_draws(draws, design[at]) for at in blocks(len(design), values))
        return Prediction.joined([Prediction.of_draws(class_probabilities(f)) for f in logits])


def function_draws(weights: np.ndarray, design: np.ndarray) -> np.ndarray:
    """Logits (n, N, K) of weights (n, K, P) at rows (N, P)."""
    return (weights @ design.T).swapaxes(1, 2)
