"""The prior of the decoder's weights: its scale in every network and kind of column."""

import numpy as np
import pytest
import torch

from skbayes import VAETransformer
from skbayes.autoencoder._architecture import build_model
from skbayes.autoencoder._columns import LOGIT_SCALE
from skbayes.autoencoder._convolutional import ConvolutionalDecoder
from skbayes.autoencoder._networks import DenseNetwork
from skbayes.networks import CNN
from skbayes.utils._random import make_generator

N_DRAWS = 4000


def drawn(precisions, generator):
    """Weights of the prior, one draw; biases are zero."""
    return {
        name: torch.where(value > 0, value.clamp_min(1e-30).rsqrt(), 0.0)
        * torch.randn(value.shape, generator=generator)
        for name, value in precisions.items()
    }


def variances(network, scales, n_inputs):
    """Variance of each output over draws of weights and of standard normal inputs."""
    generator, precisions = make_generator(0), network.precisions(scales)
    inputs = torch.randn(N_DRAWS, n_inputs, generator=generator)
    outputs = [network(drawn(precisions, generator), row[None])[0] for row in inputs]
    return torch.stack(outputs).var(0).numpy()


def test_outputs_have_the_variance_of_their_scales():
    """Fan in cancels: a linear map of normal inputs keeps their variance, times the scale's."""
    scales = torch.tensor([1.0, 10.0, 3.0])
    found = variances(DenseNetwork(50, 3, (), "relu"), scales, 50)
    # A sum of 50 products of normals is all but normal: kurtosis 3 + 6 / 50.
    error = np.sqrt((2 + 6 / 50) / N_DRAWS)
    np.testing.assert_allclose(found, scales.numpy() ** 2, rtol=5 * error)


def test_hidden_layers_have_the_least_scale():
    network = DenseNetwork(4, 2, (8,), "relu", n_context=1)
    hidden = network.precisions(torch.full((2,), 10.0))["weight0"]
    np.testing.assert_allclose(hidden, 0.05, rtol=1e-6)
    precisions = network.precisions(torch.tensor([1.0, 10.0]))
    assert precisions["weight0"].shape == (8, 5)
    assert (precisions["weight0"] == 5).all()
    np.testing.assert_allclose(precisions["weight1"], [[8.0] * 8, [0.08] * 8], rtol=1e-6)
    assert not precisions["bias0"].any()
    assert not precisions["bias1"].any()


def test_pixels_have_the_variance_of_their_scale():
    """Inside an image, where a quarter of the kernel meets a pixel on average."""
    decoder = ConvolutionalDecoder((1, 8, 8), 6, 128, (5,), (), "tanh")
    scales = torch.cat([torch.ones(64), torch.full((64,), 10.0)])
    found = variances(decoder, scales, 6).reshape(2, 8, 8)[:, 2:6, 2:6].mean((1, 2))
    assert found[1] / found[0] == pytest.approx(100, rel=0.2)
    # What comes in is tanh of a normal of variance 1, the least scale's: variance 0.394.
    assert found[0] == pytest.approx(0.394, rel=0.1)


def test_a_decoder_without_convolutions_ends_in_its_dense_layer():
    decoder = ConvolutionalDecoder((1, 2, 2), 3, 4, (), (), "tanh")
    found = decoder.precisions(torch.full((4,), 10.0))["weight0"]
    np.testing.assert_allclose(found, 0.03, rtol=1e-6)


@pytest.mark.parametrize("params", [{}, {"encoder": CNN((1, 2, 2), (3,))}])
def test_names_and_shapes_are_those_of_the_weights(params):
    rows = np.random.default_rng(0).uniform(size=(20, 4))
    vae = (
        VAETransformer()
        .set_params(training__max_iter=1, encoder__hidden_layer_sizes=(5,), **params)
        .fit(rows)
    )
    precisions = vae._model().prior_precisions(vae._tensors(), 0.5)
    for part, values in vae._tensors().items():
        assert {k: v.shape for k, v in precisions[part].items()} == {
            k: v.shape for k, v in values.items()
        }
        assert part == "decoder" or not any(v.any() for v in precisions[part].values())
    assert (precisions["decoder"]["weight0"] == 2 / 0.5**2).all()


def test_weights_of_logits_have_a_wider_prior():
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=20), rng.integers(0, 2, 20), rng.integers(0, 3, 20)])
    kinds = {"categorical": [2], "gaussian": [0], "bernoulli": [1]}
    vae = (
        VAETransformer(likelihood=kinds)
        .set_params(training__max_iter=1, encoder__hidden_layer_sizes=())
        .fit(X)
    )
    model = build_model(vae._architecture, vae._table, None)
    found = model.prior_precisions(vae._tensors(), 1.0)["decoder"]["weight0"][:, 0]
    expected = [2 / LOGIT_SCALE**2] * 3 + [2.0] + [2 / LOGIT_SCALE**2]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
