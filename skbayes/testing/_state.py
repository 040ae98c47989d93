"""Checks of state: seeds, fitted attributes, weights, pickles, global random numbers."""

from __future__ import annotations

import pickle
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import joblib
import numpy as np
from sklearn.base import is_classifier
from sklearn.exceptions import NotFittedError

from skbayes.testing._problems import (
    Problem,
    assert_close,
    assert_raises,
    epistemic_std,
    evidence,
    first_problem,
    fit,
    fitted_problems,
    fresh,
    is_predictor,
    require,
    stored_evidence,
)

COMMON_VERBS = (
    "fit",
    "predict",
    "predict_std",
    "predict_uncertainty",
    "log_predictive",
    "sample_posterior",
    "sample_y",
    "score_evidence",
)


def verbs(estimator: Any, problem: Problem) -> dict[str, Callable[[Any], Any]]:
    """Every call that a fitted estimator answers from new rows, by name."""
    if not is_predictor(estimator):
        return row_verbs(estimator, problem)
    X, y = problem.X_new, problem.y_new
    calls: dict[str, Callable[[Any], Any]] = {
        "predict": lambda e: e.predict(X),
        "predict_std": lambda e: e.predict_std(X),
        "predict_uncertainty": lambda e: dict(e.predict_uncertainty(X)),
        "log_predictive": lambda e: e.log_predictive(X, y),
        "sample_posterior": lambda e: e.sample_posterior(n_samples=3, random_state=0),
        "sample_posterior(X)": lambda e: e.sample_posterior(X, 3, random_state=0),
        "sample_y": lambda e: e.sample_y(X, 3, random_state=0),
        "score_evidence(X, y)": lambda e: evidence(e, X, y),
        "score_evidence": stored_evidence,
    }
    if is_classifier(estimator):
        return {**calls, "predict_proba": lambda e: e.predict_proba(X)}
    return {
        **calls,
        "predict_interval": lambda e: e.predict_interval(X),
        "predict_quantiles": lambda e: e.predict_quantiles(X),
    }


def row_verbs(estimator: Any, problem: Problem) -> dict[str, Callable[[Any], Any]]:
    """The calls of an estimator that learns no targets."""
    X = problem.X_new
    calls: dict[str, Callable[[Any], Any]] = {
        "score_samples": lambda e: e.score_samples(X),
        "score": lambda e: e.score(X),
        "sample": lambda e: e.sample(3, random_state=0),
        "transform": lambda e: e.transform(X),
        "inverse_transform": lambda e: e.inverse_transform(e.transform(X)),
        "predict": lambda e: e.predict(X),
        "predict_proba": lambda e: e.predict_proba(X),
        "predict_std": lambda e: e.predict_std(X),
    }
    calls = {verb: call for verb, call in calls.items() if hasattr(estimator, verb)}
    if has_codes(estimator):
        calls["sample_posterior(X)"] = lambda e: e.sample_posterior(X, 3, random_state=0)
    if hasattr(estimator, "score_samples"):
        calls["score_evidence(X)"] = lambda e: evidence(e, X)
    calls["sample_posterior"] = lambda e: e.sample_posterior(n_samples=3, random_state=0)
    return {**calls, "score_evidence": stored_evidence}


def has_codes(estimator: Any) -> bool:
    """Whether each row has an unknown of its own: a code, or an assignment."""
    return hasattr(estimator, "transform") or hasattr(estimator, "predict_proba")


def check_row_verbs_exist(name: str, estimator: Any) -> None:
    """The estimator has every method of the contract for densities and for codes."""
    wanted: tuple[str, ...] = ("fit", "sample_posterior", "score_evidence")
    if hasattr(estimator, "score_samples"):
        wanted += ("score", "sample")
    if hasattr(estimator, "transform"):
        wanted += ("get_feature_names_out", "set_output")
        if not hasattr(estimator, "predict_proba"):
            wanted += ("inverse_transform",)
    if has_codes(estimator):
        wanted += ("predict_std",)
    missing = [verb for verb in wanted if not hasattr(estimator, verb)]
    require(not missing, f"{name} lacks {missing}")


def check_verbs_exist(name: str, estimator: Any) -> None:
    """The estimator has every method of the contract."""
    numeric = ("predict_interval", "predict_quantiles")
    own = ("predict_proba",) if is_classifier(estimator) else numeric
    missing = [verb for verb in (*COMMON_VERBS, *own) if not hasattr(estimator, verb)]
    require(not missing, f"{name} lacks {missing}")


def check_unfitted_is_refused(name: str, estimator: Any) -> None:
    """Every verb of an unfitted estimator raises NotFittedError."""
    unfitted = fresh(estimator)
    for verb, call in verbs(estimator, first_problem(estimator)).items():
        assert_raises(f"{name}.{verb} before fit", NotFittedError, call, unfitted)


