"""The particle-batched autoencoder: an MLP through a narrow, linear layer of codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from skbayes.networks._activations import ACTIVATIONS, IDENTITY
from skbayes.networks._mlp import Layer, MLPNetwork


class Autoencoder(MLPNetwork):
    """Encoder, then decoder, as one multilayer perceptron whose code layer is linear.

    Weights are rows of one flat (S, P) buffer, the encoder's first, so that an engine
    moves both as it moves any network; `encode` and `decode` are its two halves.

    Parameters
    ----------
    n_inputs, n_outputs : int
        Columns of a row, and numbers that the likelihood takes for it.
    n_components : int
        Numbers in a code.
    encoder_sizes, decoder_sizes : sequence of int
        Units of the hidden layers before and behind the code, in the order of the data's
        way through them.
    activation : str
        A name in `ACTIVATIONS`.
    decoder_activation : str or None
        That of the decoder; None for the encoder's.
    """

    def __init__(
        self,
        n_inputs: int,
        n_outputs: int,
        n_components: int,
        encoder_sizes: Sequence[int] = (50,),
        decoder_sizes: Sequence[int] = (50,),
        activation: str = "tanh",
        decoder_activation: str | None = None,
    ) -> None:
        hidden = (*encoder_sizes, n_components, *decoder_sizes)
        super().__init__(n_inputs, n_outputs, hidden, activation)
        self.n_components = n_components
        self.code_layer = len(encoder_sizes)
        self._activations[self.code_layer] = IDENTITY
        if decoder_activation is not None:
            own = [ACTIVATIONS[decoder_activation]] * len(decoder_sizes)
            self._activations[self.code_layer + 1 :] = own
        self.layout = tuple(
            replace(block, name=self._block_name(block.layer, block.role)) for block in self.layout
        )
        self.output_bias = self.layout[-1]

    def _block_name(self, layer: int, role: str) -> str:
        """Layers are counted from the beginning of their half."""
        first = self.code_layer + 1
        if layer < first:
            return f"encoder{layer}.{role}"
        return f"decoder{layer - first}.{role}"

    def encode(self, weights: Tensor, X: Tensor) -> Tensor:
        """Map weights (S, P) and rows (N, D) to codes (S, N, n_components)."""
        layers = self.unpack(weights)[: self.code_layer + 1]
        value = self._first(layers[0], X)
        return self._through(layers[1:], 0, value).transpose(1, 2)

    def decode(self, weights: Tensor, codes: Tensor) -> Tensor:
        """Map weights (S, P) and each one's codes (S, N, n_components) to outputs (S, N, K)."""
        layers = self.unpack(weights)[self.code_layer + 1 :]
        return self._through(layers, self.code_layer, codes.transpose(1, 2)).transpose(1, 2)

    def _through(self, layers: list[Layer], start: int, value: Tensor) -> Tensor:
        """Values (S, units, N) of layer ``start``, before activation, through the next layers."""
        for activation, (W, b) in zip(self._activations[start:], layers, strict=False):
            value = torch.baddbmm(b.unsqueeze(2), W, activation.function(value))
        return value
