"""The particle-batched convolutional autoencoder of flat rows that are images.

Images of all particles are channels of one (N, S * channels, height, width) tensor, and a
layer is one grouped convolution: on a CPU about as fast as a loop over particles where
these are large, and several times faster where they are small.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn.functional import conv2d, conv_transpose2d

from skbayes.networks._activations import ACTIVATIONS
from skbayes.networks._base import Block, Network
from skbayes.networks._images import KERNEL, extra_sides, halved_sides

Layers = Iterator[tuple[Tensor, Tensor]]


class ConvolutionalAutoencoder(Network):
    """Convolutions of stride 2 and dense layers to a code, and the same way back.

    Parameters
    ----------
    n_inputs, n_outputs : int
        Columns of a row, C * H * W, and numbers that the likelihood takes for it: a
        multiple, one whole image after the other.
    n_components : int
        Numbers in a code.
    image_shape : (int, int, int)
        Channels, height and width; rows are flat, channel by channel.
    channels : sequence of int
        Channels after each convolution, which halves both sides.
    encoder_sizes, decoder_sizes : sequence of int
        Units of the dense layers between the smallest image and the code, and behind it.
    activation : str
        A name in `ACTIVATIONS`; codes and outputs have none.
    decoder_channels : sequence of int or None
        Channels before each transposed convolution, the smallest image first; None for
        ``channels`` in reverse.
    decoder_activation : str or None
        That of the decoder; None for the encoder's.
    """

    def __init__(
        self,
        n_inputs: int,
        n_outputs: int,
        n_components: int,
        image_shape: tuple[int, int, int],
        channels: Sequence[int] = (8, 16),
        encoder_sizes: Sequence[int] = (50,),
        decoder_sizes: Sequence[int] = (50,),
        activation: str = "tanh",
        decoder_channels: Sequence[int] | None = None,
        decoder_activation: str | None = None,
    ) -> None:
        self.n_inputs, self.n_outputs, self.n_components = n_inputs, n_outputs, n_components
        self.image_shape, self.activation = image_shape, activation
        self._function = ACTIVATIONS[activation].function
        self._decoder_function = ACTIVATIONS[decoder_activation or activation].function
        down = tuple(channels)
        up = down[::-1] if decoder_channels is None else tuple(decoder_channels)
        # Images from the largest to the smallest on the way down, and back on the way up.
        self._down_sides = halved_sides(*image_shape[1:], len(down))
        self._up_sides = halved_sides(*image_shape[1:], len(up))[::-1]
        self._down = (image_shape[0], *down)
        self._up = (*up, n_outputs // math.prod(image_shape) * image_shape[0])
        smallest, first = math.prod(self._down_sides[-1]), math.prod(self._up_sides[0])
        self._inner = (self._down[-1] * smallest, *encoder_sizes, n_components)
        self._outer = (n_components, *decoder_sizes, self._up[0] * first)
        self.layout = tuple(self._blocks())

    @property
    def widest(self) -> int:
        """Most numbers of a layer for one row: images have all their pixels."""
        down = [n * math.prod(s) for n, s in zip(self._down, self._down_sides, strict=True)]
        up = [n * math.prod(s) for n, s in zip(self._up, self._up_sides, strict=True)]
        return max(*down, *up, *self._inner, *self._outer)

    def _blocks(self) -> Iterator[Block]:
        """Weight and bias of each layer, in the order of the data's way."""
        start = 0
        for layer, (name, shape, n_biases, fan_in) in enumerate(self._shapes()):
            weight = Block(f"{name}.weight", layer, "weight", shape, fan_in, start)
            bias = Block(f"{name}.bias", layer, "bias", (n_biases,), 1, start + weight.size)
            yield from (weight, bias)
            start = bias.start + bias.size

    def _shapes(self) -> Iterator[tuple[str, tuple[int, ...], int, int]]:
        """Name, shape of the weight, number of biases and fan-in of each layer."""
        square = (KERNEL, KERNEL)
        encoder: list[tuple[tuple[int, ...], int, int]]
        encoder = [((b, a, *square), b, a * KERNEL**2) for a, b in pairwise(self._down)]
        encoder += [((b, a), b, a) for a, b in pairwise(self._inner)]
        decoder: list[tuple[tuple[int, ...], int, int]]
        decoder = [((b, a), b, a) for a, b in pairwise(self._outer)]
        # Of a stride of 2, a quarter of the kernel meets any one pixel.
        ups = pairwise(self._up)
        decoder += [((a, b, *square), b, round(a * KERNEL**2 / 4)) for a, b in ups]
        for half, layers in (("encoder", encoder), ("decoder", decoder)):
            for number, layer in enumerate(layers):
                yield f"{half}{number}", *layer

    def _layers(self, weights: Tensor, half: str) -> Layers:
        """Weights (S, ...) and biases (S, n) of the layers of one half."""
        blocks = [block for block in self.layout if block.name.startswith(half)]
        parts = [weights[:, b.slice].unflatten(1, b.shape) for b in blocks]
        return zip(parts[::2], parts[1::2], strict=True)

    def forward(self, weights: Tensor, X: Tensor) -> Tensor:
        """Map weights (S, P) and rows (N, D) to outputs (S, N, K)."""
        return self.decode(weights, self.encode(weights, X))

    def jvp(self, weights: Tensor, tangents: Tensor, X: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs (N, K) at ``weights`` (P,) and their derivatives (S, N, K) along (S, P).

        The pullback is linear in what it is given, so that its own pullback pushes tangents
        forward: two passes backward for all particles, where forward mode has no batched
        convolution.
        """
        with torch.inference_mode(False), torch.enable_grad():
            # What comes from inference mode is of no use here but as a copy.
            copies = weights.expand_as(tangents).clone().requires_grad_()
            outputs = self.forward(copies, X.clone())
            given = torch.zeros_like(outputs, requires_grad=True)
            (pulled,) = torch.autograd.grad(outputs, copies, given, create_graph=True)
            (pushed,) = torch.autograd.grad(pulled, given, tangents.clone())
        return outputs[0].detach(), pushed

    def encode(self, weights: Tensor, X: Tensor) -> Tensor:
        """Map weights (S, P) and rows (N, D) to codes (S, N, n_components)."""
        layers, n_particles = self._layers(weights, "encoder"), len(weights)
        value, groups = X.reshape(-1, *self.image_shape), 1
        for _ in self._down[1:]:
            # The first layer's image is the same for all particles.
            kernel, bias = (part.flatten(0, 1) for part in next(layers))
            value = conv2d(value, kernel, bias, stride=2, padding=1, groups=groups)
            value, groups = self._function(value), n_particles
        flat = value.reshape(len(X), groups, -1).transpose(0, 1)
        return self._dense(layers, flat, len(self._inner) - 1, self._function)

    def decode(self, weights: Tensor, codes: Tensor) -> Tensor:
        """Map weights (S, P) and each one's codes (S, N, n_components) to outputs (S, N, K)."""
        layers, (n_particles, n_rows) = self._layers(weights, "decoder"), codes.shape[:2]
        flat = self._dense(layers, codes, len(self._outer) - 1, self._decoder_function)
        value = flat.transpose(0, 1).reshape(n_rows, -1, *self._up_sides[0])
        for before, after in pairwise(self._up_sides):
            kernel, bias = (part.flatten(0, 1) for part in next(layers))
            value = conv_transpose2d(
                self._decoder_function(value),
                kernel,
                bias,
                stride=2,
                padding=1,
                output_padding=extra_sides(before, after),
                groups=n_particles,
            )
        return value.reshape(n_rows, n_particles, -1).transpose(0, 1)

    @staticmethod
    def _dense(
        layers: Layers, value: Tensor, n_layers: int, function: Callable[[Tensor], Tensor]
    ) -> Tensor:
        """Values (S or 1, N, units) through the next layers; the last has no activation."""
        for number in range(n_layers):
            W, b = next(layers)
            value = function(value) if number else value
            value = value @ W.transpose(1, 2) + b[:, None]
        return value
