"""Parameter-expanded expectation maximisation of a PPCA, with or without missing values.

Plain EM crawls because codes and loadings fight over their scale. Here the M step also
fits a mean and a covariance of the codes (Liu, Rubin and Wu, 1998); folding them into mean
and loadings makes the codes standard normal again, and saves most of the steps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from skbayes.decomposition._codes import Patterns, blocks, centre, infer_codes, width
from skbayes.decomposition._loadings import Factors
from skbayes.exceptions import DivergenceError

#: A noise variance below this share of the mean variance has collapsed, if components can
#: explain all observed values by their number alone.
COLLAPSED = 1e-9
#: Where they can't, noise is held at this share: sums over patterns resolve no less.
LEAST_NOISE = 1e-12
#: Without noise EM stands still, and what was filled in looks exact: so a climb starts with
#: noise of this share of its weakest component, or more.
FIRST_NOISE = 0.01


#: Is told of the factors after each step; True ends the climb.
Heard = Callable[[Factors], bool]


def unheard(factors: Factors) -> bool:
    """Nobody listens."""
    return False


@dataclass
class Sums:
    """What one pass over the rows leaves to the M step; codes carry a constant 1 last."""

    codes: np.ndarray  # (q + 1, q + 1), over all rows
    codes_at: np.ndarray  # (D, q + 1, q + 1), over the rows where a feature is observed
    cross: np.ndarray  # (D, q + 1), values times codes
    squares: np.ndarray  # (D,)
    n_observed: float
    log_likelihood: float


def expect(factors: Factors, X: np.ndarray, patterns: Patterns, weight: np.ndarray) -> Sums:
    """E step: sums of the codes' expectations, with values centred at the mean."""
    n_features, n = len(factors.mean), len(factors.variances) + 1
    sums = Sums(
        np.zeros((n, n)),
        np.zeros((n_features, n, n)),
        np.zeros((n_features, n)),
        np.zeros(n_features),
        0.0,
        0.0,
    )
    for at in blocks(len(X), width(factors)):
        _add_block(sums, factors, X[at], patterns[at], weight[at])
    return sums


def _add_block(
    sums: Sums, factors: Factors, X: np.ndarray, patterns: Patterns, weight: np.ndarray
) -> None:
    centred = centre(X, factors.mean)
    codes = infer_codes(factors, centred, patterns)
    n_features, n = sums.cross.shape
    extended = np.column_stack([codes.mean, np.ones(len(X))])
    weighted = extended * weight[:, None]
    outer = (weighted[:, :, None] * extended[:, None, :]).reshape(len(X), -1)
    at_pattern = np.bincount(patterns.of_row, weight, minlength=len(patterns.observed))
    covariance = np.zeros((len(patterns.observed), n, n))
    covariance[:, :-1, :-1] = codes.covariance * at_pattern[:, None, None]
    spread = covariance.reshape(len(covariance), -1)
    observed = patterns.observed[patterns.of_row]
    sums.codes += (outer.sum(axis=0) + spread.sum(axis=0)).reshape(n, n)
    at_feature = observed.T @ outer + patterns.observed.T @ spread
    sums.codes_at += at_feature.reshape(n_features, n, n)
    sums.cross += centred.T @ weighted
    sums.squares += weight @ centred**2
    sums.n_observed += float(at_pattern @ patterns.observed.sum(axis=1))
    sums.log_likelihood += float(weight @ codes.log_density)


def maximise(factors: Factors, sums: Sums) -> Factors:
    """M step of the expanded model, folded back into one with standard normal codes."""
    extended = np.linalg.solve(sums.codes_at, sums.cross[..., None])[..., 0]
    noise = float((sums.squares - (extended * sums.cross).sum(axis=1)).sum() / sums.n_observed)
    loadings, shift = extended[:, :-1], extended[:, -1]
    moments = sums.codes / sums.codes[-1, -1]
    mean = moments[-1, :-1]
    covariance = moments[:-1, :-1] - np.outer(mean, mean)
    return Factors.from_loadings(
        factors.mean + shift + loadings @ mean, loadings @ np.linalg.cholesky(covariance), noise
    )


def fit_em(
    start: Factors,
    X: np.ndarray,
    patterns: Patterns,
    weight: np.ndarray,
    max_iter: int,
    tol: float,
    least: float = 0.0,
    heard: Heard = unheard,
) -> tuple[Factors, list[float]]:
    """Climb from ``start``; returns the factors and the log likelihood before each step.

    Stops when a step gains less than ``tol`` nats a row. The noise stays above ``least``;
    where that is zero, a climb to a noise of zero is refused. ``heard`` is told of each step,
    and may end the climb.
    """
    factors, trace = start, list[float]()
    scale = start.covariance.trace() / len(start.mean)
    for _ in range(max_iter):
        sums = expect(factors, X, patterns, weight)
        trace.append(sums.log_likelihood)
        if len(trace) > 1 and trace[-1] - trace[-2] < tol * weight.sum():
            break
        factors = maximise(factors, sums)
        reached = f"log likelihood {trace[-1]:.6g}"
        factors = hold_noise(factors, least, scale, len(trace), reached)
        if heard(factors):
            break
    return factors, trace


def hold_noise(factors: Factors, least: float, scale: float, step: int, last: str) -> Factors:
    """Keep the noise above ``least``; without it, stop before the density is infinite."""
    if factors.noise < least:
        return replace(factors, variances=np.maximum(factors.variances, least), noise=float(least))
    if not least and not factors.noise > COLLAPSED * scale:
        n_components = len(factors.variances)
        raise DivergenceError(
            f"EM of PPCA drove the noise variance to zero in step {step} ({last} before it): "
            f"{n_components} components explain every observed value; set n_components to less "
            f"than {n_components}"
        )
    return factors
