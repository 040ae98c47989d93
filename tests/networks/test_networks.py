"""Hand-written derivatives of the MLP against the generic ones of torch.func."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from skbayes.networks import ACTIVATIONS, MLPNetwork, Network, encoder_decoder
from skbayes.networks._mlp import WIDE
from skbayes.networks._symmetry import HiddenLayer, log_n_separate_images
from skbayes.utils._random import make_generator

DEPTHS = [(), (5,), (4, 3), (3, 4, 2)]


def batch(net, n_particles=3, n_rows=7):
    generator = make_generator(11)
    weights = torch.randn(n_particles, net.n_weights, dtype=torch.float64, generator=generator)
    X = torch.randn(n_rows, net.n_inputs, dtype=torch.float64, generator=generator)
    return weights, X, generator


@pytest.fixture(params=DEPTHS, ids=str)
def hidden(request):
    return request.param


@pytest.fixture(params=sorted(ACTIVATIONS))
def net(request, hidden):
    return MLPNetwork(3, 2, hidden, request.param)


#: Linear; one side deep, which makes the code layer the first; tanh on both sides; relu.
AUTOENCODERS = [
    encoder_decoder(4, 4, 2, (), ()),
    encoder_decoder(4, 4, 2, (), (5, 3)),
    encoder_decoder(4, 8, 2, (5, 3), (6,)),
    encoder_decoder(4, 4, 3, (5,), (6, 2), "relu"),
]


@pytest.fixture(params=AUTOENCODERS, ids=lambda net: f"{net.sizes}-{net.activation}")
def autoencoder(request):
    return request.param


def close(a, b):
    torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-12)


def check_pullback(net):
    weights, X, generator = batch(net)
    outputs, pullback = net.forward_with_pullback(weights, X)
    generic, generic_pullback = Network.forward_with_pullback(net, weights, X)
    grad = torch.randn(outputs.shape, dtype=torch.float64, generator=generator)
    close(outputs, generic)
    close(pullback(grad), generic_pullback(grad))


def test_pullback_equals_autograd(net):
    check_pullback(net)


def test_pullback_of_wide_rows_equals_autograd(hidden):
    """Their gradients are written where they belong, not joined."""
    check_pullback(MLPNetwork(WIDE, 2, hidden))


def test_jacobian_equals_torch_func(net):
    weights, X, _ = batch(net)
    close(net.jacobian(weights[0], X), Network.jacobian(net, weights[0], X))


def test_jvp_equals_torch_func(net):
    weights, X, generator = batch(net)
    tangents = torch.randn(weights.shape, dtype=torch.float64, generator=generator)
    for hand, generic in zip(
        net.jvp(weights[0], tangents, X), Network.jvp(net, weights[0], tangents, X), strict=True
    ):
        close(hand, generic)


def test_factors_multiply_to_the_jacobian(net):
    weights, X, _ = batch(net)
    parts = []
    for inputs, grads in net.factors(weights[0], X):
        outer = torch.einsum("kon,in->nkoi", grads, inputs)
        parts += [outer[..., :-1].flatten(2), outer[..., -1]]
    close(torch.cat(parts, dim=2), Network.jacobian(net, weights[0], X))


def test_forward_equals_a_plain_loop(net):
    """Particles, one at a time, by NumPy's matrix products."""
    weights, X, _ = batch(net)
    function = ACTIVATIONS[net.activation].function
    outputs = net.forward(weights, X)
    for particle, w in enumerate(weights):
        value = X
        for layer, (weight, bias) in enumerate(zip(net.layout[::2], net.layout[1::2], strict=True)):
            value = value @ w[weight.slice].view(weight.shape).T + w[bias.slice]
            value = function(value) if layer < net.n_layers - 1 else value
        close(outputs[particle], value)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_bound_function_equals_forward(net, dtype):
    """Float32 tanh goes through sigmoids, with an error of 2e-7 a unit."""
    weights, X, _ = batch(net)
    exact = net.forward(weights, X)
    bound = net.bind(weights.to(dtype))
    kept = X.to(dtype).clone()
    tolerance = 1e-12 if dtype == torch.float64 else 3e-6 * float(1 + weights.abs().sum(1).max())
    for _ in range(2):  # in-place work must not spoil what is bound
        assert (bound(X.to(dtype)) - exact).abs().max() < tolerance
    close(X.to(dtype), kept)


def test_layer_hook_equals_forward(net):
    weights, X, _ = batch(net)
    layers = net.unpack(weights)
    outputs = net.forward_layers(lambda i, v: layers[i][0] @ v + layers[i][1][..., None], X)
    close(outputs, net.forward(weights, X))


def test_activations_are_the_functions_they_name():
    x = torch.linspace(-6, 6, 101, dtype=torch.float64)
    exact = {
        "tanh": np.tanh(x.numpy()),
        "relu": np.maximum(x.numpy(), 0),
        "logistic": 1 / (1 + np.exp(-x.numpy())),
        "softplus": np.log1p(np.exp(x.numpy())),
    }
    assert set(exact) == set(ACTIVATIONS)
    for name, values in exact.items():
        np.testing.assert_allclose(ACTIVATIONS[name].function(x).numpy(), values, atol=1e-12)
        single = ACTIVATIONS[name].function(x.float()).numpy()
        np.testing.assert_allclose(single, values, atol=1e-6)