def check_predictions_leave_state(name: str, estimator: Any) -> None:
    """Every verb can be repeated to the same bits, and leaves the attributes as they were."""
    for problem, fitted in fitted_problems(estimator):
        before = joblib.hash(fitted.__dict__)
        for verb, call in verbs(estimator, problem).items():
            what = f"{name}.{verb} on {problem.name}"
            first, again = joblib.hash(call(fitted)), joblib.hash(call(fitted))
            require(first == again, f"{what}: a second call gives other numbers")
            require(joblib.hash(fitted.__dict__) == before, f"{what}: changes the attributes")


def check_data_are_left_alone(name: str, estimator: Any) -> None:
    """Neither fit nor any verb changes the arrays that it is given."""
    for problem, fitted in fitted_problems(estimator):
        before = joblib.hash(vars(problem))
        fit(estimator, problem.X, problem.y)
        require(joblib.hash(vars(problem)) == before, f"{name}.fit changes its arguments")
        for verb, call in verbs(estimator, problem).items():
            call(fitted)
            require(joblib.hash(vars(problem)) == before, f"{name}.{verb} changes its arguments")


#: Verbs whose answer has one row a row of X.
ROW_BY_ROW = (
    "predict",
    "predict_std",
    "predict_proba",
    "predict_interval",
    "log_predictive",
    "score_samples",
    "transform",
)


def check_rows_stand_alone(name: str, estimator: Any) -> None:
    """A row has the answer that it has among others."""
    for problem, fitted in fitted_problems(estimator):
        together = verbs(estimator, problem)
        for verb in (verb for verb in ROW_BY_ROW if verb in together):
            rows = [verbs(estimator, alone)[verb](fitted) for alone in _one_by_one(problem)]
            what = f"{name}.{verb} on {problem.name}: rows alone against rows together"
            if verb == "predict" and is_classifier(estimator):
                same = np.array_equal(np.concatenate(rows), together[verb](fitted))
                require(same, what)
            else:
                assert_close(what, np.concatenate(rows), together[verb](fitted))


def _one_by_one(problem: Problem) -> Iterator[Problem]:
    for index in range(len(problem.X_new)):
        row = slice(index, index + 1)
        y_new = None if problem.y_new is None else problem.y_new[row]
        yield replace(problem, X_new=problem.X_new[row], y_new=y_new)


def check_fit_reproduces(name: str, estimator: Any) -> None:
    """Equal seeds give equal fits, to the bit."""
    problem, fitted = next(fitted_problems(estimator))
    again = fit(estimator, problem.X, problem.y)
    for verb, call in verbs(estimator, problem).items():
        what = f"{name}.{verb}: differs between two fits of one random_state"
        require(joblib.hash(call(fitted)) == joblib.hash(call(again)), what)


def check_draws_follow_the_seed(name: str, estimator: Any) -> None:
    """Draws repeat with the seed and change with it; an epistemic spread of zero cannot."""
    for problem, fitted in fitted_problems(estimator):
        X, what = problem.X_new, f"{name}.{{}} on {problem.name}"
        varies = bool((epistemic_std(fitted, X) > 0).any())
        agrees_with_its_seed(what.format("sample_y(X, n)"), partial(fitted.sample_y, X, 50), True)
        functions, globals_ = (partial(fitted.sample_posterior, at, 50) for at in (X, None))
        agrees_with_its_seed(what.format("sample_posterior(X, n)"), functions, varies)
        agrees_with_its_seed(what.format("sample_posterior(None, n)"), globals_, varies)


def agrees_with_its_seed(what: str, draw: Callable[..., Any], must_vary: bool) -> None:
    first = joblib.hash(draw(random_state=0))
    again = joblib.hash(draw(random_state=0))
    require(first == again, f"{what}: one random_state gives two results")
    instance = joblib.hash(draw(random_state=np.random.RandomState(0)))
    require(first == instance, f"{what}: an int and its RandomState give two results")
    if must_vary:
        other = joblib.hash(draw(random_state=1))
        require(first != other, f"{what}: random_state changes nothing")


def check_named_draws(name: str, estimator: Any) -> None:
    """Draws of the global unknowns are finite arrays by name, draws first."""
    for problem, fitted in fitted_problems(estimator):
        what = f"{name}.sample_posterior(n_samples=7) on {problem.name}"
        draws = fitted.sample_posterior(n_samples=7, random_state=0)
        require(isinstance(draws, dict), f"{what}: a {type(draws).__name__}, not a dict")
        require(draws, f"{what}: no unknowns")
        for key, value in draws.items():
            require(isinstance(value, np.ndarray), f"{what}: {key!r} is no array")
            require(value.shape[:1] == (7,), f"{what}: {key!r} has shape {value.shape}")
            require(np.isfinite(value).all(), f"{what}: {key!r} holds non-finite numbers")


