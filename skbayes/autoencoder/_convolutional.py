"""Convolutional encoders and decoders of flat rows that are images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn.functional import conv2d, conv_transpose2d

from skbayes.autoencoder._networks import DenseNetwork, Weights
from skbayes.networks import ACTIVATIONS
from skbayes.networks._images import KERNEL, extra_sides, halved_sides


class ConvolutionalEncoder:
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

    Examples
    --------
    >>> import torch
    >>> from skbayes.autoencoder._convolutional import ConvolutionalEncoder
    >>> encoder = ConvolutionalEncoder((1, 8, 8), 4, (8, 16), (), "relu")
    >>> weights = encoder.init(torch.Generator().manual_seed(0))
    >>> encoder(weights, torch.ones(3, 64)).shape
    torch.Size([3, 4])
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
        self.image_shape, self.n_outputs = image_shape, n_outputs
        self.channels = (image_shape[0], *channels)
        height, width = halved_sides(*image_shape[1:], len(channels))[-1]
        n_inputs = self.channels[-1] * height * width
        self._dense = DenseNetwork(n_inputs, n_outputs, hidden_layer_sizes, activation, n_context)
        self._function = ACTIVATIONS[activation].function

    def init(self, generator: torch.Generator) -> Weights:
        """Uniform kernels and offsets within 1 / sqrt(fan in)."""
        weights = self._dense.init(generator)
        for layer, (n_in, n_out) in enumerate(pairwise(self.channels)):
            shape = (n_out, n_in, KERNEL, KERNEL)
            weights |= _kernel(layer, shape, n_out, n_in * KERNEL**2, generator)
        return weights

    def __call__(self, weights: Weights, X: Tensor, context: Tensor | None = None) -> Tensor:
        """Outputs (N, n_outputs) of rows (N, C * H * W)."""
        value = X.view(-1, *self.image_shape)
        for layer in range(len(self.channels) - 1):
            kernel, offset = weights[f"kernel{layer}"], weights[f"offset{layer}"]
            value = self._function(conv2d(value, kernel, offset, stride=2, padding=1))
        return self._dense(weights, value.flatten(1), context)


class ConvolutionalDecoder:
    """Dense layers, then transposed convolutions of stride 2.

    Parameters
    ----------
    image_shape : (int, int, int)
        Channels, height and width of an image.
    n_inputs : int
        Number of codes.
    n_outputs : int
        A multiple of C * H * W: so many numbers a pixel, one whole image after the other.
    channels : sequence of int
        Channels of the images before each transposed convolution, the smallest image first.
    hidden_layer_sizes : sequence of int
        Units of the dense layers between the codes and the smallest image.
    activation : str
        A name in `ACTIVATIONS`.
    n_context : int
        Columns given beside the codes.

    Examples
    --------
    >>> import torch
    >>> from skbayes.autoencoder._convolutional import ConvolutionalDecoder
    >>> decoder = ConvolutionalDecoder((1, 5, 7), 2, 35, (16, 8), (), "relu")
    >>> weights = decoder.init(torch.Generator().manual_seed(0))
    >>> decoder(weights, torch.ones(3, 2)).shape
    torch.Size([3, 35])
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
        self.n_outputs = n_outputs
        self.channels = (*channels, n_images * image_shape[0])
        self._sides = halved_sides(*image_shape[1:], len(channels))[::-1]
        self._smallest = (self.channels[0], *self._sides[0])
        n_smallest = math.prod(self._smallest)
        self._dense = DenseNetwork(n_inputs, n_smallest, hidden_layer_sizes, activation, n_context)
        self._function = ACTIVATIONS[activation].function

    def init(self, generator: torch.Generator) -> Weights:
        """Uniform kernels and offsets within 1 / sqrt(fan in)."""
        weights = self._dense.init(generator)
        for layer, (n_in, n_out) in enumerate(pairwise(self.channels)):
            shape = (n_in, n_out, KERNEL, KERNEL)
            weights |= _kernel(layer, shape, n_out, _fan_in(n_in), generator)
        return weights

    def precisions(self, output_scales: Tensor) -> Weights:
        """Prior precisions of kernels and weights, in their shapes; zero for offsets."""
        n_kernels, least = len(self.channels) - 1, output_scales.min()
        before = least.expand(self._dense.n_outputs) if n_kernels else output_scales
        found = self._dense.precisions(before)
        # Pixels are all of one kind, so that each image has one scale.
        images = output_scales.view(self.channels[-1], -1)[:, 0]
        for layer, (n_in, n_out) in enumerate(pairwise(self.channels)):
            scales = images if layer == n_kernels - 1 else least.expand(n_out)
            precision = (_fan_in(n_in) / scales.square())[:, None, None]
            found[f"kernel{layer}"] = precision.expand(n_in, n_out, KERNEL, KERNEL)
            found[f"offset{layer}"] = torch.zeros(n_out)
        return found

    def __call__(self, weights: Weights, X: Tensor, context: Tensor | None = None) -> Tensor:
        """Outputs (N, n_outputs) of codes (N, n_inputs)."""
        value = self._dense(weights, X, context).view(-1, *self._smallest)
        for layer, (before, after) in enumerate(pairwise(self._sides)):
            kernel, offset = weights[f"kernel{layer}"], weights[f"offset{layer}"]
            extra = extra_sides(before, after)
            value = conv_transpose2d(
                self._function(value), kernel, offset, stride=2, padding=1, output_padding=extra
            )
        return value.flatten(1)


def _fan_in(n_in: int) -> float:
    """Inputs to a pixel: of a stride of 2, a quarter of the kernel meets any one of them."""
    return n_in * KERNEL**2 / 4


def _kernel(
    layer: int,
    shape: tuple[int, int, int, int],
    n_offsets: int,
    fan_in: float,
    generator: torch.Generator,
) -> Weights:
    """Kernel and offset of one layer."""
    return {
        f"{name}{layer}": (2 * torch.rand(size, generator=generator) - 1) / fan_in**0.5
        for name, size in (("kernel", shape), ("offset", (n_offsets,)))
    }
