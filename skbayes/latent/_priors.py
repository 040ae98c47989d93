"""Densities of latents before any row is seen; `LATENT_PRIORS` is the table of their names.

A latent prior is a part of an estimator, and takes part in a fit in four steps:

- ``prepare(n_latents)`` returns a copy for so many latents;
- ``init(rows, generator)`` returns the tensors that are trained along with the networks
  (an empty dict for a fixed prior); ``rows`` (N, n_inputs) are the encoder's inputs;
- ``bind(weights, encode)`` returns the density at present values of these tensors, where
  ``encode(rows) -> NormalLatents`` is the encoder at its present weights. It is called once
  a batch, so what many latents share is computed there;
- ``refit(latents, weight, generator)`` is called once after training with the training
  rows' latents, one draw each, and returns tensors that replace the trained ones.

The bound density has ``log_prob(z)`` (..., q) -> (...), ``sample(n, generator)`` -> (n, q),
``kl(latents, z)`` -> (N, 1) or by latent (N, q), whose sum over the last axis is the divergence
of a `NormalLatents` from it, in nats, exact or at one draw ``z`` (N, q) of it, and
``precision(z)`` (N, q) -> (N, q, q) or (q, q), a positive definite curvature of its
negative log density, for Newton steps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, Self

import torch
from sklearn.base import clone
from torch import Tensor

from skbayes.latent._normal_latents import NormalLatents
from skbayes.utils._logs import LOG_2PI
from skbayes.utils._parameters import Parametrised

#: Tensors by name.
Tensors = dict[str, Tensor]
Encode = Callable[[Tensor], NormalLatents]


class LatentDensity(Protocol):
    """A prior at present values of its tensors."""

    def log_prob(self, z: Tensor) -> Tensor:
        """Log density (...) of latents (..., q)."""

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Latents (n, q)."""

    def kl(self, latents: NormalLatents, z: Tensor) -> Tensor:
        """Divergence of each row's latents, (N, 1) or by latent (N, q), in nats."""

    def precision(self, z: Tensor) -> Tensor:
        """Curvature (N, q, q) or (q, q) at latents (N, q), positive definite."""


class LatentPrior(Parametrised):
    """Base of latent priors: nothing to train, nothing to refit.

    Attributes
    ----------
    n_latents : int
        Number q of latents, once prepared.
    """

    #: Whether its divergence is known by latent, which free bits need.
    by_latent = False
    #: Whether `refit` replaces it after training, which needs all rows at once.
    refits = False
    #: Whether it encodes rows of its own, which have no targets to be conditioned on.
    encodes = False

    n_latents: int

    def prepare(self, n_latents: int) -> Self:
        """Copy the prior for so many latents.

        Parameters
        ----------
        n_latents : int
            Number q of latents.

        Returns
        -------
        prior : LatentPrior
        """
        own = clone(self)
        own.n_latents = n_latents
        return own

    def init(self, rows: Tensor, generator: torch.Generator) -> Tensors:
        """Tensors to train, by name.

        Parameters
        ----------
        rows : Tensor of shape (N, n_inputs)
            The encoder's inputs.
        generator : torch.Generator
            Of random starts.

        Returns
        -------
        weights : dict of Tensor
            Empty for a fixed prior.
        """
        return {}

    def bind(self, weights: Tensors, encode: Encode) -> LatentDensity:
        """The density at present values of the tensors.

        Parameters
        ----------
        weights : dict of Tensor
            As `init` named them.
        encode : callable
            ``encode(rows) -> NormalLatents``, the encoder at its present weights.

        Returns
        -------
        density : LatentDensity
        """
        raise NotImplementedError(f"{type(self).__name__} must define bind")

    def refit(self, latents: Tensor, weight: Tensor, generator: torch.Generator) -> Tensors | None:
        """Tensors after training.

        Parameters
        ----------
        latents : Tensor of shape (N, q)
            Latents of the training rows, one draw each.
        weight : Tensor of shape (N,)
            The rows' weights.
        generator : torch.Generator
            Of random starts.

        Returns
        -------
        weights : dict of Tensor, or None
            None keeps the trained ones.
        """
        return None


class StandardNormal(LatentPrior):
    """Independent standard normal latents.

    Its divergence from q(z | x) is exact, and known by latent.

    Examples
    --------
    >>> from skbayes import VAETransformer
    >>> from skbayes.latent import StandardNormal
    >>> vae = VAETransformer(2, latent_prior=StandardNormal())
    """

    by_latent = True

    def bind(self, weights: Tensors, encode: Encode) -> LatentDensity:
        """The density, which has no parameters."""
        return _StandardDensity(self.n_latents)


class _StandardDensity:
    def __init__(self, n_latents: int) -> None:
        self.n_latents = n_latents

    def log_prob(self, z: Tensor) -> Tensor:
        return -0.5 * (z.square().sum(-1) + self.n_latents * LOG_2PI)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        return torch.randn(n, self.n_latents, generator=generator, device=generator.device)

    def kl(self, latents: NormalLatents, z: Tensor) -> Tensor:
        return latents.kl_to_standard()

    def precision(self, z: Tensor) -> Tensor:
        return torch.eye(self.n_latents, dtype=z.dtype, device=z.device)
