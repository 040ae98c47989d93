"""Closed forms under the linearised network: against Jacobians, quadrature and draws."""

from functools import partial

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit
from scipy.stats import multivariate_normal, norm, t
from sklearn.datasets import load_diabetes

from skbayes import BayesianMLPClassifier, BayesianMLPRegressor
from skbayes._model import Model
from skbayes.data._tensors import Data
from skbayes.inference import Laplace
from skbayes.inference.mode._curvature import CURVATURES
from skbayes.likelihoods import Bernoulli, Gaussian, Heteroscedastic, StudentTLikelihood
from skbayes.networks import MLPNetwork, Network
from skbayes.posteriors import GaussianPosterior, _linearised, to_numpy
from skbayes.posteriors._function_draws import MOMENT_ROWS, Moments
from skbayes.priors import Normal
from skbayes.utils._random import make_generator
from tests.inference import checks
from tests.scenarios import linear_problem

X, Y = (a[:100] for a in load_diabetes(return_X_y=True))
STRUCTURES = pytest.mark.parametrize("structure", sorted(CURVATURES))


class Apart(Normal):
    """A scale of its own for every weight: no product of outputs' and inputs' factors."""

    def weight_factors(self, network, like):
        return torch.linspace(0.5, 2.0, network.n_weights).to(like)


class Maps(Network):
    """A network that says nothing of its layers' two sides."""

    def __init__(self, network):
        self.layout, self.n_outputs = network.layout, network.n_outputs
        self.n_inputs, self.forward = network.n_inputs, network.forward


def posterior_of(structure, network, prior, dtype=torch.float64, n_rows=30):
    """Model, and a Laplace posterior at weights that are as good as any."""
    generator = make_generator(0)
    rows = torch.randn(n_rows, network.n_inputs, dtype=dtype, generator=generator)
    y = torch.randn(n_rows, network.n_outputs, dtype=dtype, generator=generator)
    likelihood = Gaussian(noise=0.5)
    model = Model(network, prior, likelihood, network.n_outputs, torch.empty(0, dtype=dtype))
    mode = model.init(1, generator)
    curvature = CURVATURES[structure](model, Data(rows, y, torch.ones_like(y[:, 0])), mode)
    return model, GaussianPosterior(to_numpy(mode)[0], curvature.factors(), linearised=True)


NETWORKS = {
    "deep": (MLPNetwork(3, 2, (5, 4)), Normal()),
    "one output": (MLPNetwork(3, 1, (5,), "relu"), Normal(scale=0.7)),
    "linear": (MLPNetwork(3, 2, ()), Normal(scale=0.7)),
    "scales apart": (MLPNetwork(3, 2, (5,)), Apart(scale=0.7)),
}


@STRUCTURES
@pytest.mark.parametrize("name", NETWORKS)
def test_moments_are_those_of_the_jacobian(structure, name):
    checks.check_moments(*posterior_of(structure, *NETWORKS[name]))


@pytest.mark.parametrize("structure", ["full", "diag"])
def test_moments_of_a_network_that_gives_no_factors(structure):
    network, prior = NETWORKS["deep"]
    checks.check_moments(*posterior_of(structure, Maps(network), prior))


@STRUCTURES
def test_moments_of_a_row_do_not_depend_on_its_company(structure):
    model, posterior = posterior_of(structure, MLPNetwork(10, 3, (20,)), Normal(), torch.float32)
    rows = torch.randn(MOMENT_ROWS + 300, 10, generator=make_generator(1))
    moments = Moments(posterior.normal_outputs(model))
    read = partial(moments.reduce, function=lambda o: [o.mean, o.variance, o.covariance])
    whole, order = read(rows), torch.randperm(len(rows), generator=make_generator(2))
    for part in (order, slice(5, 6), slice(1020, 1030), slice(0, None, 7)):
        for alone, beside in zip(read(rows[part]), whole, strict=True):
            assert_array_equal(alone, beside[part])


# --- estimators ---------------------------------------------------------------------


def regressor(structure="kron", **params):
    engine = Laplace(structure=structure, max_iter=100)
    params = {"n_predictive_samples": 400, "random_state": 0} | params
    return BayesianMLPRegressor((6,), inference=engine, **params)


