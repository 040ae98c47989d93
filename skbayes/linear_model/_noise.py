"""Noise of a linear model: its precision known, or unknown with a Gamma distribution.

Both say what the noise adds to a marginal likelihood, a prediction and a draw. Arrays
have one entry a target. Weights are measured in units of the noise: their covariance is
the noise variance times a relative one, so that everything below holds given either.
"""

from __future__ import annotations

import numpy as np
from scipy.special import betaln, digamma, gammaln, ndtri, stdtrit

LOG_2PI = float(np.log(2 * np.pi))


class KnownNoise:
    """Normal noise of known precision.

    Parameters
    ----------
    precision : ndarray of shape (n_targets,)
    """

    def __init__(self, precision: np.ndarray) -> None:
        self.precision = precision

    def log_marginal(self, n: float, log_volume: np.ndarray, square: np.ndarray) -> np.ndarray:
        """Log density (T,) of n targets of relative covariance C, weights integrated out.

        ``log_volume`` is half the log determinant of C, ``square`` the targets' quadratic
        form in its inverse (Bishop 2006, eq. 3.86).
        """
        with np.errstate(over="ignore"):
            quadratic = self.precision * square
        return 0.5 * n * (np.log(self.precision) - LOG_2PI) - log_volume - 0.5 * quadratic

    def update(self, n: float, square: np.ndarray) -> KnownNoise:
        """What is known is not updated."""
        return self

    def variance(self) -> np.ndarray:
        """Noise variance (T,)."""
        return 1 / self.precision

    def scale(self) -> np.ndarray:
        """Standard deviation (T,) of the standardised predictive."""
        return 1 / np.sqrt(self.precision)

    def quantile(self, level: float) -> np.ndarray:
        """Quantile (T,) of the standardised predictive."""
        return np.broadcast_to(ndtri(level), self.precision.shape)

    def log_density(self, z: np.ndarray) -> np.ndarray:
        """Log density of the standardised predictive at z (..., T)."""
        return -0.5 * (LOG_2PI + z * z)

    def entropy(self) -> np.ndarray:
        """Entropy (T,) of the standardised predictive, in nats."""
        return np.broadcast_to(0.5 * (LOG_2PI + 1), self.precision.shape)

    def mean_log_scale(self) -> np.ndarray:
        """Mean (T,) of the log noise standard deviation."""
        return -0.5 * np.log(self.precision)

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Precisions (n, T)."""
        return np.broadcast_to(self.precision, (n, len(self.precision)))


class GammaNoise:
    """Normal noise whose precision has a Gamma distribution: Student-t predictions.

    Parameters
    ----------
    shape, log_rate : ndarray of shape (n_targets,)
        The rate is kept as its logarithm, which extreme units of y don't underflow.
    """

    def __init__(self, shape: np.ndarray, log_rate: np.ndarray) -> None:
        self.shape, self.log_rate = shape, log_rate

    @property
    def df(self) -> np.ndarray:
        """Degrees of freedom (T,) of the predictive."""
        return 2 * self.shape

    @property
    def precision(self) -> np.ndarray:
        """Mean precision (T,)."""
        return self.shape * np.exp(-self.log_rate)

    def log_marginal(self, n: float, log_volume: np.ndarray, square: np.ndarray) -> np.ndarray:
        """Log density (T,) of n targets; see `KnownNoise.log_marginal`."""
        after = self.update(n, square)
        value = gammaln(after.shape) - gammaln(self.shape) - 0.5 * n * LOG_2PI - log_volume
        return value + self.shape * self.log_rate - after.shape * after.log_rate

    def update(self, n: float, square: np.ndarray) -> GammaNoise:
        """The posterior after n targets."""
        log_rate = np.log(np.exp(self.log_rate) + 0.5 * square)
        return GammaNoise(self.shape + 0.5 * n, log_rate)

    def variance(self) -> np.ndarray:
        """Mean noise variance (T,)."""
        if (self.df <= 2).any():
            raise ValueError(
                f"the predictive has {self.df.min():.3g} degrees of freedom, and no variance "
                "unless they exceed 2: fit more rows, give beta_prior a larger shape, or ask "
                "for predict_interval, which always exists"
            )
        return np.exp(self.log_rate) / (self.shape - 1)

    def scale(self) -> np.ndarray:
        """Scale (T,) of the standardised predictive."""
        return np.exp(0.5 * self.log_rate) / np.sqrt(self.shape)

    def quantile(self, level: float) -> np.ndarray:
        """Quantile (T,) of the standardised predictive."""
        return stdtrit(self.df, level)

    def log_density(self, z: np.ndarray) -> np.ndarray:
        """Log density of the standardised predictive, a Student-t, at z (..., T)."""
        constant = -betaln(0.5, self.shape) - 0.5 * np.log(self.df)
        return constant - (self.shape + 0.5) * np.log1p(z * z / self.df)

    def entropy(self) -> np.ndarray:
        """Entropy (T,) of the standardised predictive, in nats."""
        half = self.shape
        difference = digamma(half + 0.5) - digamma(half)
        return (half + 0.5) * difference + 0.5 * np.log(self.df) + betaln(half, 0.5)

    def mean_log_scale(self) -> np.ndarray:
        """Mean (T,) of the log noise standard deviation."""
        return 0.5 * (self.log_rate - digamma(self.shape))

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Precisions (n, T)."""
        draws = rng.standard_gamma(self.shape, size=(n, len(self.shape)))
        return draws * np.exp(-self.log_rate)


Noise = KnownNoise | GammaNoise
