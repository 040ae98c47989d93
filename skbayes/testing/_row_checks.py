"""Checks of estimators that learn rows alone: densities, draws, evidence, fitted state."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any
from unittest import SkipTest

import numpy as np
from scipy.special import expit
from scipy.stats import multivariate_t
from sklearn.utils import get_tags

from skbayes.testing._problems import (
    N_DRAWS,
    assert_close,
    assert_raises,
    assert_within_error,
    evidence,
    first_problem,
    fit,
    fitted_problems,
    new_rows,
    require,
    stored_evidence,
)
from skbayes.testing._state import agrees_with_its_seed, has_codes

#: Draws that a value of a discrete row should have, for its frequency to be near normal.
LEAST_COUNT = 25
#: Log probability below which a coincidence is none.
LOG_CHANCE = -20.0
#: What single precision may change in a log density, a code or a draw.
SINGLE_RTOL = 2e-3


def check_scores(name: str, estimator: Any) -> None:
    """``score_samples`` is a number a row, whatever the rows beside it; ``score`` its mean."""
    for problem, fitted in fitted_problems(estimator):
        what, X = f"{name}.score_samples on {problem.name}", problem.X_new
        density = fitted.score_samples(X)
        require(density.shape == (len(X),), f"{what}: shape {density.shape}")
        require(np.isfinite(density).all(), f"{what}: non-finite numbers")
        assert_close(
            f"{name}.score: not the mean of score_samples", fitted.score(X), density.mean()
        )
        alone = [fitted.score_samples(X[i : i + 1])[0] for i in range(len(X))]
        assert_close(f"{what}: a row depends on the rows beside it", alone, density)


def check_new_rows(name: str, estimator: Any) -> None:
    """``sample`` gives new rows that follow the seed; a count that is none is refused."""
    problem, fitted = next(fitted_problems(estimator))
    X = new_rows(fitted, 50)
    require(X.shape == (50, problem.X.shape[1]), f"{name}.sample(50): shape {X.shape}")
    require(np.isfinite(fitted.score_samples(X)).all(), f"{name}.sample: rows without density")
    require(len(new_rows(fitted, 1)) == 1, f"{name}.sample(1): not one row")
    agrees_with_its_seed(f"{name}.sample(n)", partial(fitted.sample, 50), True)
    for n in (0, 2.5):
        assert_raises(f"{name}.sample({n})", ValueError, fitted.sample, n)


def check_posterior_draws(name: str, estimator: Any) -> None:
    """``sample_posterior`` follows the seed, draws once by default and refuses no counts."""
    problem, fitted = next(fitted_problems(estimator))
    places: list[Any] = [None, problem.X_new] if has_codes(fitted) else [None]
    for X in places:
        what = f"{name}.sample_posterior({'None, n' if X is None else 'X, n'})"
        varies = X is None or _codes_vary(fitted, X, 50)
        agrees_with_its_seed(what, partial(fitted.sample_posterior, X, 50), varies)
        one = fitted.sample_posterior(X=X, random_state=0)
        draws = one.values() if isinstance(one, dict) else [one]
        require(all(len(value) == 1 for value in draws), f"{what}: not one draw by default")
        for n in (0, 2.5):
            assert_raises(f"{what} with n={n}", ValueError, fitted.sample_posterior, X, n)


def _codes_vary(fitted: Any, X: np.ndarray, n_draws: int) -> bool:
    """Whether two lots of draws of the rows' unknowns must differ.

    Codes are continuous. Assignments that are all but certain, those to a single live
    component for one, come out the same whatever the seed.
    """
    if not hasattr(fitted, "predict_proba"):
        return True
    same = (fitted.predict_proba(X) ** 2).sum(axis=1)
    return float(n_draws * np.log(same).sum()) < LOG_CHANCE


def check_draws_have_the_density(name: str, estimator: Any) -> None:
    """Rows of ``sample`` are distributed as ``score_samples`` says, which is normalised."""
    for problem, fitted in fitted_problems(estimator):
        what = f"{name}.sample against score_samples on {problem.name}"
        if get_tags(estimator).input_tags.categorical:
            _check_frequencies(what, fitted)
        else:
            _check_bridge(what, problem.X, fitted)


def _check_frequencies(what: str, fitted: Any) -> None:
    """Each frequent row is as frequent as its probability, and all sum to one at most."""
    values, count = np.unique(new_rows(fitted), axis=0, return_counts=True)
    p = np.exp(fitted.score_samples(values))
    require(p.sum() < 1 + 1e-6, f"{what}: probabilities sum to {p.sum():.6g}")
    often = (count >= LEAST_COUNT) | (p * N_DRAWS >= LEAST_COUNT)
    error = np.sqrt(p * (1 - np.minimum(p, 1)) / N_DRAWS)[often]
    assert_within_error(what, count[often] / N_DRAWS, p[often], error)


def _check_bridge(what: str, X: np.ndarray, fitted: Any) -> None:
    """E_p[f q / (p + q)] = E_q[f p / (p + q)] for a known density q and bounded f."""
    complete = X[np.isfinite(X).all(axis=1)]
    centre, spread = complete.mean(axis=0), complete.std(axis=0)
    reference = multivariate_t(centre, np.cov(complete.T), df=5)
    ours, theirs = new_rows(fitted), reference.rvs(N_DRAWS, random_state=16)

    def terms(rows: np.ndarray, sign: int) -> np.ndarray:
        log_ratio = reference.logpdf(rows) - fitted.score_samples(rows)
        u = np.tanh((rows - centre) / spread)
        functions = np.column_stack([np.ones(len(u)), u, u**2, u[:, :-1] * u[:, 1:]])
        return functions * expit(sign * log_ratio)[:, None]

    left, right = terms(ours, 1), terms(theirs, -1)
    error = np.sqrt((left.var(axis=0) + right.var(axis=0)) / N_DRAWS)
    assert_within_error(what, left.mean(axis=0), right.mean(axis=0), error)


def check_row_units(name: str, estimator: Any) -> None:
    """Eight times X, and X plus 64, move densities by the Jacobian.

    Codes stay as they were, or are in the units of X.

    Estimators whose prior is stated in the units of X say so by ``scale_free = False``
    and are let off, and so are those of discrete rows.
    """
    if not getattr(estimator, "scale_free", True) or get_tags(estimator).input_tags.categorical:
        raise SkipTest(f"{name} has a scale of its own")
    for problem, fitted in fitted_problems(estimator):
        for factor, offset in ((8.0, 0.0), (1.0, 64.0)):
            X, X_new = (values * factor + offset for values in (problem.X, problem.X_new))
            other = fit(estimator, X, None)
            what = f"{name} on {problem.name}, {factor:g} X + {offset:g}"
            shift = np.isfinite(problem.X_new).sum(axis=1) * np.log(factor)
            density = fitted.score_samples(problem.X_new) - shift
            assert_close(f"{what}: score_samples", other.score_samples(X_new), density, 1e-4)
            joint, se = evidence(fitted, problem.X_new)
            value, other_se = evidence(other, X_new)
            error = np.hypot(se, other_se) + 1e-4
            assert_within_error(f"{what}: score_evidence(X)", value, joint - shift.sum(), error)
            if hasattr(fitted, "transform"):
                codes, moved = fitted.transform(problem.X_new), other.transform(X_new)
                size = np.abs(codes).max()
                gap = min(np.abs(moved - codes * unit).max() for unit in (1.0, factor))
                require(gap <= 1e-4 * factor * size, f"{what}: transform has neither unit")
            _check_stored_shift(what, fitted, other, np.isfinite(X).sum() * np.log(factor))


def _check_stored_shift(what: str, fitted: Any, other: Any, shift: float) -> None:
    before, after = stored_evidence(fitted), stored_evidence(other)
    require((before is None) == (after is None), f"{what}: evidence comes and goes with units")
    if before is not None and after is not None:
        assert_close(f"{what}: score_evidence()", after[0], before[0] - shift, 1e-4)


def check_row_evidence(name: str, estimator: Any) -> None:
    """The evidence of one new row is its density; that of several is joint.

    It does not depend on their order, and two equal rows never score less together than
    apart (Jensen's inequality; given the fitted parameters, exactly as much).
    """
    for problem, fitted in fitted_problems(estimator):
        X, what = problem.X_new, f"{name}.score_evidence on {problem.name}"
        density = fitted.score_samples(X)
        for i in range(len(X)):
            one, se = evidence(fitted, X[i : i + 1])
            assert_within_error(f"{what}: one row", one, density[i], se)
            two, se = evidence(fitted, np.repeat(X[i : i + 1], 2, axis=0))
            apart = two - 2 * density[i] + 5 * se + 1e-4
            require(apart > 0, f"{what}: two equal rows lose {-apart:.4g} nats together")
        forth, se = evidence(fitted, X)
        back, other_se = evidence(fitted, X[::-1])
        assert_within_error(f"{what}: the order of rows", forth, back, np.hypot(se, other_se))


def check_no_rows_kept(name: str, estimator: Any) -> None:
    """Nothing in the fitted state is as long as the training rows are many."""
    for problem, fitted in fitted_problems(estimator):
        for at, value in leaves(name, vars(fitted)):
            require(
                len(problem.X) not in np.shape(value) and len(value) != len(problem.X),
                f"{at}: as long as the {len(problem.X)} training rows; files would hold data",
            )


def leaves(at: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Arrays, strings of bytes and lists inside plain containers and objects."""
    if isinstance(value, np.ndarray | bytes):
        yield at, np.atleast_1d(value) if isinstance(value, np.ndarray) else value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(f"{at}.{key}", inner)
    elif isinstance(value, list | tuple):
        yield at, np.empty(len(value))
        for inner in value:
            yield from leaves(at, inner)
    elif hasattr(value, "__dict__") and not callable(value):
        yield from leaves(at, vars(value))


def check_single_precision(name: str, estimator: Any) -> None:
    """Rows in float32 give rows and codes in float32, close to those in float64."""
    if get_tags(estimator).input_tags.categorical:
        raise SkipTest(f"{name} takes integers")
    problem = first_problem(estimator)
    double = fit(estimator, problem.X, None)
    single = fit(estimator, problem.X.astype(np.float32), None)
    X = problem.X_new.astype(np.float32)
    for verb in ("transform", "predict_std", "predict_proba", "score_samples"):
        if hasattr(estimator, verb):
            answer, expected = getattr(single, verb)(X), getattr(double, verb)(problem.X_new)
            assert_close(f"{name}.{verb} of float32", answer, expected, SINGLE_RTOL, SINGLE_RTOL)
            kept = answer.dtype == np.float32 or verb == "score_samples"
            require(kept, f"{name}.{verb} of float32 is {answer.dtype}")
    if hasattr(estimator, "sample"):
        dtype = new_rows(single, 3).dtype
        require(dtype == np.float32, f"{name}.sample after a fit to float32 is {dtype}")
