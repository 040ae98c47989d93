"""Densities, gradients, Fisher information and draws of every likelihood."""

import numpy as np
import pytest
import torch
from scipy import stats

from skbayes.exceptions import IncompatiblePartsError
from skbayes.inference import MAP, Laplace
from skbayes.likelihoods import (
    COLUMN_LIKELIHOODS,
    LIKELIHOODS,
    Bernoulli,
    BernoulliColumns,
    Categorical,
    CategoricalColumns,
    Gaussian,
    Heteroscedastic,
    SharedGaussian,
    StudentTColumns,
    StudentTLikelihood,
)
from skbayes.likelihoods._base import NOISE_FLOOR
from tests.likelihoods import checks
from tests.scenarios import linear_problem

NUMERIC = [
    Gaussian(),
    Gaussian(noise=0.4),
    SharedGaussian(),
    SharedGaussian(noise=0.4),
    StudentTLikelihood(),
    StudentTLikelihood(df=7.0, noise=0.4),
    Heteroscedastic(),
]
CLASSES = [(Categorical(), 3), (Categorical(), 2), (Bernoulli(), 2)]
ALL = [*[(likelihood, 2) for likelihood in NUMERIC], *CLASSES, (BernoulliColumns(), 3)]


def name(value):
    return str(value)


def test_every_registered_likelihood_is_tested():
    registered = {*LIKELIHOODS.values(), *COLUMN_LIKELIHOODS.values()}
    of_rows = {StudentTColumns, CategoricalColumns}  # tests/autoencoder/test_columns.py
    assert {type(likelihood) for likelihood, _ in ALL} == registered - of_rows


@pytest.mark.parametrize("likelihood", NUMERIC, ids=name)
def test_density_and_moments(likelihood):
    checks.check_numeric_density(likelihood)


@pytest.mark.parametrize("spread", [0.0, 0.05, 1.5, 40.0])
@pytest.mark.parametrize("likelihood", [*NUMERIC, BernoulliColumns()], ids=name)
def test_averages_over_normal_outputs(likelihood, spread):
    """Of known outputs and of wide ones, in the middle and where log noise is clamped."""
    for centre in (-1.3, 0.4, 7.9):
        n_outputs = likelihood.n_outputs(1)
        means, sds = [0.7, centre][-n_outputs:], [0.3, spread][-n_outputs:]
        checks.check_averages_over_normals(likelihood, means, sds)


@pytest.mark.parametrize("likelihood", NUMERIC, ids=name)
def test_cdf_is_the_integral(likelihood):
    checks.check_cdf(likelihood)


@pytest.mark.parametrize("likelihood", NUMERIC, ids=name)
def test_draws_follow_the_cdf(likelihood):
    checks.check_numeric_samples(likelihood)


@pytest.mark.parametrize(("likelihood", "n_classes"), CLASSES, ids=name)
def test_class_probabilities(likelihood, n_classes):
    checks.check_class_probabilities(likelihood, n_classes)


@pytest.mark.parametrize(("likelihood", "n_targets"), ALL, ids=name)
def test_gradients(likelihood, n_targets):
    checks.check_gradients(likelihood, n_targets)


@pytest.mark.parametrize(("likelihood", "n_targets"), ALL, ids=name)
def test_fisher_information(likelihood, n_targets):
    checks.check_fisher(likelihood, n_targets)


@pytest.mark.parametrize("likelihood", [Gaussian(), StudentTLikelihood()], ids=name)
def test_learned_noise_is_floor_plus_exponential(likelihood):
    hyper = torch.tensor([[-0.5, 0.2]], dtype=torch.float64)
    scale = likelihood.scale(hyper, hyper)
    torch.testing.assert_close(scale[0, 0], NOISE_FLOOR + torch.exp(hyper[0]))
    assert likelihood.n_hyper(2) == 2


def test_information_of_log_noise_near_the_floor():
    checks.check_log_noise_information()


def test_log_noise_has_a_range():
    checks.check_range_of_log_noise()


def test_scales_before_logits_are_wide():
    checks.check_width_before_logits()


def test_several_targets_are_independent():
    """The joint log density of a row is the sum over its targets."""
    for likelihood in (Gaussian(), StudentTLikelihood()):
        outputs, hyper, generator = checks.point(likelihood, 2)
        y = torch.randn(4, 2, dtype=torch.float64, generator=generator)
        parts = [
            likelihood.log_prob(outputs[..., t : t + 1], y[:, t : t + 1], hyper[:, t : t + 1])
            for t in range(2)
        ]
        torch.testing.assert_close(likelihood.log_prob(outputs, y, hyper), sum(parts))


