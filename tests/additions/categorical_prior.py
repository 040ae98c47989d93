"""A latent prior over codes, for a bottleneck that has them, written as a third party would."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from skbayes.latent import LatentPrior

#: Weight of the distance that commits an encoder to its codes.
COMMITMENT = 0.25


class CategoricalPrior(LatentPrior):
    """Shares of codes, learned: each row costs minus the log share of its code, in nats."""

    #: Shares that are kept, of which a bottleneck uses the first.
    most_codes = 256

    def init(self, rows: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """Equal shares of as many codes as there ever are."""
        return {"logits": torch.zeros(self.most_codes)}

    def bind(self, weights: dict[str, Tensor], encode: Callable) -> CategoricalDensity:
        """The shares at present logits."""
        return CategoricalDensity(weights["logits"])


class CategoricalDensity:
    """Shares of codes."""

    def __init__(self, logits: Tensor) -> None:
        self.logits = logits

    def kl(self, latents, z: Tensor) -> Tensor:
        """Rate (N, 1) of each row's code, and what commits the encoder to it."""
        log_share = torch.log_softmax(self.logits[: latents.n_codes], 0)
        return (COMMITMENT * latents.distance - log_share[latents.code])[:, None]
