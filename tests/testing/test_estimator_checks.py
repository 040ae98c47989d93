"""The contract's checker accepts honest estimators, and names what a broken one breaks."""

import inspect
from unittest import SkipTest

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.exceptions import EstimatorCheckFailedWarning

from skbayes.testing import _checks as estimator_checks
from skbayes.testing._checks import (
    bayesian_checks_generator,
    check_bayesian_estimator,
    parametrize_with_bayesian_checks,
)
from tests.testing.broken import BROKEN, Classifier, ShiftedInterval
from tests.testing.broken_rows import BROKEN_ROWS
from tests.testing.conjugate import ConjugateRegression
from tests.testing.normals import Coins, Mixture, OneFactor


class Inconsistent(ConjugateRegression):
    """Declares what excuses it."""

    consistent = False
    scale_targets = False


def checks_of(estimator):
    """Checks by name."""
    return {check.func.__name__: check for _, check in bayesian_checks_generator(estimator)}


PREDICTORS = [ConjugateRegression(), Classifier()]
ROW_MODELS = [OneFactor(), Mixture(), Coins()]


@parametrize_with_bayesian_checks([ConjugateRegression(), *ROW_MODELS])
def test_an_outsider_keeps_the_contract(estimator, check):
    check(estimator)


@pytest.fixture
def numpy_state_returns(numpy_state_stays):
    """Put NumPy's generator back after an estimator that moves it."""
    before = np.random.get_state()  # noqa: NPY002
    yield
    np.random.set_state(before)  # noqa: NPY002


@pytest.mark.usefixtures("numpy_state_returns")
@pytest.mark.parametrize(
    ("check", "broken"),
    [
        (check, broken)
        for catalogue in (BROKEN, BROKEN_ROWS)
        for check, classes in catalogue.items()
        for broken in classes
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_a_broken_estimator_is_caught(check, broken):
    with pytest.raises(AssertionError):
        checks_of(broken())[check](broken())


def all_checks(estimators):
    return {name for estimator in estimators for name in checks_of(estimator)}


def test_every_check_can_fail():
    assert all_checks(PREDICTORS) == BROKEN.keys()
    # What predictors and row models share is broken among the predictors already.
    assert all_checks(ROW_MODELS) - BROKEN.keys() == BROKEN_ROWS.keys() - BROKEN.keys()


def test_every_check_is_registered():
    names = ("state", "spread", "density", "rows", "latents", "files")
    written = {
        name
        for module in (getattr(estimator_checks, each) for each in names)
        for name, value in inspect.getmembers(module, inspect.isfunction)
        if name.startswith("check_") and value.__module__ == module.__name__
    }
    assert written == all_checks(PREDICTORS + ROW_MODELS)


def test_failures_are_recorded_and_the_rest_still_runs():
    results = check_bayesian_estimator(ShiftedInterval(), on_fail=None)
    failed = {r["check_name"]: r["exception"] for r in results if r["status"] == "failed"}
    assert failed.keys() == {"check_intervals"}
    assert "predict_interval" in str(failed["check_intervals"])
    assert "standard errors" in str(failed["check_intervals"])
    assert len(results) == len(checks_of(ShiftedInterval()))


def test_failures_warn():
    with pytest.warns(EstimatorCheckFailedWarning, match="check_intervals"):
        check_bayesian_estimator(ShiftedInterval(), on_fail="warn")


def test_failures_raise():
    with pytest.raises(AssertionError, match=r"ShiftedInterval\.predict_interval"):
        check_bayesian_estimator(ShiftedInterval())


def test_a_declared_fact_excuses_from_its_check():
    results = check_bayesian_estimator(Inconsistent())
    skipped = {r["check_name"] for r in results if r["status"] == "skipped"}
    assert skipped == {"check_epistemic_falls_with_data", "check_target_units"}
    assert all(isinstance(r["exception"], SkipTest) for r in results if r["exception"])


@pytest.mark.parametrize("unfit", [KMeans(), ConjugateRegression])
def test_only_instances_of_predictors_are_taken(unfit):
    with pytest.raises(TypeError, match="instance of a regressor, classifier, density"):
        check_bayesian_estimator(unfit)


def test_on_fail_is_validated():
    with pytest.raises(ValueError, match="on_fail='shout'"):
        check_bayesian_estimator(ConjugateRegression(), on_fail="shout")


class OneLivePart(Mixture):
    """All weight on one component: assignments cannot vary."""

    def _log_joint(self, X):
        joint = super()._log_joint(X)
        joint[..., 1] = -np.inf
        return joint


def test_certain_assignments_need_not_vary_with_the_seed():
    estimator = OneLivePart()
    checks_of(estimator)["check_posterior_draws"](estimator)
