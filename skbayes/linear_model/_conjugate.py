"""Linear regression by singular values: evidence, posterior and prediction in closed form.

Weights are mean + sd * u with u standard normal in units of the noise. The design times
sd has the thin singular value decomposition U diag(s) V'; the posterior of u has the
precision 1 + s² along V and the prior's elsewhere. Fewer rows than columns need no other
formula, and no difference of large numbers is formed anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skbayes.linear_model._noise import Noise
from skbayes.linear_model._rows import RowFactor

#: Rows of a prediction that are worked on at once, over the number of columns.
BLOCK_VALUES = 2**21


@dataclass
class Spectrum:
    """Rows seen by a prior: G is the number of targets, or 1 where they share a prior.

    Attributes
    ----------
    values : ndarray of shape (G, r)
        Singular values s.
    vectors : ndarray of shape (G, r, P)
        Rows of V'.
    rotated : ndarray of shape (T, r)
        Targets less what the prior mean predicts, times U'.
    residual : ndarray of shape (T,)
        Norm of what no weights reach.
    weight : float
        Sum of the rows' weights.
    """

    values: np.ndarray
    vectors: np.ndarray
    rotated: np.ndarray
    residual: np.ndarray
    weight: float

    @classmethod
    def of(cls, rows: RowFactor, mean: np.ndarray, sd: np.ndarray) -> Spectrum:
        """Decompose rows under prior means (T, P) and standard deviations (G, P)."""
        left, values, vectors = np.linalg.svd(rows.design * sd[:, None, :], full_matrices=False)
        targets = rows.targets.T - mean @ rows.design.T
        rotated = (left.swapaxes(1, 2) @ targets[:, :, None])[:, :, 0]
        return cls(values, vectors, rotated, rows.residual, rows.weight)

    @property
    def log_volume(self) -> np.ndarray:
        """Half the log determinant (G,) of the targets' relative covariance 1 + s²."""
        return np.log(np.hypot(1, self.values)).sum(axis=1)

    @property
    def square(self) -> np.ndarray:
        """Quadratic form (T,) of the targets in their inverse relative covariance."""
        with np.errstate(over="ignore"):
            shrunk = self.rotated / np.hypot(1, self.values)
            return self.residual**2 + (shrunk**2).sum(axis=1)

    def log_evidence(self, noise: Noise) -> np.ndarray:
        """Log density (T,) of the targets, weights (and noise) integrated out."""
        return noise.log_marginal(self.weight, self.log_volume, self.square)

    def weights(self) -> np.ndarray:
        """Posterior mean (T, P) of u."""
        root = np.hypot(1, self.values)
        along = self.values / root * (self.rotated / root)
        return (along[:, None, :] @ self.vectors)[:, 0]


class LinearPosterior:
    """Posterior of weights and noise, one a target.

    Parameters
    ----------
    mean : ndarray of shape (T, P)
    sd : ndarray of shape (G, P)
        The prior's standard deviations, in units of the noise; G is 1 or T.
    values, vectors : ndarray of shape (G, r) and (G, r, P)
        The spectrum of the rows.
    noise : KnownNoise or GammaNoise
    """

    def __init__(
        self,
        mean: np.ndarray,
        sd: np.ndarray,
        values: np.ndarray,
        vectors: np.ndarray,
        noise: Noise,
    ) -> None:
        self.mean, self.sd, self.noise = mean, sd, noise
        self.values, self.vectors = values, vectors

    @classmethod
    def of(
        cls, spectrum: Spectrum, mean: np.ndarray, sd: np.ndarray, noise: Noise
    ) -> LinearPosterior:
        """Condition a prior on rows."""
        after = noise.update(spectrum.weight, spectrum.square)
        mean = mean + sd * spectrum.weights()
        return cls(mean, sd, spectrum.values, spectrum.vectors, after)

    def locations(self, design: np.ndarray) -> np.ndarray:
        """Means (N, T) of the function values."""
        return design @ self.mean.T

    def spread(self, design: np.ndarray) -> np.ndarray:
        """Variances (N, G) of the function values, in units of the noise variance."""
        size = max(1, BLOCK_VALUES // design.shape[1])
        blocks = [self._spread(design[i : i + size]) for i in range(0, len(design), size)]
        return np.concatenate(blocks)

    def _spread(self, design: np.ndarray) -> np.ndarray:
        variances = np.empty((len(design), len(self.sd)))
        for g in range(len(self.sd)):
            variances[:, g] = (self._whiten(design, g) ** 2).sum(axis=1)
        return variances

    def _whiten(self, rows: np.ndarray, g: int) -> np.ndarray:
        """Rows (n, P) times the symmetric root of u's relative covariance, and sd."""
        return whiten(rows * self.sd[g], self.values[g], self.vectors[g])

    def covariance(self) -> np.ndarray:
        """Relative covariance (G, P, P) of the weights."""
        identity = np.eye(self.sd.shape[1])
        roots = np.stack([self._whiten(identity, g) for g in range(len(self.sd))])
        return roots @ roots.swapaxes(1, 2)

    def sample(self, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draws of the weights (n, T, P) and of the noise precision (n, T)."""
        precision = self.noise.sample(n, rng)
        normal = rng.standard_normal((len(self.mean), n, self.mean.shape[1]))
        relative = whiten(normal, self.values[:, None, :], self.vectors).swapaxes(0, 1)
        return self.mean + self.sd * relative / np.sqrt(precision)[:, :, None], precision

    def log_joint(self, design: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Log density (T,) of new rows jointly: this posterior is their prior."""
        errors = targets - self.locations(design)
        shared = len(self.sd) == 1
        log_volume, square = np.empty(errors.shape[1]), np.empty(errors.shape[1])
        for g in range(len(self.sd)):
            mine = slice(None) if shared else slice(g, g + 1)
            seen = RowFactor(design.shape[1], errors[:, mine].shape[1])
            seen.absorb(self._whiten(design, g), errors[:, mine])
            spectrum = Spectrum.of(seen, np.zeros((1, design.shape[1])), np.ones((1, 1)))
            log_volume[mine], square[mine] = spectrum.log_volume, spectrum.square
        return self.noise.log_marginal(len(design), log_volume, square)


def whiten(rows: np.ndarray, values: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Rows (..., P) times the symmetric root of the inverse of 1 + V diag(s²) V'."""
    along = rows @ vectors.swapaxes(-1, -2)
    white = (along / np.hypot(1, values)) @ vectors
    if vectors.shape[-2] < vectors.shape[-1]:
        white += rows - along @ vectors
    return white
