"""Warnings name the user's own line, whatever room they come from and what wraps it."""

import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skbayes
from skbayes import (
    PPCA,
    AutoencoderTransformer,
    BayesianLinearRegression,
    BayesianLogisticRegression,
    BayesianMLPRegressor,
    SemiSupervisedVAEClassifier,
    VariationalGMM,
)
from tests.engine_configs import quick_engine

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 2))
y, labels = X[:, 0] + RNG.normal(size=60), np.arange(60) % 3


def short_hmc():
    params = {"n_samples": 8, "n_chains": 2, "warmup": 2, "max_extensions": 0, "init_steps": 2}
    BayesianLogisticRegression(inference="hmc", hmc_params=params, random_state=0).fit(X, labels)


def no_spread():
    reg = BayesianMLPRegressor((2,), inference=quick_engine("map"), random_state=0).fit(X, y)
    reg.predict_std(X, kind="epistemic")


CASES = {
    "linear": lambda: BayesianLinearRegression(ard=True, max_iter=1).fit(X, y),
    "logistic": lambda: BayesianLogisticRegression(max_iter=1).fit(X, labels),
    "logistic's sampler": short_hmc,
    "network": no_spread,
    "mixture": lambda: VariationalGMM(2, max_iter=1, random_state=0).fit(X),
    "ppca": lambda: PPCA(1, solver="em", max_iter=1).fit(X),
    "autoencoder": lambda: (
        AutoencoderTransformer(2, random_state=0).set_params(training__max_iter=1).fit(X)
    ),
    "weights": lambda: BayesianLinearRegression().fit(X, y, sample_weight=np.full(60, 1 / 60)),
    "labels": lambda: (
        SemiSupervisedVAEClassifier(1, random_state=0)
        .set_params(training__max_iter=1)
        .fit(X, np.where(labels > 0, 1, -1))
    ),
    "inside a pipeline": lambda: make_pipeline(
        StandardScaler(), BayesianLogisticRegression(max_iter=1)
    ).fit(X, labels),
    "inside a search": lambda: cross_val_score(VariationalGMM(2, max_iter=1), X, cv=2),
}


@pytest.mark.parametrize("name", CASES)
def test_a_warning_points_at_the_users_line(name):
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        CASES[name]()
    assert seen, "the case warns of nothing"
    assert {Path(record.filename).name for record in seen} == {Path(__file__).name}


def test_warnings_keep_their_class():
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        CASES["mixture"]()


def test_one_function_issues_all_warnings():
    """Levels counted by hand point elsewhere as soon as a function is put between."""
    home = Path(skbayes.__file__).parent
    calls = re.compile(r"\bwarnings\.warn\(|\bstacklevel=\d")
    found = {path.name for path in home.rglob("*.py") if calls.search(path.read_text())}
    assert found == {"_warnings.py"}
