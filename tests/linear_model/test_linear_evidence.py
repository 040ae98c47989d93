"""Learned precisions of the linear model, and targets in odd units."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.integrate import quad
from scipy.optimize import minimize
from scipy.stats import gamma, multivariate_normal, multivariate_t, norm
from sklearn.datasets import load_diabetes
from sklearn.linear_model import BayesianRidge

from skbayes import BayesianLinearRegression
from tests.linear_model.problems import make_data, with_ones

DIABETES = load_diabetes(return_X_y=True)
SHAPES = [(50, 4), (6, 9)]
BAYES = {"hyperparameters": "bayes", "alpha_prior": None, "beta_prior": (2.0, 0.7)}
EVIDENCE = {"hyperparameters": "evidence"}
#: Every way to learn precisions.
LEARNED = [{}, {"ard": True}, EVIDENCE, {**EVIDENCE, "ard": True}]


# --- learned precisions -------------------------------------------------------------------


def marginal(log_precisions, X, y):
    alpha, own, beta = np.exp(log_precisions)
    design = with_ones(X)
    prior = np.append(own, np.full(X.shape[1], alpha))
    covariance = (design / prior) @ design.T + np.eye(len(y)) / beta
    return multivariate_normal(np.zeros(len(y)), covariance).logpdf(y)


def test_evidence_is_maximised():
    X, y = make_data(30)
    reg = BayesianLinearRegression(**EVIDENCE).fit(X, y)
    found = np.log([reg.alpha_, reg.intercept_alpha_, reg.beta_])
    top = minimize(lambda p: -marginal(p, X, y), np.zeros(3), method="Nelder-Mead")
    assert reg.score_evidence() == pytest.approx(marginal(found, X, y), abs=1e-9)
    assert reg.score_evidence() >= -top.fun - 1e-9
    # Second differences of 1e-3 e-folds, whose third-order error is 1e-9 and gradient zero.
    steps = 1e-3 * np.eye(3)
    slope = [(marginal(found + d, X, y) - marginal(found - d, X, y)) / 2e-3 for d in steps]
    assert_allclose(slope, 0, atol=2e-5)


@pytest.mark.parametrize("ard", [False, True])
def test_fixed_point_of_mackay_holds(ard):
    """alpha = gamma / m², beta = (N - gamma) / |error|² (Bishop 2006, eq. 3.92 and 3.95)."""
    X, y = make_data(60, 3)
    reg = BayesianLinearRegression(ard=ard, **EVIDENCE).fit(X, y)
    alpha = np.append(reg.intercept_alpha_, np.broadcast_to(reg.alpha_, 3))
    m = np.append(reg.intercept_, reg.coef_)
    gamma_ = 1 - alpha * np.diagonal(reg.covariance())
    groups = np.arange(4) if ard else np.array([0, 1, 1, 1])
    totals, squares = np.bincount(groups, gamma_), np.bincount(groups, m**2)
    assert_allclose(alpha[np.unique(groups)], totals / squares, rtol=1e-6)
    error = y - reg.predict(X)
    assert_allclose(reg.beta_, (len(y) - gamma_.sum()) / (error @ error), rtol=1e-8)


def test_ard_switches_a_useless_column_off():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3))
    y = X[:, 0] + 0.1 * rng.normal(size=200)
    plain, ard = (BayesianLinearRegression(ard=a, **EVIDENCE).fit(X, y) for a in (False, True))
    assert np.abs(ard.coef_[1:]).max() < 0.5 * np.abs(plain.coef_[1:]).max()
    assert ard.alpha_[1:].min() > 100 * ard.alpha_[0]
    assert (plain.evidence_kind_, ard.evidence_kind_) == ("exact", "plugin")
    assert ard.score_evidence() > plain.score_evidence()


def test_agrees_with_bayesian_ridge_where_both_centre():
    """Its intercept is flat: with columns and targets centred there is nothing to fit."""
    X, y = DIABETES
    y = y - y.mean()
    ours = BayesianLinearRegression(fit_intercept=False, **EVIDENCE).fit(X, y)
    flat = {"alpha_1": 0.0, "alpha_2": 0.0, "lambda_1": 0.0, "lambda_2": 0.0}
    theirs = BayesianRidge(fit_intercept=False, tol=1e-12, max_iter=5000, **flat).fit(X, y)
    assert_allclose(ours.alpha_, theirs.lambda_, rtol=1e-6)
    assert_allclose(ours.beta_, theirs.alpha_, rtol=1e-8)
    assert_allclose(ours.coef_, theirs.coef_, rtol=1e-6)


def test_variational_fixed_point():
    """q(alpha) and q(w, beta) are each best given the other (Drugowitsch 2013, section 2)."""
    X, y = make_data(40, 3)
    priors = {"alpha_prior": (0.5, 0.4), "beta_prior": (1.2, 0.6)}
    reg = BayesianLinearRegression(ard=True, **priors).fit(X, y)
    assert reg.evidence_kind_ == "elbo"
    design = with_ones(X)
    alpha = np.append(reg.intercept_alpha_, reg.alpha_)
    covariance = np.linalg.inv(np.diag(alpha) + design.T @ design)
    mean = covariance @ design.T @ y
    assert_allclose(np.append(reg.intercept_, reg.coef_), mean, rtol=1e-9)
    rate = 0.6 + 0.5 * (y @ y - mean @ design.T @ y)
    assert_allclose(reg.beta_, (1.2 + 20) / rate, rtol=1e-9)
    size = reg.beta_ * mean**2 + np.diagonal(covariance)
    assert_allclose(alpha, (0.5 + 0.5) / (0.4 + 0.5 * size), rtol=1e-7)


def test_variational_bound_is_that_of_its_posterior_and_below_the_evidence():
    """One weight: the bound by Monte Carlo over q, the evidence by an integral over alpha."""
    X, y = make_data(15, 1)
    params = {"alpha_prior": (2.0, 1.5), "beta_prior": (2.0, 0.7), "fit_intercept": False}
    reg = BayesianLinearRegression(ard=True, **params).fit(X, y)
    draws = reg.sample_posterior(n_samples=200_000, random_state=0)
    w, beta, alpha = draws["coef"][:, 0], draws["beta"], draws["alpha"][:, 0]
    variance = 1 / (reg.alpha_[0] + X[:, 0] @ X[:, 0])
    squares = (y @ y) - 2 * w * (X[:, 0] @ y) + w**2 * (X[:, 0] @ X[:, 0])
    log_joint = 7.5 * np.log(beta / (2 * np.pi)) - 0.5 * beta * squares
    log_joint += norm(0, 1 / np.sqrt(alpha * beta)).logpdf(w)
    log_joint += gamma(2.0, scale=1 / 0.7).logpdf(beta) + gamma(2.0, scale=1 / 1.5).logpdf(alpha)
    log_q = norm(reg.coef_[0], np.sqrt(variance / beta)).logpdf(w)
    log_q += gamma(9.5, scale=reg.beta_ / 9.5).logpdf(beta)
    log_q += gamma(2.5, scale=reg.alpha_[0] / 2.5).logpdf(alpha)
    terms = log_joint - log_q
    error = terms.std() / np.sqrt(len(terms))
    assert reg.score_evidence() == pytest.approx(terms.mean(), abs=4 * error)

    def joint(alpha):
        matrix = 0.7 / 2.0 * (np.eye(len(y)) + X @ X.T / alpha)
        likelihood = multivariate_t(np.zeros(len(y)), matrix, df=4).pdf(y)
        return likelihood * gamma(2.0, scale=1 / 1.5).pdf(alpha)

    exact = np.log(quad(joint, 0, 60, epsabs=0, epsrel=1e-9, points=[0.2, 1, 4])[0])
    assert reg.score_evidence() < exact
    integrated = BayesianLinearRegression(**params).fit(X, y)
    assert integrated.score_evidence() == pytest.approx(exact, abs=1e-7)


def test_weak_bound_is_that_of_its_posterior():
    """Log beta and log alpha even over the doubles: the bound by Monte Carlo over q."""
    X, y = make_data(15, 1)
    reg = BayesianLinearRegression(ard=True, fit_intercept=False).fit(X, y)
    draws = reg.sample_posterior(n_samples=200_000, random_state=0)
    w, beta, alpha = draws["coef"][:, 0], draws["beta"], draws["alpha"][:, 0]
    squares = ((y - np.outer(w[:1000], X[:, 0])) ** 2).sum(axis=1)
    x2, xy, y2 = X[:, 0] @ X[:, 0], X[:, 0] @ y, y @ y
    assert_allclose(squares, y2 - 2 * w[:1000] * xy + w[:1000] ** 2 * x2, rtol=1e-9)
    even = -np.log(4 * np.log(np.finfo(float).max))
    log_joint = 7.5 * np.log(beta / (2 * np.pi)) - 0.5 * beta * (y2 - 2 * w * xy + w**2 * x2)
    log_joint += norm(0, 1 / np.sqrt(alpha * beta)).logpdf(w)
    log_joint += 2 * even - np.log(beta) - np.log(alpha)
    log_q = norm(reg.coef_[0], 1 / np.sqrt((reg.alpha_[0] + x2) * beta)).logpdf(w)
    log_q += gamma(7.5, scale=reg.beta_ / 7.5).logpdf(beta)
    log_q += gamma(0.5, scale=reg.alpha_[0] / 0.5).logpdf(alpha)
    terms = log_joint - log_q
    error = terms.std() / np.sqrt(len(terms))
    assert reg.score_evidence() == pytest.approx(terms.mean(), abs=4 * error)


def test_bound_holds_its_constants():
    """Where alpha's prior is a spike, bound and integral are the evidence at that alpha."""
    X, y = make_data(20)
    spike = {"alpha_prior": (1e8, 1e8 / 0.5), "beta_prior": (2.0, 0.7)}
    bound = BayesianLinearRegression(ard=True, **spike).fit(X, y)
    exact = BayesianLinearRegression(0.5, **BAYES).fit(X, y)
    # The spike's relative width 1e-4 costs half its square times n_weights.
    assert bound.score_evidence() == pytest.approx(exact.score_evidence(), abs=1e-6)
    through = {"fit_intercept": False}
    integral = BayesianLinearRegression(**spike, **through).fit(X, y)
    exact = BayesianLinearRegression(0.5, **BAYES, **through).fit(X, y)
    assert integral.score_evidence() == pytest.approx(exact.score_evidence(), abs=1e-6)
    assert_allclose(integral.predict_interval(X), exact.predict_interval(X), rtol=1e-5)


