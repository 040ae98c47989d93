"""Bottlenecks: how latents of rows are read off an encoder's outputs.

A bottleneck is a part of an estimator, and takes part in a fit in four steps:

- ``prepare(n_latents)`` returns a copy for so many latents; `n_outputs` is then what the
  encoder's last layer must have;
- ``init(generator)`` returns tensors of its own, by name (none for those of this module);
- ``read(outputs, tensors)`` returns the latents of rows (N, ...) as `NormalLatents`, or as what
  offers the same; autograd sees it;
- ``settle(tensors, outputs)`` is called after each step where `settles` is true, and may move
  tensors that no gradient moves, in place.
"""

from __future__ import annotations

from typing import Any, Self

import torch
from sklearn.base import clone
from torch import Tensor
from torch.nn.functional import softplus

from skbayes.latent._normal_latents import LEAST_STD, NormalLatents
from skbayes.utils._parameters import Parametrised

#: Tensors by name.
Tensors = dict[str, Tensor]


class Bottleneck(Parametrised):
    """Base of bottlenecks, without tensors of its own.

    Attributes
    ----------
    n_latents : int
        Number q of latents, once prepared.
    """

    #: Whether an objective has to train widths, which `Matched` does not.
    has_widths = True
    #: Whether latents have a density, so that rows have one.
    has_density = True
    #: Whether `settle` moves its tensors after each step.
    settles = False

    n_latents: int

    def prepare(self, n_latents: int) -> Self:
        """Copy the bottleneck for so many latents."""
        own = clone(self)
        own.n_latents = n_latents
        return own

    @property
    def n_outputs(self) -> int:
        """Units that the encoder's last layer must have."""
        raise NotImplementedError(f"{type(self).__name__} must define n_outputs")

    def init(self, generator: torch.Generator) -> Tensors:
        """Make its tensors, by name."""
        return {}

    def read(self, outputs: Tensor, tensors: Tensors) -> NormalLatents:
        """Read the latents of rows off outputs (N, n_outputs)."""
        raise NotImplementedError(f"{type(self).__name__} must define read")

    def settle(self, tensors: Tensors, outputs: Tensor) -> None:
        """Move its tensors in place, by the outputs of a batch."""


class Point(Bottleneck):
    """Means alone, with the least spread."""

    has_widths = False

    @property
    def n_outputs(self) -> int:
        """Units of the means."""
        return self.n_latents

    def read(self, outputs: Tensor, tensors: Tensors) -> NormalLatents:
        """Read means."""
        return NormalLatents(outputs, torch.full_like(outputs, LEAST_STD))


class DiagonalNormal(Bottleneck):
    """Normal latents that are independent given the row.

    Examples
    --------
    >>> from skbayes.latent import DiagonalNormal
    >>> DiagonalNormal().prepare(3).n_outputs
    6
    """

    @property
    def n_outputs(self) -> int:
        """Units of means and widths."""
        return 2 * self.n_latents

    def _means_and_widths(self, outputs: Tensor) -> tuple[Tensor, Tensor]:
        q = self.n_latents
        # Softplus, for exp would overflow on rows far from the training data.
        return outputs[:, :q], softplus(outputs[:, q : 2 * q]) + LEAST_STD

    def read(self, outputs: Tensor, tensors: Tensors) -> NormalLatents:
        """Read means and standard deviations."""
        return NormalLatents(*self._means_and_widths(outputs))


class FullNormal(DiagonalNormal):
    """Normal latents with a covariance of their own a row, by its Cholesky factor.

    Examples
    --------
    >>> from skbayes.latent import FullNormal
    >>> FullNormal().prepare(3).n_outputs
    9
    """

    def prepare(self, n_latents: int) -> Self:
        """Copy the bottleneck for so many latents."""
        own = super().prepare(n_latents)
        own._below = torch.tril_indices(n_latents, n_latents, offset=-1)
        return own

    @property
    def n_outputs(self) -> int:
        """Units of means, widths and what is below the factor's diagonal."""
        return super().n_outputs + self._below.shape[1]

    def read(self, outputs: Tensor, tensors: Tensors) -> NormalLatents:
        """Read means and Cholesky factors."""
        mean, std = self._means_and_widths(outputs)
        root = torch.diag_embed(std)
        root[:, self._below[0], self._below[1]] = outputs[:, 2 * self.n_latents :]
        return NormalLatents(mean, root)


class CommonSpread(Bottleneck):
    """Latents around the encoder's outputs, with one covariance for all rows.

    Parameters
    ----------
    root : Tensor of shape (q, q)
        Lower Cholesky factor of the covariance.
    """

    def __init__(self, root: Tensor) -> None:
        self.root = root

    def read(self, outputs: Tensor, tensors: Tensors) -> NormalLatents:
        """Put the covariance around outputs (N, q)."""
        return NormalLatents(outputs, self.root.to(outputs).expand(len(outputs), -1, -1))


#: Bottlenecks by the names that variational autoencoders accept.
BOTTLENECKS: dict[str, Any] = {"diag": DiagonalNormal, "full": FullNormal}
