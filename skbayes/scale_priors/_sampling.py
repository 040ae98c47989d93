"""Draws that several families are made of."""

from __future__ import annotations

import torch
from torch import Tensor

from skbayes.utils._random import rand


def log_gamma_draws(
    concentration: float, shape, like: Tensor, generator: torch.Generator
) -> Tensor:
    """Draw logarithms of Gamma(concentration, 1).

    Draws of a small concentration underflow, their logarithms do not: they are those of one
    more, times a uniform to the power of 1 / concentration (Marsaglia and Tsang, 2000).
    """
    double = torch.empty(0, dtype=torch.float64, device=like.device)
    more = torch.full(tuple(shape), concentration + 1, dtype=double.dtype, device=like.device)
    log_draws = torch._standard_gamma(more, generator=generator).log()
    uniform = 1 - rand(shape, double, generator)
    return (log_draws + uniform.log() / concentration).to(like.dtype)
