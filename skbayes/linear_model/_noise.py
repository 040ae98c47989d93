"""Noise of a linear model: its precision known, or unknown with a Gamma distribution.

Both say what the noise adds to a marginal likelihood, a prediction and a draw. Arrays are
(T, C): a row a target, a column a component of its posterior, or one column where all
share it. Weights are measured in units of the noise: their covariance is the noise variance
times a relative one, so that everything below holds given either.
"""

from __future__ import annotations

import numpy as np
from scipy.special import betaln, digamma, gammaln, ndtr, ndtri, stdtr, stdtrit

LOG_2PI = float(np.log(2 * np.pi))
#: E-folds of a precision whose standard deviation may be any double, 1e-308 to 1e308: a weak
#: prior spreads its mass evenly over them. It is proper, and is the same in any units.
LOG_RANGE = 4 * float(np.log(np.finfo(float).max))
#: Shape and log rate that stand for the weak prior, which adds nothing to either.
WEAK = (0.0, -np.inf)


class KnownNoise:
    """Normal noise of known precision.

    Parameters
    ----------
    precision : ndarray of shape (T, C)
    """

    def __init__(self, precision: np.ndarray) -> None:
        self.precision = precision

    def log_marginal(self, n: float, log_volume: np.ndarray, square: np.ndarray) -> np.ndarray:
        """Log density (T, C) of n targets of relative covariance C, weights integrated out.

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
        """Noise variance (T, C)."""
        return 1 / self.precision

    def scale(self) -> np.ndarray:
        """Standard deviation (T, C) of the standardised predictive."""
        return 1 / np.sqrt(self.precision)

    def quantile(self, level: float) -> np.ndarray:
        """Quantile (T, 1) of the standardised predictive."""
        return np.full((len(self.precision), 1), ndtri(level))

    def cumulated(self, z: np.ndarray) -> np.ndarray:
        """Distribution function of the standardised predictive at z (..., T, C)."""
        return ndtr(z)

    def log_density(self, z: np.ndarray) -> np.ndarray:
        """Log density of the standardised predictive at z (..., T, C)."""
        return -0.5 * (LOG_2PI + z * z)

    def entropy(self) -> np.ndarray:
        """Entropy (T, 1) of the standardised predictive, in nats."""
        return np.full((len(self.precision), 1), 0.5 * (LOG_2PI + 1))

    def mean_log_scale(self) -> np.ndarray:
        """Mean (T, C) of the log noise standard deviation."""
        return -0.5 * np.log(self.precision)

    def sample(self, component: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Precisions (n, T) of the components drawn (n, T)."""
        return self.precision[np.arange(len(self.precision)), component]


class GammaNoise:
    """Normal noise whose precision has a Gamma distribution: Student-t predictions.

    Parameters
    ----------
    shape : ndarray of shape (T, 1)
        Zero for the weak prior, which is even in the log precision.
    log_rate : ndarray of shape (T, C)
        The rate is kept as its logarithm, which extreme units of y don't underflow.
    floor : ndarray of shape (T, 1), optional
        Variance that rounding adds to every target; none by default.
    """

    def __init__(
        self, shape: np.ndarray, log_rate: np.ndarray, floor: np.ndarray | None = None
    ) -> None:
        self.shape, self.log_rate = shape, log_rate
        self.floor = np.zeros_like(shape) if floor is None else floor

    @property
    def df(self) -> np.ndarray:
        """Degrees of freedom (T, 1) of the predictive."""
        return 2 * self.shape

    @property
    def precision(self) -> np.ndarray:
        """Mean precision (T, C)."""
        return self.shape * np.exp(-self.log_rate)

    def log_marginal(self, n: float, log_volume: np.ndarray, square: np.ndarray) -> np.ndarray:
        """Log density (T, C) of n targets; see `KnownNoise.log_marginal`."""
        after = self.update(n, square)
        value = gammaln(after.shape) - 0.5 * n * LOG_2PI - log_volume
        return value + log_constant(self.shape, self.log_rate) - after.shape * after.log_rate

    def update(self, n: float, square: np.ndarray) -> GammaNoise:
        """The posterior after n targets."""
        log_rate = np.log(np.exp(self.log_rate) + 0.5 * (square + n * self.floor))
        return GammaNoise(self.shape + 0.5 * n, log_rate)

    def variance(self) -> np.ndarray:
        """Mean noise variance (T, C)."""
        if (self.df <= 2).any():
            raise ValueError(
                f"the predictive has {self.df.min():.3g} degrees of freedom, and no variance "
                "unless they exceed 2: fit more rows, give beta_prior a larger shape, or ask "
                "for predict_interval, which always exists"
            )
        return np.exp(self.log_rate) / (self.shape - 1)

    def scale(self) -> np.ndarray:
        """Scale (T, C) of the standardised predictive."""
        return np.exp(0.5 * self.log_rate) / np.sqrt(self.shape)

    def quantile(self, level: float) -> np.ndarray:
        """Quantile (T, 1) of the standardised predictive."""
        return stdtrit(self.df, level)

    def cumulated(self, z: np.ndarray) -> np.ndarray:
        """Distribution function of the standardised predictive at z (..., T, C)."""
        return stdtr(self.df, z)

    def log_density(self, z: np.ndarray) -> np.ndarray:
        """Log density of the standardised predictive, a Student-t, at z (..., T, C)."""
        constant = -betaln(0.5, self.shape) - 0.5 * np.log(self.df)
        return constant - (self.shape + 0.5) * np.log1p(z * z / self.df)

    def entropy(self) -> np.ndarray:
        """Entropy (T, 1) of the standardised predictive, in nats."""
        half = self.shape
        difference = digamma(half + 0.5) - digamma(half)
        return (half + 0.5) * difference + 0.5 * np.log(self.df) + betaln(half, 0.5)

    def mean_log_scale(self) -> np.ndarray:
        """Mean (T, C) of the log noise standard deviation."""
        return 0.5 * (self.log_rate - digamma(self.shape))

    def sample(self, component: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Precisions (n, T) of the components drawn (n, T)."""
        draws = rng.standard_gamma(self.shape[:, 0], size=component.shape)
        return draws * np.exp(-self.log_rate[np.arange(len(self.log_rate)), component])


Noise = KnownNoise | GammaNoise


def log_constant(shape: np.ndarray | float, log_rate: np.ndarray | float) -> np.ndarray:
    """Log of what normalises a precision's prior; of the weak one, over the doubles."""
    weak = np.equal(shape, 0)
    rate = np.where(weak, 0.0, log_rate)
    return np.where(weak, -np.log(LOG_RANGE), shape * rate - gammaln(np.where(weak, 1.0, shape)))
