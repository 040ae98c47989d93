"""Images of weights under exchanged units: one of each is chosen, and those apart are counted."""

from itertools import permutations, product

import numpy as np
import pytest
import torch

from skbayes.networks import MLPNetwork, encoder_decoder
from skbayes.networks._symmetry import log_n_images, log_n_separate_images, nearest_image


def all_images(layers, weights):
    """Every image of one weight vector, by hand."""
    images = [weights]
    for layer in layers:
        n = len(layer.incoming)
        places = np.concatenate([layer.incoming, layer.outgoing], axis=1)
        signs = list(product([1, -1], repeat=n)) if layer.odd else [(1,) * n]
        moved = []
        for image, order, sign in product(images, permutations(range(n)), signs):
            new = image.copy()
            new[places] = np.array(sign)[:, None] * image[places[list(order)]]
            moved.append(new)
        images = moved
    return np.array(images)


NETWORKS = {
    "tanh": MLPNetwork(2, 2, (3,)),
    "relu": MLPNetwork(2, 1, (3,), "relu"),
    "deep": MLPNetwork(1, 1, (2, 3)),
    "autoencoder": encoder_decoder(3, 3, 2, (2,), (2,)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_all_images_have_one_function_and_one_of_them_is_chosen(name):
    network, rng = NETWORKS[name], np.random.default_rng(0)
    layers = network.hidden_layers
    weights, centre = rng.normal(size=(2, network.n_weights))
    images = all_images(layers, weights)
    assert np.log(len(images)) == pytest.approx(log_n_images(layers))
    assert len(np.unique(images.round(9), axis=0)) == len(images)
    X = torch.from_numpy(rng.normal(size=(4, network.n_inputs)))
    outputs = network.forward(torch.from_numpy(images), X)
    torch.testing.assert_close(outputs, outputs[:1].expand_as(outputs))
    chosen, own = nearest_image(layers, images, centre)
    assert (chosen == chosen[0]).all()
    assert own.sum() == 1
    assert (images[own] == chosen[:1]).all()
    if len(layers) == 1:
        distance = ((images - centre) ** 2).sum(1)
        assert own[distance.argmin()]


def test_images_of_a_normal_that_lie_apart():
    """Against the chance that a draw lies nearest to its own mean; the limits are exact."""
    layers = MLPNetwork(2, 1, (4,)).hidden_layers
    rng, every = np.random.default_rng(0), log_n_images(layers)
    mean = 5 * rng.normal(size=17)
    assert log_n_separate_images(layers, mean, np.full(17, 0.01)) == pytest.approx(every)
    assert log_n_separate_images(layers, 0 * mean, np.ones(17)) == pytest.approx(0)
    places = np.concatenate([layers[0].incoming, layers[0].outgoing], axis=1)
    twins, dead = mean.copy(), mean.copy()
    twins[places[1]], dead[places[1]] = mean[places[0]], 0
    for weights in (twins, dead):  # one order of two, or one sign of a unit, less
        found = log_n_separate_images(layers, weights, np.full(17, 0.01))
        assert found == pytest.approx(every - np.log(2))
    for size in (0.3, 0.6, 1.0):
        draws = size * mean / 5 * 3 + rng.normal(size=(20_000, 17))
        _, own = nearest_image(layers, draws, size * mean / 5 * 3)
        found = log_n_separate_images(layers, size * mean / 5 * 3, np.ones(17))
        assert found == pytest.approx(every + np.log(own.mean()), abs=0.5)
