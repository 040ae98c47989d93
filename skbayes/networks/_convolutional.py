"""Particle-batched convolutional encoders and decoders of flat rows that are images.

Images of all particles are channels of one (N, S * channels, height, width) tensor, and a
layer is one grouped convolution: on a CPU about as fast as a loop over particles where
these are large, and several times faster where they are small.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from torch import Tensor
from torch.nn.functional import conv2d, conv_transpose2d

from skbayes.networks._activations import ACTIVATIONS
from skbayes.networks._base import Block, Network, Weights
from skbayes.networks._image_shapes import KERNEL, extra_sides, halved_sides
from skbayes.networks._mlp import MLPNetwork


class _Convolutional(Network):
    """Convolutions of stride 2 on one side of dense layers.

    A subclass sets `_channels`, of the images from the first to the last, `_sides` of the
    same images, and `_dense`.
    """

    _channels: Sequence[int]
    _sides: list[tuple[int, int]]
    _dense: MLPNetwork

    @property
    def widest(self) -> int:
        """Most numbers of a layer for one row: images have all their pixels."""
        images = zip(self._channels, self._sides, strict=True)
        return max(*(n * math.prod(side) for n, side in images), *self._dense.sizes)

    def _of_particles(self, weights: Weights) -> Sequence[Tensor]:
        """Blocks (S, *shape)."""
        blocks = self.blocks(weights)
        with_axis = len(blocks[0].shape) > len(self.layout[0].shape)
        return blocks if with_axis else [block[None] for block in blocks]

    @staticmethod
    def _kernels(shapes: Iterator[tuple[tuple[int, ...], int, int]]) -> tuple[Block, ...]:
        """Weight and bias of convolutions of these shapes, numbers of biases and fans in."""
        blocks, start = [], 0
        for layer, (shape, n_biases, fan_in) in enumerate(shapes):
            weight = Block(f"layer{layer}.weight", layer, "weight", shape, fan_in, start)
            bias = Block(f"layer{layer}.bias", layer, "bias", (n_biases,), 1, start + weight.size)
            blocks += [weight, bias]
            start = bias.start + bias.size
        return tuple(blocks)


def _behind(first: Sequence[Block], second: Sequence[Block]) -> tuple[Block, ...]:
    """Blocks of layers, and of those behind them."""
    n_layers, n_weights = len(first) // 2, sum(block.size for block in first)
    moved = (
        replace(
            block,
            name=f"layer{block.layer + n_layers}.{block.role}",
            layer=block.layer + n_layers,
            start=block.start + n_weights,
        )
        for block in second
    )
    return (*first, *moved)


class ConvolutionalEncoder(_Convolutional):
    """Convolutions of stride 2, then dense layers.

    Parameters
    ----------
    image_shape : (int, int, int)
        Channels, height and width; rows are flat, channel by channel.
    n_outputs : int
        Width of the last layer.
    channels : sequence of int
        Channels after each convolution, which halves both sides.
    hidden_layer_sizes : sequence of int
        Units of the dense layers between the last image and the outputs.
    activation : str
        A name in `ACTIVATIONS`.
    n_context : int
        Columns given beside the rows; the dense layers see them.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        n_outputs: int,
        channels: Sequence[int],
        hidden_layer_sizes: Sequence[int],
        activation: str,
        n_context: int = 0,
    ) -> None:
        self.image_shape, self.activation = image_shape, activation
        self.n_inputs, self.n_outputs = math.prod(image_shape), n_outputs
        self._channels = (image_shape[0], *channels)
        self._sides = halved_sides(*image_shape[1:], len(channels))
        n_smallest = self._channels[-1] * math.prod(self._sides[-1])
        self._dense = MLPNetwork(n_smallest, n_outputs, hidden_layer_sizes, activation, n_context)
        square = (KERNEL, KERNEL)
        pairs = pairwise(self._channels)
        kernels = self._kernels(((b, a, *square), b, a * KERNEL**2) for a, b in pairs)
        self.layout = _behind(kernels, self._dense.layout)
        self._function = ACTIVATIONS[activation].function

    def forward(self, weights: Weights, X: Tensor, context: Tensor | None = None) -> Tensor:
        """Map weights (S, P) and rows (N, D), the same for all particles, to (S, N, K)."""
        blocks = self._of_particles(weights)
        value, groups, n_kernels = X.reshape(-1, *self.image_shape), 1, 2 * len(self._channels) - 2
        for W, b in zip(blocks[:n_kernels:2], blocks[1:n_kernels:2], strict=True):
            # The first layer's image is the same for all particles.
            kernel, bias = W.flatten(0, 1), b.flatten(0, 1)
            value = conv2d(value, kernel, bias, stride=2, padding=1, groups=groups)
            value, groups = self._function(value), len(W)
        flat = value.reshape(len(X), groups, -1).transpose(0, 1)
        return self._dense.forward(blocks[n_kernels:], flat if groups > 1 else flat[0], context)


