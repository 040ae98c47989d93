"""The stiffest direction of the log joint, which bounds every integrator's step."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from skbayes.utils._random import randn

#: Power iterations; each needs two gradients. More would sharpen a number that only has
#: to be right to a fifth.
N_ITERATIONS = 12
#: Reach of the finite difference in units of the coordinates: the prior has sd 1.
REACH = 1e-2


@torch.no_grad()
def largest_curvature(
    gradient: Callable[[Tensor], Tensor], params: Tensor, scale: Tensor, generator: torch.Generator
) -> float:
    """Largest eigenvalue, over chains, of the scaled Hessian of minus the log joint.

    Parameters
    ----------
    gradient : callable
        Gradient (S, P) of the log joint at positions (S, P).
    params : Tensor of shape (S, P)
        Where; every chain has its own Hessian.
    scale : Tensor of shape (P,)
        Unit of each coordinate.
    generator : torch.Generator
        Source of the first directions.

    Returns
    -------
    curvature : float
        Never below 1, the prior's own in whitened coordinates.
    """
    direction = randn(params.shape, params, generator)
    size = direction.norm(dim=1)
    for _ in range(N_ITERATIONS):
        direction = direction / direction.norm(dim=1, keepdim=True)
        move = REACH * scale * direction
        difference = gradient(params + move) - gradient(params - move)
        direction = difference * scale * (-0.5 / REACH)
        size = direction.norm(dim=1)
    return max(1.0, float(size.max()))
