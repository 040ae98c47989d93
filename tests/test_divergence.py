"""Runs that leave the numbers: an error with a remedy, and an estimator left as it was."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.exceptions import NotFittedError

from skbayes._model import Model
from skbayes.exceptions import DivergenceError
from skbayes.inference import (
    HMC,
    MAP,
    MCLMC,
    NUTS,
    SGHMC,
    SGLD,
    SWAG,
    DeepEnsemble,
    GaussianVI,
    Laplace,
    MCDropout,
    MeanFieldVI,
)
from tests.bad_input import (
    ENGINES,
    IRIS,
    SPECIES,
    X,
    Y,
    classifier,
    regressor,
)

#: On rows that a network can interpolate noise vanishes, and short runs say that they diverge.
pytestmark = pytest.mark.filterwarnings("ignore:.*moves diverged")


HUGE = {
    "map": MAP(max_iter=60, learning_rate=1e30),
    "laplace": Laplace(max_iter=60, learning_rate=1e30),
    "mean_field_vi": MeanFieldVI(max_iter=60, learning_rate=1e30),
    "gaussian_vi": GaussianVI(max_iter=60, learning_rate=1e30),
    "mc_dropout": MCDropout(max_iter=60, learning_rate=1e30),
    "deep_ensemble": DeepEnsemble(max_iter=60, learning_rate=1e30),
    "swag": SWAG(max_iter=60, learning_rate=1e30),
    "hmc": HMC(n_samples=10, warmup=10, step_size=1e3),
    "nuts": NUTS(n_samples=10, warmup=10, step_size=1e3),
    "sghmc": SGHMC(step_size=1e3),
    "sgld": SGLD(step_size=1e3),
    "mclmc": MCLMC(step_size=1e3, n_samples=20, warmup=20),
}


@ENGINES
@pytest.mark.parametrize("kind", ["regressor", "classifier"])
def test_divergence_is_an_error_that_names_engine_and_remedy(engine, kind):
    estimator, rows, y = (
        (regressor(), X, Y) if kind == "regressor" else (classifier(), IRIS, SPECIES)
    )
    estimator.set_params(inference=HUGE[engine])
    step = "learning_rate" if "max_iter" in HUGE[engine].get_params() else "step_size"
    named = rf"{type(HUGE[engine]).__name__} .*inference__{step} \(now 1e\+"
    with pytest.raises(DivergenceError, match=named) as e:
        estimator.fit(rows, y)
    assert isinstance(e.value, ValueError)
    assert not hasattr(estimator, "posterior_")
    with pytest.raises(NotFittedError):
        estimator.predict(rows)


@ENGINES
def test_failed_refit_leaves_the_first_fit(engine):
    """What was learned from the first rows, and their number of columns."""
    reg = regressor().fit(X, Y)
    before = reg.predict(X)
    with pytest.raises(DivergenceError):
        reg.set_params(inference=HUGE[engine]).fit(X[:, :3], Y)
    assert_array_equal(reg.predict(X), before)


def test_divergence_ends_the_progress_bar(capsys):
    with pytest.raises(DivergenceError):
        regressor(verbose=1).set_params(inference=HUGE["map"]).fit(X, Y)
    assert capsys.readouterr().err.endswith("\n")


def test_missing_values_in_the_middle_of_a_fit(monkeypatch):
    """A gradient that goes bad late is noticed, not averaged away."""
    calls = []
    true = Model.value_and_grad

    def spoiled(self, params, data, scale=1.0):
        calls.append(1)
        value, grad = true(self, params, data, scale)
        return value, grad * (np.nan if len(calls) > 15 else 1.0)

    monkeypatch.setattr(Model, "value_and_grad", spoiled)
    with pytest.raises(DivergenceError):
        regressor("map").set_params(inference__max_iter=1000, inference__tol=0.0).fit(X, Y)
    # Soon after, not at the end of a long run.
    assert len(calls) < 50


def test_warm_start_refuses_other_classes():
    clf = classifier(warm_start=True).fit(IRIS, SPECIES)
    with pytest.raises(ValueError, match=r"needs the classes of the first fit, \[.*warm_start=Fal"):
        clf.fit(IRIS, SPECIES + 1)
    # What was fitted is still there, and still itself.
    assert_array_equal(clf.predict_proba(IRIS), classifier().fit(IRIS, SPECIES).predict_proba(IRIS))


@ENGINES
def test_warm_start_that_fails_keeps_the_first_fit(engine):
    reg = regressor(engine, warm_start=True).fit(X, Y)
    before = reg.predict(X)
    with pytest.raises(DivergenceError):
        reg.set_params(inference=HUGE[engine]).fit(X, Y)
    assert_array_equal(reg.predict(X), before)
