"""A bottleneck of codes with a moving-average codebook, written as a third party would."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from skbayes.latent import Bottleneck
from skbayes.latent._normal_latents import LEAST_STD, NormalLatents

#: Least count of a code, in rows.
LEAST_COUNT = 1e-3


@dataclass(frozen=True)
class Quantised(NormalLatents):
    """Codes of rows: what a decoder sees, with the gradients of what was rounded to them.

    Attributes
    ----------
    code : Tensor of shape (N,)
        Number of each row's code.
    distance : Tensor of shape (N,)
        Squared distance from the code, which commits the encoder to it.
    n_codes : int
    """

    code: Tensor
    distance: Tensor
    n_codes: int

    def draw(self, noise: Tensor) -> Tensor:
        """The codes themselves, whatever the noise."""
        return self.mean.expand_as(noise)


class VectorQuantised(Bottleneck):
    """The nearest of a few codes (van den Oord et al., 2017), moved as k-means moves them.

    Parameters
    ----------
    n_codes : int
    decay : float
        Share of the old counts that a step keeps.
    """

    _parameter_constraints: dict = {"n_codes": [int], "decay": [float]}
    has_widths = False
    has_density = False
    settles = True

    def __init__(self, n_codes: int = 16, decay: float = 0.95) -> None:
        self.n_codes = n_codes
        self.decay = decay

    @property
    def n_outputs(self) -> int:
        """Units of a code."""
        return self.n_latents

    def init(self, generator: torch.Generator) -> dict[str, Tensor]:
        """Codes at random, each with one row."""
        device = generator.device
        codes = torch.randn(self.n_codes, self.n_latents, generator=generator, device=device)
        return {"codes": codes, "counts": torch.ones(self.n_codes, device=device)}

    def _nearest(self, tensors: dict[str, Tensor], outputs: Tensor) -> Tensor:
        return torch.cdist(outputs.detach(), tensors["codes"].detach()).argmin(1)

    def read(self, outputs: Tensor, tensors: dict[str, Tensor]) -> Quantised:
        """Round outputs (N, q) to codes; gradients pass as if they had not been."""
        code = self._nearest(tensors, outputs)
        rounded = tensors["codes"].detach()[code]
        mean = outputs + (rounded - outputs).detach()
        distance = (outputs - rounded).square().sum(1)
        root = torch.full_like(mean, LEAST_STD)
        return Quantised(mean, root, code, distance, self.n_codes)

    def settle(self, tensors: dict[str, Tensor], outputs: Tensor) -> None:
        """Move each code towards the mean of its rows; one without rows goes to some row."""
        code = self._nearest(tensors, outputs)
        chosen = torch.nn.functional.one_hot(code, self.n_codes).to(outputs)
        old = self.decay * tensors["counts"]
        counts = old + (1 - self.decay) * chosen.sum(0)
        sums = old[:, None] * tensors["codes"] + (1 - self.decay) * chosen.T @ outputs
        tensors["codes"].copy_(sums / counts.clamp_min(LEAST_COUNT)[:, None])
        tensors["counts"].copy_(counts)
        dead = counts < LEAST_COUNT
        tensors["codes"][dead] = outputs[: int(dead.sum())]
        tensors["counts"][dead] = 1.0
