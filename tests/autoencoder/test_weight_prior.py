"""The prior of the decoder's weights: its scale in every network and kind of column."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from skbayes import VAETransformer
from skbayes.latent import DiagonalNormal
from skbayes.latent._latent_model import LatentModel
from skbayes.latent._priors import StandardNormal
from skbayes.networks import encoder_decoder
from skbayes.utils._random import make_generator

N_DRAWS = 4000
#: Width of the prior of weights that feed logits.
LOGIT_SCALE = 10.0


def model_of(scales, n_latents, decoder_sizes=(), **params):
    """An autoencoder whose outputs have these widths, ten times the latents as inputs."""
    head, table = DiagonalNormal().prepare(n_latents), SimpleNamespace(output_widths=scales)
    network = encoder_decoder(
        params.pop("n_inputs", 3),
        len(scales),
        n_latents,
        (5,),
        decoder_sizes,
        n_encoded=head.n_outputs,
        **params,
    )
    return LatentModel(network, head, table, StandardNormal().prepare(n_latents))


def decoder_blocks(model, values):
    """Values (1, P) of the decoder's blocks by name."""
    blocks = zip(model.network.layout, model.network.blocks(values), strict=True)
    return {block.name: value[0] for block, value in blocks if block.name.startswith("decoder")}


def variances(model):
    """Variance of each output over draws of weights and of standard normal latents."""
    generator, precision = make_generator(0), model.precision(1.0)
    z = torch.randn(N_DRAWS, model.network.n_latents, generator=generator)
    scales = torch.where(precision > 0, precision.clamp_min(1e-30).rsqrt(), 0.0)
    outputs = [
        model.network.decode(scales * torch.randn(scales.shape, generator=generator), row[None])
        for row in z
    ]
    return torch.cat(outputs)[:, 0].var(0).numpy()


def test_outputs_have_the_variance_of_their_scales():
    """Fan in cancels: a linear map of normal inputs keeps their variance, times the scale's."""
    scales = torch.tensor([1.0, 10.0, 3.0])
    found = variances(model_of(scales, 50))
    # A sum of 50 products of normals is all but normal: kurtosis 3 + 6 / 50.
    error = np.sqrt((2 + 6 / 50) / N_DRAWS)
    np.testing.assert_allclose(found, scales.numpy() ** 2, rtol=5 * error)


def test_hidden_layers_have_the_least_scale():
    wide = model_of(torch.full((2,), 10.0), 4, (8,), n_context=1)
    hidden = decoder_blocks(wide, wide.precision(1.0))["decoder0.weight"]
    np.testing.assert_allclose(hidden, 0.05, rtol=1e-6)
    mixed = model_of(torch.tensor([1.0, 10.0]), 4, (8,), n_context=1)
    precision = mixed.precision(1.0)
    found = decoder_blocks(mixed, precision)
    assert found["decoder0.weight"].shape == (8, 5)
    np.testing.assert_allclose(found["decoder0.weight"], 5, rtol=1e-6)
    np.testing.assert_allclose(found["decoder1.weight"], [[8.0] * 8, [0.08] * 8], rtol=1e-6)
    assert not found["decoder0.bias"].any()
    assert not found["decoder1.bias"].any()
    assert not precision[:, : mixed.network.encoder.n_weights].any()


@pytest.mark.parametrize("scale", [1.0, 10.0])
def test_pixels_have_the_variance_of_their_scale(scale):
    """Inside an image, where a quarter of the kernel meets a pixel on average."""
    model = model_of(torch.full((64,), scale), 6, n_inputs=64, image_shape=(1, 8, 8), channels=(8,))
    found = variances(model).reshape(8, 8)[2:6, 2:6].mean() / scale**2
    # What comes in is tanh of a normal: of variance 0.394 at a scale of 1, of .84 at 10.
    assert found == pytest.approx(0.394 if scale == 1 else 0.84, rel=0.1)


def test_a_decoder_without_convolutions_ends_in_its_dense_layer():
    model = model_of(torch.full((4,), 10.0), 3, n_inputs=4, image_shape=(1, 2, 2))
    found = decoder_blocks(model, model.precision(1.0))["decoder0.weight"]
    np.testing.assert_allclose(found, 0.03, rtol=1e-6)


def test_the_prior_has_the_scale_that_was_asked_for():
    model = model_of(torch.ones(3), 2)
    found = decoder_blocks(model, model.precision(0.5))["decoder0.weight"]
    np.testing.assert_allclose(found, 2 / 0.5**2, rtol=1e-6)


def test_weights_of_logits_have_a_wider_prior():
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=20), rng.integers(0, 2, 20), rng.integers(0, 3, 20)])
    kinds = {"categorical": [2], "gaussian": [0], "bernoulli": [1]}
    vae = (
        VAETransformer(likelihood=kinds)
        .set_params(training__max_iter=1, encoder__hidden_layer_sizes=())
        .fit(X)
    )
    model = vae._model()
    found = decoder_blocks(model, model.precision(1.0))["decoder0.weight"][:, 0]
    expected = [2 / LOGIT_SCALE**2] * 3 + [2.0] + [2 / LOGIT_SCALE**2]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
