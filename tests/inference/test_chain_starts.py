"""Chains of a sampler start where they are not stuck."""

import numpy as np
import pytest
import torch

from skbayes._model import Model
from skbayes.data._tensors import Data
from skbayes.exceptions import DivergenceError
from skbayes.inference import HMC
from skbayes.inference.mcmc._starting import optimised_start
from skbayes.likelihoods import Gaussian
from skbayes.networks import MLPNetwork
from skbayes.priors import Normal
from tests.scenarios import make_run


def sine(noise=None):
    """Three periods, 60 rows; to straight lines all of it is noise."""
    x = np.linspace(-1.7, 1.7, 60)[:, None]
    y = np.sqrt(2) * np.sin(3 * np.pi * x / 1.7) + 0.07 * np.random.default_rng(0).normal(
        size=x.shape
    )
    data = Data(*(torch.from_numpy(a).float() for a in (x, y, np.ones(60))))
    likelihood = Gaussian() if noise is None else Gaussian(noise=noise)
    return Model(MLPNetwork(1, 1, (50,)), Normal(), likelihood, 1, torch.zeros(1)), data


def explained(model, data, params):
    """R2 (S,) of each chain."""
    off = model.network.forward(model.weights(params), data.X) - data.y
    return (1 - off.square().mean((1, 2)) / data.y.var()).numpy()


def starts(seed, search):
    model, data = sine()
    run = make_run(seed)
    return model, data, optimised_start(model, data, run, 4, 300, "HMC", search=search)


@pytest.mark.parametrize("seed", range(3))
def test_chains_start_on_the_curve(seed):
    """At the medians of scales and noise they start on a line, and most of them stay there."""
    assert np.median(explained(*starts(seed, search=False))) < 0.5
    model, data, params = starts(seed, search=True)
    assert np.median(explained(model, data, params)) > 0.9
    tail = model.tail(params)
    assert (tail.std(0) > 0.05).all()
    assert HMC.searches


def test_nothing_is_searched_for_where_the_noise_is_known_or_chains_start_at_the_prior():
    for model, data, n_steps in ((*sine(noise=0.1), 10), (*sine(), 0)):
        found = [optimised_start(model, data, make_run(), 4, n_steps, "HMC", s) for s in (0, 1)]
        assert torch.equal(*found)


def test_a_search_that_diverges_says_what_to_type():
    model, data = sine()
    data = Data(data.X, data.y * torch.nan, data.weight)
    with pytest.raises(DivergenceError, match="inference__init_steps=0"):
        optimised_start(model, data, make_run(), 4, 10, "HMC", search=True)
