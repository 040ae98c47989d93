"""All networks of an autoencoder in one flat buffer, and their loss as an objective of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from skbayes.autoencoder._model import Parameters
from skbayes.autoencoder._table import Rows

Loss = Callable[[Parameters, Rows, torch.Generator, float], Tensor]


@dataclass(frozen=True)
class Layout:
    """Where each named tensor lies in one flat buffer.

    Attributes
    ----------
    blocks : tuple of (part, name, shape)
        In the order of the buffer.
    """

    blocks: tuple[tuple[str, str, tuple[int, ...]], ...]

    @classmethod
    def of(cls, parameters: Parameters) -> Layout:
        """The layout of named tensors."""
        return cls(
            tuple(
                (part, name, tuple(value.shape))
                for part, own in parameters.items()
                for name, value in own.items()
            )
        )

    @property
    def size(self) -> int:
        """Length of the buffer."""
        return sum(math.prod(shape) for _, _, shape in self.blocks)

    def flatten(self, parameters: Parameters) -> Tensor:
        """A new flat buffer with these values."""
        return torch.cat([parameters[part][name].reshape(-1) for part, name, _ in self.blocks])

    def arrays(self, flat: Tensor) -> dict[str, dict[str, np.ndarray]]:
        """Named copies of what a flat buffer holds."""
        named = self.views(flat.detach().cpu())
        return {
            part: {name: value.numpy().copy() for name, value in own.items()}
            for part, own in named.items()
        }

    def views(self, flat: Tensor) -> Parameters:
        """Named views of a flat buffer."""
        named: Parameters = {"encoder": {}, "decoder": {}, "noise": {}, "prior": {}}
        start = 0
        for part, name, shape in self.blocks:
            stop = start + math.prod(shape)
            named.setdefault(part, {})[name] = flat[start:stop].view(shape)
            start = stop
        return named


class FlatLoss:
    """A loss of named tensors as an objective of ``{"flat": ...}``, for the trainer.

    Backward passes leave their gradients in views of one buffer, so that one optimiser step
    moves all of the networks.

    Parameters
    ----------
    layout : Layout
        Names of the flat parameters.
    loss : callable
        Mean loss of a batch's rows, where a share of the training is done.
    generator : torch.Generator
        Source of the loss's random numbers.
    precision : Tensor of shape (n_parameters,) or None
        Of a normal prior of the parameters around zero, over the total weight of the rows.
    """

    def __init__(
        self,
        layout: Layout,
        loss: Loss,
        generator: torch.Generator,
        precision: Tensor | None = None,
    ) -> None:
        self.layout, self.loss, self.generator = layout, loss, generator
        self.precision = precision
        self._of: Tensor | None = None

    def __call__(
        self, params: dict[str, Tensor], batch: Rows, scale: float, progress: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        flat = params["flat"].detach()
        if self._of is not params["flat"]:
            self._of = params["flat"]
            self._attach(flat)
        self._grad.zero_()
        with torch.enable_grad():
            loss = self.loss(self._leaves, batch, self.generator, progress)
            loss.backward()
        if self.precision is not None:
            self._grad.addcmul_(self.precision, flat)
        return loss.detach(), {"flat": self._grad}

    def _attach(self, flat: Tensor) -> None:
        """Leaves and gradients that are views of two flat buffers."""
        self._grad = torch.zeros_like(flat)
        self._leaves, gradients = self.layout.views(flat), self.layout.views(self._grad)
        for part, name, _ in self.layout.blocks:
            leaf = self._leaves[part][name].detach().requires_grad_()
            leaf.grad = gradients[part][name]
            self._leaves[part][name] = leaf