class ConvolutionalDecoder(_Convolutional):
    """Dense layers, then transposed convolutions of stride 2.

    Parameters
    ----------
    image_shape : (int, int, int)
        Channels, height and width of an image.
    n_inputs : int
        Number of latents.
    n_outputs : int
        A multiple of C * H * W: so many numbers a pixel, one whole image after the other.
    channels : sequence of int
        Channels of the images before each transposed convolution, the smallest image first.
    hidden_layer_sizes : sequence of int
        Units of the dense layers between the latents and the smallest image.
    activation : str
        A name in `ACTIVATIONS`.
    n_context : int
        Columns given beside the latents.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        n_inputs: int,
        n_outputs: int,
        channels: Sequence[int],
        hidden_layer_sizes: Sequence[int],
        activation: str,
        n_context: int = 0,
    ) -> None:
        n_images, rest = divmod(n_outputs, math.prod(image_shape))
        if rest:
            raise ValueError(
                f"a convolutional decoder gives whole images of shape {image_shape}, but "
                f"{n_outputs} outputs are asked for"
            )
        self.n_inputs, self.n_outputs, self.activation = n_inputs, n_outputs, activation
        self._channels = (*channels, n_images * image_shape[0])
        self._sides = halved_sides(*image_shape[1:], len(channels))[::-1]
        n_smallest = self._channels[0] * math.prod(self._sides[0])
        self._dense = MLPNetwork(n_inputs, n_smallest, hidden_layer_sizes, activation, n_context)
        square = (KERNEL, KERNEL)
        # Of a stride of 2, a quarter of the kernel meets any one pixel.
        pairs = pairwise(self._channels)
        kernels = self._kernels(((a, b, *square), b, round(a * KERNEL**2 / 4)) for a, b in pairs)
        self.layout = _behind(self._dense.layout, kernels)
        self._function = ACTIVATIONS[activation].function

    def forward(self, weights: Weights, X: Tensor, context: Tensor | None = None) -> Tensor:
        """Map weights (S, P) and latents (S, N, q), or common ones (N, q), to (S, N, K)."""
        blocks, n_dense = self._of_particles(weights), len(self._dense.layout)
        flat = self._dense.forward(blocks[:n_dense], X, context).transpose(0, 1)
        n_rows, n_particles = flat.shape[:2]
        value = flat.reshape(n_rows, -1, *self._sides[0])
        sides, kernels = pairwise(self._sides), blocks[n_dense:]
        for (before, after), W, b in zip(sides, kernels[::2], kernels[1::2], strict=True):
            value = conv_transpose2d(
                self._function(value),
                W.flatten(0, 1),
                b.flatten(0, 1),
                stride=2,
                padding=1,
                output_padding=extra_sides(before, after),
                groups=n_particles,
            )
        return value.reshape(n_rows, n_particles, -1).transpose(0, 1)
