"""The particle-batched multilayer perceptron, with hand-written derivatives.

Inside, rows come last: activations are (S, units, N), so that the first layer of all
particles is one matrix product and the rest are batched products without transposes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import linear

from skbayes.networks._activations import (
    ACTIVATIONS,
    IDENTITY,
    MINUS_ONE,
    is_fast_by_sigmoid,
)
from skbayes.networks._base import Block, Network, Pullback, Weights
from skbayes.networks._symmetry import HiddenLayer

Layer = tuple[Tensor, Tensor]
#: Columns of rows from which gradients are written where they belong.
WIDE = 48


class MLPNetwork(Network):
    """Multilayer perceptron whose weights are rows of one flat (S, P) buffer.

    Parameters
    ----------
    n_inputs, n_outputs : int
        Width of the first and the last layer.
    hidden_layer_sizes : sequence of int
        Units of each hidden layer; empty for a linear model.
    activation : str
        A name in `ACTIVATIONS`.
    n_context : int
        Columns that are given beside the rows.
    """

    def __init__(
        self,
        n_inputs: int,
        n_outputs: int,
        hidden_layer_sizes: Sequence[int] = (50,),
        activation: str = "tanh",
        n_context: int = 0,
    ) -> None:
        self.n_inputs, self.n_outputs = n_inputs, n_outputs
        self.sizes = (n_inputs + n_context, *hidden_layer_sizes, n_outputs)
        self.activation = activation
        #: One a hidden layer.
        self._activations = [ACTIVATIONS[activation]] * len(hidden_layer_sizes)
        self.layout = _mlp_layout(self.sizes)
        self.output_bias = self.layout[-1]

    @property
    def last_layer(self) -> str | None:
        """The last of its layers, all of which are linear maps."""
        return self.layout[-1].name.rpartition(".")[0]

    def name_blocks(self, names: Sequence[str]) -> None:
        """Name the blocks of weights otherwise."""
        self.layout = tuple(replace(b, name=n) for b, n in zip(self.layout, names, strict=True))
        self.output_bias = self.layout[-1]

    @property
    def hidden_layers(self) -> tuple[HiddenLayer, ...]:
        """Hidden layers; not those without activation, whose axes may turn by any angle."""
        at = [block.start + np.arange(block.size).reshape(block.shape) for block in self.layout]
        pairs = list(zip(at[::2], at[1::2], strict=True))
        return tuple(
            HiddenLayer(np.column_stack([W, b]), above.T, activation.odd)
            for activation, (W, b), (above, _) in zip(
                self._activations, pairs, pairs[1:], strict=False
            )
            if activation is not IDENTITY
        )

    def unpack(self, weights: Weights) -> list[Layer]:
        """View flat weights (S, P) as pairs of weight (S, out, in) and bias (S, out)."""
        parts = self.blocks(weights)
        return list(zip(parts[::2], parts[1::2], strict=True))

    def forward(self, weights: Weights, X: Tensor, context: Tensor | None = None) -> Tensor:
        """Map weights (S, P) and rows (N, D) to outputs (S, N, K)."""
        layers = self.unpack(weights)
        first = layers[0][0]
        # Its products round a row by its place: good for training alone.
        if first.ndim == 2 or (len(first) == 1 and torch.is_grad_enabled()):
            return self._of_one_particle(layers, X, context)
        return self._values(layers, X, context)[-1].transpose(1, 2)

    def _of_one_particle(self, layers: list[Layer], X: Tensor, context: Tensor | None) -> Tensor:
        """Outputs (1, N, K), rows first in memory: what autograd records of them is quicker."""
        value = X if X.ndim == 2 else X[0]
        for number, (W, b) in enumerate(layers):
            W, b = (W, b) if W.ndim == 2 else (W.squeeze(0), b.squeeze(0))
            if number:
                activation = self._activations[number - 1]
                value = activation.function(value)
            if number or context is None:
                value = linear(value, W, b)
            else:
                value = linear(value, W[:, : self.n_inputs], b)
                given = linear(context.to(W), W[:, self.n_inputs :])
                value = _repeated(value, len(given), 0) + given
        return value[None]

    def bind(self, weights: Tensor) -> Callable[[Tensor], Tensor]:
        """The function of rows at these weights, for many calls without gradients."""
        layers, functions, _ = self._folded(weights)
        hidden, (W, b) = self._hidden(layers, functions), layers[-1]

        @torch.inference_mode()
        def outputs(X: Tensor) -> Tensor:
            if not functions:
                return self._first(layers[0], X).transpose(1, 2)
            return torch.baddbmm(b.unsqueeze(2), W, hidden(X)).transpose(1, 2)

        return outputs

    def bind_features(self, weights: Tensor) -> Callable[[Tensor], Tensor]:
        """The function from rows (N, D) to what the last layer is given, (S, units, N)."""
        layers, functions, folded = self._folded(weights)
        hidden = self._hidden(layers, functions)

        @torch.no_grad()
        def features(X: Tensor) -> Tensor:
            value = hidden(X)
            return torch.add(MINUS_ONE, value, alpha=2, out=value) if any(folded[-1:]) else value

        return features

    def _folded(self, weights: Tensor) -> tuple[list[Layer], list[Callable], list[bool]]:
        """Layers and functions of hidden layers that are quick, and which stand for tanh."""
        layers = self.unpack(weights)
        functions = [activation.in_place for activation in self._activations]
        folded = [activation is ACTIVATIONS["tanh"] for activation in self._activations]
        if not is_fast_by_sigmoid(weights):
            return layers, functions, [False] * len(functions)
        pairs = zip(folded, functions, strict=True)
        functions = [torch.sigmoid_ if fold else function for fold, function in pairs]
        return _through_sigmoids(layers, folded), functions, folded

    def _hidden(self, layers: list[Layer], functions: list[Callable]) -> Callable:
        """The function from rows (N, D) to the last hidden layer's values (S, units, N)."""

        def values(X: Tensor) -> Tensor:
            if not functions:
                return X.T[None]
            value = functions[0](self._first(layers[0], X))
            for function, (W, b) in zip(functions[1:], layers[1:-1], strict=True):
                value = function(torch.baddbmm(b.unsqueeze(2), W, value))
            return value

        return values

    def forward_layers(self, linear: Callable[[int, Tensor], Tensor], X: Tensor) -> Tensor:
        """Outputs (S, N, K) of a network whose linear maps are replaced.

        ``linear(layer, value)`` maps values (S or 1, in, N) to (S, out, N): the hook of
        engines that perturb weights or units inside the network.
        """
        value = X.T[None]
        for layer in range(self.n_layers):
            value = linear(layer, value)
            if layer < self.n_layers - 1:
                value = self._activations[layer].function(value)
        return value.transpose(1, 2)

    def _first(self, layer: Layer, X: Tensor, context: Tensor | None = None) -> Tensor:
        """The first layer of all particles (S, units, N); of common rows one matrix product."""
        W, b = layer
        if context is not None:
            of_rows = self._first((W[:, :, : self.n_inputs], b), X)
            given = torch.matmul(W[:, :, self.n_inputs :], context.T.to(W))
            return _repeated(of_rows, given.shape[2], 2) + given
        if X.ndim == 3:
            return torch.baddbmm(b.unsqueeze(2), W, X.transpose(1, 2))
        value = torch.addmm(b.reshape(-1, 1), W.reshape(-1, W.shape[2]), X.T)
        return value.view(*W.shape[:2], X.shape[0])

    def _values(
        self, layers: list[Layer], X: Tensor, context: Tensor | None = None
    ) -> list[Tensor]:
        """Outputs (S, units, N) of every layer, the last one without activation."""
        recording = torch.is_grad_enabled()
        values = [self._first(layers[0], X, context)]
        for activation, (W, b) in zip(self._activations, layers[1:], strict=True):
            function = activation.function if recording else activation.in_place
            values[-1] = function(values[-1])
            values.append(torch.baddbmm(b.unsqueeze(2), W, values[-1]))
        return values

    def _backward(self, layers: list[Layer], values: list[Tensor], grad: Tensor) -> list[Tensor]:
        """Gradients (S, units, N) with respect to every layer's value before activation."""
        grads = [grad]
        activations = self._activations[: len(layers) - 1]
        behind = zip(layers[:0:-1], values[-2::-1], activations[::-1], strict=True)
        for (W, _), value, activation in behind:
            # One output's product is an outer one, which broadcasting does faster.
            back = torch.mul if W.shape[1] == 1 else torch.matmul
            grad = back(W.transpose(1, 2), grads[0])
            grads.insert(0, activation.pullback(grad, value))
        return grads

    @torch.no_grad()
    def forward_with_pullback(self, weights: Tensor, X: Tensor) -> tuple[Tensor, Pullback]:
        """Outputs (S, N, K) and the map from their gradient to that of the weights (S, P)."""
        layers = self.unpack(weights)
        values = self._values(layers, X)

        def pullback(grad_outputs: Tensor) -> Tensor:
            grads = self._backward(layers, values, grad_outputs.transpose(1, 2))
            if X.shape[1] < WIDE:
                return _joined(grads, values, X)
            flat = torch.empty_like(weights)
            parts = self.unpack(flat)
            inputs = [X.T.expand(len(flat), -1, -1), *values]
            for (W, b), grad, value in zip(parts, grads, inputs, strict=False):
                torch.bmm(grad, value.transpose(1, 2), out=W)
                torch.sum(grad, 2, out=b)
            return flat

        return values[-1].transpose(1, 2), pullback

    @torch.no_grad()
    def factors(self, weights: Tensor, X: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Per layer, inputs with a trailing one (in + 1, N) and output gradients (K, out, N).

        Their outer products are the Jacobian's blocks at one weight vector (P,).
        """
        layers = self.unpack(weights[None])
        values = self._values(layers, X)
        identity = torch.eye(self.n_outputs, dtype=X.dtype, device=X.device)
        grads = [identity[:, :, None].expand(-1, -1, len(X))]
        if hidden := layers[:-1]:
            # One output at a time is a row of weights: no product with the identity.
            of_rows = layers[-1][0][0][:, :, None].repeat(1, 1, len(X))
            of_rows = self._activations[-1].pullback(of_rows, values[-2])
            grads = [*self._backward(hidden, values[:-1], of_rows), *grads]
        inputs = [X.T, *(value[0] for value in values[:-1])]
        ones = X.new_ones(1, len(X))
        return [(torch.cat([a, ones]), g) for a, g in zip(inputs, grads, strict=True)]

    def jacobian(self, weights: Tensor, X: Tensor) -> Tensor:
        """Jacobian (N, K, P) of the outputs at one weight vector (P,)."""
        jacobian = X.new_empty(len(X), self.n_outputs, self.n_weights)
        blocks = iter(self.layout)
        for inputs, grads in self.factors(weights, X):
            W, b = next(blocks), next(blocks)
            outer = grads.permute(2, 0, 1)[..., None] * inputs[:-1].T[:, None, None, :]
            jacobian[..., W.slice] = outer.flatten(2)
            jacobian[..., b.slice] = grads.permute(2, 0, 1)
        return jacobian

    @torch.no_grad()
    def jvp(self, weights: Tensor, tangents: Tensor, X: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs (N, K) at ``weights`` (P,) and their derivatives (S, N, K) along (S, P)."""
        layers, moves = self.unpack(weights[None]), self.unpack(tangents)
        values = self._values(layers, X)
        (dW, db) = moves[0]
        tangent = torch.addmm(db.reshape(-1, 1), dW.reshape(-1, dW.shape[2]), X.T)
        tangent = tangent.view(len(tangents), -1, len(X))
        hidden = zip(layers[1:], moves[1:], values[:-1], self._activations, strict=True)
        for (W, _), (dW, db), value, activation in hidden:
            tangent = torch.matmul(W, activation.pullback(tangent, value.expand_as(tangent)))
            tangent += torch.baddbmm(db.unsqueeze(2), dW, value.expand(len(dW), -1, -1))
        return values[-1][0].T, tangent.transpose(1, 2)


def _repeated(of_rows: Tensor, n: int, axis: int) -> Tensor:
    """Values of N rows along an axis, again and again up to n."""
    times = n // of_rows.shape[axis]
    return of_rows if times == 1 else torch.cat([of_rows] * times, axis)


def _joined(grads: list[Tensor], values: list[Tensor], X: Tensor) -> Tensor:
    """Gradients (S, P) of the weights, made apart and joined: faster while they are small."""
    # Of narrow rows (D, N) @ (N, S * units) is three times faster than its transpose.
    parts = [(X.T @ grads[0].reshape(-1, len(X)).T).T.reshape(len(grads[0]), -1)]
    for grad, value in zip(grads[1:], values, strict=False):
        parts.append(torch.bmm(grad, value.transpose(1, 2)).flatten(1))
    return torch.cat([p for W, g in zip(parts, grads, strict=True) for p in (W, g.sum(2))], 1)


def _through_sigmoids(layers: list[Layer], folded: list[bool]) -> list[Layer]:
    """Layers whose units are sigmoids but whose outputs are those of tanh units.

    tanh(x) = 2 sigmoid(2 x) - 1: the doubling goes into the layer before, the rest into
    the layer behind. ``folded`` says which hidden layers are tanh.
    """
    before, behind, result = [*folded, False], [False, *folded], []
    for (W, b), doubled, shifted in zip(layers, before, behind, strict=True):
        if shifted:
            b, W = b - W.sum(2), 2 * W
        result.append((2 * W, 2 * b) if doubled else (W, b))
    return result


def _mlp_layout(sizes: Sequence[int]) -> tuple[Block, ...]:
    """Blocks in the order weight, bias, layer by layer."""
    blocks, start = [], 0
    for layer, (n_in, n_out) in enumerate(pairwise(sizes)):
        weight = Block(f"layer{layer}.weight", layer, "weight", (n_out, n_in), n_in, start)
        bias = Block(f"layer{layer}.bias", layer, "bias", (n_out,), 1, start + weight.size)
        blocks += [weight, bias]
        start = bias.start + bias.size
    return tuple(blocks)
