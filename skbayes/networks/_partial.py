"""Networks of which some weights are held and the others are free."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor

from skbayes.exceptions import IncompatiblePartsError
from skbayes.networks._base import Block, Network, Weights
from skbayes.networks._mlp import MLPNetwork


def free_blocks(network: Network, which: str | Sequence[str]) -> list[int]:
    """Numbers of the blocks that are free: of the last layer, or of names that match patterns."""
    layout = network.layout
    if which == "last":
        return [n for n, block in enumerate(layout) if block.layer == network.n_layers - 1]
    patterns = [which] if isinstance(which, str) else list(which)
    for pattern in patterns:
        if not any(_matches(block, pattern) for block in layout):
            raise IncompatiblePartsError(
                f"bayesian={which!r}: no weights are named {pattern!r}; they are "
                f"{[block.name for block in layout]}"
            )
    return [n for n, block in enumerate(layout) if any(_matches(block, p) for p in patterns)]


def _matches(block: Block, pattern: str) -> bool:
    """Whether a block, or the layer that it belongs to, has a name like this."""
    layer = block.name.rpartition(".")[0]
    return fnmatchcase(block.name, pattern) or fnmatchcase(layer, pattern)


class PartialNetwork(Network):
    """A network whose weights are held but for some blocks.

    Parameters
    ----------
    whole : Network
        All of it.
    free : sequence of int
        Numbers of the free blocks in its layout.
    held : Tensor of shape (P,)
        All weights of the whole; those of free blocks are not used.
    """

    def __init__(self, whole: Network, free: Sequence[int], held: Tensor) -> None:
        self.whole, self.free, self.held = whole, list(free), held
        self.n_inputs, self.n_outputs = whole.n_inputs, whole.n_outputs
        layers: dict[int, int] = {}
        blocks: list[Block] = []
        for number in self.free:
            block = whole.layout[number]
            start = blocks[-1].start + blocks[-1].size if blocks else 0
            layer = layers.setdefault(block.layer, len(layers))
            blocks.append(replace(block, layer=layer, start=start))
        self.layout = tuple(blocks)

    @property
    def widest(self) -> int:
        """That of the whole."""
        return self.whole.widest

    @property
    def row_work(self) -> float:
        """That of the whole."""
        return self.whole.row_work

    def free_weights(self, weights: Tensor) -> Tensor:
        """Those of all weights (P,) that are free."""
        return torch.cat([weights[self.whole.layout[n].slice] for n in self.free])

    def _assembled(self, weights: Tensor) -> Tensor:
        """All weights (S, P)."""
        parts = list(torch.split_with_sizes(weights, [b.size for b in self.layout], 1))
        held = self.held.to(weights)
        own = dict(zip(self.free, parts, strict=True))
        pieces = [
            own.get(number, held[block.slice].expand(len(weights), -1))
            for number, block in enumerate(self.whole.layout)
        ]
        return torch.cat(pieces, 1)

    def forward(self, weights: Any, X: Tensor) -> Tensor:
        """Map free weights (S, P) and rows (N, D) to outputs (S, N, K)."""
        return self.whole.forward(self._assembled(weights), X)

    def jacobian(self, weights: Tensor, X: Tensor) -> Tensor:
        """Jacobian (N, K, P) of the outputs in the free weights (P,)."""
        whole = self.whole.jacobian(self._assembled(weights[None])[0], X)
        return torch.cat([whole[..., self.whole.layout[n].slice] for n in self.free], 2)

    def jvp(self, weights: Tensor, tangents: Tensor, X: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs (N, K) at free weights (P,) and their derivatives (S, N, K) along (S, P)."""
        along = self._assembled(tangents)
        for number, block in enumerate(self.whole.layout):
            if number not in self.free:
                along[:, block.slice] = 0
        return self.whole.jvp(self._assembled(weights[None])[0], along, X)


class LastLayerNetwork(PartialNetwork):
    """A network whose last layer is free, and linear in what the layers below make of rows.

    Engines are given the last layer alone, and its inputs as rows: see `head`.
    """

    def __init__(self, whole: Network, free: Sequence[int], held: Tensor) -> None:
        super().__init__(whole, free, held)
        n_outputs, n_units = self.layout[0].shape
        #: The last layer as a network of its own, over `features`.
        self.head = MLPNetwork(n_units, n_outputs, ())
        self.head.name_blocks([block.name for block in self.layout])
        self.output_bias = self.layout[-1]

    def features(self, X: Tensor) -> Tensor:
        """What the last layer is given (N, units)."""
        held = self.held.to(X)[None]
        with torch.no_grad():
            return self.whole.bind_features(held)(X)[0].T  # type: ignore[attr-defined]

    def forward(self, weights: Weights, X: Tensor) -> Tensor:
        """Map weights (S, P) of the last layer and rows (N, D) to outputs (S, N, K)."""
        return self.head.forward(weights, self.features(X))

    def factors(self, weights: Tensor, X: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Inputs of the last layer with a trailing one, and gradients of the outputs."""
        return self.head.factors(weights, self.features(X))

    def jacobian(self, weights: Tensor, X: Tensor) -> Tensor:
        """Jacobian (N, K, P) of the outputs in the last layer's weights (P,)."""
        return self.head.jacobian(weights, self.features(X))

    def jvp(self, weights: Tensor, tangents: Tensor, X: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs (N, K) at weights (P,) and their derivatives (S, N, K) along (S, P)."""
        return self.head.jvp(weights, tangents, self.features(X))


def partial_network(whole: Network, which: str | Sequence[str], held: Tensor) -> PartialNetwork:
    """Make the network with some blocks free, its last layer alone where these are that."""
    free = free_blocks(whole, which)
    last = [n for n, block in enumerate(whole.layout) if block.layer == whole.n_layers - 1]
    linear = free == last and whole.last_layer is not None
    return (LastLayerNetwork if linear else PartialNetwork)(whole, free, held)
