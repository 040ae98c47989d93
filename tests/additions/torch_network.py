"""A convolutional network from torch.nn, written as a third party would: one file."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from skbayes.networks import Block, Network, NetworkSpec


class ModuleNetwork(Network):
    """Any module as a pure function of flat weights, batched over particles by vmap.

    Parameters
    ----------
    module : nn.Module
        Maps rows (N, n_inputs) to outputs (N, n_outputs).
    n_inputs, n_outputs : int
    """

    def __init__(self, module: nn.Module, n_inputs: int, n_outputs: int) -> None:
        self.module, self.n_inputs, self.n_outputs = module, n_inputs, n_outputs
        layers: dict[str, int] = {}
        blocks: list[Block] = []
        for name, value in module.named_parameters():
            owner, _, role = name.rpartition(".")
            layer = layers.setdefault(owner, len(layers))
            fan_in = value[0].numel() if role == "weight" else 1
            start = blocks[-1].start + blocks[-1].size if blocks else 0
            shape = tuple(value.shape)
            blocks.append(Block(f"layer{layer}.{role}", layer, role, shape, fan_in, start))
        self.layout = tuple(blocks)
        self._names = [name for name, _ in module.named_parameters()]

    @property
    def widest(self) -> int:
        """Numbers of the largest layer for one row."""
        return max(self.n_inputs * block.shape[0] for block in self.layout)

    def forward(self, weights: Any, X: Tensor, context: Tensor | None = None) -> Tensor:
        """Map weights (S, P) and rows (N, D), or (S, N, D), to outputs (S, N, K)."""
        blocks = self.blocks(weights)
        if blocks[0].ndim == len(self.layout[0].shape):
            blocks = [block[None] for block in blocks]
        named = dict(zip(self._names, blocks, strict=True))

        def one(own: dict[str, Tensor], rows: Tensor) -> Tensor:
            return functional_call(self.module, own, (rows,))

        return vmap(one, in_dims=(0, 0 if X.ndim == 3 else None))(named, X)


class TorchCNN(NetworkSpec):
    """Two strided convolutions and a linear layer; in a decoder a linear layer and the way back.

    Parameters
    ----------
    side : int
        Pixels of a picture's side, a multiple of four.
    channels : int
        Of the larger image.
    """

    _parameter_constraints: dict = {"side": [int], "channels": [int]}

    def __init__(self, side: int = 8, channels: int = 4) -> None:
        self.side = side
        self.channels = channels

    def encoder(self, n_inputs: int, n_outputs: int, n_context: int = 0) -> Network:
        """Make the network from pictures."""
        c, least = self.channels, self.side // 4
        with torch.device("meta"):  # no weights are drawn
            module = nn.Sequential(
                nn.Unflatten(-1, (1, self.side, self.side)),
                nn.Conv2d(1, c, 3, 2, 1),
                nn.Tanh(),
                nn.Conv2d(c, 2 * c, 3, 2, 1),
                nn.Tanh(),
                nn.Flatten(-3),
                nn.Linear(2 * c * least**2, n_outputs),
            )
        return ModuleNetwork(module, n_inputs, n_outputs)

    def decoder(self, n_inputs: int, n_outputs: int, n_context: int = 0) -> Network:
        """Make the network from latents."""
        c, least = self.channels, self.side // 4
        with torch.device("meta"):  # no weights are drawn
            module = nn.Sequential(
                nn.Linear(n_inputs, 2 * c * least**2),
                nn.Tanh(),
                nn.Unflatten(-1, (2 * c, least, least)),
                nn.Upsample(scale_factor=2),
                nn.Conv2d(2 * c, c, 3, padding=1),
                nn.Tanh(),
                nn.Upsample(scale_factor=2),
                nn.Conv2d(c, 1, 3, padding=1),
                nn.Flatten(-3),
            )
        return ModuleNetwork(module, n_inputs, n_outputs)
