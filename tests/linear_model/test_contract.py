"""scikit-learn's checks and the contract's, and files, on every kind of linear model."""

import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_iris

from skbayes import BayesianLinearRegression, BayesianLogisticRegression, io
from tests import conformance

# HMC runs this short must warn that they did not converge; any other warning is an error.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

QUICK = {"n_samples": 8, "warmup": 12, "max_extensions": 0, "init_steps": 5, "max_leapfrog": 10}
THOROUGH = [BayesianLinearRegression(), BayesianLogisticRegression()]
OTHERS = [
    BayesianLinearRegression(hyperparameters="evidence"),
    BayesianLinearRegression(hyperparameters="fixed"),
    BayesianLinearRegression(hyperparameters="bayes", ard=True),
    BayesianLinearRegression(hyperparameters="bayes", alpha_prior=None),
    BayesianLogisticRegression(inference="laplace", hyperparameters="fixed"),
    BayesianLogisticRegression(inference="laplace", hyperparameters="bayes", ard=True),
    BayesianLogisticRegression(inference="hmc", hyperparameters="fixed", hmc_params=QUICK),
]


@pytest.fixture
def numpy_state_stays():
    """Let scikit-learn's checks draw from NumPy's generator; the contract's look at ours."""


@conformance.scikit_learn(THOROUGH, OTHERS)
def test_scikit_learn(estimator, check):
    check(estimator)


@conformance.contract(THOROUGH, OTHERS)
def test_contract(estimator, check):
    check(estimator)


@pytest.mark.parametrize("check", conformance.OUTSIDE_ITS_LIST)
@pytest.mark.parametrize("estimator", THOROUGH)
def test_scikit_learn_checks_outside_its_list(estimator, check):
    check(type(estimator).__name__, estimator)


READER = """
import sys, pathlib, numpy as np
from skbayes import io
X = np.load(sys.argv[1] + "/rows.npy")
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.skbayes")):
    estimator = io.load(path)
    np.save(path.with_suffix(".npy"), estimator.predict_std(X))
"""


def test_files_load_to_the_same_bits_in_a_new_process(tmp_path):
    X, y = load_iris(return_X_y=True)
    X, y = X[::3], y[::3]
    np.save(tmp_path / "rows.npy", X)
    expected = {}
    for i, estimator in enumerate([*THOROUGH, *OTHERS]):
        path = tmp_path / f"{i}.skbayes"
        fitted = clone(estimator).fit(X, y)
        io.save(fitted, path)
        expected[path.with_suffix(".npy")] = fitted.predict_std(X)
    subprocess.run([sys.executable, "-c", READER, str(tmp_path)], check=True)
    for path, std in expected.items():
        assert_array_equal(np.load(path), std)


def test_a_loaded_regression_goes_on(tmp_path):
    X, y = load_iris(return_X_y=True)
    X, y = X[:, :3], X[:, 3]
    reg = BayesianLinearRegression().partial_fit(X[:50], y[:50])
    io.save(reg, tmp_path / "half.skbayes")
    loaded = io.load(tmp_path / "half.skbayes").partial_fit(X[50:], y[50:])
    assert_array_equal(loaded.coef_, reg.partial_fit(X[50:], y[50:]).coef_)