def test_densities_equal_scipy():
    """Against the named distributions, normalising constants included."""
    y, outputs = np.array([[-0.7], [0.4]]), torch.tensor([[[0.1], [0.3]]]).double()
    none = outputs.new_empty(1, 0)
    cases = [
        (Gaussian(noise=0.4), stats.norm(scale=0.4)),
        (StudentTLikelihood(df=5.0, noise=0.4), stats.t(5, scale=0.4)),
    ]
    for likelihood, exact in cases:
        found = likelihood.log_prob(outputs, torch.from_numpy(y), none)[0]
        np.testing.assert_allclose(found, exact.logpdf(y - outputs[0].numpy())[:, 0], rtol=1e-12)


def test_fixed_noise_is_in_units_of_y():
    """Scaled targets and their noise give the same fit, whatever the unit of y."""
    problem = linear_problem()
    stds, densities = [], []
    for unit in (1.0, 50.0):
        y = unit * problem.y[:, 0]
        reg = problem.estimator(
            Laplace("full", max_iter=50), likelihood=Gaussian(noise=0.5 * unit)
        ).set_params(scale_targets=True)
        reg.fit(problem.X, y)
        np.testing.assert_allclose(reg.predict_std(problem.X, "aleatoric"), 0.5 * unit)
        stds.append(reg.predict_std(problem.X, "epistemic") / unit)
        densities.append(reg.log_predictive(problem.X, y) + np.log(unit))
    np.testing.assert_allclose(stds[0], stds[1], rtol=1e-6)
    np.testing.assert_allclose(densities[0], densities[1], rtol=1e-6, atol=1e-8)


def test_fixed_noise_of_several_targets_of_unequal_scale():
    """One number in the units of y holds for every target, however each is standardised."""
    problem = linear_problem(n_targets=2)
    y = problem.y * [1.0, 30.0]
    reg = problem.estimator(MAP(max_iter=20), likelihood=Gaussian(noise=0.7))
    reg.set_params(scale_targets=True).fit(problem.X, y)
    np.testing.assert_allclose(reg.predict_std(problem.X, "aleatoric"), 0.7)


def test_bernoulli_takes_two_classes_only():
    with pytest.raises(IncompatiblePartsError, match="likelihood='categorical'"):
        Bernoulli().n_outputs(3)


def test_bernoulli_is_the_categorical_of_a_difference():
    """sigmoid(a) is the softmax of (0, a)."""
    outputs, hyper, _ = checks.point(Bernoulli(), 2)
    pair = torch.cat([torch.zeros_like(outputs), outputs], 2)
    y = torch.tensor([0, 1, 1, 0])
    torch.testing.assert_close(
        Bernoulli().log_prob(outputs, y, hyper), Categorical().log_prob(pair, y, hyper)
    )
    torch.testing.assert_close(
        Bernoulli().probabilities(outputs), Categorical().probabilities(pair)
    )


def test_columns_are_independent_bernoulli_variables():
    """Probabilities of all binary rows sum to one, and have the stated mean and variance."""
    outputs, hyper, _ = checks.point(BernoulliColumns(), 3, n_rows=8, n_particles=1)
    outputs = outputs[:, :1].expand(1, 8, 3)
    rows = torch.cartesian_prod(*[torch.tensor([0.0, 1.0]).double()] * 3)
    p = torch.exp(BernoulliColumns().log_prob(outputs, rows, hyper))[0]
    torch.testing.assert_close(p.sum(), torch.ones(()).double())
    mean = p @ rows
    torch.testing.assert_close(mean, BernoulliColumns().mean(outputs, hyper)[0, 0])
    variance = p @ (rows - mean) ** 2
    torch.testing.assert_close(variance, BernoulliColumns().variance(outputs, hyper)[0, 0])
    many = outputs[:, :1].expand(1, checks.N_DRAWS, 3)
    draws = BernoulliColumns().sample(many, hyper, torch.Generator().manual_seed(5))[0]
    error = (variance / checks.N_DRAWS).sqrt()
    assert ((draws.mean(0) - mean).abs() < 5 * error).all()


def test_one_noise_for_all_columns():
    """The gradient in the shared noise is that of one scale under all columns."""
    shared, own = SharedGaussian(), Gaussian()
    outputs, hyper, generator = checks.point(shared, 3)
    y = torch.randn(4, 3, dtype=torch.float64, generator=generator)
    weight = torch.tensor([1.0, 2.0, 0.5, 1.0]).double()
    value, _, of_noise = shared.value_and_grad(outputs, y, weight, hyper)
    expected, _, of_each = own.value_and_grad(outputs, y, weight, hyper.expand(-1, 3))
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(of_noise[:, 0], of_each.sum(1))
