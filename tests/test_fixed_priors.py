"""With data-dependent scaling off, a prior is the same whatever data are fitted.

That is what simulation-based calibration asks for (docs/uncertainty.md). Evidence tells:
log p(A, B) = log p(A) + log p(B | A) only under one prior for both fits.
"""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.stats import multivariate_normal, norm
from sklearn.linear_model import LogisticRegression

from skbayes import (
    BayesianLinearRegression,
    BayesianLogisticRegression,
    BayesianMLPClassifier,
    BayesianMLPRegressor,
    ConjugateDensity,
    VariationalGMM,
)
from skbayes.conjugate import NormalGamma, NormalInverseWishart
from skbayes.inference import MAP, Laplace
from skbayes.likelihoods import Gaussian
from skbayes.priors import Normal

RNG = np.random.default_rng(0)
#: Two halves with places and spreads of their own: a prior that looked at them would move.
FIRST = RNG.normal(1.0, 0.5, (12, 2))
SECOND = RNG.normal([-6.0, 30.0], [3.0, 0.1], (9, 2))
ROWS = np.concatenate([FIRST, SECOND])
FIXED = {"scale_inputs": None, "scale_targets": False}


def targets(X):
    return 2.0 + X @ [1.0, -0.5] + np.sin(np.arange(len(X)))


DENSITIES = {
    "NIW": ConjugateDensity(NormalInverseWishart(mean=[1.0, 0.0], dof=5.0, scale=2.0)),
    "normal-gamma": ConjugateDensity(NormalGamma(mean=1.0, rate=2.0)),
    "mixture": VariationalGMM(
        1, mean_prior=[1.0, 0.0], covariance_prior=[[2.0, 0.3], [0.3, 1.0]], random_state=0
    ),
    "diagonal mixture": VariationalGMM(
        1, covariance_type="diag", mean_prior=[1.0, 0.0], covariance_prior=[2.0, 1.0],
        random_state=0,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DENSITIES)
def test_densities_have_one_prior(name):
    estimator = DENSITIES[name]
    parts = estimator.fit(FIRST)
    total = parts.score_evidence() + parts.score_evidence(SECOND)
    assert_allclose(estimator.fit(ROWS).score_evidence(), total, rtol=1e-6)


@pytest.mark.parametrize(
    "estimator",
    [
        BayesianLinearRegression(alpha=0.5, beta=2.0, hyperparameters="fixed"),
        BayesianLinearRegression(
            alpha=0.5, hyperparameters="bayes", alpha_prior=None, beta_prior=(2.0, 1.0)
        ),
    ],
    ids=["fixed", "bayes"],
)
def test_linear_regression_has_one_prior(estimator):
    parts = estimator.fit(FIRST, targets(FIRST))
    total = parts.score_evidence()
    # Row by row, each given those before: joint over rows, whatever the predictive's form.
    y = targets(ROWS)
    for i in range(len(FIRST), len(ROWS)):
        fitted = estimator.fit(ROWS[:i], y[:i])
        total += float(fitted.log_predictive(ROWS[i : i + 1], y[i : i + 1])[0])
    assert_allclose(estimator.fit(ROWS, y).score_evidence(), total, rtol=1e-6)


def test_what_looks_at_the_data_breaks_the_chain():
    """The mixture's own prior has the data's mean and covariance: the check can fail."""
    parts = VariationalGMM(1, random_state=0).fit(FIRST)
    total = parts.score_evidence() + parts.score_evidence(SECOND)
    assert abs(VariationalGMM(1, random_state=0).fit(ROWS).score_evidence() - total) > 1


def network(**params):
    prior, engine = Normal(scale=0.8), Laplace(structure="full", max_iter=200)
    return BayesianMLPRegressor(
        (), prior=prior, likelihood=Gaussian(noise=1.5), inference=engine, random_state=0, **params
    )


def linear_evidence(X, y):
    """Weights have variance 0.8² over the number of columns, the bias 0.8², in raw units."""
    design = np.column_stack([X / np.sqrt(X.shape[1]), np.ones(len(X))])
    covariance = 0.8**2 * design @ design.T + 1.5**2 * np.eye(len(X))
    return multivariate_normal(cov=covariance).logpdf(y)


def test_network_regressor_has_the_prior_of_its_parameters():
    for X in (FIRST, SECOND, ROWS):
        found = network(**FIXED, dtype="float64").fit(X, targets(X)).score_evidence()
        assert_allclose(found, linear_evidence(X, targets(X)), rtol=1e-5)
    scaled = network(dtype="float64").fit(ROWS, targets(ROWS)).score_evidence()
    assert abs(scaled - linear_evidence(ROWS, targets(ROWS))) > 0.1


def test_learned_scales_and_noise_keep_their_prior_too():
    """Half-normals of the parameters' own units: of a mode, rows' density in raw units."""
    models = []
    for factor in (1.0, 1000.0):
        reg = BayesianMLPRegressor((3,), inference=MAP(max_iter=20), random_state=0, **FIXED)
        X, y = factor * FIRST, factor * targets(FIRST)
        reg.fit(X, y)
        draw = reg.sample_posterior(n_samples=1)
        hidden = np.tanh(X @ draw["layer0.weight"][0].T + draw["layer0.bias"][0])
        mean = hidden @ draw["layer1.weight"][0].T + draw["layer1.bias"][0]
        density = norm.logpdf(y, mean[:, 0], draw["noise_scale"][0, 0])
        assert_allclose(reg.log_predictive(X, y), density, rtol=1e-3)
        models.append(reg._model())
    params = torch.linspace(-1, 1, models[0].n_params)[None]
    first, second = (model.log_prior(params) for model in models)
    assert first == second


@pytest.mark.parametrize("kind", ["network", "logistic"])
def test_classifiers_have_the_prior_of_their_parameters(kind):
    """The mode is that of penalised logistic regression on the raw columns."""
    labels = targets(ROWS) > np.median(targets(ROWS))
    if kind == "network":
        prior = Normal(scale=0.8, fan_in_scaling=False)
        clf = BayesianMLPClassifier(
            (), prior=prior, inference=Laplace(structure="full", max_iter=2000, tol=0.0),
            scale_inputs=None, dtype="float64", random_state=0,
        ).fit(ROWS, labels)  # fmt: skip
        layer = clf.posterior_.mean * 0.8
        weights, bias = layer[:2], layer[2]
    else:
        clf = BayesianLogisticRegression(
            alpha=0.8**-2, intercept_alpha=0.8**-2, hyperparameters="fixed", inference="laplace"
        ).fit(ROWS, labels)
        weights, bias = clf.coef_.ravel(), clf.intercept_
    table = np.column_stack([ROWS, np.ones(len(ROWS))])
    exact = LogisticRegression(C=0.8**2, fit_intercept=False, tol=1e-12, max_iter=10_000)
    exact.fit(table, labels)
    assert_allclose(np.append(weights, bias), exact.coef_[0], atol=1e-3)
