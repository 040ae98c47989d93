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
    by_hand = moved_prior(near, FAR, ard=False)
    fixed = BayesianLogisticRegression(inference=inference, hyperparameters="fixed", **by_hand).fit(
        X + FAR, y
    )
    assert far.score_evidence() > fixed.score_evidence() - 1e-6
    # A shift costs the log of what it adds to the intercept's range, once a free logit.
    cost = near.score_evidence() - far.score_evidence()
    free = max(1, n_classes - 1)
    assert 0 < cost < free * np.log(FAR * 20)
    assert_allclose(far.predict_proba(X + FAR), near.predict_proba(X), atol=0.1)


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
