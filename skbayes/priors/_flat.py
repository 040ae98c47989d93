"""Flat (improper) prior."""

from __future__ import annotations

import torch
from torch import Tensor

from skbayes.exceptions import IncompatiblePartsError
from skbayes.priors._base import Prior


class Flat(Prior):
    """No preference at all: maximum likelihood, an improper prior without evidence.

    The posterior may be improper too (more weights than rows); engines then stop at
    their iteration budget rather than at an answer.

    Examples
    --------
    >>> from skbayes.priors import Flat
    >>> Flat().proper
    False
    """

    _parameter_constraints: dict = {}
    proper = False
    scale = 1.0  # type: ignore[assignment]
    fan_in_scaling = True  # type: ignore[assignment]

    def __init__(self) -> None:
        pass

    def log_base(self, z: Tensor) -> Tensor:
        """Zero: densities are relative."""
        return torch.zeros_like(z)

    def score_base(self, z: Tensor) -> Tensor:
        """Zero."""
        return torch.zeros_like(z)

    def curvature_base(self, z: Tensor) -> Tensor:
        """Zero."""
        return torch.zeros_like(z)

    def sample_base(self, shape, like: Tensor, generator) -> Tensor:
        """Refused: an improper prior cannot be drawn from."""
        raise IncompatiblePartsError(
            "prior='flat' is improper and cannot be sampled; use prior='normal' instead"
        )
