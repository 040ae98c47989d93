"""Densities of codes before any row is seen; `LATENT_PRIORS` is the table of their names.

A latent prior is built from the numbers of codes and of components, and takes part in a fit
in three steps:

- ``init(rows, generator)`` returns the tensors that are trained along with the networks
  (an empty dict for a fixed prior); ``rows`` (N, n_inputs) are the encoder's inputs;
- ``bind(weights, encode)`` returns the density at present values of these tensors, where
  ``encode(rows) -> NormalCodes`` is the encoder at its present weights. It is called once
  a batch, so what many codes share is computed there;
- ``refit(codes, weight, generator)`` is called once after training with the training
  rows' codes, one draw each, and returns tensors that replace the trained ones.

The bound density has ``log_prob(z)`` (..., q) -> (...), ``sample(n, generator)`` -> (n, q),
``kl(codes, z)`` -> (N, 1) or by code (N, q), whose sum over the last axis is the divergence
of a `NormalCodes` from it, in nats, exact or at one draw ``z`` (N, q) of it, and
``precision(z)`` (N, q) -> (N, q, q) or (q, q), a positive definite curvature of its
negative log density, for Newton steps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from skbayes.autoencoder._codes import NormalCodes
from skbayes.autoencoder._networks import Weights
from skbayes.utils._logs import LOG_2PI

Encode = Callable[[Tensor], NormalCodes]


class CodeDensity(Protocol):
    """A prior at present values of its tensors."""

    def log_prob(self, z: Tensor) -> Tensor:
        """Log density (...) of codes (..., q)."""

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Codes (n, q)."""

    def kl(self, codes: NormalCodes, z: Tensor) -> Tensor:
        """Divergence of each row's codes, (N, 1) or by code (N, q), in nats."""

    def precision(self, z: Tensor) -> Tensor:
        """Curvature (N, q, q) or (q, q) at codes (N, q), positive definite."""


class LatentPrior:
    """Base of latent priors: nothing to train, nothing to refit.

    Parameters
    ----------
    n_codes : int
        Number q of codes.
    n_components : int, optional
        Number of components, of a mixture; None takes ``default_components``.
    """

    #: Whether its divergence is known by code, which free bits need.
    by_code = False
    #: Whether `refit` replaces it after training, which needs all rows at once.
    refits = False
    #: Whether it encodes rows of its own, which have no targets to be conditioned on.
    encodes = False
    default_components = 1

    def __init__(self, n_codes: int, n_components: int | None = None) -> None:
        self.n_codes = n_codes
        self.n_components = n_components or self.default_components

    def init(self, rows: Tensor, generator: torch.Generator) -> Weights:
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

    def bind(self, weights: Weights, encode: Encode) -> CodeDensity:
        """The density at present values of the tensors.

        Parameters
        ----------
        weights : dict of Tensor
            As `init` named them.
        encode : callable
            ``encode(rows) -> NormalCodes``, the encoder at its present weights.

        Returns
        -------
        density : CodeDensity
        """
        raise NotImplementedError(f"{type(self).__name__} must define bind")

    def refit(self, codes: Tensor, weight: Tensor, generator: torch.Generator) -> Weights | None:
        """Tensors after training.

        Parameters
        ----------
        codes : Tensor of shape (N, q)
            Codes of the training rows, one draw each.
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
    """Independent standard normal codes."""

    by_code = True

    def bind(self, weights: Weights, encode: Encode) -> CodeDensity:
        """The density, which has no parameters."""
        return _StandardDensity(self.n_codes)


class _StandardDensity:
    def __init__(self, n_codes: int) -> None:
        self.n_codes = n_codes

    def log_prob(self, z: Tensor) -> Tensor:
        return -0.5 * (z.square().sum(-1) + self.n_codes * LOG_2PI)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        return torch.randn(n, self.n_codes, generator=generator, device=generator.device)

    def kl(self, codes: NormalCodes, z: Tensor) -> Tensor:
        return codes.kl_to_standard()

    def precision(self, z: Tensor) -> Tensor:
        return torch.eye(self.n_codes, dtype=z.dtype, device=z.device)
