"""Base densities, their derivatives and draws; scales and fan-in."""

import numpy as np
import pytest
import torch

from skbayes.exceptions import IncompatiblePartsError
from skbayes.networks import MLPNetwork
from skbayes.priors import PRIORS, Cauchy, Flat, LaplacePrior, Normal, ScaleMixture, StudentT
from skbayes.utils._random import make_generator
from tests.priors import checks
from tests.scenarios import LIKE

PROPER = [
    Normal(),
    LaplacePrior(),
    Cauchy(),
    StudentT(df=4.0),
    StudentT(df=1.5),
    ScaleMixture(),
    ScaleMixture(mixing=0.2, narrow=0.3),
]


@pytest.fixture(params=PROPER, ids=str)
def prior(request):
    return request.param


def test_every_registered_prior_is_tested():
    assert {type(p) for p in PROPER} | {Flat} == set(PRIORS.values())


def test_density_is_normalised(prior):
    checks.check_normalised(prior)


def test_score_is_the_derivative(prior):
    checks.check_score(prior)


def test_draws_follow_the_density(prior):
    checks.check_samples(prior)


def test_curvature_never_negative(prior):
    z = torch.linspace(-5, 5, 101, dtype=torch.float64)
    assert (prior.curvature_base(z) > 0).all()


def test_curvature_is_that_of_the_touching_normal(prior):
    checks.check_curvature(prior)


def test_quick_training_follows_its_gradient():
    checks.check_trained_objective()


def test_empirical_scales_are_root_mean_squares():
    checks.check_empirical_scales()


@pytest.mark.parametrize("prior", [p for p in PROPER if p.closed_form_kl], ids=str)
def test_closed_form_kl(prior):
    checks.check_kl(prior)


def test_normal_curvature_is_the_second_derivative():
    z = torch.linspace(-3, 3, 11, dtype=torch.float64)
    exact = [torch.autograd.functional.hessian(lambda v: -Normal().log_base(v), v) for v in z]
    torch.testing.assert_close(Normal().curvature_base(z), torch.stack(exact))


@pytest.mark.parametrize(
    ("prior", "exponent"),
    [
        (Normal(), -0.5),
        (LaplacePrior(), -0.5),
        (ScaleMixture(), -0.5),
        (Cauchy(), -1.0),
        (StudentT(df=4.0), -0.5),
        (StudentT(df=1.0), -1.0),
        (StudentT(df=1.25), -0.8),
    ],
    ids=str,
)
def test_fan_in_scales_weights_not_biases(prior, exponent):
    net = MLPNetwork(9, 2, (4,))
    factors = prior.weight_factors(net, LIKE).numpy()
    for block, fan_in in zip(net.layout, (9, 1, 4, 1), strict=True):
        np.testing.assert_allclose(factors[block.slice], fan_in**exponent)
    plain = prior.set_params(fan_in_scaling=False)
    try:
        np.testing.assert_array_equal(plain.weight_factors(net, LIKE).numpy(), 1.0)
    finally:
        prior.set_params(fan_in_scaling=True)


@pytest.mark.parametrize("prior", [Normal(), Cauchy()], ids=str)
def test_sum_of_fan_in_weights_keeps_its_scale(prior):
    """Stable laws: the interquartile range of a unit's input at 16 and at 256 inputs."""
    ranges = []
    for fan_in in (16, 256):
        z = prior.sample_base((4000, fan_in), LIKE, _generator())
        total = (z * fan_in**prior.fan_in_exponent).sum(1).numpy()
        ranges.append(np.subtract(*np.quantile(total, [0.75, 0.25])))
    # The ratio's standard error is about 0.03; the other exponent gives 1/4 or 4.
    assert 0.85 < ranges[1] / ranges[0] < 1.15


def _generator():
    return make_generator(987_654_321)


def test_flat_prior_is_zero_and_has_no_draws():
    z = torch.linspace(-3, 3, 5, dtype=torch.float64)
    assert (Flat().log_base(z) == 0).all()
    assert (Flat().score_base(z) == 0).all()
    with pytest.raises(IncompatiblePartsError, match="prior='normal'"):
        Flat().sample_base((3,), LIKE, _generator())
