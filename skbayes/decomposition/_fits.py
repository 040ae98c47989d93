"""A fit from moments of complete rows, and one from rows with missing values."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from skbayes.decomposition._closed_form import maximum_likelihood, relevant_components
from skbayes.decomposition._codes import Patterns
from skbayes.decomposition._completion import fit_completed, gaps_are_small
from skbayes.decomposition._em import fit_em
from skbayes.decomposition._factors import Factors
from skbayes.decomposition._laplace import (
    Information,
    complete_evidence,
    complete_information,
    missing_evidence,
    missing_information,
)
from skbayes.decomposition._mode import find_mode
from skbayes.decomposition._moments import Moments, rank
from skbayes.decomposition._relevance import complete_rows, fit_relevance
from skbayes.exceptions import ConvergenceWarning, DivergenceError
from skbayes.utils._logs import LOG_2PI
from skbayes.utils._rows import check_columns_seen

#: A climb of the search stops this much earlier, and after so many steps at most; the
#: winner's is completed.
COARSE, COARSE_STEPS = 10, 30


@dataclass(frozen=True)
class Fit:
    """Parameters, what is known about them, and the evidence for them."""

    factors: Factors
    information: Information
    moments: Moments
    log_likelihood: float
    log_evidence: float
    n_iter: int = 1
    log_evidences: np.ndarray | None = None


# --- complete rows -------------------------------------------------------------------


def fit_moments(moments: Moments, n_components: int | str) -> Fit:
    """Closed form: everything follows from the eigenvalues of the covariance."""
    values, axes = moments.spectrum()
    most = most_components(values, n_components)
    evidences = None
    if n_components == "ard":
        variances, noise = relevant_components(values, moments.weight, most)
        if not len(variances):
            variances, noise = maximum_likelihood(values, 1)
    else:
        if n_components == "evidence":
            evidences = np.array(
                [complete_evidence(values, n, moments.weight) for n in range(1, most + 1)]
            )
            n_components = int(evidences.argmax()) + 1
        variances, noise = maximum_likelihood(values, int(n_components))
    factors = Factors(moments.mean, axes[: len(variances)], variances, noise)
    return Fit(
        factors,
        complete_information(moments, len(variances)),
        moments,
        _log_likelihood(factors, values, moments.weight),
        complete_evidence(values, len(variances), moments.weight),
        log_evidences=evidences,
    )


def most_components(values: np.ndarray, n_components: int | str) -> int:
    """Components that leave a variance to the noise; refuses to fit more."""
    if not values[0] > 0:
        raise ValueError(
            "the rows of X do not vary, so there is no density to fit; PPCA needs rows of "
            "positive weight that differ (and squares that single numbers can hold)"
        )
    most = rank(values) - 1
    if most < (1 if isinstance(n_components, str) else n_components):
        raise ValueError(
            f"n_components={n_components!r} leaves no variance to the noise: the rows of X "
            f"vary in {most + 1} direction(s) only; use fewer components or more rows"
        )
    return most


def _log_likelihood(factors: Factors, values: np.ndarray, weight: float) -> float:
    """Log likelihood of rows whose covariance has the model's axes and these eigenvalues."""
    n_codes = len(factors.variances)
    distance = (values[:n_codes] / factors.variances).sum() + values[n_codes:].sum() / factors.noise
    return float(-0.5 * weight * (len(values) * LOG_2PI + factors.log_det + distance))


# --- missing values ------------------------------------------------------------------


@dataclass(frozen=True)
class Table:
    """Rows with missing values, their patterns and weights, and how far to climb."""

    X: np.ndarray
    weight: np.ndarray
    patterns: Patterns
    max_iter: int
    tol: float

    def filled(self) -> Moments:
        """Moments with each missing value at its column's mean: where a climb starts."""
        check_columns_seen(self.X)
        seen = ~np.isnan(self.X)
        mean = np.average(np.where(seen, self.X, 0.0), axis=0, weights=self.weight)
        share = np.average(seen, axis=0, weights=self.weight)
        return Moments.of_rows(np.where(seen, self.X, mean / share), self.weight)

    def scale(self) -> float:
        """Mean variance of a feature, over its observed values."""
        seen = np.where(np.isnan(self.X), 0.0, self.weight[:, None])
        values = np.nan_to_num(self.X)
        mean = (seen * values).sum(axis=0) / seen.sum(axis=0)
        variance = (seen * (values - mean) ** 2).sum(axis=0) / seen.sum(axis=0)
        return float(variance.mean())


