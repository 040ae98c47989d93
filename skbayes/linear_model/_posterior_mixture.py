"""Predictives of a linear model: mixtures of normals, or of Student-t of common freedom."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from skbayes.linear_model._noise import Noise

#: Steps of the search for a quantile; halving alone takes 50 to the last digit.
MAX_STEPS = 100
#: A search for quantiles ends at steps of this share of the narrowest component's scale: what
#: is left goes with the square.
QUANTILE_TOL = 1e-5
#: Components of less mass than this share of a tail move no quantile.
NEGLIGIBLE = 1e-9
#: Steps of the entropy's rule, in e-folds of the distance from the narrowest component, and
#: the probability beyond its ends.
ENTROPY_STEP, BEYOND = 0.125, 1e-10


@dataclass
class Predictive:
    """Mixtures of C components for n rows and T targets.

    Attributes
    ----------
    location, scale : ndarray of shape (n, T, C)
    mass : ndarray of shape (T, C)
    noise : KnownNoise or GammaNoise
        Gives the law of a component that is standardised.
    """

    location: np.ndarray
    scale: np.ndarray
    mass: np.ndarray
    noise: Noise

    def log_density(self, y: np.ndarray) -> np.ndarray:
        """Log density (..., n, T) of targets (..., n, T)."""
        with np.errstate(over="ignore", divide="ignore"):
            z = (y[..., None] - self.location) / self.scale
            each = self.noise.log_density(z) - np.log(self.scale) + np.log(self.mass)
        return each[..., 0] if each.shape[-1] == 1 else logsumexp(each, axis=-1)

    def quantiles(self, levels: np.ndarray) -> np.ndarray:
        """Quantiles (n, T, n_levels), each by the smaller of its two tails."""
        return np.stack([self._quantile(level) for level in levels], axis=2)

    def _quantile(self, level: float) -> np.ndarray:
        side, tail = (1, level) if level <= 0.5 else (-1, 1 - level)
        if tail <= 0:  # a probability that rounds to one
            return np.full(self.location.shape[:2], np.inf)
        kept = np.flatnonzero((self.mass > NEGLIGIBLE * tail).any(axis=0))
        location, scale, mass = self.location[..., kept], self.scale[..., kept], self.mass[:, kept]
        return side * Predictive(side * location, scale, mass, self.noise)._low_quantile(tail)

    def _low_quantile(self, level: float) -> np.ndarray:
        """Quantile (n, T) by Newton's method, within a bracket that the components give."""
        each = self.location + self.scale * self.noise.quantile(level)
        if each.shape[-1] == 1:
            return each[..., 0]
        low, high = each.min(axis=-1), each.max(axis=-1)
        tol = QUANTILE_TOL * self.scale.min(axis=-1) + 4 * np.spacing(np.abs(low))
        x = (self.mass * each).sum(axis=-1)
        for _ in range(MAX_STEPS):
            z = (x[..., None] - self.location) / self.scale
            excess = (self.mass * self.noise.cumulated(z)).sum(axis=-1) - level
            low, high = np.where(excess < 0, x, low), np.where(excess > 0, x, high)
            density = self.mass * np.exp(self.noise.log_density(z)) / self.scale
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                new = x - excess / density.sum(axis=-1)
            new = np.where((new >= low) & (new <= high), new, 0.5 * (low + high))
            settled = (np.abs(new - x) <= tol).all()
            x = new
            if settled:
                break
        return x

    def entropy(self) -> np.ndarray:
        """Entropy (n, T) in nats, by the trapezoid rule where there are several components.

        In u, y = centre + narrowest scale * sinh(u): steps grow with the distance from the
        narrowest component, as the width of others does.
        """
        if self.mass.shape[1] == 1:
            return (self.noise.entropy() + np.log(self.scale))[..., 0]
        narrow = self.scale.argmin(axis=-1)[..., None]
        centre = np.take_along_axis(self.location, narrow, axis=-1)
        unit = np.take_along_axis(self.scale, narrow, axis=-1)
        reach = np.abs(self.location - centre) - self.scale * self.noise.quantile(BEYOND)
        end = np.arcsinh((reach / unit).max())
        nodes = np.arange(-np.ceil(end / ENTROPY_STEP), np.ceil(end / ENTROPY_STEP) + 1)
        total = np.zeros(self.location.shape[:2])
        for u in nodes * ENTROPY_STEP:
            log_density = self.log_density((centre + unit * np.sinh(u))[..., 0])
            total -= np.exp(log_density) * log_density * np.cosh(u)
        return total * unit[..., 0] * ENTROPY_STEP