def check_draw_counts(name: str, estimator: Any) -> None:
    """One draw by default; a count that is not a positive integer is refused."""
    problem, fitted = next(fitted_problems(estimator))
    X = problem.X_new
    one = fitted.sample_posterior(X=X, random_state=0)
    require(len(one) == 1, f"{name}.sample_posterior: not one draw by default")
    one = fitted.sample_y(X, random_state=0)
    require(len(one) == 1, f"{name}.sample_y: not one draw by default")
    for n in (0, 2.5):
        what = f"{name} with n_samples={n}"
        assert_raises(f"{what}: sample_y", ValueError, fitted.sample_y, X, n)
        assert_raises(f"{what}: sample_posterior", ValueError, fitted.sample_posterior, None, n)
        assert_raises(f"{what}: sample_posterior", ValueError, fitted.sample_posterior, X, n)


def check_weights_repeat_rows(name: str, estimator: Any) -> None:
    """A row of integer weight w is w equal rows, and none where w is zero."""
    problem = first_problem(estimator)
    weight = np.random.RandomState(0).randint(0, 4, size=len(problem.X))
    rows = np.random.RandomState(1).permutation(np.repeat(np.arange(len(weight)), weight))
    weighted = fit(estimator, problem.X, problem.y, sample_weight=weight)
    y = None if problem.y is None else problem.y[rows]
    repeated = fit(estimator, problem.X[rows], y)
    _check_same(f"{name}: weighted against repeated rows", weighted, repeated, problem)


def check_refused_fit(name: str, estimator: Any) -> None:
    """A fit that is refused leaves the estimator as it was, or unfitted: no half of each."""
    problem, fitted = next(fitted_problems(estimator))
    calls = verbs(estimator, problem)
    before = {verb: joblib.hash(call(fitted)) for verb, call in calls.items()}
    wider = np.column_stack([problem.X, np.full(len(problem.X), np.inf)])
    assert_raises(f"{name}.fit to an infinite column", ValueError, fitted.fit, wider, problem.y)
    for verb, call in calls.items():
        what = f"{name}.{verb} after a refused fit to more columns"
        try:
            after = joblib.hash(call(fitted))
        except NotFittedError:
            continue
        except Exception as error:
            raise AssertionError(f"{what}: {error}") from error
        require(after == before[verb], f"{what}: other numbers")


def check_pickle(name: str, estimator: Any) -> None:
    """A pickled estimator answers with the same bits."""
    for problem, fitted in fitted_problems(estimator, anew=True):
        loaded = pickle.loads(pickle.dumps(fitted))
        for verb, call in verbs(estimator, problem).items():
            same = joblib.hash(call(fitted)) == joblib.hash(call(loaded))
            require(same, f"{name}.{verb} on {problem.name}: other bits after pickling")


def _check_same(what: str, one: Any, other: Any, problem: Problem) -> None:
    calls = verbs(one, problem)
    kept = ["predict_std", "log_predictive", "predict_proba", "predict_interval"]
    kept += ["score_samples", "transform"]
    for verb in (v for v in kept if v in calls):
        assert_close(f"{what}: {verb}", calls[verb](one), calls[verb](other), 1e-6, 1e-8)
    if "predict" in calls:
        np.testing.assert_array_equal(calls["predict"](one), calls["predict"](other), what)
    before, after = stored_evidence(one), stored_evidence(other)
    require((before is None) == (after is None), f"{what}: only one has an evidence")
    if before is not None and after is not None:
        assert_close(f"{what}: score_evidence", before, after, 1e-6, 1e-8)


def check_global_state_untouched(name: str, estimator: Any) -> None:
    """Neither fit nor any verb touches a global generator or torch's thread count."""
    with _two_torch_threads():
        before = _global_state()
        for problem, fitted in fitted_problems(estimator, anew=True):
            require(_global_state() == before, f"{name}.fit changes global state")
            for verb, call in verbs(estimator, problem).items():
                call(fitted)
                require(_global_state() == before, f"{name}.{verb} changes global state")


@contextmanager
def _two_torch_threads() -> Iterator[None]:
    """A count that no estimator would choose for itself, where torch is loaded."""
    torch = sys.modules.get("torch")
    before = None if torch is None else torch.get_num_threads()
    try:
        if torch is not None:
            torch.set_num_threads(2)
        yield
    finally:
        if torch is not None:
            torch.set_num_threads(before)


def _global_state() -> list[Any]:
    state: list[Any] = [random.getstate(), joblib.hash(np.random.get_state())]  # noqa: NPY002
    torch = sys.modules.get("torch")
    if torch is not None:
        state += [torch.get_rng_state().numpy().tobytes(), torch.get_num_threads()]
    return state
