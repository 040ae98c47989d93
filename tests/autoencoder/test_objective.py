"""What training minimises, term by term, on a linear model whose densities are known."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from skbayes.autoencoder import GaussianNoise, Mask
from skbayes.latent._latent_model import double
from skbayes.utils._random import make_generator
from tests.autoencoder.linear import Exact, fitted, rows

X = rows(200)


@pytest.fixture(scope="module")
def vae():
    return fitted(X, training__max_iter=400)


def loss(vae, seed=0, progress=1.0, **changes):
    """The objective of all rows, in nats a row and in the encoded columns' units."""
    objective = replace(vae._objective(vae._model(), vae._parts()), **changes)
    data = vae._rows(X)[1].to(torch.float64)
    with torch.no_grad():
        value = objective(double(vae._tensors()), data, make_generator(seed), progress)
    return float(value)


def test_importance_weighted_bound_nears_the_density(vae):
    """Its error falls as one over the number of draws; that of one draw is a divergence."""
    exact = Exact(vae).log_density(X).mean()
    exact += np.log(vae._table.parts[0].scaler.scale).sum()
    found = np.array([-loss(vae, seed, n_importance_samples=1000) for seed in range(8)])
    error = found.std() / np.sqrt(8)
    # The bias is half the relative variance of a weight over the number of draws.
    assert abs(found.mean() - exact) < 4 * error + 2 / 1000
    few = np.mean([-loss(vae, seed, n_importance_samples=2) for seed in range(50)])
    assert few < found.mean() - 0.01


def test_a_distance_counts_once_a_column_and_beta_times(vae):
    seen = []

    def distance(codes, draws, generator, weight):
        seen.append((codes, draws))
        return torch.tensor(0.7)

    plain = loss(vae, divergence=None)
    assert loss(vae, divergence=distance, beta=3.0) - plain == pytest.approx(3 * 6 * 0.7)
    (codes, draws), mean = seen[0], vae.transform(X)
    np.testing.assert_allclose(codes, mean, atol=1e-6)
    assert draws.shape == codes.shape
    assert (draws - codes).abs().min() > 0


def test_warm_up_raises_beta_in_a_straight_line(vae):
    at = {p: loss(vae, progress=p, warm_up=0.5) for p in (0.0, 0.25, 0.5, 1.0)}
    assert at[0.0] == pytest.approx(loss(vae, beta=0.0))
    assert at[0.25] - at[0.0] == pytest.approx(0.5 * (at[1.0] - at[0.0]))
    assert at[0.5] == at[1.0] == loss(vae)


def test_the_importance_weighted_bound_warms_up_too(vae):
    """At first rows count alone: the log of their mean density given draws of the codes."""
    several = {"warm_up": 0.5, "n_importance_samples": 4}
    model, parameters, data = vae._model(), double(vae._tensors()), vae._rows(X)[1]
    data = data.to(torch.float64)
    codes = model.encode(parameters, data)
    noise = torch.randn(4, *codes.mean.shape, dtype=torch.float64, generator=make_generator(0))
    densities = model.log_prob(parameters, data, codes.draw(noise)).detach().exp()
    first = -float(densities.mean(0).log().mean())
    assert loss(vae, progress=0.0, **several) == pytest.approx(first)
    assert loss(vae, progress=0.5, **several) == loss(vae, n_importance_samples=4) > first


def test_free_bits_are_a_floor_for_each_code(vae):
    """Two codes: a floor above both divergences is paid twice, one below neither not at all."""
    misfit = loss(vae, beta=0.0)
    assert loss(vae, free_bits=100.0, beta=2.0) - misfit == pytest.approx(2 * 2 * 100)
    assert loss(vae, free_bits=1e-9) == pytest.approx(loss(vae))


@pytest.mark.parametrize("kind", [Mask, GaussianNoise])
def test_corruption_is_of_its_rate(vae, kind):
    data, rate = vae._rows(X)[1], 0.3
    found = kind(rate)(data, vae._model(), make_generator(0)).X
    n = found.numel()
    if kind is Mask:
        share = (found == 0).double().mean()
        assert abs(share - rate) < 4 * np.sqrt(rate * (1 - rate) / n)
        assert (found[found != 0] == data.X[found != 0]).all()
    else:
        assert abs((found - data.X).std() / rate - 1) < 4 / np.sqrt(2 * n)
