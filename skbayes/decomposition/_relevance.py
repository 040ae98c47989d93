"""Automatic relevance determination where values are missing.

Expanding the codes would change what the prior on the loadings says, so EM here treats the
missing values themselves as the unknowns: the E step completes the moments of the rows,
the M step is the fixed point for complete data.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from skbayes.decomposition._closed_form import maximum_likelihood, relevant_components
from skbayes.decomposition._codes import Patterns, blocks, centre, infer_codes
from skbayes.decomposition._completion import expected_moments, gaps_are_small, group_gaps
from skbayes.decomposition._em import FIRST_NOISE, Heard, fit_em, hold_noise, unheard
from skbayes.decomposition._loadings import Factors
from skbayes.decomposition._moments import Moments, rank

#: Steps in which components may come back.
BURN_IN = 20


def complete_moments(
    factors: Factors, X: np.ndarray, patterns: Patterns, weight: np.ndarray
) -> Moments:
    """Expected moments of rows given their observed values."""
    return complete_rows(factors, X, patterns, weight)[0]


def complete_rows(
    factors: Factors, X: np.ndarray, patterns: Patterns, weight: np.ndarray
) -> tuple[Moments, float]:
    """Expected moments of rows, and the log likelihood of their observed values."""
    if gaps_are_small(patterns, len(factors.variances)):
        return expected_moments(factors, X, weight, group_gaps(patterns))
    n_features, log_likelihood = len(factors.mean), 0.0
    first, second = np.zeros(n_features), np.zeros((n_features, n_features))
    for at in blocks(len(X), n_features**2):
        block = patterns[at]
        codes = infer_codes(factors, centre(X[at], factors.mean), block)
        filled = fill(factors, X[at], codes.mean) - factors.mean
        first += weight[at] @ filled
        second += filled.T @ (filled * weight[at][:, None])
        share = np.bincount(block.of_row, weight[at], minlength=len(block.observed))
        second += _unseen(factors, block.observed, codes.covariance, share)
        log_likelihood += float(weight[at] @ codes.log_density)
    total = float(weight.sum())
    shift = first / total
    covariance = second / total - np.outer(shift, shift)
    return Moments(total, factors.mean + shift, covariance), log_likelihood


def fill(factors: Factors, X: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Rows with what codes say in the place of missing values."""
    return np.where(np.isnan(X), factors.mean + codes @ factors.loadings.T, X)


def _unseen(
    factors: Factors, observed: np.ndarray, covariance: np.ndarray, share: np.ndarray
) -> np.ndarray:
    """Weighted sum over patterns of the covariance of missing values (D, D)."""
    missing = 1 - observed
    around = factors.loadings @ covariance @ factors.loadings.T
    pairs = (missing * share[:, None])[:, :, None] * missing[:, None, :]
    noise = factors.noise * (share @ missing)
    return np.einsum("pij,pij->ij", around, pairs) + np.diag(noise)


def fit_relevance(
    start: Moments,
    X: np.ndarray,
    patterns: Patterns,
    weight: np.ndarray,
    max_iter: int,
    tol: float,
    least: Callable[[int], float],
    room: int,
    heard: Heard = unheard,
) -> tuple[Factors, list[float]]:
    """Climb from moments; returns the factors and the noise after each step.

    The noise of a number of components stays above ``least`` of it, as in `fit_em`; there
    is ``room`` for so many at the start.

    Stops when the noise moves by a share of less than ``tol``. In the first `BURN_IN` steps,
    while moments still hold the start's filling, noise is kept above a share of the weakest
    component, and components that leave may come back; not later. Where all leave, one is
    fitted by maximum likelihood. The noise of a number of components stays above ``least``
    of it, as in `fit_em`; there is ``room`` for so many at the start.
    """
    moments, trace, most = start, list[float](), len(start.mean) - 1
    for step in range(max_iter):
        values, axes = moments.spectrum()
        here = max(rank(values) - 1, room)
        most = min(most, here) if step > BURN_IN else here
        variances, noise = relevant_components(values, moments.weight, most)
        alone = not len(variances)
        if alone:
            variances, noise = maximum_likelihood(values, 1)
        n_codes = len(variances)
        warm = step < BURN_IN and noise < FIRST_NOISE * variances[-1]
        if warm:
            noise = FIRST_NOISE * float(variances[-1])
        factors = Factors(moments.mean, axes[:n_codes], variances, noise)
        reached = f"noise variance {trace[-1:]}"
        factors = hold_noise(factors, least(n_codes), values.mean(), step, reached)
        # What is held at the noise's least is no component.
        n_codes = max(int((factors.variances > factors.noise).sum()), 1)
        factors = replace(factors, components=axes[:n_codes], variances=factors.variances[:n_codes])
        if alone and step >= BURN_IN:
            return fit_em(factors, X, patterns, weight, max_iter, tol, least(n_codes), heard)
        trace.append(factors.noise)
        if heard(factors):
            break
        if len(trace) > 1 and not warm and abs(trace[-1] / trace[-2] - 1) < tol:
            break
        most, moments = n_codes, complete_moments(factors, X, patterns, weight)
    return factors, trace