def test_more_columns_than_rows_and_constant_ones():
    X, y = make_data(8, 30)
    X[:, 3] = 2.0
    for params in LEARNED:
        reg = BayesianLinearRegression(**params).fit(X, y)
        assert np.isfinite(reg.predict_std(X)).all()
        assert np.isfinite(reg.score_evidence())


@pytest.mark.parametrize("params", LEARNED)
@pytest.mark.parametrize("factor", [1e200, 1e-200, 1e3])
def test_evidence_moves_with_the_units_of_y(params, factor):
    X, y = DIABETES
    base = BayesianLinearRegression(**params).fit(X, y)
    other = BayesianLinearRegression(**params).fit(X, y * factor)
    expected = base.score_evidence() - len(y) * np.log(factor)
    assert_allclose(other.score_evidence(), expected, rtol=1e-12)
    assert_allclose(other.predict(X) / factor, base.predict(X), rtol=1e-9)
    assert_allclose(other.predict_std(X) / factor, base.predict_std(X), rtol=1e-9)


def test_huge_targets_of_fixed_precision_are_refused():
    """Their density under noise of 1 is nothing that a double can hold."""
    X, y = make_data()
    with pytest.raises(ValueError, match=r"y is of a size .* divide y by"):
        BayesianLinearRegression(1e-6, hyperparameters="fixed").fit(X, y * 1e200)


