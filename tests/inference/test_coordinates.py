"""The samplers' coordinates: the same density, its exact gradient, and mean and size as axes."""

import numpy as np
import pytest
import torch
from torch.func import jacrev, vmap

from skbayes._model import Model
from skbayes.data._tensors import Data
from skbayes.inference.mcmc import _coordinates
from skbayes.inference.mcmc._coordinates import sampling_coordinates
from skbayes.likelihoods import Bernoulli, Categorical, Gaussian, Heteroscedastic
from skbayes.networks import MLPNetwork
from skbayes.priors import LaplacePrior, Normal, StudentT
from skbayes.utils._random import make_generator

CASES = [
    (Gaussian(), 1, Normal(), (5, 4)),
    (Gaussian(), 2, Normal(), ()),
    (Gaussian(noise=0.3), 2, LaplacePrior(scale=0.7), (5,)),
    (Heteroscedastic(), 1, Normal(), (3,)),
    (Categorical(), 3, StudentT(), (5,)),
    (Bernoulli(), 2, Normal(scale=2.0), (4,)),
]


def problem(likelihood, n_targets, prior, hidden):
    generator = make_generator(0)
    network = MLPNetwork(4, likelihood.n_outputs(n_targets), hidden)
    model = Model(network, prior, likelihood, n_targets, torch.empty(0, dtype=torch.float64))
    X = torch.randn(12, 4, generator=generator, dtype=torch.float64)
    if likelihood.target == "classes":
        y = torch.randint(n_targets, (12,), generator=generator)
    else:
        y = torch.randn(12, n_targets, generator=generator, dtype=torch.float64)
    weight = 0.5 + torch.rand(12, generator=generator, dtype=torch.float64)
    return model, Data(X, y, weight), model.init(3, generator)


def density(model, data, target, points):
    """The log density by its definition: the model's, and the volume by brute force."""
    volume = vmap(jacrev(lambda point: target.to_model(point[None])[0]))(points)
    return model.log_joint(target.to_model(points), data) + torch.linalg.slogdet(volume)[1]


def check_density(case):
    model, data, params = problem(*case)
    target = sampling_coordinates(model, data)
    points = target.from_model(params).requires_grad_()
    exact = density(model, data, target, points)
    (slope,) = torch.autograd.grad(exact.sum(), points)
    value, grad = target.value_and_grad(points.detach())
    torch.testing.assert_close(value, exact.detach(), rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(grad, slope, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(target.grad(points.detach()), grad)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_density_and_gradient(case):
    check_density(case)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_there_and_back(case):
    model, data, params = problem(*case)
    target = sampling_coordinates(model, data)
    torch.testing.assert_close(target.to_model(target.from_model(params)), params)


def test_mean_and_size_are_axes(monkeypatch):
    """Moving other coordinates leaves the outputs' mean and mean square where they are."""
    monkeypatch.setattr(_coordinates, "SMALLEST_ROOT", 0.0)
    model, data, params = problem(Gaussian(), 1, Normal(), (20,))
    target = sampling_coordinates(model, data)
    points = target.from_model(params[:1]).repeat(50, 1)
    moved = torch.ones(model.n_params, dtype=torch.bool)
    moved[[target.bias.start, target.scale]] = False
    points[:, moved] += torch.randn(
        50, int(moved.sum()), dtype=torch.float64, generator=make_generator(1)
    )
    params = target.to_model(points)
    outputs = model.network.forward(model.weights(params), data.X)[..., 0].numpy()
    share = target.share.numpy()
    mean = outputs @ share
    size = np.sqrt((outputs - mean[:, None]) ** 2 @ share)
    assert np.ptp(mean) < 1e-9 * size.mean()
    assert np.ptp(size) < 1e-9 * size.mean()


def test_one_row_has_finite_coordinates():
    model, data, params = problem(Gaussian(), 1, Normal(), (5,))
    target = sampling_coordinates(model, data.rows([0]))
    points = target.from_model(params)
    assert torch.isfinite(points).all()
    assert all(torch.isfinite(part).all() for part in target.value_and_grad(points))


def test_a_network_without_output_bias_keeps_its_own_coordinates():
    model, data, params = problem(Gaussian(), 1, Normal(), (5,))
    model.network.output_bias = None
    target = sampling_coordinates(model, data)
    assert target.to_model(params) is params
    torch.testing.assert_close(target.grad(params), model.grad(params, data))
