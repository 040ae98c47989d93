"""Mean-field VI against its exact optimum, and against stationarity where none is closed."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from sklearn.datasets import load_iris, make_classification

from skbayes import BayesianMLPClassifier
from skbayes.inference import MeanFieldVI
from skbayes.inference.vi import _mean_field as _mean_field_vi
from skbayes.priors import LaplacePrior
from tests.inference import checks
from tests.scenarios import (
    grid_posterior,
    learned_problem,
    linear_problem,
    logistic_problem,
    run_engine,
    with_bias,
)

GRADIENTS = pytest.mark.parametrize("gradient", ["local", "shared"])


@GRADIENTS
def test_optimum_of_a_linear_model(gradient):
    checks.check_mean_field(linear_problem(), gradient=gradient)


def test_optimum_of_weighted_rows_and_two_targets():
    checks.check_mean_field(checks.two_targets())


@GRADIENTS
def test_mini_batches(gradient):
    """Batches of ten of fifty rows: five times the gradient noise."""
    checks.check_mean_field(
        linear_problem(), gradient=gradient, batch_size=10, mean_within=0.4, sd_within=0.1
    )


@GRADIENTS
def test_learned_scale_and_noise(gradient):
    """Hyperparameters move with the weights, to a stationary point below the evidence."""
    problem = learned_problem()
    engine = MeanFieldVI(n_particles=16, gradient=gradient)
    model, posterior = run_engine(engine, problem)
    checks.check_mean_field_stationary(model, problem.data(), posterior)
    checks.check_bound(posterior, problem.posterior.log_evidence)


@GRADIENTS
def test_logistic_model(gradient):
    problem = logistic_problem()
    engine = MeanFieldVI(n_particles=8, gradient=gradient, temperature=1.0)
    model, posterior = run_engine(engine, problem)
    checks.check_mean_field_stationary(model, problem.data(), posterior)
    checks.check_bound(posterior, problem.posterior.log_evidence)


def test_a_temperature_sharpens_the_likelihood():
    """Half the divergence is the likelihood squared: normal noise of half the variance."""
    problem = linear_problem()
    model, posterior = run_engine(MeanFieldVI(n_particles=8, temperature=0.5), problem)
    mean, covariance = checks.normal_moments(model, posterior)
    cold = replace(problem, noise=problem.noise * 0.5**0.5)
    sd = np.diag(cold.packed_precision) ** -0.5
    np.testing.assert_allclose((mean - cold.packed_mean) / sd, 0, atol=0.15)
    np.testing.assert_allclose(np.sqrt(np.diag(covariance)) / sd, 1, atol=0.05)
    # The evidence is the bound itself, which is lower here than at its optimum.
    checks.check_bound(posterior, problem.log_evidence)
    assert posterior.log_evidence < problem.mean_field_bound


def temperature_of(X, y):
    clf = BayesianMLPClassifier((50,), inference=MeanFieldVI(max_iter=800), random_state=0)
    return clf.fit(X, y).diagnostics_["temperature"]


def test_the_automatic_temperature():
    """Few rows of clear classes are colder; noisy ones, numbers and a dozen rows are not."""
    iris, species = load_iris(return_X_y=True)
    assert temperature_of(iris, species) == 0.3
    X, noisy = make_classification(400, 20, n_informative=2, flip_y=0.8, random_state=0)
    assert temperature_of(X, noisy) == 1
    assert temperature_of(iris[::15], species[::15]) == 1
    _, posterior = run_engine(MeanFieldVI(max_iter=5), linear_problem())
    assert posterior.diagnostics["temperature"] == 1


@pytest.mark.parametrize(("colder", "temperature"), [(0.95, 1.0), (0.85, 0.3)])
def test_another_temperature_than_the_bounds_is_clearly_better(monkeypatch, colder, temperature):
    losses = iter([1.0, colder])
    monkeypatch.setattr(_mean_field_vi, "log_loss", lambda *args: next(losses))
    X, y = make_classification(30, random_state=0)
    engine = MeanFieldVI(max_iter=8)
    fitted = BayesianMLPClassifier((2,), inference=engine, random_state=0).fit(X, y)
    assert fitted.diagnostics_["temperature"] == temperature


def laplace_prior_grid(problem):
    """Weight and bias of a linear model under a Laplace prior, by quadrature."""
    A, y = problem.repeated

    def log_joint(points):
        residual = y[:, 0] - points @ A.T
        prior = stats.laplace(scale=0.7).logpdf(points).sum(1)
        return stats.norm(scale=problem.noise).logpdf(residual).sum(1) + prior

    centre = np.linalg.lstsq(with_bias(problem.X), problem.y, rcond=None)[0][:, 0]
    return grid_posterior(log_joint, [(c - 2.0, c + 2.0) for c in centre])


def correlation_of(grid):
    sd = np.sqrt(np.diag(grid.covariance))
    return grid.covariance[0, 1] / sd.prod()


@GRADIENTS
def test_prior_without_closed_kl(gradient):
    """The bound of a Laplace prior, its KL by Monte Carlo, is below the exact evidence."""
    problem = linear_problem(n_rows=20, n_features=1)
    engine = MeanFieldVI(n_particles=8, gradient=gradient)
    model, posterior = run_engine(engine, problem, prior=LaplacePrior(scale=0.7))
    checks.check_mean_field_stationary(model, problem.data(), posterior)
    exact = laplace_prior_grid(problem)
    checks.check_bound(posterior, exact.log_evidence)
    # The posterior is near normal, so what is lost is the correlation of the two weights.
    gap = -0.5 * np.log1p(-(correlation_of(exact) ** 2))
    assert posterior.log_evidence == pytest.approx(exact.log_evidence - gap, abs=0.1)
