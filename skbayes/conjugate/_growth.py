"""How normalisers grow when rows are added to a prior, however many rows the prior is worth.

Under a strong prior the log normalisers before and after are huge and differ by little: a
difference of the two would lose the digits that the rows are about.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import gammaln

#: From here on four terms of Stirling's series give the log gamma function's every digit.
STIRLING = 100.0


def log_rising(a: np.ndarray, n: np.ndarray | float) -> np.ndarray:
    """Log of gamma(a + n) / gamma(a), for a > 0 and n >= 0."""
    small, large = np.where(a < STIRLING, a, 1.0), np.maximum(a, STIRLING)
    series = (large - 0.5) * np.log1p(n / large) + n * (np.log(large + n) - 1)
    series += _correction(large + n) - _correction(large)
    return np.where(a < STIRLING, gammaln(small + n) - gammaln(small), series)


def _correction(x: np.ndarray) -> np.ndarray:
    """Stirling's series beyond (x - 1/2) log x - x + log(2 pi) / 2, for x of 100 and more."""
    reciprocal = 1 / x
    square = reciprocal**2
    return reciprocal * (1 / 12 - square * (1 / 360 - square / 1260))


def log_growth(base: np.ndarray, added: np.ndarray | float) -> np.ndarray:
    """Log of (base + added) / base, for base > 0 and added >= 0."""
    with np.errstate(over="ignore"):
        ratio = added / base
    return np.where(np.isfinite(ratio), np.log1p(ratio), np.log(base + added) - np.log(base))


def log_det_growth(base: np.ndarray, added: np.ndarray) -> float:
    """Log of |base + added| / |base|, for base positive definite and added semidefinite."""
    root = np.linalg.cholesky(base)
    half = solve_triangular(root, added, lower=True)
    relative = solve_triangular(root, half.T, lower=True)
    if np.trace(relative) < 1:
        return float(np.log1p(np.linalg.eigvalsh(relative)).sum())
    # A large share cancels no digits, and a Cholesky factor minds no unequal columns.
    return log_det(base + added) - log_det(base)


def log_det(matrix: np.ndarray) -> float:
    """Log determinant of a positive definite matrix."""
    return float(2 * np.log(np.diagonal(np.linalg.cholesky(matrix))).sum())
