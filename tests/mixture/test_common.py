"""scikit-learn's checks and the contract's, on every covariance type and weight prior."""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skbayes
from skbayes import VariationalGMM
from skbayes.io import load, save
from tests import conformance

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

#: Large concentrations keep several components alive on the checks' few rows.
ESTIMATORS = [
    VariationalGMM(4),
    VariationalGMM(4, covariance_type="tied", weight_concentration=20.0, n_moves=0),
    VariationalGMM(
        3, covariance_type="diag", weight_prior="dirichlet_process", weight_concentration=5.0
    ),
    VariationalGMM(3, covariance_type="spherical"),
]


@pytest.fixture
def numpy_state_stays():
    """Let scikit-learn's checks draw from NumPy's generator; the contract's look at ours."""


@conformance.scikit_learn([VariationalGMM(), ESTIMATORS[2]], ESTIMATORS)
def test_scikit_learn(estimator, check):
    check(estimator)


@pytest.mark.parametrize("check", conformance.OUTSIDE_ITS_LIST)
def test_scikit_learn_checks_outside_its_list(check):
    check("VariationalGMM", VariationalGMM(2))


@conformance.contract(ESTIMATORS[:1], ESTIMATORS[1:])
def test_contract(estimator, check):
    check(estimator)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: e.covariance_type)
def test_files_and_pickles_give_the_same_bits(estimator, tmp_path):
    X = load_iris().data
    gmm = clone(estimator).set_params(random_state=0).fit(X)
    save(gmm, tmp_path / "gmm.skbayes")
    for again in (load(tmp_path / "gmm.skbayes"), pickle.loads(pickle.dumps(gmm))):
        assert np.array_equal(again.score_samples(X), gmm.score_samples(X))
        assert np.array_equal(again.partial_fit(X).means_, clone_of(gmm).partial_fit(X).means_)


def clone_of(gmm):
    return pickle.loads(pickle.dumps(gmm))


def test_one_row_is_answered_as_in_company():
    X = load_iris().data
    gmm = VariationalGMM(3, random_state=0).fit(X)
    assert_allclose(gmm.score_samples(X[:1]), gmm.score_samples(X)[:1], rtol=1e-12)
    assert gmm.predict(X[:1]).shape == (1,)


def test_frames_name_their_columns():
    X = load_iris(as_frame=True).data
    gmm = VariationalGMM(3, random_state=0).fit(X)
    assert list(gmm.feature_names_in_) == list(X.columns)
    assert_allclose(gmm.score_samples(X), gmm.score_samples(pd.DataFrame(X)))


def test_verbs_reach_through_a_pipeline():
    X = load_iris().data
    pipe = make_pipeline(StandardScaler(), VariationalGMM(3, random_state=0)).fit(X)
    Z = pipe[0].transform(X)
    assert_allclose(skbayes.predict_std(pipe, X), pipe[-1].predict_std(Z))
    assert skbayes.score_evidence(pipe) == pipe[-1].score_evidence()
    assert_allclose(skbayes.score_evidence(pipe, X[:5]), pipe[-1].score_evidence(Z[:5]))
    assert set(skbayes.sample_posterior(pipe, n_samples=2, random_state=0)) == {
        "pi",
        "mu",
        "Lambda",
    }


def test_responsibilities_are_a_step_of_a_pipeline():
    X, y = load_iris(return_X_y=True)
    pipe = make_pipeline(
        StandardScaler(), VariationalGMM(6, random_state=0), LogisticRegression()
    ).set_output(transform="pandas")
    grid = {"variationalgmm__covariance_type": ["full", "spherical"]}
    search = GridSearchCV(pipe, grid, cv=3).fit(X, y)
    assert search.score(X, y) > 0.6  # at least two groups are told apart
    frame = search.best_estimator_[:-1].transform(X)
    assert list(frame.columns) == [f"variationalgmm{k}" for k in range(6)]
    assert list(frame.columns) == list(search.best_estimator_[:-1].get_feature_names_out())
    gmm, Z = search.best_estimator_[1], search.best_estimator_[0].transform(X)
    assert_allclose(frame, gmm.predict_proba(Z))


def test_fit_transform_is_fit_then_transform():
    X = load_iris().data
    weight = np.random.default_rng(0).integers(0, 3, len(X))
    gmm = VariationalGMM(3, random_state=0)
    both = gmm.fit_transform(X, sample_weight=weight)
    assert np.array_equal(both, clone(gmm).fit(X, sample_weight=weight).transform(X))
    assert both.shape == (len(X), 3)
    X[3, 1] = np.nan
    assert_allclose(gmm.transform(X).sum(axis=1), 1)
    assert gmm.fit(X.astype(np.float32)).transform(X.astype(np.float32)).dtype == np.float32


def test_a_search_ranks_priors_by_held_out_density():
    X = np.random.default_rng(0).permutation(load_iris().data)
    grid = {"covariance_type": ["full", "spherical"], "weight_concentration": [0.1, 1.0]}
    search = GridSearchCV(VariationalGMM(3, random_state=0), grid, cv=3).fit(X)
    assert search.best_params_["covariance_type"] == "full"


def test_fit_predict_is_fit_then_predict():
    X = load_iris().data
    gmm = VariationalGMM(3, random_state=0)
    labels = gmm.fit_predict(X)
    assert np.array_equal(labels, gmm.predict(X))
    assert np.array_equal(np.bincount(labels, minlength=3).argsort()[::-1], [0, 1, 2])
