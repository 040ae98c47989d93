"""Models of rows by latents: networks, a bottleneck, a latent prior and a likelihood."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from skbayes.data._tensors import Data
from skbayes.latent._bottlenecks import Bottleneck
from skbayes.latent._normal_latents import NormalLatents
from skbayes.latent._priors import LatentDensity, LatentPrior
from skbayes.networks import EncoderDecoder
from skbayes.priors import Normal

#: "weights" (1, P) of the network, or their blocks; "noise" (1, H), the likelihood's unknowns;
#: and tensors of latent prior and bottleneck, "prior_" or "bottleneck_" before their names.
Parameters: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class LatentModel:
    """Pure functions of parameters and rows.

    Attributes
    ----------
    network : EncoderDecoder
        Encoded rows, and where they are observed if ``sees_missing``, to parameters of
        latents; latents to the likelihood's outputs.
    bottleneck : Bottleneck
        Reads latents off the encoder's outputs (N, n).
    likelihood : Likelihood
        Of rows; ``observed`` values go to one that takes them.
    prior : LatentPrior
        The density of latents.
    sees_missing : bool
        Whether the encoder is told which values are missing.
    """

    network: EncoderDecoder
    bottleneck: Bottleneck
    likelihood: Any
    prior: LatentPrior
    sees_missing: bool = False

    def init(self, rows: Data, generator: torch.Generator) -> Parameters:
        """Random parameters, in float32 on the CPU."""
        prior = self.prior.init(self.inputs(rows), generator)
        return {
            "weights": self.network.init(1, generator),
            "noise": self.likelihood.init()[None],
            **{f"prior_{name}": value for name, value in prior.items()},
            **{f"bottleneck_{k}": value for k, value in self.bottleneck.init(generator).items()},
        }

    def precision(self, scale: float) -> Tensor:
        """Precision (1, P) of a normal prior of the decoder's weights; zero elsewhere.

        Their standard deviation is ``scale`` over the root of the fan in, times the width
        of the output where a weight feeds one, and the least width before.
        """
        widths = self.likelihood.output_widths
        factors = Normal().weight_factors(self.network, widths[:0])
        precision = torch.zeros_like(factors)
        weights = [
            block
            for block in self.network.layout
            if block.role == "weight" and block.name.startswith("decoder")
        ]
        for block in weights:
            precision[block.slice] = (scale * widths.min() * factors[block.slice]) ** -2
        if (widths != widths[0]).any():  # of columns of several kinds: dense layers alone
            last = precision[weights[-1].slice].view(len(widths), -1)
            last *= (widths.min() / widths).square()[:, None]
        return precision[None]

    def inputs(self, rows: Data) -> Tensor:
        """What the encoder sees (N, n_inputs)."""
        if not self.sees_missing:
            return rows.X
        seen = rows.observed
        if seen is None:
            seen = torch.ones_like(rows.X[:, : self.network.n_inputs - rows.X.shape[1]])
        return torch.cat([rows.X, seen], dim=1)

    def encode(self, parameters: Parameters, rows: Data) -> NormalLatents:
        """Latents of rows by the encoder."""
        return self._read(parameters, self.inputs(rows), rows.context)

    def _read(self, parameters: Parameters, inputs: Tensor, *context: Any) -> NormalLatents:
        outputs = self.network.encode(parameters["weights"], inputs, *context).squeeze(0)
        return self.bottleneck.read(outputs, _own("bottleneck_", parameters))

    def settle(self, parameters: Parameters, rows: Data) -> None:
        """Move, in place, what no gradient moves, by a batch of rows."""
        if self.bottleneck.settles:
            inputs = self.inputs(rows)
            outputs = self.network.encode(parameters["weights"], inputs, rows.context).squeeze(0)
            self.bottleneck.settle(_own("bottleneck_", parameters), outputs)

    def decode(self, parameters: Parameters, z: Tensor, context: Tensor | None) -> Tensor:
        """The decoder's outputs (..., N, n_outputs) for latents (..., N, q) of rows."""
        flat = z.reshape(-1, z.shape[-1])
        if context is not None:
            context = context.expand(*z.shape[:-1], context.shape[-1]).reshape(len(flat), -1)
        outputs = self.network.decode(parameters["weights"], flat, context)
        # Columns of a row side by side: sums over them are several times quicker.
        return outputs.reshape(*z.shape[:-1], -1).contiguous()

    def log_prob(self, parameters: Parameters, rows: Data, z: Tensor) -> Tensor:
        """Log density (..., N) of rows given latents (..., N, q)."""
        return self.log_prob_of(parameters, rows, self.decode(parameters, z, rows.context))

    def log_prob_of(self, parameters: Parameters, rows: Data, outputs: Tensor) -> Tensor:
        """Log density (..., N) of rows given the decoder's outputs (..., N, n_outputs)."""
        # Draws of the latents are particles of the likelihood.
        stacked = outputs.reshape(-1, *outputs.shape[-2:])
        seen = () if rows.observed is None else (rows.observed,)
        found = self.likelihood.log_prob(stacked, rows.y, parameters["noise"], *seen)
        return found.view(outputs.shape[:-1])

    def whiten(self, parameters: Parameters, rows: Data, outputs: Tensor, moves: Tensor) -> Tensor:
        """Moves (q, N, n) of outputs (N, n) whose squares sum to the Fisher information."""
        seen = () if rows.observed is None else (rows.observed,)
        return self.likelihood.whiten(moves, outputs[None], parameters["noise"], *seen)

    def latent_density(self, parameters: Parameters) -> LatentDensity:
        """The density of latents at these parameters."""
        return self.prior.bind(_own("prior_", parameters), partial(self._read, parameters))


def _own(prefix: str, parameters: Parameters) -> dict[str, Tensor]:
    """The tensors of a part, by their names in it."""
    return {k.removeprefix(prefix): v for k, v in parameters.items() if k.startswith(prefix)}


def count(parameters: Parameters) -> int:
    """Number of parameters."""
    return sum(value.numel() for value in parameters.values())


def arrays(parameters: Parameters) -> dict[str, np.ndarray]:
    """Copies of parameters as arrays."""
    return {name: value.detach().cpu().numpy().copy() for name, value in parameters.items()}


def double(parameters: Parameters) -> Parameters:
    """The same parameters in double precision."""
    return {name: value.double() for name, value in parameters.items()}
