"""A fit from moments of complete rows, and one from rows with missing values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from skbayes.data._canonical import check_columns_seen, row_hash
from skbayes.decomposition._closed_form import maximum_likelihood, relevant_components
from skbayes.decomposition._codes import Patterns
from skbayes.decomposition._completion import fit_completed, gaps_are_small
from skbayes.decomposition._em import FIRST_NOISE, LEAST_NOISE, Heard, fit_em, unheard
from skbayes.decomposition._laplace import (
    Information,
    complete_evidence,
    complete_information,
    missing_information,
)
from skbayes.decomposition._loadings import Factors
from skbayes.decomposition._mode import find_mode
from skbayes.decomposition._moments import Moments, rank, resolution
from skbayes.decomposition._relevance import complete_rows, fit_relevance
from skbayes.exceptions import ConvergenceWarning, DivergenceError
from skbayes.utils._logs import LOG_2PI
from skbayes.utils._warnings import warn

#: A climb of the search stops this much earlier, and after so many steps at most; the
#: winner's is completed.
COARSE, COARSE_STEPS = 10, 30
#: A column whose standard deviation is a smaller share of its mean is constant.
CONSTANT = 1e-14


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


def fit_moments(moments: Moments, n_components: int | str, prior_scale: float) -> Fit:
    """Closed form: everything follows from the eigenvalues of the covariance."""
    values, axes = moments.spectrum()
    most = most_components(moments, values, n_components)
    evidences = None
    if n_components == "ard":
        variances, noise = relevant_components(values, moments.weight, most)
        if not len(variances):
            variances, noise = maximum_likelihood(values, 1)
    else:
        if n_components == "evidence":
            numbers = range(1, most + 1)
            evidences = np.array(
                [complete_evidence(values, n, moments.weight, prior_scale) for n in numbers]
            )
            n_components = int(evidences.argmax()) + 1
        variances, noise = maximum_likelihood(values, int(n_components))
    factors = Factors(moments.mean, axes[: len(variances)], variances, noise)
    return Fit(
        factors,
        complete_information(moments, len(variances), prior_scale),
        moments,
        _log_likelihood(factors, values, moments.weight),
        complete_evidence(values, len(variances), moments.weight, prior_scale),
        log_evidences=evidences,
    )


def most_components(moments: Moments, values: np.ndarray, n_components: int | str) -> int:
    """Components that leave a variance to the noise; refuses to fit more.

    Rows that vary in fewer directions than they could, by their own number and that of the
    columns that vary, have no noise but rounding: then components may be as many.
    """
    if not values[0] > resolution(values, len(values)):
        raise ValueError(
            "the rows of X do not vary, so there is no density to fit; PPCA needs rows of "
            "positive weight that differ (and squares that single numbers can hold)"
        )
    n_directions = rank(values)
    depend = n_directions < min(int(_varies(moments).sum()), moments.n_distinct - 1)
    most = n_directions if depend else n_directions - 1
    if most < (1 if isinstance(n_components, str) else n_components):
        raise ValueError(
            f"n_components={n_components!r} leaves no variance to the noise: the rows of X "
            f"vary in {n_directions} direction(s) only; use fewer components or more rows"
        )
    if depend:
        _warn_of_hidden_columns(moments, values)
    return most


def _varies(moments: Moments) -> np.ndarray:
    """Which columns (D,) vary by more than rounding of their mean."""
    return np.diagonal(moments.covariance) > (CONSTANT * moments.mean) ** 2


def _warn_of_hidden_columns(moments: Moments, values: np.ndarray) -> None:
    """Name columns that vary less than squares of the others are rounded."""
    least = resolution(values, len(values))
    hidden = np.flatnonzero(_varies(moments) & (np.diagonal(moments.covariance) <= least))
    if len(hidden):
        warn(
            f"column(s) {hidden.tolist()} of X vary too little beside the others for double "
            "precision, and count as noise; bring the columns to like units, by StandardScaler",
        )


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
    prior_scale: float = 1.0
    heard: Heard = unheard

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

    def least_noise(self, n_components: int) -> float:
        """The least noise variance, for rows that components can't fit by number alone.

        Zero where they can: where observed values are no more than codes and parameters.
        """
        _, first = np.unique(row_hash(self.X), return_index=True)
        observed = (~np.isnan(self.X[first])).sum(axis=1)
        n_parameters = (len(self.X.T) - n_components) * (n_components + 1)
        spare = np.maximum(observed - n_components, 0).sum() - n_parameters
        return LEAST_NOISE * self.scale() if spare > 0 else 0.0


def fit_rows(table: Table, n_components: int | str) -> Fit:
    """Climb by EM, from moments with missing values at their columns' means."""
    start = table.filled()
    most = most_components(start, start.spectrum()[0], n_components)
    if n_components == "evidence":
        return _search(table, start, most)
    if n_components == "ard":
        rows = table.X, table.patterns, table.weight, table.max_iter, table.tol
        factors, trace = fit_relevance(start, *rows, table.least_noise, most, table.heard)
    else:
        factors, trace = _climb(table, start, int(n_components))
    return _conclude(table, factors, trace)


def _climb(table: Table, start: Moments, n_components: int) -> tuple[Factors, list[float]]:
    values, axes = start.spectrum()
    variances, noise = maximum_likelihood(values, n_components)
    noise = max(noise, FIRST_NOISE * float(variances[-1]))
    first = Factors(start.mean, axes[:n_components], variances, noise)
    climb = fit_completed if gaps_are_small(table.patterns, n_components) else fit_em
    rows = table.X, table.patterns, table.weight, table.max_iter, table.tol
    return climb(first, *rows, table.least_noise(n_components), table.heard)


def _finish(table: Table, factors: Factors, n_iter: int) -> tuple[Fit, int]:
    """The fit, and the steps from it to the posterior's mode."""
    X, patterns, weight = table.X, table.patterns, table.weight
    moments, log_likelihood = complete_rows(factors, X, patterns, weight)
    n_codes, spread = len(factors.variances), table.scale()
    prior_variance = table.prior_scale**2 * spread
    least, climb = table.least_noise(n_codes), (table.max_iter, table.tol)
    mode = find_mode(moments, X, patterns, weight, n_codes, prior_variance, least, *climb)
    information, evidence = missing_information(mode, patterns, weight, spread, table.prior_scale)
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
        warn(
            f"EM of PPCA took max_iter={max_iter} steps without converging; increase max_iter, "
            "or use fewer components",
            ConvergenceWarning,
        )
