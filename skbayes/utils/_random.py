"""Private random numbers: one torch generator a seed."""

from __future__ import annotations

import torch


def make_generator(seed: int, device: str | torch.device = "cpu") -> torch.Generator:
    """Return a private generator, so that global random state is never touched."""
    return torch.Generator(device=device).manual_seed(int(seed))


def randn(shape, like: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Draw standard normals with the dtype and device of ``like``."""
    return torch.randn(shape, dtype=like.dtype, device=like.device, generator=generator)


def rand(shape, like: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Draw uniforms on [0, 1) with the dtype and device of ``like``."""
    return torch.rand(shape, dtype=like.dtype, device=like.device, generator=generator)
