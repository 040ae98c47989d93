"""Logistic regression as users meet it, and its learned precisions."""

from contextlib import suppress

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import gamma
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skbayes
from skbayes import BayesianLogisticRegression
from skbayes.exceptions import EvidenceUnavailableError, IncompatiblePartsError
from tests.linear_model.problems import (
    FIXED,
    ONE_WEIGHT,
    OneWeight,
    logistic,
    make_labels,
)

QUICK = {"n_samples": 20, "n_chains": 2, "warmup": 20, "max_extensions": 0, "init_steps": 20}
ENGINES = ("laplace", "variational", "hmc")


# --- learned precisions ----------------------------------------------------------------------


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("engine", ["laplace", "variational"])
def test_evidence_is_maximised(engine, n_classes):
    X, y = make_labels(80, 3, n_classes)
    # A learned intercept stands at the columns' means, a given one at zero.
    X = X - X.mean(axis=0)
    clf = logistic(inference=engine, random_state=0).fit(X, y)
    top = clf.score_evidence()

    def evidence(alpha, own):
        other = logistic(alpha, intercept_alpha=own, inference=engine, **FIXED)
        return other.fit(X, y).score_evidence()

    alpha, own = clf.alpha_, clf.intercept_alpha_
    assert evidence(alpha, own) == pytest.approx(top, abs=1e-7)
    for factor in (0.8, 1.25):
        assert evidence(alpha * factor, own) < top
        # An intercept that is not needed has no finite optimum.
        assert evidence(alpha, own * factor) < top + 1e-6


def test_laplace_too_wide_to_average_over_says_so():
    """Separable rows beside columns of noise, under a prior that holds nothing back.

    At fixed precisions, so that no search stands between the data and the warning.
    """
    X, y = load_iris(return_X_y=True)
    noise = np.random.default_rng(100).normal(size=(150, 20))
    X = StandardScaler().fit_transform(np.c_[X, noise])
    wide, narrow = (logistic(alpha, **FIXED) for alpha in (1e-4, 1.0))
    with pytest.warns(ConvergenceWarning, match="of the training rows get another label"):
        wide.fit(X, y)
    assert wide.score(X, y) < 0.9
    assert narrow.fit(X, y).score(X, y) > 0.9


def test_precisions_out_of_range_name_the_weights():
    X, y = load_iris(return_X_y=True)
    rows = np.random.default_rng(0).permutation(150)[:60]
    clf = BayesianLogisticRegression(inference="laplace")
    with pytest.raises(ValueError, match=r"weights up to 1e\+13 a row.*inference='variational'"):
        clf.fit(X[rows], y[rows], np.full(60, 1e13))


def test_ard_switches_a_useless_feature_off():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 3))
    y = (X[:, 0] + rng.logistic(size=400) > 0).astype(int)
    clf = logistic(ard=True, random_state=0).fit(X, y)
    assert clf.alpha_[1:].min() > 10 * clf.alpha_[0]
    assert clf.evidence_kind_ == "plugin"


def test_gamma_posterior_of_the_precision_is_the_best_given_the_weights():
    X, y = make_labels(80, 3)
    params = {"alpha_prior": (0.8, 0.5), "fit_intercept": False, "tol": 1e-12}
    clf = logistic(inference="variational", hyperparameters="bayes", random_state=0, **params).fit(
        X, y
    )
    rows = np.eye(3)
    _, variances = clf.posterior_._moments(rows)
    size = (clf.coef_**2).sum() + variances.sum()
    assert clf.alpha_ == pytest.approx((0.8 + 1.5) / (0.5 + 0.5 * size), rel=1e-5)


def test_bayes_bound_is_below_the_evidence_and_holds_its_constants():
    X, y = make_labels(30)
    spike = {"alpha_prior": (1e8, 1e8 / 0.5), "fit_intercept": False}
    params = {"inference": "variational", "random_state": 0}
    bound = logistic(hyperparameters="bayes", **spike, **params).fit(X, y)
    fixed = logistic(inference="variational", **ONE_WEIGHT).fit(X, y)
    assert bound.score_evidence() == pytest.approx(fixed.score_evidence(), abs=1e-6)
    wide = logistic(
        hyperparameters="bayes", alpha_prior=(2.0, 1.5), fit_intercept=False, **params
    ).fit(X, y)
    law = gamma(2.0, scale=1 / 1.5)
    grid = np.linspace(0.02, 12, 150)
    joint = [law.pdf(a) * np.exp(OneWeight(X, y, alpha=a).log_z) for a in grid]
    assert wide.score_evidence() < np.log(np.trapezoid(joint, grid))