def test_numbers_are_exact_whatever_the_number_of_draws():
    """The linear model's predictive: mean, spread, quantiles and joint density."""
    problem = linear_problem(n_targets=2, weighted=True)
    reg = problem.estimator(Laplace("full", max_iter=50), n_predictive_samples=1)
    reg.fit(problem.X, problem.y, sample_weight=problem.weight)
    mean, total = np.broadcast_arrays(*problem.predictive(problem.X))
    found, found_total = reg.predict(problem.X, return_std=True)
    assert_allclose(found, mean, atol=1e-6 * total.max())
    assert_allclose(found_total, total, rtol=1e-6)
    interval = reg.predict_interval(problem.X, coverage=0.8)
    shares = norm.cdf(interval, mean[..., None], total[..., None])
    assert_allclose(shares, np.broadcast_to([0.1, 0.9], shares.shape), rtol=1e-5)
    density = sum(norm.logpdf(problem.y, mean, total).T)  # its targets share no weight
    assert_allclose(reg.log_predictive(problem.X, problem.y), density, rtol=1e-5)


@STRUCTURES
@pytest.mark.parametrize("likelihood", ["gaussian", "student_t", "heteroscedastic"])
def test_predictions_are_moments_of_draws(structure, likelihood):
    reg = regressor(structure, likelihood=likelihood).fit(X, np.c_[Y, -Y + 30 * X[:, 0]])
    n = 2000
    draws = reg.sample_posterior(X[:20], n, random_state=1)
    mean, epistemic = reg.predict(X[:20]), reg.predict_std(X[:20], "epistemic")
    assert (np.abs(draws.mean(0) - mean) < checks.Z_LIMIT * epistemic / np.sqrt(n)).all()
    error = checks.Z_LIMIT * np.sqrt(2 / n)
    assert (np.abs(draws.var(0) / epistemic**2 - 1) < error).all()


def test_targets_that_share_units_have_a_joint_density():
    reg = regressor().fit(X, np.c_[Y, -Y])
    model = reg._model()
    (covariance,) = Moments(reg.posterior_.normal_outputs(model)).reduce(
        reg._inputs(X)[1], lambda o: [o.covariance]
    )
    scale = reg._y_scaler.scale
    noise = np.diag(reg.predict_std(X[:1], "aleatoric")[0] ** 2)
    new = np.c_[Y, 100 - Y][:5]
    exact = [
        multivariate_normal(m, c * np.outer(scale, scale) + noise).logpdf(y)
        for m, c, y in zip(reg.predict(X[:5]), covariance, new, strict=False)
    ]
    assert np.abs(covariance[:, 0, 1]).max() > 1e-3 * covariance.max()
    assert_allclose(reg.log_predictive(X[:5], new), exact, rtol=1e-6)


def test_student_t_mixture_of_a_row_is_that_of_its_normal():
    """Interval and density come from quasi-random draws of each row's output."""
    reg = regressor(likelihood=StudentTLikelihood(df=4.0, noise=40.0)).fit(X, Y)
    interval, density = reg.predict_interval(X[:3], 0.9), reg.log_predictive(X[:3], Y[:3])
    mean, sd = reg.predict(X[:3]), reg.predict_std(X[:3], "epistemic")

    z = np.linspace(-10, 10, 501)
    weight = norm.pdf(z) / norm.pdf(z).sum()

    def average(function, row):
        return function(mean[row] + sd[row] * z) @ weight

    for row in range(3):
        for y, level in zip(interval[row], (0.05, 0.95), strict=True):
            share = average(lambda f, y=y: t(4).cdf((y - f) / 40), row)
            # The 400 points leave out about a hundredth of what 400 random draws would.
            assert abs(share - level) < 1e-3
        exact = average(lambda f, i=row: t(4).pdf((Y[i] - f) / 40) / 40, row)
        assert_allclose(density[row], np.log(exact), atol=2e-3)


@pytest.mark.parametrize("structure", ["kron", "last_layer"])
def test_two_classes_are_integrated_out(structure):
    labels = np.median(Y) < Y
    engine = Laplace(structure=structure, max_iter=100)
    clf = BayesianMLPClassifier((6,), inference=engine, n_predictive_samples=1, random_state=0)
    clf.fit(X, labels)
    far = X * 20
    model = clf._model()
    mean, variance = Moments(clf.posterior_.normal_outputs(model)).reduce(
        clf._inputs(far)[1], lambda o: [o.mean[:, 0], o.variance[:, 0]]
    )
    z = np.linspace(-12, 12, 4001)
    p = expit(mean[:, None] + np.sqrt(variance)[:, None] * z)
    weight = norm.pdf(z) / norm.pdf(z).sum()
    assert_allclose(clf.predict_proba(far)[:, 1], p @ weight, rtol=1e-8)
    assert_allclose(clf.predict_std(far, "aleatoric")[:, 0] ** 2, (p * (1 - p)) @ weight, rtol=1e-8)
    expected = np.log(np.where(labels, p @ weight, (1 - p) @ weight))
    assert_allclose(clf.log_predictive(far, labels), expected, rtol=1e-7)


