"""The model: an encoder, a decoder, a table of columns and a density of latents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from skbayes.autoencoder._networks import Decoder, RowNetwork, Weights
from skbayes.autoencoder._table import Rows, Table
from skbayes.latent._normal import NormalBottleneck, NormalLatents
from skbayes.latent._priors import LatentDensity, LatentPrior

#: Tensors by part ("encoder", "decoder", "noise", "prior") and name.
Parameters: TypeAlias = dict[str, Weights]


@dataclass(frozen=True)
class Model:
    """Pure functions of parameters and rows.

    Attributes
    ----------
    encoder : RowNetwork
        Encoded rows, and where they are observed if ``sees_missing``, to latent parameters.
    head : NormalBottleneck
        Reads normal latents off the encoder's outputs.
    decoder : Decoder
        Latents to the table's outputs.
    table : Table
        The likelihood.
    prior : LatentPrior
        The density of latents.
    sees_missing : bool
        Whether the encoder is told which values are missing.
    """

    encoder: RowNetwork
    head: NormalBottleneck
    decoder: Decoder
    table: Table
    prior: LatentPrior
    sees_missing: bool = False

    def init(self, rows: Rows, generator: torch.Generator) -> Parameters:
        """Random parameters, in float32 on the CPU."""
        inputs = self.inputs(rows.table, rows.observed)
        return {
            "encoder": self.encoder.init(generator),
            "decoder": self.decoder.init(generator),
            "noise": self.table.init(),
            "prior": self.prior.init(inputs, generator),
        }

    def prior_precisions(self, parameters: Parameters, scale: float) -> Parameters:
        """Precisions of a normal prior of the decoder's weights, of this scale; zero elsewhere."""
        own = self.decoder.precisions(self.table.weight_scales)
        return {
            part: {
                name: own[name] / scale**2 if part == "decoder" else torch.zeros_like(value)
                for name, value in values.items()
            }
            for part, values in parameters.items()
        }

    def inputs(self, table: Tensor, observed: Tensor | None) -> Tensor:
        """What the encoder sees (N, n_inputs)."""
        if not self.sees_missing:
            return table
        seen = torch.ones_like(table[:, : self.table.n_columns]) if observed is None else observed
        return torch.cat([table, seen], dim=1)

    def encode(self, parameters: Parameters, rows: Rows) -> NormalLatents:
        """Latents of rows by the encoder."""
        inputs = self.inputs(rows.table, rows.observed)
        return self.head(self.encoder(parameters["encoder"], inputs, rows.context))

    def decode(self, parameters: Parameters, z: Tensor, context: Tensor | None) -> Tensor:
        """The decoder's outputs (..., N, n_outputs) for latents (..., N, q) of rows."""
        flat = z.reshape(-1, z.shape[-1])
        if context is not None:
            context = context.expand(*z.shape[:-1], context.shape[-1]).reshape(len(flat), -1)
        return self.decoder(parameters["decoder"], flat, context).view(*z.shape[:-1], -1)

    def log_prob(self, parameters: Parameters, rows: Rows, z: Tensor) -> Tensor:
        """Log density (..., N) of encoded rows given latents (..., N, q)."""
        outputs = self.decode(parameters, z, rows.context)
        return self.table.log_prob(rows, outputs, parameters["noise"])

    def latent_density(self, parameters: Parameters) -> LatentDensity:
        """The density of latents at these parameters."""

        def encode(inputs: Tensor) -> NormalLatents:
            return self.head(self.encoder(parameters["encoder"], inputs))

        return self.prior.bind(parameters["prior"], encode)


def count(parameters: Parameters) -> int:
    """Number of parameters."""
    return sum(value.numel() for own in parameters.values() for value in own.values())


def double(parameters: Parameters) -> Parameters:
    """The same parameters in double precision."""
    return {
        part: {name: value.double() for name, value in own.items()}
        for part, own in parameters.items()
    }