# --- what users meet -------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["laplace", "variational"])
def test_weights_repeat_rows(engine):
    X, y = make_labels(40, 3, 3)
    weight = np.random.default_rng(0).integers(0, 3, size=40)
    clf = logistic(inference=engine, random_state=0)
    weighted = clf.fit(X, y, sample_weight=weight).predict_proba(X)
    repeated = clf.fit(np.repeat(X, weight, axis=0), np.repeat(y, weight)).predict_proba(X)
    assert_array_equal(weighted, repeated)
    # Fractions are exponents: half and half make one.
    halves = clf.fit(np.vstack([X, X]), np.tile(y, 2), sample_weight=np.full(80, 0.5))
    assert_array_equal(halves.predict_proba(X), clf.fit(X, y).predict_proba(X))


def test_separable_classes_and_raw_columns():
    """A proper prior keeps separable classes finite, in whatever units the columns are."""
    X, y = load_iris(return_X_y=True)
    for engine in ("laplace", "variational"):
        clf = logistic(inference=engine, random_state=0).fit(X[:100], y[:100])
        assert clf.score(X[:100], y[:100]) == 1
        p = clf.predict_proba([[100.0, -100, 100, -100]])
        assert np.isfinite(p).all()
    X, y = load_breast_cancer(return_X_y=True)
    clf = logistic(random_state=0).fit(X[:400], y[:400])
    assert clf.score(X[400:], y[400:]) > 0.9


def test_huge_columns():
    X, y = make_labels(40, 2)
    plain = logistic(random_state=0).fit(X, y).predict_proba(X)
    for factor in (1e100, 1e300):
        huge = logistic(random_state=0).fit(X * factor, y)
        assert_allclose(huge.predict_proba(X * factor), plain, atol=1e-4)


@pytest.mark.parametrize("factor", [1e200, 1e10])
def test_columns_too_large_for_a_fixed_prior_are_named(factor):
    X, y = make_labels(40, 2, 3)
    with pytest.raises(ValueError, match=r"columns of X.*\(alpha=1.0\).*StandardScaler"):
        logistic(hyperparameters="fixed").fit(X * factor, y)


