"""Columns far from zero, such as years: precisions are found there too."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.linalg import helmert
from sklearn.datasets import load_diabetes, load_iris

from skbayes import BayesianLinearRegression, BayesianLogisticRegression
from skbayes.linear_model._centre import log_centres
from skbayes.linear_model._normal_families import with_sum

#: Beside iris's spread of about 1, what a year is beside decades.
FAR = 200.0


def moved_prior(fitted, far, ard):
    """Precisions under which a shift of all columns by ``far`` costs least, about."""
    alpha = np.broadcast_to(fitted.alpha_, fitted.n_features_in_)
    intercept = 1 / (1 / fitted.intercept_alpha_ + far**2 * (1 / alpha).sum())
    return {"alpha": alpha if ard else float(alpha[0]), "intercept_alpha": float(intercept)}


@pytest.mark.parametrize("ard", [False, True])
def test_regression_far_from_zero(ard):
    """The evidence's maximum is no lower than at precisions carried over by hand."""
    X, y = load_diabetes(return_X_y=True)
    params = {"ard": ard, "hyperparameters": "evidence"}
    near = BayesianLinearRegression(**params).fit(X, y)
    far = BayesianLinearRegression(**params).fit(X + 10.0, y)
    by_hand = moved_prior(near, 10.0, ard)
    fixed = BayesianLinearRegression(beta=near.beta_, hyperparameters="fixed", **by_hand)
    assert far.score_evidence() > fixed.fit(X + 10.0, y).score_evidence()