def test_several_classes_are_nearer_than_draws_of_the_weights():
    labels = np.digitize(Y, np.quantile(Y, [1 / 3, 2 / 3]))
    engine = Laplace(structure="kron", max_iter=100)
    clf = BayesianMLPClassifier((6,), inference=engine, random_state=0).fit(X, labels)
    n = 20_000
    logits = clf.sample_posterior(X[:20], n, random_state=0).astype(np.float64)
    p = np.exp(logits - logits.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    off = (clf.predict_proba(X[:20]) - p.mean(0)) / p.std(0)
    # A tenth of the standard error of 400 draws, beside that of the reference.
    assert np.sqrt((off**2).mean()) < np.sqrt(1 / n + 0.01 / 400)


# --- where the closed forms end ------------------------------------------------------


def test_what_costs_too_much_comes_from_draws(monkeypatch):
    reg = regressor("full").fit(X, Y)
    exact = reg.predict_std(X, "epistemic")
    monkeypatch.setattr(_linearised, "MOST_WORK", 0.0)
    drawn = reg.predict_std(X, "epistemic")
    assert (drawn != exact).any()
    assert (np.abs(drawn**2 / exact**2 - 1) < checks.Z_LIMIT * np.sqrt(2 / 400)).all()


class Proportional(Gaussian):
    """Noise that grows with the mean: the closed form of constant noise is not its own."""

    def variance(self, outputs, hyper):
        return super().variance(outputs, hyper) * outputs**2


class Flipped(Bernoulli):
    """The other class's probability."""

    def probabilities(self, outputs):
        return super().probabilities(-outputs)


class Halved(GaussianPosterior):
    """Draws of half the spread."""

    def sample(self, n, generator):
        centre = torch.from_numpy(self.mean)
        return centre + (super().sample(n, generator) - centre) / 2


def test_a_changed_likelihood_is_not_averaged_by_its_parents_closed_form():
    plain = regressor(likelihood=Gaussian(noise=40.0)).fit(X, Y)
    changed = regressor(likelihood=Proportional(noise=40.0)).fit(X, Y)
    ratio = changed.predict_std(X, "aleatoric") / plain.predict_std(X, "aleatoric")
    mean = (changed.predict(X) - Y.mean()) / Y.std()
    spread = changed.predict_std(X, "epistemic") / Y.std()
    # By 400 quasi-random draws: a hundredth of the spread's own part is left out.
    assert_allclose(ratio**2, mean**2 + spread**2, rtol=0.02)
    labels = np.median(Y) < Y
    one, other = (
        BayesianMLPClassifier(
            (6,), likelihood=kind(), inference=Laplace(max_iter=100), random_state=0
        ).fit(X, labels)
        for kind in (Bernoulli, Flipped)
    )
    assert_allclose(one.predict_proba(X), other.predict_proba(X)[:, ::-1], atol=0.02)


def test_a_changed_posterior_is_not_summed_up_by_its_parents_moments():
    model, posterior = posterior_of("full", MLPNetwork(3, 1, (5,)), Normal())
    halved = Halved(posterior.mean, posterior.factors, linearised=True)
    assert posterior.normal_outputs(model) is not None
    assert halved.normal_outputs(model) is None
    sampled = GaussianPosterior(posterior.mean, posterior.factors, linearised=False)
    assert sampled.normal_outputs(model) is None


# --- information of noise that depends on the input ----------------------------------


def test_information_rises_away_from_the_data_where_the_noise_does_too():
    """Far off nothing is known: neither the mean nor the noise."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (300, 1))
    y = np.sin(2 * x[:, 0]) + np.exp(x[:, 0] - 1.5) * rng.normal(size=300)
    engine = Laplace(structure="full", max_iter=400)
    reg = BayesianMLPRegressor((10,), likelihood=Heteroscedastic(), inference=engine)
    reg.set_params(random_state=0).fit(x, y)
    grid = np.array([[0.0], [2.0], [4.0], [8.0], [16.0]])
    information = reg.predict_uncertainty(grid).mutual_information
    assert (np.diff(information) > 0).all(), information
    assert (reg.predict_uncertainty(x).mutual_information >= 0).all()