@pytest.mark.parametrize("engine", ["laplace", "variational"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_rows_far_away_have_the_probabilities_of_their_direction(n_classes, engine):
    """However far: a row's logits are then clear under every draw, and do not overflow."""
    X, y = make_labels(60, 2, n_classes)
    clf = logistic(inference=engine, random_state=0).fit(X, y)
    direction = np.array([[1.0, 0.3], [-0.2, 1.0]])
    near, far = (clf.predict_proba(direction * size) for size in (1e60, 1e300))
    assert_allclose(far, near, atol=1e-9)
    labels = clf.classes_[[0, 1]]
    for kind in ("total", "epistemic", "aleatoric"):
        assert np.isfinite(clf.predict_std(direction * 1e300, kind)).all()
    assert np.isfinite(list(clf.predict_uncertainty(direction * 1e300).values())).all()
    with suppress(EvidenceUnavailableError):  # where draws say all or nothing
        assert np.isfinite(clf.score_evidence(direction * 1e300, labels))
    assert np.isfinite(clf.sample_posterior(direction * 1e300, 3, random_state=0)).all()


def test_constant_and_duplicate_columns():
    X, y = make_labels(40, 2)
    X = np.column_stack([X, X[:, 0], np.ones(40), np.zeros(40)])
    clf = logistic(random_state=0).fit(X, y)
    assert np.isfinite(clf.predict_std(X)).all()
    assert clf.coef_[0, 0] == pytest.approx(clf.coef_[0, 2])
    assert clf.coef_[0, 4] == pytest.approx(0, abs=1e-12)


def test_string_labels_frames_and_single_precision():
    import pandas as pd

    X, y = make_labels(60, 2, 3)
    labels = np.array(["no", "maybe", "yes"])[y]
    frame = pd.DataFrame(X.astype(np.float32), columns=["a", "b"])
    clf = logistic(random_state=0).fit(frame, labels)
    assert list(clf.feature_names_in_) == ["a", "b"]
    assert clf.predict_proba(frame).dtype == clf.predict_std(frame).dtype == np.float32
    assert set(clf.predict(frame)) <= set(labels)
    assert clf.sample_y(frame, 3).shape == (3, 60)


def test_verbs_reach_through_a_pipeline():
    X, y = make_labels(60, 2, 3)
    pipe = make_pipeline(StandardScaler(), logistic(random_state=0)).fit(X, y)
    inner, rows = pipe[-1], pipe[0].transform(X)
    assert_array_equal(skbayes.predict_std(pipe, X), inner.predict_std(rows))
    assert skbayes.score_evidence(pipe) == inner.score_evidence()
    assert skbayes.predict_uncertainty(pipe, X).entropy.shape == (60,)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("engine", ENGINES)
def test_fewer_rows_than_columns_leave_the_prior_where_no_row_points(engine):
    X, y = make_labels(5, 9)
    y[:2] = [0, 1]
    clf = logistic(0.5, inference=engine, hmc_params={**QUICK, "n_samples": 400}, **FIXED).fit(X, y)
    basis = np.linalg.svd(np.column_stack([np.ones(5), X]))[2]
    unseen = basis[-1]
    draws = clf.sample_posterior(n_samples=800, random_state=0)
    logits = draws["coef"][:, 0] @ unseen[1:] + draws["intercept"][:, 0] * unseen[0]
    assert logits.std() == pytest.approx(np.sqrt(2), rel=5 / np.sqrt(1600))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_hmc_without_an_evidence_says_what_to_do():
    X, y = make_labels(40, 2)
    clf = logistic(inference="hmc", hmc_params={**QUICK, "evidence": None})
    with pytest.raises(EvidenceUnavailableError, match="hmc_params="):
        clf.fit(X, y).score_evidence()


def test_hmc_warns_in_the_words_of_this_estimator():
    X, y = make_labels(40, 2)
    params = {**QUICK, "warmup": 0, "step_size": 1e-3, "init_steps": 0}
    with pytest.warns(ConvergenceWarning, match=r"hmc_params\['n_samples'\]"):
        logistic(inference="hmc", hmc_params=params, random_state=0).fit(X, y)


def test_hmc_and_gamma_priors_do_not_fit():
    with pytest.raises(IncompatiblePartsError, match="use hyperparameters='evidence'"):
        logistic(inference="hmc", hyperparameters="bayes").fit([[0.0]], [0])


def test_a_search_cut_short_warns():
    X, y = make_labels(40, 2)
    for params in ({"hyperparameters": "fixed"}, {}):
        with pytest.warns(ConvergenceWarning, match="raise max_iter"):
            logistic(max_iter=1, **params).fit(X, y)


CHANGES = {
    "alpha": (FIXED, 7.0),
    "prior_covariance": ({}, [1.0, 9.0]),
    "fit_intercept": ({}, False),
    "intercept_alpha": (FIXED, 50.0),
    "inference": ({}, "variational"),
    "hyperparameters": ({}, "fixed"),
    "ard": ({}, True),
    "alpha_prior": ({"hyperparameters": "bayes"}, (3.0, 5.0)),
    "max_iter": ({}, 1),
    "tol": (FIXED, 10.0),
    "n_predictive_samples": ({}, 64),
    "hmc_params": ({"inference": "hmc", "hmc_params": QUICK}, {**QUICK, "n_samples": 30}),
    "random_state": ({}, 1),
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", CHANGES)
def test_parameter_changes_the_prediction(name):
    X, y = make_labels(40, 2, 3)
    base, value = CHANGES[name]
    base = {"random_state": 0, **base}
    plain = logistic(**base).fit(X, y)
    other = logistic(**{**base, name: value}).fit(X, y)
    assert not np.array_equal(plain.predict_proba(X), other.predict_proba(X))


def test_every_parameter_is_in_the_table():
    assert set(CHANGES) == set(BayesianLogisticRegression().get_params())