@pytest.mark.parametrize("inference", ["laplace", "variational"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_labels_far_from_zero(n_classes, inference):
    X, y = load_iris(return_X_y=True)
    y = np.minimum(y, n_classes - 1)
    near = BayesianLogisticRegression(inference=inference).fit(X, y)
    far = BayesianLogisticRegression(inference=inference).fit(X + FAR, y)
    assert far.score_evidence() == pytest.approx(near.score_evidence(), abs=1e-6)
    assert_allclose(far.predict_proba(X + FAR), near.predict_proba(X), atol=0.01)


OFFSETS = [0.0, 1e4, 1e8, 1e12, 1e15]
SCALES = [1e-300, 1e-160, 1e-8, 1.0, 1e8, 1e150, 1e300]
#: Of columns that vary by a part in 1e12.
MIXES = [(1e8, 1e-4), (1e300, 1e288), (1e-288, 1e-300)]
PLACES = [(offset, 1.0) for offset in OFFSETS] + [(0.0, scale) for scale in SCALES] + MIXES
REGRESSIONS = [
    {},
    {"ard": True},
    {"hyperparameters": "evidence"},
    {"hyperparameters": "evidence", "ard": True},
]


def placed(offset, scale):
    """Forty rows so far out and so large, and the same as they are left, about zero."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 3))
    y = X @ [1, -1, 0.5] + 0.1 * rng.normal(size=40)
    far = X * scale + offset
    return far, (far - offset) / scale, y


@pytest.mark.parametrize("params", REGRESSIONS, ids=str)
@pytest.mark.parametrize(("offset", "scale"), PLACES)
def test_a_regression_wherever_its_columns_are(offset, scale, params):
    far, near, y = placed(offset, scale)
    there, here = (BayesianLinearRegression(**params).fit(X, y) for X in (far, near))
    # An intercept at zero is shrunk a little; one that has to balance columns is not.
    assert_allclose(there.predict(far), here.predict(near), atol=0.05)
    assert_allclose(there.predict_std(far), here.predict_std(near), rtol=0.1)
    assert_allclose(there.predict_interval(far), here.predict_interval(near), atol=0.06)


@pytest.mark.parametrize("params", REGRESSIONS, ids=str)
@pytest.mark.parametrize(("offset", "scale"), PLACES)
def test_a_regression_wherever_its_targets_are(offset, scale, params):
    far, _, y = placed(0.0, 1.0)
    targets = y * scale + offset
    left = (targets - offset) / scale
    there, here = (BayesianLinearRegression(**params).fit(far, t) for t in (targets, left))
    last_place = np.spacing(offset) / scale
    found = (there.predict(far) - offset) / scale
    assert_allclose(found, here.predict(far), atol=0.05 + 3 * last_place)
    assert_allclose(there.predict_std(far) / scale, here.predict_std(far), rtol=0.1)


@pytest.mark.filterwarnings("ignore:Laplace's normal is too wide")
@pytest.mark.parametrize(("inference", "n_classes"), [("laplace", 3), ("variational", 2)])
@pytest.mark.parametrize(("offset", "scale"), PLACES)
def test_a_classifier_wherever_its_columns_are(offset, scale, n_classes, inference):
    far, near, y = placed(offset, scale)
    codes = np.digitize(y, [-0.8, 0.8][: n_classes - 1])
    there, here = (
        BayesianLogisticRegression(inference=inference).fit(X, codes) for X in (far, near)
    )
    assert there.score_evidence() == pytest.approx(here.score_evidence(), abs=1e-5)
    assert_allclose(there.predict_proba(far), here.predict_proba(near), atol=0.01)


def test_priors_given_at_zero_keep_their_meaning_far_out():
    """Columns at c = 1e6, and a prior of what the function is at zero.

    Of the function at c, f = w0 + c w, and w, where squares stay small, the prior's precision
    is alpha for w and intercept_alpha for f - c w.
    """
    far, near, y = placed(1e6, 1.0)
    params = {"alpha": 2.0, "beta": 100.0, "intercept_alpha": 1e-12, "intercept_mean": 5.0}
    reg = BayesianLinearRegression(hyperparameters="fixed", prior_mean=0.5, **params).fit(far, y)
    balance = np.array([1.0, -1e6, -1e6, -1e6])
    precision = np.diag([0.0, 2.0, 2.0, 2.0]) + 1e-12 * np.outer(balance, balance)
    design, mean = np.column_stack([np.ones(40), near]), np.array([5.0 + 1.5e6, 0.5, 0.5, 0.5])
    precision += 100 * design.T @ design
    expected = design @ (mean + np.linalg.solve(precision, 100 * design.T @ (y - design @ mean)))
    assert_allclose(reg.predict(far), expected, atol=1e-6)
    spread = np.einsum("ij,ji->i", design, np.linalg.solve(precision, design.T))
    assert_allclose(reg.predict_std(far, kind="epistemic"), np.sqrt(spread), rtol=1e-6)


def test_a_column_of_one_number_far_from_zero_is_constant():
    far, _, y = placed(1e12, 1.0)
    one = np.column_stack([far, np.full(40, 0.1), np.full(40, 1e15)])
    for params in REGRESSIONS:
        with_it, without = (BayesianLinearRegression(**params).fit(X, y) for X in (one, far))
        assert_allclose(with_it.predict(one), without.predict(far), atol=0.02)


def test_centres_without_a_shift_are_the_columns_own():
    """Of columns of mean zero the intercept has nothing to balance."""
    X = np.array([[1.0, 3.0], [-1.0, 3.0], [1.0, -3.0], [-1.0, -3.0]])
    design = np.linalg.qr(np.column_stack([np.ones(4), X]), mode="r")
    groups, sd = np.array([0, 1, 1]), np.array([1.0, 1.0, 2.0])
    assert_allclose(np.exp(log_centres(design, sd, groups, True)), [4, 4 * 9 * 4])


def test_centres_of_shifted_columns():
    """Column of mean 5 and unit spread: the intercept's standard deviation grows by √26."""
    x = np.array([4.0, 6.0, 4.0, 6.0])
    design = np.linalg.qr(np.column_stack([np.ones(4), x]), mode="r")
    found = np.exp(log_centres(design, np.ones(2), np.array([0, 1]), True))
    assert_allclose(found, [4 / 26, 4])
    alone = np.exp(log_centres(design[:, 1:], np.ones(1), np.array([0]), False))
    assert_allclose(alone, [104])


def test_constant_columns_count_by_their_size():
    design = np.linalg.qr(np.column_stack([np.ones(4), np.full(4, 1e6)]), mode="r")
    found = np.exp(log_centres(design, np.ones(2), np.array([0, 1]), True))
    assert_allclose(found, [4, 4e12])


def test_the_sum_of_logits_stays_as_it_was():
    """Covariance of contrasts, put back beside a standard normal sum."""
    inner = np.array([[2.0, 0.5], [0.5, 1.0]])
    rotation = np.vstack([np.full(3, 3**-0.5), helmert(3)])
    expected = rotation.T @ np.block([[np.eye(1), np.zeros((1, 2))], [np.zeros((2, 1)), inner]])
    assert_allclose(with_sum(inner, helmert(3)), expected @ rotation)
    assert_allclose(with_sum(inner, np.eye(1)), inner)
