"""Encoder and decoder: two networks over one buffer of weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from skbayes.networks._activations import IDENTITY
from skbayes.networks._base import Block, Network, Weights
from skbayes.networks._mlp import MLPNetwork
from skbayes.networks._specs import CNN, MLP


class EncoderDecoder(Network):
    """A network from rows to latents, and one back; the encoder's weights come first.

    `forward` is the one behind the other, where the encoder's outputs are latents and no
    parameters of a distribution.

    Parameters
    ----------
    encoder : Network
        Rows to latents, or to the parameters of their distribution.
    decoder : Network
        Latents to what the likelihood of rows takes.
    """

    def __init__(self, encoder: Any, decoder: Any) -> None:
        self.encoder, self.decoder = encoder, decoder
        self.n_inputs, self.n_latents = encoder.n_inputs, decoder.n_inputs
        self.n_outputs = decoder.n_outputs
        self.layout = tuple(self._blocks())

    def _blocks(self) -> Iterator[Block]:
        """Blocks of both networks, whose layers are counted from the beginning of each."""
        for half, layer, start in (
            ("encoder", 0, 0),
            ("decoder", self.encoder.n_layers, self.encoder.n_weights),
        ):
            for block in getattr(self, half).layout:
                name = f"{half}{block.layer}.{block.role}"
                yield replace(
                    block, name=name, layer=layer + block.layer, start=start + block.start
                )

    @property
    def widest(self) -> int:
        """Most numbers that a layer hands on for one row: what intermediate values take."""
        return max(self.encoder.widest, self.decoder.widest)

    def encode(self, weights: Weights, X: Tensor, context: Tensor | None = None) -> Tensor:
        """Map weights (S, P) and rows (N, D) to the encoder's outputs (S, N, ...)."""
        if isinstance(weights, Tensor):
            own: Weights = weights[:, : self.encoder.n_weights]
        else:
            own = weights[: len(self.encoder.layout)]
        return self.encoder.forward(own, X, *_given(context))

    def decode(self, weights: Weights, z: Tensor, context: Tensor | None = None) -> Tensor:
        """Map weights (S, P) and latents (S, N, q), or common ones (N, q), to (S, N, K)."""
        if isinstance(weights, Tensor):
            own: Weights = weights[:, self.encoder.n_weights :]
        else:
            own = weights[len(self.encoder.layout) :]
        return self.decoder.forward(own, z, *_given(context))

    def forward(self, weights: Weights, X: Tensor, context: Tensor | None = None) -> Tensor:
        """Map weights (S, P) and rows (N, D) to outputs (S, N, K)."""
        return self.decode(weights, self.encode(weights, X, context), context)

    def jvp(self, weights: Tensor, tangents: Tensor, X: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs (N, K) at ``weights`` (P,) and their derivatives (S, N, K) along (S, P)."""
        return self.jvp_by_pullbacks(weights, tangents, X)


def _given(context: Tensor | None) -> tuple[Tensor, ...]:
    """Context as an argument, where there is one: only some networks take it."""
    return () if context is None else (context,)


class MLPEncoderDecoder(MLPNetwork, EncoderDecoder):
    """Two perceptrons that are one, whose layer of latents is linear.

    Parameters
    ----------
    encoder, decoder : MLPNetwork
        As many outputs of the one as inputs of the other, and no context.
    """

    def __init__(self, encoder: MLPNetwork, decoder: MLPNetwork) -> None:
        EncoderDecoder.__init__(self, encoder, decoder)
        self.sizes = (*encoder.sizes, *decoder.sizes[1:])
        self.activation = encoder.activation
        self._activations = [*encoder._activations, IDENTITY, *decoder._activations]
        self.output_bias = self.layout[-1]


def joined(encoder: Network, decoder: Network) -> EncoderDecoder:
    """Encoder and decoder: one perceptron, where both are one and the latents are between."""
    if isinstance(encoder, MLPNetwork) and isinstance(decoder, MLPNetwork):
        plain = all(half.sizes[0] == half.n_inputs for half in (encoder, decoder))
        if plain and encoder.n_outputs == decoder.n_inputs:
            return MLPEncoderDecoder(encoder, decoder)
    return EncoderDecoder(encoder, decoder)


def encoder_decoder(
    n_inputs: int,
    n_outputs: int,
    n_latents: int,
    encoder_sizes: Sequence[int] = (50,),
    decoder_sizes: Sequence[int] = (50,),
    activation: str = "tanh",
    *,
    image_shape: tuple[int, int, int] | None = None,
    channels: Sequence[int] = (),
    n_encoded: int | None = None,
    n_context: int = 0,
) -> EncoderDecoder:
    """Networks of an autoencoder: dense or, where rows are images, convolutional.

    Parameters
    ----------
    n_inputs, n_outputs : int
        Columns that the encoder sees of a row, and numbers that the likelihood takes for it.
    n_latents : int
        Latents of a row.
    encoder_sizes, decoder_sizes : sequence of int
        Units of the dense hidden layers, in the order of the data's way through them.
    activation : str
        A name in `ACTIVATIONS`.
    image_shape : (int, int, int), optional
        Channels, height and width of rows, which are flat, channel by channel.
    channels : sequence of int
        Channels after each convolution; the decoder has them in reverse.
    n_encoded : int, optional
        Outputs of the encoder; by default the latents themselves.
    n_context : int
        Columns that both are given beside rows and latents.
    """
    n_encoded = n_latents if n_encoded is None else n_encoded
    up, down = MLP(encoder_sizes, activation), MLP(decoder_sizes, activation)
    if image_shape is not None:
        up = CNN(image_shape, channels, encoder_sizes, activation)
        down = CNN(image_shape, channels[::-1], decoder_sizes, activation)
    return joined(
        up.encoder(n_inputs, n_encoded, n_context), down.decoder(n_latents, n_outputs, n_context)
    )
