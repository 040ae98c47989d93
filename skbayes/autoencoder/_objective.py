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

- **encoder and decoder** are an `EncoderDecoder`: pure functions of weights and flat rows,
  ``context`` beside them;
- a **latent prior** is a `LatentPrior`: ``init``, ``bind``, ``refit``;
- a **divergence** is a function ``(latents (N, q), draws (N, q), generator, weight (N,) or
  None) -> scalar Tensor``, differentiable in the latents;
- **conditioning** columns are `Data.context` (N, n_context), concatenated to the inputs of
  the encoder and to the latents; a classifier over labels gives indicator columns.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from skbayes.autoencoder._corruption import Corruption
from skbayes.data._tensors import Data
from skbayes.latent._latent_model import LatentModel, Parameters
from skbayes.networks import Network

Divergence = Callable[[Tensor, Tensor, torch.Generator, Tensor | None], Tensor]


class Gradients:
    """A loss of named tensors and its gradients, as the trainer asks for them.

    The network's gradients are views of one buffer, in which backward passes leave them.

    Parameters
    ----------
    loss : callable
        Mean loss of a batch's rows, where a share of the training is done.
    network : Network
        Whose weights are the tensor "weights".
    generator : torch.Generator
        Source of the loss's random numbers.
    precision : Tensor of shape (1, P) or None
        Of a normal prior of the weights around zero, over the total weight of the rows.
    """

    def __init__(
        self,
        loss: Callable[[Parameters, Data, torch.Generator, float], Tensor],
        network: Network,
        generator: torch.Generator,
        precision: Tensor | None = None,
    ) -> None:
        self.loss, self.network, self.generator = loss, network, generator
        self.precision = precision
        self._of: Tensor | None = None

    def __call__(
        self, params: dict[str, Tensor], batch: Data, scale: float, progress: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        if self._of is not params["weights"]:
            self._of = params["weights"]
            self._attach(params)
        for grad in self._grads.values():
            grad.zero_()
        with torch.enable_grad():
            loss = self.loss(self._leaves, batch, self.generator, progress)
            loss.backward()
        if settle := getattr(self.loss, "settle", None):
            settle(params, batch)
        if self.precision is not None:
            self._grads["weights"].addcmul_(self.precision, params["weights"].detach())
        return loss.detach(), self._grads

    def _attach(self, params: dict[str, Tensor]) -> None:
        """Make leaves of the parameters whose gradients are views of what is returned."""
        self._grads = {name: torch.zeros_like(value.detach()) for name, value in params.items()}
        self._leaves: Parameters = {
            name: _leaf(value, self._grads[name]) for name, value in params.items()
        }
        blocks = (self.network.blocks(t["weights"].detach()) for t in (params, self._grads))
        self._leaves["weights"] = [_leaf(v[0], grad[0]) for v, grad in zip(*blocks, strict=True)]


def _leaf(value: Tensor, grad: Tensor) -> Tensor:
    leaf = value.detach().requires_grad_()
    leaf.grad = grad
    return leaf


@dataclass(frozen=True)
class Objective:
    """Loss of a batch, in nats a row.

    Attributes
    ----------
    model : LatentModel
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

    model: LatentModel
    divergence: str | Divergence | None
    beta: float
    free_bits: float
    warm_up: float
    n_importance_samples: int
    corruption: Corruption | None = None

    def __call__(
        self, parameters: Parameters, rows: Data, generator: torch.Generator, progress: float
    ) -> Tensor:
        """Mean loss of the rows, where ``progress`` in [0, 1] is the share of training done."""
        rows = fresh(rows, self.model, generator)
        beta = self.beta * (min(1.0, progress / self.warm_up) if self.warm_up > 0 else 1.0)
        seen = rows if self.corruption is None else self.corruption(rows, self.model, generator)
        if self.divergence != "kl":
            return self._distance(parameters, rows, seen, generator, beta)
        if self.n_importance_samples > 1:
            return self._importance_bound(parameters, rows, seen, generator, beta)
        return self._bound(parameters, rows, seen, generator, beta)

    @torch.no_grad()
    def settle(self, parameters: Parameters, rows: Data) -> None:
        """Move what no gradient moves, by a batch."""
        self.model.settle(parameters, rows)

    def _bound(
        self,
        parameters: Parameters,
        rows: Data,
        seen: Data,
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
        rows: Data,
        seen: Data,
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
        rows: Data,
        seen: Data,
        generator: torch.Generator,
        beta: float,
    ) -> Tensor:
        z = self.model.encode(parameters, seen).mean
        loss = -_mean(self.model.log_prob(parameters, rows, z), rows)
        if self.divergence is None:
            return loss
        draws = self.model.latent_density(parameters).sample(len(z), generator).to(z)
        weight = None if (rows.weight == rows.weight[0]).all() else rows.weight
        distance = self.divergence(z, draws, generator, weight)  # type: ignore[operator]
        return loss + beta * self.model.likelihood.n_columns * distance


def fresh(rows: Data, model: LatentModel, generator: torch.Generator) -> Data:
    """Rows as a step of the training sees them: values that are drawn afresh each time."""
    y = model.likelihood.refresh(rows.y, generator)
    return rows if y is rows.y else replace(rows, X=y, y=y)


def _normals(shape: tuple[int, ...], like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(shape, dtype=like.dtype, device=like.device, generator=generator)


def _mean(values: Tensor, rows: Data) -> Tensor:
    """Weighted mean over rows, the first axis; weights are 1 on average over all batches."""
    weight = rows.weight if values.ndim == 1 else rows.weight[:, None]
    return (weight * values).mean(0)
