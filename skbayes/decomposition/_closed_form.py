"""Fits that follow from the eigenvalues of the covariance alone."""

from __future__ import annotations

import numpy as np

#: Rounds of the fixed point between noise and pruning; each is exact given the other.
MAX_ROUNDS = 500


def maximum_likelihood(values: np.ndarray, n_components: int) -> tuple[np.ndarray, float]:
    """Component variances (q,) and noise: Tipping and Bishop (1999), equations 7 and 8."""
    return values[:n_components], float(values[n_components:].mean())


def relevant_components(values: np.ndarray, n_rows: float, most: int) -> tuple[np.ndarray, float]:
    """Component variances and noise under automatic relevance determination.

    Bishop (1999) gives each column of the loadings a normal prior whose precision
    maximises the joint density: D over its squared length. In the basis of the eigenvalues
    s a column of variance l = |w|² + v is stationary where

        n (l - s) (l - v) + D l² = 0,

    which has a root only for s far enough above the noise v; columns without one shrink to
    nothing, perhaps all of them. From the ``most`` components, columns and noise take turns.
    """
    n_features = len(values)
    variances, noise = maximum_likelihood(values, most)
    for _ in range(MAX_ROUNDS):
        variances = _roots(values[: len(variances)], noise, n_rows, n_features)
        previous, noise = noise, _noise(values, variances, noise)
        if abs(noise - previous) <= 1e-14 * noise:
            break
    return variances, noise


def _roots(values: np.ndarray, noise: float, n_rows: float, n_features: int) -> np.ndarray:
    """The larger root l of each leading eigenvalue that has one."""
    half = n_rows * (values + noise) / (2 * (n_rows + n_features))
    discriminant = half**2 - n_rows * values * noise / (n_rows + n_features)
    alive = (discriminant > 0) & (values > noise)
    n_alive = len(alive) if alive.all() else int(alive.argmin())
    return half[:n_alive] + np.sqrt(discriminant[:n_alive])


def _noise(values: np.ndarray, variances: np.ndarray, noise: float) -> float:
    """Noise v where the density is stationary given the loadings.

    That is sum_rest (s - v) / v² + sum_components (s - l) / l² = 0, a contraction in v.
    """
    rest = values[len(variances) :]
    shrinkage = (values[: len(variances)] - variances) / variances**2
    return float((rest.sum() + noise**2 * shrinkage.sum()) / len(rest))
