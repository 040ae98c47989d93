"""Units of the coordinates, learned from gradients during the warm-up."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

#: Weight, in steps, of the prior's unit curvature in the average of squared gradients.
PRIOR_STEPS = 2


@dataclass
class GradientMoments:
    """Running mean of squared gradients over chains and steps.

    Parameters
    ----------
    total : Tensor of shape (P,)
        Sum over steps of the squares' mean over chains.
    count : int
        Steps summed.
    """

    total: Tensor
    count: int = 0

    @classmethod
    def empty(cls, like: Tensor) -> GradientMoments:
        """Nothing seen, for a vector like this one."""
        return cls(torch.zeros_like(like))

    def update(self, grad: Tensor) -> None:
        """Add the gradients (S, P) of one step."""
        self.total += (grad * grad).mean(0)
        self.count += 1

    def norm(self, scale: Tensor) -> float:
        """Root mean squared norm of the scaled gradient."""
        return float((self.total * scale * scale).sum() / self.count) ** 0.5

    def scale(self) -> Tensor:
        """Scale (P,) of each coordinate: the fourth root of 1 / mean squared gradient.

        Squared, it is the inverse mass of scale-adapted SGHMC. In whitened coordinates
        the prior alone has mean squared gradient 1, towards which the mean is shrunk.

        References
        ----------
        Springenberg et al. (2016), Bayesian optimization with robust Bayesian neural
        networks, section 3.1.
        """
        mean = (self.total + PRIOR_STEPS) / (self.count + PRIOR_STEPS)
        return mean.clamp_min(1e-12) ** -0.25
