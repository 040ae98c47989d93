"""Encoders and decoders: pure functions of named weights and flat rows.

A network is built from its numbers of inputs and outputs and has three members:
``n_outputs``, ``init(generator) -> dict of Tensor`` with its own weights by name, and a
call ``network(weights, X, context=None) -> (N, n_outputs)``, where ``weights`` is that
dict and ``context`` (N, n_context) are the columns that a conditional model is given
beside the rows. Rows are flat; a network that sees images reshapes them itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import linear

from skbayes.networks._activations import ACTIVATIONS

Weights = dict[str, Tensor]


class RowNetwork(Protocol):
    """What encoders and decoders offer."""

    n_outputs: int

    def init(self, generator: torch.Generator) -> Weights:
        """Random weights by name, in float32 on the CPU."""

    def __call__(self, weights: Weights, X: Tensor, context: Tensor | None = None) -> Tensor:
        """Outputs (N, n_outputs) of rows (N, n_inputs)."""


class Decoder(RowNetwork, Protocol):
    """A network whose weights have a normal prior."""

    def precisions(self, output_scales: Tensor) -> Weights:
        """Precisions of the weights, in their shapes; zero for biases.

        Fan in over the squared scale: that of its output, (n_outputs,), where a weight feeds
        one, and the least of them before.
        """


class DenseNetwork:
    """Fully connected layers.

    Parameters
    ----------
    n_inputs, n_outputs : int
        Width of a row and of the last layer.
    hidden_layer_sizes : sequence of int
        Units of each hidden layer; empty for a linear map.
    activation : str
        A name in `ACTIVATIONS`.
    n_context : int
        Columns given beside the rows.

    Examples
    --------
    >>> import torch
    >>> from skbayes.autoencoder._networks import DenseNetwork
    >>> network = DenseNetwork(4, 2, (8,), "relu")
    >>> weights = network.init(torch.Generator().manual_seed(0))
    >>> list(weights), network(weights, torch.ones(3, 4)).shape
    (['weight0', 'bias0', 'weight1', 'bias1'], torch.Size([3, 2]))
    """

    def __init__(
        self,
        n_inputs: int,
        n_outputs: int,
        hidden_layer_sizes: Sequence[int],
        activation: str,
        n_context: int = 0,
    ) -> None:
        self.n_outputs = n_outputs
        self.sizes = (n_inputs + n_context, *hidden_layer_sizes, n_outputs)
        self._function = ACTIVATIONS[activation].function

    def init(self, generator: torch.Generator) -> Weights:
        """Uniform weights and biases within 1 / sqrt(fan in)."""
        weights = {}
        for layer, (n_in, n_out) in enumerate(pairwise(self.sizes)):
            for name, shape in (("weight", (n_out, n_in)), ("bias", (n_out,))):
                uniform = torch.rand(shape, generator=generator)
                weights[f"{name}{layer}"] = (2 * uniform - 1) / n_in**0.5
        return weights

    def precisions(self, output_scales: Tensor) -> Weights:
        """Prior precisions of the weights, in their shapes; zero for biases."""
        found = {}
        for layer, (n_in, n_out) in enumerate(pairwise(self.sizes)):
            last = layer == len(self.sizes) - 2
            scales = output_scales if last else output_scales.min().expand(n_out)
            found[f"weight{layer}"] = (n_in / scales.square())[:, None].expand(n_out, n_in)
            found[f"bias{layer}"] = torch.zeros(n_out)
        return found

    def __call__(self, weights: Weights, X: Tensor, context: Tensor | None = None) -> Tensor:
        """Outputs (N, n_outputs) of rows (N, n_inputs).

        Contexts may have an axis more, (K, 1, n_context), and so have the outputs then.
        """
        first, n_inputs = weights["weight0"], X.shape[-1]
        value = linear(X, first[:, :n_inputs], weights["bias0"])
        if context is not None:
            # Apart from the rows, which are multiplied once for all contexts.
            value = value + linear(context.to(value), first[:, n_inputs:])
        for layer in range(1, len(self.sizes) - 1):
            value = self._function(value)
            value = linear(value, weights[f"weight{layer}"], weights[f"bias{layer}"])
        return value