def fit_rows(
    X: np.ndarray, weight: np.ndarray, n_components: int | str, max_iter: int, tol: float
) -> Fit:
    """Climb by EM, from moments with missing values at their columns' means."""
    table = Table(X, weight, Patterns.of_rows(X), max_iter, tol)
    start = table.filled()
    most = most_components(start.spectrum()[0], n_components)
    if n_components == "evidence":
        return _search(table, start, most)
    if n_components == "ard":
        factors, trace = fit_relevance(start, X, table.patterns, weight, max_iter, tol)
    else:
        factors, trace = _climb(table, start, int(n_components))
    return _conclude(table, factors, trace)


def _climb(table: Table, start: Moments, n_components: int) -> tuple[Factors, list[float]]:
    values, axes = start.spectrum()
    variances, noise = maximum_likelihood(values, n_components)
    first = Factors(start.mean, axes[:n_components], variances, noise)
    climb = fit_completed if gaps_are_small(table.patterns, n_components) else fit_em
    return climb(first, table.X, table.patterns, table.weight, table.max_iter, table.tol)


def _finish(table: Table, factors: Factors, n_iter: int) -> tuple[Fit, int]:
    """The fit, and the steps from it to the posterior's mode."""
    X, patterns, weight = table.X, table.patterns, table.weight
    moments, log_likelihood = complete_rows(factors, X, patterns, weight)
    n_codes, climb = len(factors.variances), (table.max_iter, table.tol)
    mode = find_mode(moments, X, patterns, weight, n_codes, table.scale(), *climb)
    information = missing_information(mode, patterns, weight)
    evidence = missing_evidence(information, mode)
    return Fit(factors, information, moments, log_likelihood, evidence, n_iter), mode.n_iter


def _conclude(table: Table, factors: Factors, trace: list[float]) -> Fit:
    """The fit that is kept, with a warning where a climb was cut short."""
    fit, n_steps = _finish(table, factors, len(trace))
    _warn_unless_converged(max(len(trace), n_steps), table.max_iter)
    return fit


def _search(table: Table, start: Moments, most: int) -> Fit:
    """Double the number of components while the evidence rises, then close in on its peak."""
    found: dict[int, Fit] = {}
    coarse = replace(table, tol=COARSE * table.tol, max_iter=min(COARSE_STEPS, table.max_iter))

    def evidence(n: int) -> float:
        if n not in found:
            near = min(found, key=lambda other: abs(other - n), default=None)
            begin = start if near is None else found[near].moments
            try:
                factors, trace = _climb(coarse, begin, n)
            except DivergenceError:
                return -np.inf
            found[n], _ = _finish(coarse, factors, len(trace))
        return found[n].log_evidence

    best = peak(evidence, most)
    if best not in found:
        raise DivergenceError(
            "one component explains every observed value of X; PPCA needs more values, or "
            "features that vary more independently"
        )
    factors, trace = _climb(table, found[best].moments, best)
    evidences = np.full(max(found), np.nan)
    evidences[np.array(list(found)) - 1] = [fit.log_evidence for fit in found.values()]
    return replace(_conclude(table, factors, trace), log_evidences=evidences)


def peak(function: Callable[[int], float], most: int) -> int:
    """Where a function of 1, ..., ``most`` with one peak is largest, in few evaluations."""
    below, best = 0, 1
    while best < most and function(above := min(2 * best, most)) > function(best):
        below, best = best, above
    above = min(2 * best, most) + (best == most)
    while above - below > 2:
        left = best - below > above - best
        middle = (below + best) // 2 if left else (best + above) // 2
        if function(middle) > function(best):
            below, best, above = (below, middle, best) if left else (best, middle, above)
        elif left:
            below = middle
        else:
            above = middle
    return best


def _warn_unless_converged(n_steps: int, max_iter: int) -> None:
    if n_steps == max_iter:
        warnings.warn(
            f"EM of PPCA took max_iter={max_iter} steps without converging; increase max_iter, "
            "or use fewer components",
            ConvergenceWarning,
            stacklevel=5,
        )