def test_layout_covers_the_flat_vector_once():
    net = MLPNetwork(3, 2, (4, 5))
    covered = np.concatenate([np.arange(net.n_weights)[b.slice] for b in net.layout])
    np.testing.assert_array_equal(covered, np.arange(net.n_weights))
    assert [(b.role, b.shape, b.fan_in, b.layer) for b in net.layout] == [
        ("weight", (4, 3), 3, 0),
        ("bias", (4,), 1, 0),
        ("weight", (5, 4), 4, 1),
        ("bias", (5,), 1, 1),
        ("weight", (2, 5), 5, 2),
        ("bias", (2,), 1, 2),
    ]


def test_widest_layer_is_what_one_row_takes():
    """Of what layers hand on: the inputs are not copied for each particle."""
    assert MLPNetwork(9, 2, (4, 7)).widest == 7
    assert MLPNetwork(9, 5, (4, 3)).widest == 5
    assert encoder_decoder(4, 8, 2, (5, 3), (6,)).widest == 8


def test_derivatives_of_autoencoders_equal_autograd(autoencoder):
    test_pullback_equals_autograd(autoencoder)
    test_jacobian_equals_torch_func(autoencoder)
    test_jvp_equals_torch_func(autoencoder)
    test_factors_multiply_to_the_jacobian(autoencoder)
    test_layer_hook_equals_forward(autoencoder)
    for dtype in (torch.float32, torch.float64):
        test_bound_function_equals_forward(autoencoder, dtype)


def test_autoencoder_equals_two_networks_in_a_row(autoencoder):
    """Codes are the outputs of an MLP, and the inputs of another one, particle by particle."""
    net, at = autoencoder, len(autoencoder.encoder.sizes) - 1
    encoder = MLPNetwork(net.n_inputs, net.n_latents, net.sizes[1:at], net.activation)
    decoder = MLPNetwork(net.n_latents, net.n_outputs, net.sizes[at + 1 : -1], net.activation)
    assert encoder.n_weights + decoder.n_weights == net.n_weights
    weights, X, _ = batch(net)
    first, second = weights.split([encoder.n_weights, decoder.n_weights], 1)
    codes = encoder.forward(first, X)
    close(net.encode(weights, X), codes)
    outputs = torch.cat([decoder.forward(w[None], z) for w, z in zip(second, codes, strict=True)])
    close(net.decode(weights, codes), outputs)
    close(net.forward(weights, X), outputs)


def test_layout_of_an_autoencoder_names_its_halves():
    net = encoder_decoder(4, 4, 2, (5,), (6,))
    assert [block.name for block in net.layout[::2]] == [
        "encoder0.weight",
        "encoder1.weight",
        "decoder0.weight",
        "decoder1.weight",
    ]
    assert net.output_bias is net.layout[-1]


def test_networks_start_within_the_fan_in():
    network = MLPNetwork(100, 2, (30,), "relu")
    weights = network.init(3, make_generator(0))
    for block, largest in zip(network.layout, [0.1, 0.1, 30**-0.5, 30**-0.5], strict=True):
        part = weights[:, block.slice].abs()
        assert part.max() <= largest
        # The largest of n uniforms stays this far below with probability e^-20.
        assert part.max() > largest * (1 - min(0.9, 20 / part.numel()))


@pytest.mark.parametrize("recording", [False, True])
@pytest.mark.parametrize("n_particles", [1, 3])
@pytest.mark.parametrize("params", [{}, {"image_shape": (1, 2, 3), "channels": (4,)}])
def test_contexts_are_columns_of_rows_seen_again_and_again(params, n_particles, recording):
    net = encoder_decoder(6, 6, 2, (5,), (4,), n_encoded=3, n_context=2, **params)
    weights, X, generator = batch(net, n_particles, 4)
    context = torch.randn(8, 2, dtype=torch.float64, generator=generator)
    z = torch.randn(n_particles, 4, 2, dtype=torch.float64, generator=generator)
    with torch.set_grad_enabled(recording):
        encoded, outputs = net.encode(weights, X, context), net.decode(weights, z, context)
        for half in (slice(0, 4), slice(4, 8)):
            close(encoded[:, half], net.encode(weights, X, context[half]))
            close(outputs[:, half], net.decode(weights, z, context[half]))
        if not params:  # a dense layer sees them as columns
            joint = torch.cat([X.repeat(2, 1), context], 1)
            close(
                encoded, MLPNetwork(8, 3, (5,)).forward(weights[:, : net.encoder.n_weights], joint)
            )
    blocks = net.blocks(weights)
    close(net.decode(blocks, z, context), outputs)


def test_derivatives_along_tangents_warn_of_nothing_in_a_fresh_process():
    """torch.func.jvp warns, at its first use, of what torch itself does."""
    code = (
        "import warnings, torch; from skbayes.networks import MLPNetwork, Network; "
        "warnings.simplefilter('error'); "
        "Network.jvp(MLPNetwork(1, 1, ()), torch.ones(2), torch.ones(3, 2), torch.ones(4, 1))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("size", [1e100, 1e150])
def test_images_of_huge_weights_are_counted_without_overflow(size):
    """Which images lie apart does not depend on the unit (fuzz, seed 87)."""
    rng = np.random.default_rng(0)
    layer = HiddenLayer(np.arange(6).reshape(3, 2), np.arange(6, 9)[:, None], True)
    mean, variance = rng.normal(size=9), rng.uniform(0.01, 0.2, 9)
    expected = log_n_separate_images([layer], mean, variance)
    assert 0 < expected < np.log(6 * 8)
    found = log_n_separate_images([layer], size * mean, size**2 * variance)
    assert found == pytest.approx(expected, rel=1e-9)
