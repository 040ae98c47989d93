"""The batched convolutional autoencoder against one particle at a time, and as an estimator."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.datasets import load_digits
from torch.nn.functional import conv2d, conv_transpose2d, linear

from skbayes import BayesianAutoencoder
from skbayes.exceptions import IncompatiblePartsError
from skbayes.inference import MAP, SGHMC, Laplace, MeanFieldVI
from skbayes.io import load, save
from skbayes.likelihoods import Heteroscedastic
from skbayes.networks import CNN, _convolutional, encoder_decoder
from skbayes.priors import EmpiricalBayes, Normal, Optimized, Pretrained
from skbayes.utils._random import make_generator
from tests.engine_configs import SHORT

# Runs this short must warn that they did not converge; any other warning is an error.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

PIXELS = load_digits().data[:60] / 16
SHAPES = [((1, 8, 8), (3, 4)), ((2, 5, 7), (3,)), ((1, 4, 3), ()), ((3, 2, 9), (2, 3, 4))]


def batch(shape, channels, n_images=1, n_particles=3, n_rows=5, encoder=(6,), decoder=(5, 4)):
    """A network with weights of several particles and some rows, in double precision."""
    n = int(np.prod(shape))
    net = encoder_decoder(
        n, n_images * n, 2, encoder, decoder, image_shape=shape, channels=channels
    )
    generator = make_generator(0)
    weights = torch.randn(n_particles, net.n_weights, generator=generator, dtype=torch.float64)
    X = torch.randn(n_rows, n, generator=generator, dtype=torch.float64)
    return net, weights / 2, X


@pytest.mark.parametrize(("shape", "channels"), SHAPES)
def test_widest_counts_pixels(shape, channels, monkeypatch):
    """The most numbers a row that any convolution or dense layer is given or gives."""
    net, weights, X = batch(shape, channels)
    seen = [X.shape[1]]

    def noted(function):
        def call(value, *args, **kwargs):
            found = function(value, *args, **kwargs)
            seen.append(found.numel() // (len(weights) * len(X)))
            return found

        return call

    for name in ("conv2d", "conv_transpose2d"):
        monkeypatch.setattr(_convolutional, name, noted(getattr(_convolutional, name)))
    net.forward(weights, X)
    assert net.widest == max(*seen, *net.encoder._dense.sizes, *net.decoder._dense.sizes)


def plainly(net, weights, X):
    """Codes and outputs of one particle by torch's own layers."""
    tanh, blocks = torch.tanh, iter([block[0] for block in net.blocks(weights[None])])
    n_kernels = len(net.encoder._channels) - 1
    value = X.view(-1, *net.encoder.image_shape)
    for _ in range(n_kernels):
        value = tanh(conv2d(value, next(blocks), next(blocks), stride=2, padding=1))
    codes = linear(tanh(linear(value.flatten(1), next(blocks), next(blocks))), *two(blocks))
    value = codes
    for number in range(3):
        value = linear(tanh(value) if number else value, *two(blocks))
    sides = net.decoder._sides
    value = value.view(len(X), -1, *sides[0])
    for side in sides[1:]:
        kernel, bias = two(blocks)
        value = conv_transpose2d(tanh(value), kernel, bias, stride=2, padding=1, output_padding=1)
        value = value[..., : side[0], : side[1]]
    return codes, value.flatten(1)


def two(blocks):
    return next(blocks), next(blocks)


@pytest.mark.parametrize(("shape", "channels"), SHAPES)
@pytest.mark.parametrize("n_images", [1, 2])
def test_particles_are_those_of_one_at_a_time(shape, channels, n_images):
    """Codes and outputs of every particle, layer by layer."""
    net, weights, X = batch(shape, channels, n_images)
    codes, outputs = net.encode(weights, X), net.forward(weights, X)
    for w, code, output in zip(weights, codes, outputs, strict=True):
        expected = plainly(net, w, X)
        torch.testing.assert_close(expected[0], code)
        torch.testing.assert_close(expected[1], output)
    torch.testing.assert_close(net.decode(weights, codes), outputs)


def test_pullback_is_the_jacobian():
    net, weights, X = batch((1, 4, 4), (2,), n_rows=2)
    outputs, pullback = net.forward_with_pullback(weights, X)
    grad = torch.randn(outputs.shape, generator=make_generator(1), dtype=torch.float64)
    jacobian = torch.stack([net.jacobian(w, X) for w in weights])
    torch.testing.assert_close(pullback(grad), torch.einsum("snk,snkp->sp", grad, jacobian))
    _, along = net.jvp(weights[0], weights, X)
    torch.testing.assert_close(along, torch.einsum("nkp,sp->snk", jacobian[0], weights))


@pytest.mark.parametrize(("shape", "channels"), SHAPES)
def test_layout_covers_the_weights_once(shape, channels):
    net, _, _ = batch(shape, channels)
    assert [block.start for block in net.layout[1:]] == [b.slice.stop for b in net.layout[:-1]]
    assert net.n_layers == 2 * (len(channels) + 2) + 1
    assert len({block.name for block in net.layout}) == len(net.layout)


