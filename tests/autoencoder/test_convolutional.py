"""Convolutional networks of flat rows: shapes of any size, and what a pixel can reach."""

import pytest
import torch

from skbayes.networks import ConvolutionalDecoder, ConvolutionalEncoder
from skbayes.networks._image_shapes import check_image_shape, halved_sides
from skbayes.utils._random import make_generator

SHAPES = [(1, 8, 8), (3, 5, 7), (2, 1, 9), (1, 28, 28)]


def set_blocks(network, weights, values):
    """Set named blocks of one particle's weights."""
    for block, view in zip(network.layout, network.blocks(weights), strict=True):
        if block.name in values:
            view[0] = values[block.name]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("channels", [(), (4,), (4, 6, 8)])
@pytest.mark.parametrize("n_context", [0, 2])
def test_any_image_goes_there_and_back(shape, channels, n_context):
    n_pixels = torch.Size(shape).numel()
    generator, X = make_generator(0), torch.rand(5, n_pixels, generator=make_generator(1))
    context = torch.ones(5, n_context) if n_context else None
    encoder = ConvolutionalEncoder(shape, 3, channels, (10,), "relu", n_context)
    (codes,) = encoder.forward(encoder.init(1, generator), X, context)
    assert codes.shape == (5, encoder.n_outputs) == (5, 3)
    decoder = ConvolutionalDecoder(shape, 3, 2 * n_pixels, channels[::-1], (), "tanh", n_context)
    (rows,) = decoder.forward(decoder.init(1, generator), codes, context)
    assert rows.shape == (5, decoder.n_outputs) == (5, 2 * n_pixels)


def test_rows_are_images_channel_by_channel():
    """A pixel moves the first convolution's outputs beside it alone, as in the image."""
    encoder = ConvolutionalEncoder((1, 8, 6), 4 * 3, (1,), (), "softplus")
    weights = encoder.init(1, make_generator(0))
    set_blocks(encoder, weights, {"layer1.weight": torch.eye(12), "layer1.bias": 0.0})
    X = torch.zeros(2, 48)
    X[1, 6 * 4 + 2] = 1.0  # row 4, column 2
    before, after = encoder.forward(weights, X).view(2, 4, 3)
    changed = (before != after).nonzero().tolist()
    # A stride of 2 and a margin of 1: output i looks at pixels 2i - 1 to 2i + 1.
    assert changed == [[2, 1]]


def test_decoded_numbers_a_pixel_are_whole_images_in_turn():
    decoder = ConvolutionalDecoder((1, 4, 4), 2, 32, (3,), (), "relu")
    weights = decoder.init(1, make_generator(0))
    set_blocks(decoder, weights, {"layer1.bias": torch.tensor([100.0, -100.0])})
    first, second = decoder.forward(weights, torch.zeros(1, 2)).view(2, 16)
    assert (first > 90).all()
    assert (second < -90).all()


def test_decoded_rows_are_images_of_their_height_and_width():
    """The top right pixel of the smallest image reaches the top right corner alone."""
    decoder = ConvolutionalDecoder((1, 4, 8), 1, 32, (1,), (), "relu")
    weights = decoder.init(1, make_generator(0))
    corner = torch.eye(8)[3]  # row 0, column 3 of 2 x 4
    set_blocks(decoder, weights, {"layer0.weight": 0.0, "layer0.bias": corner})
    set_blocks(decoder, weights, {"layer1.weight": 1.0, "layer1.bias": 0.0})
    image = decoder.forward(weights, torch.zeros(1, 1)).view(4, 8)
    reached = torch.zeros(4, 8)
    reached[:2, 5:] = 1.0
    assert torch.equal(image, reached)


def test_weights_follow_the_generator_and_carry_gradients():
    encoder = ConvolutionalEncoder((1, 8, 8), 2, (4, 4), (5,), "tanh")
    weights = encoder.init(2, make_generator(0))
    assert torch.equal(weights, encoder.init(2, make_generator(0)))
    weights.requires_grad_()
    encoder.forward(weights, torch.rand(3, 64, generator=make_generator(1))).sum().backward()
    assert all((block != 0).any() for block in encoder.blocks(weights.grad))


@pytest.mark.parametrize("context", [0.0, 1.0])
def test_context_changes_the_outputs(context):
    encoder = ConvolutionalEncoder((1, 4, 4), 2, (3,), (), "relu", n_context=1)
    weights = encoder.init(1, make_generator(0))
    X = torch.ones(1, 16)
    found = encoder.forward(weights, X, torch.tensor([[context]]))
    zero = encoder.forward(weights, X, torch.zeros(1, 1))
    assert torch.equal(found, zero) == (context == 0.0)


def test_outputs_do_not_depend_on_the_rows_beside():
    encoder = ConvolutionalEncoder((1, 8, 8), 2, (4,), (), "relu")
    weights, X = encoder.init(1, make_generator(0)), torch.rand(6, 64, generator=make_generator(1))
    alone = torch.cat([encoder.forward(weights, row[None]) for row in X], 1)
    torch.testing.assert_close(encoder.forward(weights, X), alone)


def test_sides_are_halved_upwards():
    assert halved_sides(28, 5, 3) == [(28, 5), (14, 3), (7, 2), (4, 1)]


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((28, 28), "is not \\(channels, height, width\\)"),
        ((1, 0, 4), "positive integers"),
        ((1, 4, 4), "has 16 numbers, but X has 12 columns"),
    ],
)
def test_a_wrong_image_shape_is_named(shape, message):
    with pytest.raises(ValueError, match=message):
        check_image_shape(shape, 12)


def test_a_decoder_of_broken_images_is_refused():
    with pytest.raises(ValueError, match="17 outputs are asked for"):
        ConvolutionalDecoder((1, 4, 4), 2, 17, (3,), (), "relu")
