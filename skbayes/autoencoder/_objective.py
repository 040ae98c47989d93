"""What is minimised for a batch of rows; the interfaces of this room in one place.

For rows x with latents z, the loss of a row is one of

- ``divergence="kl"``: the negative evidence bound, E_q[-log p(x | z)] + beta KL(q(z | x), p(z)),
  at one draw of q (Kingma and Welling, 2014, eq. 10); with ``n_importance_samples`` K > 1
  the negative importance-weighted bound, -log mean_k p(x, z_k) / q(z_k | x) (Burda et al.,
  2016, eq. 8), in which p(z_k) / q(z_k | x) is raised to beta while that warms up;
- another name in `DIVERGENCES`: -log p(x | z) at the mean latent, plus beta times the number
  of columns times a distance between the latents of the batch and as many draws of the prior
  (Tolstikhin et al., 2018, eq. 4);
- ``divergence=None``: -log p(x | z) at the mean latent, a plain autoencoder.

How the parts enter:

- an **encoder or decoder** is a `RowNetwork` (`_networks`): a pure function of its own
  dict of weights and flat rows, ``context`` beside them;
- a **latent prior** is a `LatentPrior` (`_latent_priors`): ``init``, ``bind``, ``refit``;
- a **divergence** is a function ``(latents (N, q), draws (N, q), generator, weight (N,) or
  None) -> scalar Tensor``, differentiable in the latents;
- **conditioning** columns are `Rows.context` (N, n_context), concatenated to the inputs of
  the encoder and to the latents; a classifier over labels gives indicator columns.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from skbayes.autoencoder._corruption import Corruption
from skbayes.autoencoder._model import Model, Parameters
from skbayes.autoencoder._table import Rows

Divergence = Callable[[Tensor, Tensor, torch.Generator, Tensor | None], Tensor]


@dataclass(frozen=True)
class Objective:
    """Loss of a batch, in nats a row.

    Attributes
    ----------
    model : Model
    divergence : "kl", callable or None
    beta : float
        Factor of the divergence.
    free_bits : float
        Nats of divergence a latent that cost nothing.
    warm_up : float
        Share of the training over which beta rises from 0.
    n_importance_samples : int
        Draws of the bound.
    corruption : Corruption or None
        What the encoder sees in place of rows.
    """

    model: Model
    divergence: str | Divergence | None
    beta: float
    free_bits: float
    warm_up: float
    n_importance_samples: int
    corruption: Corruption | None = None

    def __call__(
        self, parameters: Parameters, rows: Rows, generator: torch.Generator, progress: float
    ) -> Tensor:
        """Mean loss of the rows, where ``progress`` in [0, 1] is the share of training done."""
        rows = replace(rows, table=self.model.table.refresh(rows.table, generator))
        beta = self.beta * (min(1.0, progress / self.warm_up) if self.warm_up > 0 else 1.0)
        seen = rows if self.corruption is None else self.corruption(rows, self.model, generator)
        if self.divergence != "kl":
            return self._distance(parameters, rows, seen, generator, beta)
        if self.n_importance_samples > 1:
            return self._importance_bound(parameters, rows, seen, generator, beta)
        return self._bound(parameters, rows, seen, generator, beta)

    def _bound(
        self,
        parameters: Parameters,
        rows: Rows,
        seen: Rows,
        generator: torch.Generator,
        beta: float,
    ) -> Tensor:
        latents = self.model.encode(parameters, seen)
        z = latents.draw(_normals(latents.mean.shape, latents.mean, generator))
        misfit = -self.model.log_prob(parameters, rows, z)
        kl = self.model.latent_density(parameters).kl(latents, z)
        if self.free_bits > 0:
            # Per latent and batch: what is below the floor has no gradient.
            return _mean(misfit, rows) + beta * _mean(kl, rows).clamp_min(self.free_bits).sum()
        return _mean(misfit + beta * kl.sum(-1), rows)

    def _importance_bound(
        self,
        parameters: Parameters,
        rows: Rows,
        seen: Rows,
        generator: torch.Generator,
        beta: float,
    ) -> Tensor:
        latents = self.model.encode(parameters, seen)
        shape = (self.n_importance_samples, *latents.mean.shape)
        noise = _normals(shape, latents.mean, generator)
        z = latents.draw(noise)
        divergence = latents.log_prob_of(noise) - self.model.latent_density(parameters).log_prob(z)
        log_weight = self.model.log_prob(parameters, rows, z) - beta * divergence
        return -_mean(torch.logsumexp(log_weight, 0) - math.log(len(z)), rows)

    def _distance(
        self,
        parameters: Parameters,
        rows: Rows,
        seen: Rows,
        generator: torch.Generator,
        beta: float,
    ) -> Tensor:
        z = self.model.encode(parameters, seen).mean
        loss = -_mean(self.model.log_prob(parameters, rows, z), rows)
        if self.divergence is None:
            return loss
        draws = self.model.latent_density(parameters).sample(len(z), generator).to(z)
        distance = self.divergence(z, draws, generator, rows.weight)  # type: ignore[operator]
        return loss + beta * self.model.table.n_columns * distance


def _normals(shape: tuple[int, ...], like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(shape, dtype=like.dtype, device=like.device, generator=generator)


def _mean(values: Tensor, rows: Rows) -> Tensor:
    """Weighted mean over rows, the first axis; weights are 1 on average over all batches."""
    if rows.weight is None:
        return values.mean(0)
    weight = rows.weight if values.ndim == 1 else rows.weight[:, None]
    return (weight * values).mean(0)
