"""Priors under which weights covary: what they mean beside unequal precisions."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import multivariate_normal

from skbayes import BayesianLinearRegression, BayesianLogisticRegression
from skbayes.exceptions import IncompatiblePartsError
from tests.linear_model.problems import block, make_data, make_labels, with_ones

COVARIANCE = np.array([[1.0, 0.8, 0.2], [0.8, 2.0, 0.5], [0.2, 0.5, 1.0]])
ALPHA = np.array([0.1, 1.0, 10.0])
#: Under which the weights have unit precision.
WHOLE = COVARIANCE / np.sqrt(np.outer(ALPHA, ALPHA))
TREATMENTS = [
    {"hyperparameters": "fixed"},
    {"hyperparameters": "evidence"},
    {"hyperparameters": "bayes"},
]
HELD = {"hyperparameters": "bayes", "alpha_prior": None}


def linear(**params):
    return BayesianLinearRegression(**params), make_data(20, 3)


def two_classes(**params):
    return BayesianLogisticRegression(random_state=0, **params), make_labels(40, 3)


def three_classes(**params):
    model = BayesianLogisticRegression(inference="laplace", random_state=0, **params)
    return model, make_labels(40, 3, 3)


def outputs(model, X):
    """What a user sees of function values."""
    return model.predict_proba(X) if hasattr(model, "predict_proba") else model.predict_std(X)


MODELS = pytest.mark.parametrize("make", [linear, two_classes, three_classes])
PARAMS = pytest.mark.parametrize("params", TREATMENTS, ids=str)


@PARAMS
@MODELS
@pytest.mark.parametrize("order", [[2, 0, 1], [1, 0, 2], [2, 1, 0]])
def test_order_of_columns_does_not_matter(make, params, order):
    prior = {"alpha": ALPHA, "prior_covariance": COVARIANCE}
    plain, (X, y) = make(**prior, **params)
    plain.fit(X, y)
    prior = {"alpha": ALPHA[order], "prior_covariance": COVARIANCE[np.ix_(order, order)]}
    other = make(**prior, **params)[0].fit(X[:, order], y)
    assert other.score_evidence() == pytest.approx(plain.score_evidence(), abs=1e-6)
    assert_allclose(other.coef_, plain.coef_[..., order], rtol=1e-4, atol=1e-6)
    assert_allclose(outputs(other, X[:, order]), outputs(plain, X), rtol=1e-4, atol=1e-6)
    assert_allclose(other.alpha_, plain.alpha_[order], rtol=1e-4)


@PARAMS
@MODELS
def test_precisions_may_as_well_stand_in_the_matrix(make, params):
    """Learned precisions keep their proportions, so that alpha only scales C."""
    own = {"intercept_alpha": 0.3, **params}
    apart, (X, y) = make(alpha=ALPHA, prior_covariance=COVARIANCE, **own)
    within = make(prior_covariance=WHOLE, **own)[0].fit(X, y)
    apart.fit(X, y)
    assert apart.score_evidence() == pytest.approx(within.score_evidence(), abs=1e-6)
    assert_allclose(apart.coef_, within.coef_, rtol=1e-4, atol=1e-6)
    assert_allclose(apart.alpha_, within.alpha_ * ALPHA, rtol=1e-4)
    if params["hyperparameters"] == "fixed":
        assert_allclose(apart.alpha_, ALPHA, rtol=1e-14)


@pytest.mark.parametrize("shape", [(20, 3), (2, 3)])
def test_evidence_and_posterior_are_the_normal_ones(shape):
    X, y = make_data(*shape)
    own = {"prior_mean": [1.0, -2.0, 0.5], "intercept_alpha": 0.25, "hyperparameters": "fixed"}
    reg = BayesianLinearRegression(ALPHA, 9.0, prior_covariance=COVARIANCE, **own).fit(X, y)
    design, mean = with_ones(X), np.array([0.0, 1.0, -2.0, 0.5])
    prior = block(4.0, WHOLE)
    marginal = design @ prior @ design.T + np.eye(len(y)) / 9
    expected = multivariate_normal(design @ mean, marginal).logpdf(y)
    assert reg.score_evidence() == pytest.approx(expected, abs=1e-9)
    gain = prior @ design.T @ np.linalg.inv(marginal)
    after = mean + gain @ (y - design @ mean)
    assert_allclose(np.append(reg.intercept_, reg.coef_), after, rtol=1e-8)
    assert_allclose(reg.covariance(), prior - gain @ design @ prior, rtol=1e-6, atol=1e-9)


def test_held_precisions_in_units_of_the_noise():
    X, y = make_data(20, 3)
    apart = BayesianLinearRegression(ALPHA, prior_covariance=COVARIANCE, intercept_alpha=1, **HELD)
    within = BayesianLinearRegression(prior_covariance=WHOLE, intercept_alpha=1, **HELD)
    evidence = apart.fit(X, y).score_evidence()
    assert evidence == pytest.approx(within.fit(X, y).score_evidence(), abs=1e-9)
    assert_allclose(apart.predict_std(X), within.predict_std(X), rtol=1e-9)
    assert_allclose(apart.alpha_, ALPHA)


@MODELS
@pytest.mark.parametrize("params", TREATMENTS[1:], ids=str)
def test_learning_each_precision_of_weights_that_covary_is_refused(make, params):
    model, (X, y) = make(ard=True, prior_covariance=COVARIANCE, **params)
    message = r"ard=True .* prior_covariance\[1\]\[0\] is 0.8; leave .* or set ard=False"
    with pytest.raises(IncompatiblePartsError, match=message):
        model.fit(X, y)


@MODELS
@pytest.mark.parametrize("params", TREATMENTS, ids=str)
def test_a_diagonal_matrix_is_as_good_as_variances(make, params):
    variances = np.array([0.5, 1.0, 4.0])
    model, (X, y) = make(ard=True, prior_covariance=np.diag(variances), **params)
    other = make(ard=True, prior_covariance=variances, **params)[0].fit(X, y)
    model.fit(X, y)
    assert model.score_evidence() == pytest.approx(other.score_evidence(), abs=1e-9)
    assert_allclose(model.coef_, other.coef_, rtol=1e-9)
    assert_allclose(model.alpha_, other.alpha_, rtol=1e-9)


@pytest.mark.parametrize("params", [TREATMENTS[0], HELD], ids=str)
def test_ard_without_learning_takes_any_covariance(params):
    X, y = make_data(20, 3)
    each = BayesianLinearRegression(ard=True, prior_covariance=COVARIANCE, **params).fit(X, y)
    plain = BayesianLinearRegression(prior_covariance=COVARIANCE, **params).fit(X, y)
    assert each.score_evidence() == plain.score_evidence()
