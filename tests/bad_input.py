"""Quick networks, and what their answers to bad input must be like."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris

from skbayes import BayesianMLPClassifier, BayesianMLPRegressor
from skbayes.inference import (
    INFERENCES,
)
from tests.engine_configs import SHORT, cheap_engines

X, Y = (a[:60] for a in load_diabetes(return_X_y=True))
IRIS, SPECIES = (a[::3] for a in load_iris(return_X_y=True))
LONGER = {**SHORT, "n_samples": 40, "thinning": 5, "warmup": 100}
CHEAP = cheap_engines(
    deep_ensemble={"n_members": 2},
    hmc={"warmup": 60},
    nuts={"warmup": 60},
    sghmc=LONGER,
    sgld=LONGER,
    mclmc={**LONGER, "step_size": 0.05, "energy_variance": 0.1},
)
ENGINES = pytest.mark.parametrize("engine", INFERENCES)
#: Without noise in the targets short runs are still on their way, and say so.
STILL_HOT = pytest.mark.filterwarnings(
    "ignore:SGHMC. the mean squared momentum", "ignore:MCLMC. the energy error"
)


def regressor(engine="laplace", **params):
    params = {"n_predictive_samples": 64, "random_state": 0} | params
    return BayesianMLPRegressor((4,), inference=clone(CHEAP[engine]), **params)


def classifier(engine="laplace", **params):
    params = {"n_predictive_samples": 64, "random_state": 0} | params
    return BayesianMLPClassifier((4,), inference=clone(CHEAP[engine]), **params)


def check_answers(reg, X, y):
    """Everything a regressor says about these rows is finite and in order."""
    mean, std = reg.predict(X, return_std=True)
    interval = reg.predict_interval(X)
    assert mean.shape == std.shape == (len(X),)
    assert np.isfinite(mean).all()
    assert np.isfinite(std).all()
    assert (std > 0).all()
    assert np.isfinite(interval).all()
    assert (interval[:, 0] < interval[:, 1]).all()
    assert np.isfinite(reg.log_predictive(X, y)).all()
    assert np.isfinite(reg.sample_y(X, 2)).all()
    assert np.isfinite(list(reg.predict_uncertainty(X).values())).all()


def check_probabilities(clf, X):
    proba = clf.predict_proba(X)
    assert np.isfinite(proba).all()
    assert_allclose(proba.sum(axis=1), 1, rtol=1e-6)
    assert np.isfinite(list(clf.predict_uncertainty(X).values())).all()