@pytest.mark.parametrize("channels", [(40,), (20, 30)])
def test_fan_in_keeps_the_size_of_units(channels):
    """Under unit scales a linear network's outputs have the variance of its inputs, about."""
    shape = (1, 16, 16)
    net = encoder_decoder(256, 256, 200, (), (), "relu", image_shape=shape, channels=channels)
    factors = Normal(scale=1.0).weight_factors(net, torch.empty(0, dtype=torch.float64))
    generator = make_generator(0)
    z = torch.randn(30, net.n_weights, generator=generator, dtype=torch.float64)
    for block in net.layout:
        if block.role == "bias":
            z[:, block.slice] = 0
    X = torch.randn(20, 256, generator=generator, dtype=torch.float64)
    # Every relu halves the mean square, of which there are twice as many as convolutions.
    found = net.forward(z * factors, X)[:, :, 17 * 4 :].square().mean() * 4.0 ** len(channels)
    assert 0.4 < float(found) < 2.5


def images(**params):
    """A small convolutional autoencoder of 8 x 8 digits."""
    settings = {
        "encoder": CNN((1, 8, 8), (3, 4), (8,)),
        "prior": Normal(scale=1.0),
        "inference": MAP(max_iter=20),
    }
    return BayesianAutoencoder(3, random_state=0).set_params(**{**settings, **params})


@pytest.fixture(scope="module")
def base():
    return images().fit(PIXELS)


@pytest.mark.parametrize(
    "change",
    [
        {"encoder__channels": (4,)},
        {"encoder__image_shape": (1, 4, 16)},
        {"encoder": "mlp"},
        {"encoder__hidden_layer_sizes": ()},
        {"encoder__activation": "relu"},
        {"decoder": CNN(hidden_layer_sizes=())},
        {"decoder": CNN(channels=(3,))},
        {"decoder": CNN(activation="relu")},
    ],
    ids=str,
)
def test_parameters_change_the_fit(change, base):
    assert not np.array_equal(images(**change).fit(PIXELS).predict(PIXELS), base.predict(PIXELS))


def test_codes_and_files(base, tmp_path):
    assert base.transform(PIXELS).shape == (60, 3)
    back = base.inverse_transform(base.transform(PIXELS))
    assert back.shape == PIXELS.shape
    assert_array_equal(base.predict(PIXELS[:1]), base.predict(PIXELS)[:1])
    save(base, tmp_path / "images.skbayes")
    loaded = load(tmp_path / "images.skbayes")
    assert_array_equal(loaded.predict(PIXELS), base.predict(PIXELS))
    assert "encoder0.weight" in base.sample_posterior(n_samples=2, random_state=0)


@pytest.mark.parametrize(
    "params",
    [
        {"inference": SGHMC(**SHORT), "likelihood": "bernoulli"},
        {"prior": EmpiricalBayes(max_iter=20)},
        {"inference": Laplace("diag", max_iter=20), "prior": "normal"},
        {"inference": MAP(max_iter=20), "prior": Optimized(max_iter=20, tuning_iter=5)},
        {"likelihood": Heteroscedastic(), "inference": MAP(max_iter=20)},
    ],
    ids=str,
)
def test_other_parts_take_images(params):
    bae = images(encoder__channels=(2,), **params).fit(PIXELS[:30, :])
    assert np.isfinite(bae.predict(PIXELS)).all()
    assert np.isfinite(bae.predict_std(PIXELS)).all()


def test_training_explains_the_pictures():
    """By gradients of the convolutions: three principal components leave .55 of the variance."""
    prior = Pretrained(scale=1e-3, max_iter=300, learning_rate=0.02)
    bae = images(prior=prior, encoder=CNN((1, 8, 8), (8,), ()), scale_inputs="global")
    left = np.mean((PIXELS - bae.fit(PIXELS, X_prior=PIXELS).predict(PIXELS)) ** 2)
    assert left < 0.75 * PIXELS.var(0).mean()


@pytest.mark.parametrize("inference", ["mc_dropout", Laplace("kron")], ids=str)
def test_engines_that_reach_into_dense_layers_are_refused(inference):
    with pytest.raises(IncompatiblePartsError, match=r"EncoderDecoder .*; use"):
        images(inference=inference).fit(PIXELS)


@pytest.mark.parametrize("inference", [Laplace(max_iter=20), MeanFieldVI(max_iter=20)], ids=str)
def test_engines_that_may_reach_into_dense_layers_do_without(inference):
    bae = images(inference=inference, prior="normal", encoder__channels=(2,)).fit(PIXELS[:30])
    assert np.isfinite(bae.predict_std(PIXELS)).all()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"encoder__image_shape": (1, 8, 9)}, "has 72 numbers, but X has 64 columns"),
        ({"encoder__image_shape": (64,)}, "is not .channels, height, width."),
        ({"encoder__channels": (4, 0)}, "channels must be positive integers"),
    ],
)
def test_shapes_are_checked(params, message):
    with pytest.raises(ValueError, match=message):
        images(**params).fit(PIXELS)
