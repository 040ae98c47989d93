"""scikit-learn's tools and its neighbours take the estimators as they are."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from mapie.conformity_scores import StdConformityScore
from mapie.regression import CrossConformalRegressor, SplitConformalRegressor
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.ensemble import BaggingRegressor, StackingClassifier
from sklearn.feature_selection import SelectKBest
from sklearn.frozen import FrozenEstimator
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    RandomizedSearchCV,
    cross_val_predict,
    cross_val_score,
    learning_curve,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skbayes import BayesianMLPClassifier, BayesianMLPRegressor
from skbayes.inference import INFERENCES, MAP, Laplace, MCDropout
from skbayes.likelihoods import Gaussian
from skbayes.priors import Normal, StudentT

LAPLACE = Laplace(max_iter=30)
DIABETES = tuple(a[:200] for a in load_diabetes(return_X_y=True))
IRIS = load_iris(return_X_y=True)


def regressor(**params):
    return BayesianMLPRegressor(**{"hidden_layer_sizes": (), "inference": LAPLACE} | params)


def classifier(**params):
    engine = Laplace(max_iter=100)
    return BayesianMLPClassifier(**{"hidden_layer_sizes": (), "inference": engine} | params)


@pytest.fixture
def numpy_state_stays():
    """MAPIE draws from NumPy's generator; test_determinism looks at the estimators' own."""


# --- parameters ---------------------------------------------------------------------


@pytest.mark.parametrize("name", INFERENCES)
def test_nested_parameter_promotes_an_engine(name):
    reg = regressor(inference=name)
    parameter, value = next(iter(INFERENCES[name]().get_params().items()))
    reg.set_params(**{f"inference__{parameter}": value})
    assert type(reg.inference) is INFERENCES[name]


def test_nested_parameters_promote_every_part():
    reg = BayesianMLPRegressor(prior="student_t", likelihood="student_t", inference="map")
    reg.set_params(prior__df=3.0, likelihood__noise=2.0, inference__max_iter=7)
    assert (reg.prior.df, reg.likelihood.noise, reg.inference.max_iter) == (3.0, 2.0, 7)


def test_name_and_its_parameter_in_one_call():
    """The new part is in place before its parameters are set, whatever their order."""
    reg = regressor(inference="map").set_params(
        inference__rate=0.3, prior__scale=0.2, inference="mc_dropout", prior="laplace"
    )
    assert isinstance(reg.inference, MCDropout)
    assert reg.inference.rate == 0.3
    assert reg.prior.scale == 0.2


def test_objects_keep_their_other_parameters():
    reg = regressor(prior=StudentT(df=7.0)).set_params(prior__scale=0.5)
    assert (reg.prior.df, reg.prior.scale) == (7.0, 0.5)


def test_clone_shares_no_part():
    reg = regressor(prior=Normal(scale=0.5), likelihood=Gaussian(noise=2.0), inference=MAP())
    copy = clone(reg)
    assert repr(copy) == repr(reg)
    for part in ("prior", "likelihood", "inference"):
        assert getattr(copy, part) is not getattr(reg, part)
    copy.set_params(prior__scale=9.0)
    assert reg.prior.scale == 0.5


def test_fit_leaves_the_given_parts_alone():
    engine, prior = MAP(max_iter=5), Normal()
    before = repr(engine), repr(prior), dict(vars(engine)), dict(vars(prior))
    reg = regressor(inference=engine, prior=prior).fit(*DIABETES)
    assert (repr(engine), repr(prior), vars(engine), vars(prior)) == before
    assert reg.inference is engine
    assert reg.inference_ is not engine


# --- searches -----------------------------------------------------------------------


def test_grid_over_priors_engines_and_their_parameters():
    grid = [
        {"prior": ["normal", "laplace"], "prior__scale": [1e-4, 1.0]},
        {"inference": ["laplace"], "inference__structure": ["diag", "full"]},
        {"inference": [MAP(max_iter=20), MCDropout(max_iter=20)], "likelihood": ["student_t"]},
    ]
    search = GridSearchCV(regressor(), grid, cv=2, error_score="raise").fit(*DIABETES)
    scores = search.cv_results_["mean_test_score"]
    assert len(scores) == 8
    assert np.isfinite(scores).all()
    # A prior this narrow holds the weights at nothing.
    assert max(scores[0], scores[2]) < 0.02
    assert min(scores[1], scores[3]) > 0.3
    assert search.best_estimator_.fit(*DIABETES)


def test_grid_through_a_pipeline():
    pipe = make_pipeline(SelectKBest(k=5), classifier(prior="normal", inference="laplace"))
    name = "bayesianmlpclassifier"
    grid = {f"{name}__prior__scale": [0.1, 1.0], f"{name}__inference__max_iter": [20]}
    search = GridSearchCV(pipe, grid, cv=2, scoring="neg_log_loss", error_score="raise")
    X, y = load_breast_cancer(return_X_y=True)
    search.fit(X, y)
    assert search.best_estimator_[-1].inference_.max_iter == 20
    assert len(set(search.cv_results_["mean_test_score"])) == 2


def test_randomized_search_reproduces():
    params = {"prior__scale": [0.1, 0.3, 1.0, 3.0], "random_state": [0]}
    first, second = (
        RandomizedSearchCV(regressor(), params, n_iter=2, cv=2, random_state=0).fit(*DIABETES)
        for _ in range(2)
    )
    assert_array_equal(first.cv_results_["mean_test_score"], second.cv_results_["mean_test_score"])


def test_cross_validation():
    scores = cross_val_score(regressor(random_state=0), *DIABETES, cv=3)
    assert (scores > 0.3).all()
    folds = cross_val_predict(classifier(random_state=0), *IRIS, cv=3, method="predict_proba")
    assert_allclose(folds.sum(axis=1), 1, rtol=1e-6)
    assert (folds.argmax(axis=1) == IRIS[1]).mean() > 0.9
    _, _, scores = learning_curve(regressor(), *DIABETES, cv=2, train_sizes=[0.3, 1.0])
    assert scores.shape == (2, 2)


# --- wrappers -----------------------------------------------------------------------


@pytest.mark.parametrize("method", ["sigmoid", "isotonic", "temperature"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_calibrated_classifier(method, n_classes):
    X, y = (a[IRIS[1] < n_classes] for a in IRIS)
    labels = np.array(["a", "b", "c"])[y]
    calibrated = CalibratedClassifierCV(classifier(), method=method, cv=2).fit(X, labels)
    proba = calibrated.predict_proba(X)
    assert_allclose(proba.sum(axis=1), 1, rtol=1e-6)
    assert calibrated.score(X, labels) > 0.9


def test_calibrating_a_frozen_classifier():
    frozen = FrozenEstimator(classifier(random_state=0).fit(*IRIS))
    before = frozen.predict_proba(IRIS[0])
    calibrated = CalibratedClassifierCV(frozen, method="temperature").fit(*IRIS)
    assert_array_equal(frozen.predict_proba(IRIS[0]), before)
    assert calibrated.score(*IRIS) > 0.9


def test_target_transformed_by_a_logarithm():
    X, y = DIABETES
    reg = TransformedTargetRegressor(regressor(), func=np.log, inverse_func=np.exp).fit(X, y)
    assert reg.score(X, y) > 0.3
    assert_allclose(reg.predict(X), np.exp(reg.regressor_.predict(X)))


def test_ensembles_and_multi_target_wrappers():
    X, y = DIABETES
    assert BaggingRegressor(regressor(), n_estimators=2, random_state=0).fit(X, y).score(X, y) > 0.3
    targets = np.column_stack([y, -y])
    both = MultiOutputRegressor(regressor(random_state=0)).fit(X, targets).predict(X)
    assert_allclose(both[:, 0], -both[:, 1], rtol=0.05)
    stack = StackingClassifier([("bayes", classifier())], LogisticRegression(), cv=2)
    assert stack.fit(*IRIS).score(*IRIS) > 0.9
    assert OneVsRestClassifier(classifier()).fit(*IRIS).score(*IRIS) > 0.9


def test_inspection():
    reg = regressor(random_state=0).fit(*DIABETES)
    curve = partial_dependence(reg, DIABETES[0], [2], grid_resolution=5)["average"][0]
    assert (np.diff(curve) > 0).all()
    importance = permutation_importance(reg, *DIABETES, n_repeats=2, random_state=0)
    assert importance.importances_mean.argmax() in (2, 8)


def test_return_std_passes_through_a_pipeline():
    X, y = DIABETES
    pipe = make_pipeline(StandardScaler(), regressor(random_state=0)).fit(X, y)
    mean, std = pipe.predict(X, return_std=True)
    assert_array_equal(mean, pipe.predict(X))
    assert_array_equal(std, pipe[-1].predict_std(pipe[:-1].transform(X)))


# --- MAPIE --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def split():
    X, y = load_diabetes(return_X_y=True)
    return (X[:200], y[:200]), (X[200:320], y[200:320]), (X[320:], y[320:])


def check_coverage(intervals, y):
    """Marginal coverage of 90% within four standard errors of a finite test set."""
    covered = ((intervals[:, 0] <= y) & (y <= intervals[:, 1])).mean()
    # Split conformal coverage varies with the 120 calibration rows too.
    error = np.sqrt(0.9 * 0.1 * (1 / len(y) + 1 / 120))
    assert abs(covered - 0.9) < 4 * error


@pytest.mark.parametrize("score", ["absolute", StdConformityScore()], ids=["absolute", "std"])
def test_split_conformal(split, score):
    train, calibration, (X, y) = split
    reg = regressor(random_state=0).fit(*train)
    conformal = SplitConformalRegressor(reg, 0.9, conformity_score=score, prefit=True)
    _, intervals = conformal.conformalize(*calibration).predict_interval(X)
    check_coverage(intervals[..., 0], y)
    if score != "absolute":
        widths = np.diff(intervals[..., 0], axis=1)[:, 0]
        assert np.corrcoef(widths, reg.predict_std(X))[0, 1] > 0.999


@pytest.mark.parametrize("method", ["plus", "base"])
def test_cross_conformal(split, method):
    train, _, (X, y) = split
    reg = regressor(random_state=0)
    conformal = CrossConformalRegressor(reg, 0.9, method=method, cv=3, random_state=0)
    _, intervals = conformal.fit_conformalize(*train).predict_interval(X)
    check_coverage(intervals[..., 0], y)


# --- data frames --------------------------------------------------------------------


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame], ids=["pandas", "polars"])
def test_data_frames(frame):
    X, y = DIABETES
    names = [f"column {i}" for i in range(X.shape[1])]
    table = frame(dict(zip(names, X.T, strict=True)))
    series = (pd.Series if frame is pd.DataFrame else pl.Series)(y)
    reg = regressor(random_state=0).fit(table, series)
    plain = clone(reg).fit(X, y)
    assert_array_equal(reg.feature_names_in_, names)
    assert_array_equal(reg.predict_std(table), plain.predict_std(X))
    assert_array_equal(reg.log_predictive(table, series), plain.log_predictive(X, y))
    with pytest.raises(ValueError, match="feature names"):
        reg.predict(table[names[::-1]])


def test_string_labels_from_a_frame():
    X, y = IRIS
    species = pd.Series(np.array(["setosa", "versicolor", "virginica"])[y])
    for labels in (species, species.astype("category"), species.astype(object)):
        clf = classifier(random_state=0).fit(pd.DataFrame(X, columns=list("abcd")), labels)
        assert list(clf.classes_) == ["setosa", "versicolor", "virginica"]
        assert set(clf.predict(pd.DataFrame(X, columns=list("abcd")))) == set(species)


def test_frame_out_of_a_transformer():
    X, y = DIABETES
    scaler = StandardScaler().set_output(transform="polars")
    pipe = make_pipeline(scaler, regressor()).fit(pd.DataFrame(X).rename(columns=str), y)
    assert list(pipe[-1].feature_names_in_) == [str(i) for i in range(X.shape[1])]