def test_huge_columns():
    X, y = make_data()
    for params in LEARNED:
        reg = BayesianLinearRegression(**params).fit(X * 1e200, y)
        plain = BayesianLinearRegression(**params).fit(X, y)
        assert_allclose(reg.predict(X * 1e200), plain.predict(X), rtol=1e-9)
    for prior in ((1e-6, 1e-6), (2.0, 3.0)):
        reg = BayesianLinearRegression(alpha_prior=prior).fit(X * 1e200, y)
        assert np.isfinite(reg.predict_std(X * 1e200)).all()
        assert np.isfinite(reg.score_evidence())


@pytest.mark.parametrize("y", [np.zeros(9), np.full(9, 3.0)])
@pytest.mark.parametrize("params", LEARNED)
def test_constant_targets(y, params):
    X = np.arange(9.0)[:, None]
    reg = BayesianLinearRegression(**params).fit(X, y)
    assert_allclose(reg.predict(X), y, atol=1e-2)
    assert np.isfinite(reg.score_evidence())


@pytest.mark.parametrize("params", LEARNED)
def test_noise_free_targets_reach_the_noise_floor(params):
    X, _ = make_data(30, 3)
    y = X @ [1.0, -2.0, 0.5]
    reg = BayesianLinearRegression(**params).fit(X, y)
    assert_allclose(reg.coef_, [1.0, -2.0, 0.5], rtol=1e-6)
    assert 0 < reg.predict_std(X).max() < 1e-6
