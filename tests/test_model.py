"""The log joint: against SciPy, its gradients against autograd, its batches against sums."""

import numpy as np
import pytest
import torch
from scipy import stats

from skbayes._model import Model
from skbayes.likelihoods import (
    Bernoulli,
    Categorical,
    Gaussian,
    Heteroscedastic,
    StudentTLikelihood,
)
from skbayes.networks import MLPNetwork
from skbayes.priors import Cauchy, Flat, LaplacePrior, Normal, ScaleMixture, StudentT
from skbayes.utils._random import make_generator
from tests.scenarios import LIKE, learned_problem, linear_problem, to_data

PRIORS = [Normal(), Normal(scale=0.7), LaplacePrior(), Cauchy(), StudentT(), ScaleMixture(), Flat()]
LIKELIHOODS = [
    (Gaussian(), 2),
    (Gaussian(noise=0.3), 2),
    (StudentTLikelihood(), 1),
    (Heteroscedastic(), 2),
    (Categorical(), 3),
    (Bernoulli(), 2),
]


def problem_of(prior, likelihood, n_targets):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(8, 3))
    classes = likelihood.target == "classes"
    y = rng.integers(0, n_targets, 8) if classes else rng.normal(size=(8, n_targets))
    network = MLPNetwork(3, likelihood.n_outputs(n_targets), (4,))
    model = Model(network, prior, likelihood, n_targets, LIKE)
    data = to_data(X, y, rng.integers(1, 4, 8).astype(float))
    params = 0.5 * model.init(3, make_generator(77))
    return model, data, params


def check_gradient(model, data, params):
    """`value_and_grad` and `grad` against autograd of the plain log joint."""
    params = params.clone().requires_grad_()
    value = model.log_joint(params, data, 2.5)
    (exact,) = torch.autograd.grad(value.sum(), params)
    found_value, found = model.value_and_grad(params.detach(), data, 2.5)
    torch.testing.assert_close(found_value, value.detach(), rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(found, exact, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("likelihood", "n_targets"), LIKELIHOODS, ids=str)
@pytest.mark.parametrize("prior", PRIORS, ids=str)
def test_gradient_equals_autograd(prior, likelihood, n_targets):
    check_gradient(*problem_of(prior, likelihood, n_targets))


@pytest.mark.parametrize("prior", PRIORS, ids=str)
def test_gradient_without_value(prior):
    """The samplers' inner steps use the gradient alone."""
    model, data, params = problem_of(prior, Gaussian(), 2)
    _, exact = model.value_and_grad(params, data)
    torch.testing.assert_close(model.grad(params, data), exact)


def check_log_joint_known() -> None:
    """Linear model, scale and noise known: normal densities of weights and targets."""
    problem = linear_problem(weighted=True, n_targets=2)
    model, data = problem.model(), problem.data()
    params = model.init(4, make_generator(5))
    sd = model.weight_scales(params[:, :0])[0].numpy()
    A, y = problem.repeated
    for packed, found in zip(params, model.log_joint(params, data), strict=True):
        weights = packed.numpy() * sd
        coefficients = np.vstack([weights[:-2].reshape(2, -1).T, weights[-2:]])
        # The density of z, the whitened weights, is the weights' times the Jacobian.
        log_prior = stats.norm(scale=sd).logpdf(weights).sum() + np.log(sd).sum()
        exact = log_prior + stats.norm(scale=problem.noise).logpdf(y - A @ coefficients).sum()
        assert abs(float(found) - exact) < 1e-9, f"log joint {float(found)}, exact {exact}"


def test_log_joint_with_known_scales():
    check_log_joint_known()


def check_log_joint_learned() -> None:
    """Half-normal densities of scale and noise, as densities of their logarithms."""
    problem = learned_problem()
    model, data = problem.model(), problem.data()
    params = model.init(3, make_generator(5)) * 0.7
    A, y = problem.linear.repeated
    for packed, found in zip(params.numpy(), model.log_joint(params, data), strict=True):
        z, (log_scale, log_noise) = packed[:-2], packed[-2:]
        weights = z * np.exp(log_scale) * problem.linear.prior_sd / problem.linear.scale
        hyper = stats.halfnorm().logpdf(np.exp(packed[-2:])) + packed[-2:]
        noise = stats.norm(scale=1e-3 + np.exp(log_noise))
        exact = (
            stats.norm().logpdf(z).sum() + hyper.sum() + noise.logpdf(y[:, 0] - A @ weights).sum()
        )
        np.testing.assert_allclose(float(found), exact, rtol=1e-12)


def test_log_joint_with_learned_scale_and_noise():
    check_log_joint_learned()


@pytest.mark.parametrize(("likelihood", "width"), [(Gaussian(noise=0.5), 1), (Bernoulli(), 10)])
def test_prior_of_the_output_scale(likelihood, width):
    """A half-normal, ten times as wide where the layer feeds logits."""
    n_targets = 1 if width == 1 else 2
    model = Model(MLPNetwork(3, 1, ()), Normal(), likelihood, n_targets, LIKE)
    log_scale = torch.linspace(-3, 3, 7, dtype=torch.float64)
    params = torch.cat([torch.zeros(7, 4, dtype=torch.float64), log_scale[:, None]], 1)
    exact = stats.halfnorm(scale=width).logpdf(np.exp(log_scale.numpy())) + log_scale.numpy()
    np.testing.assert_allclose(model.log_prior_hyper(params).numpy(), exact, rtol=1e-12)


def test_scaled_batches_add_up():
    """Batches at scale rows / batch average to the likelihood of all rows."""
    problem = linear_problem(weighted=True)
    model, data = problem.model(), problem.data()
    params = model.init(2, make_generator(3))
    parts = [
        model.log_joint(params, data.rows(slice(i, i + 10)), 5.0) for i in range(0, len(data), 10)
    ]
    torch.testing.assert_close(sum(parts) / 5, model.log_joint(params, data))


def test_weight_of_a_row_is_its_count():
    problem = linear_problem(weighted=True)
    model, data = problem.model(), problem.data()
    counts = problem.weight.astype(int)
    repeated = to_data(
        np.repeat(problem.X, counts, 0), np.repeat(problem.y, counts, 0), np.ones(counts.sum())
    )
    params = model.init(2, make_generator(3))
    torch.testing.assert_close(model.log_joint(params, data), model.log_joint(params, repeated))


def test_prior_scale_of_every_layer():
    """Weights are scale * fan-in factor * z, layer by layer."""
    model, _, params = problem_of(Normal(), Gaussian(), 2)
    z, log_scales, _ = model.split(params)
    for block in model.network.layout:
        scale = torch.exp(log_scales[:, block.layer, None]) * block.fan_in**-0.5
        torch.testing.assert_close(model.weights(params)[:, block.slice], z[:, block.slice] * scale)
