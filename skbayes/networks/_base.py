"""What every network offers: a layout of named blocks and pure functions of flat weights."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import torch
from torch import Tensor
from torch.func import jacrev, jvp, vmap

from skbayes.networks._symmetry import HiddenLayer

Pullback = Callable[[Tensor], Tensor]
#: Weights (S, P) of S particles, or their blocks as `Network.blocks` gives them; those of one
#: particle may lack the first axis.
Weights = Tensor | Sequence[Tensor]


@dataclass(frozen=True)
class Block:
    """One contiguous run of the flat weight vector, as priors need to know it."""

    name: str
    layer: int
    role: Literal["weight", "bias"]
    shape: tuple[int, ...]
    fan_in: int
    start: int

    @property
    def size(self) -> int:
        """Number of weights in the block."""
        return int(torch.Size(self.shape).numel())

    @property
    def slice(self) -> slice:
        """Where the block lies in the flat vector."""
        return slice(self.start, self.start + self.size)


class Network:
    """A pure function of flat weights (S, P) and rows (N, D), giving outputs (S, N, K).

    A decoder takes latents (S, N, D) of each particle too. A network that is conditioned takes
    a context (N, C) beside the rows, or (M * N, C): the rows are then seen M times, once with
    each N contexts, and what depends on the rows alone may be computed once.

    A subclass sets `layout`, `n_outputs` and `forward`; the derivatives below come from
    torch.func and may be replaced by faster hand-written ones.

    Kronecker-factored curvature asks for one thing more. A network of linear maps, each
    layer's weight and then its bias in the layout, may define ``factors(weights, X)``: at
    one weight vector (P,) a pair for each layer, its inputs with a trailing one
    (in + 1, N T), and the gradients (K, out, N T) of the outputs in what it hands on, for each
    of the T places of a row at which the layer is applied, such as the pixels of a convolution.
    Sums over places of their outer products are the Jacobian's blocks.
    """

    layout: tuple[Block, ...]
    n_inputs: int
    n_outputs: int
    #: Whether a layer may be applied at several places of a row, as a convolution is.
    has_places = False
    #: The block that is added to the outputs, where the network has one.
    output_bias: Block | None = None

    @property
    def hidden_layers(self) -> tuple[HiddenLayer, ...]:
        """Layers whose units may change places; none where a network does not tell."""
        return ()

    @property
    def n_weights(self) -> int:
        """Length P of the flat weight vector."""
        return sum(block.size for block in self.layout)

    @property
    def n_layers(self) -> int:
        """Number of layers; each has one prior scale."""
        return 1 + max(block.layer for block in self.layout)

    @property
    def widest(self) -> int:
        """Most numbers that a layer hands on for one row: what intermediate values take."""
        return max(block.shape[0] for block in self.layout)

    def blocks(self, weights: Weights) -> Sequence[Tensor]:
        """Split flat weights into views by block, ``(S, *shape)``; blocks are returned as given."""
        if not isinstance(weights, Tensor):
            return weights
        # The method `split` of a tensor does the same, after twice the time in Python.
        parts = torch.split_with_sizes(weights, [block.size for block in self.layout], 1)
        pairs = zip(parts, self.layout, strict=True)
        return [part.view(-1, *block.shape) for part, block in pairs]

    @property
    def last_layer(self) -> str | None:
        """Name of the linear layer whose values are the outputs, if there is one.

        A network that has one defines ``bind_features(weights)`` at weights (1, P): the function
        from rows (N, D) to what that layer is given, (1, units, N).
        """
        return None

    @property
    def row_work(self) -> float:
        """Multiply-adds of one row: more than weights where these are used several times."""
        return float(self.n_weights)

    def pack(self, named: Mapping[str, Tensor]) -> Tensor:
        """Join weights by the names of their blocks: (P,)."""
        return torch.cat([named[block.name].flatten() for block in self.layout])

    def init(self, n_particles: int, generator: torch.Generator) -> Tensor:
        """Draw weights (n_particles, P) for gradient steps: uniform within 1 / sqrt(fan in)."""
        weights = 2 * torch.rand(n_particles, self.n_weights, generator=generator) - 1
        fan_in = 1
        for block in self.layout:
            # A bias comes after its layer's weights, and has their width.
            fan_in = block.fan_in if block.role == "weight" else fan_in
            weights[:, block.slice] /= fan_in**0.5
        return weights

    def forward(self, weights: Tensor, X: Tensor) -> Tensor:
        """Map weights (S, P) and rows (N, D) to outputs (S, N, K)."""
        raise NotImplementedError(f"{type(self).__name__} must define forward")

    def bind(self, weights: Tensor) -> Callable[[Tensor], Tensor]:
        """The function of rows at these weights, for many calls without gradients."""
        return lambda X: self.forward(weights, X)

    def forward_with_pullback(self, weights: Tensor, X: Tensor) -> tuple[Tensor, Pullback]:
        """Outputs (S, N, K) and the map from their gradient to that of the weights (S, P)."""
        weights = weights.detach().requires_grad_()
        with torch.enable_grad():
            outputs = self.forward(weights, X)

        def pullback(grad_outputs: Tensor) -> Tensor:
            return torch.autograd.grad(outputs, weights, grad_outputs)[0]

        return outputs.detach(), pullback

    def jacobian(self, weights: Tensor, X: Tensor) -> Tensor:
        """Jacobian (N, K, P) of the outputs at one weight vector (P,)."""

        def one_row(w: Tensor, x: Tensor) -> Tensor:
            return self.forward(w[None], x[None])[0, 0]

        return vmap(jacrev(one_row), in_dims=(None, 0))(weights, X)

    def jvp(self, weights: Tensor, tangents: Tensor, X: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs (N, K) at ``weights`` (P,) and their derivatives (S, N, K) along (S, P)."""

        def outputs(w: Tensor) -> Tensor:
            return self.forward(w[None], X)[0]

        load_forward_mode()
        derivative = vmap(lambda t: jvp(outputs, (weights,), (t,))[1])(tangents)
        return outputs(weights), derivative

    def jvp_by_pullbacks(
        self, weights: Tensor, tangents: Tensor, X: Tensor
    ) -> tuple[Tensor, Tensor]:
        """What `jvp` gives, for networks whose operations have no forward mode in batches.

        The pullback is linear in what it is given, so that its own pullback pushes tangents
        forward: two passes backward for all particles.
        """
        with torch.inference_mode(False), torch.enable_grad():
            # What comes from inference mode is of no use here but as a copy.
            copies = weights.expand_as(tangents).clone().requires_grad_()
            outputs = self.forward(copies, X.clone())
            given = torch.zeros_like(outputs, requires_grad=True)
            (pulled,) = torch.autograd.grad(outputs, copies, given, create_graph=True)
            (pushed,) = torch.autograd.grad(pulled, given, tangents.clone())
        return outputs[0].detach(), pushed


@cache
def load_forward_mode() -> None:
    """Let `torch.func.jvp` import what it needs, which warns of torch's own use of torch.jit."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".torch.jit.script. is deprecated", DeprecationWarning)
        one = torch.ones(1)
        jvp(torch.neg, (one,), (one,))
