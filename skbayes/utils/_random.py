"""Private random numbers: one torch generator a seed."""

from __future__ import annotations

from typing import Any

import torch

from skbayes.utils._draws import seed_streams


def make_generator(seed: int, device: str | torch.device = "cpu") -> torch.Generator:
    """Return a private generator, so that global random state is never touched."""
    return torch.Generator(device=device).manual_seed(int(seed))


def torch_draw_generator(random_state: Any) -> torch.Generator:
    """Return torch's generator for the draws of a verb, as `draw_generator` is NumPy's."""
    return make_generator(seed_streams(random_state)["draws"])


def randn(shape, like: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Draw standard normals with the dtype and device of ``like``."""
    return torch.randn(shape, dtype=like.dtype, device=like.device, generator=generator)


def rand(shape, like: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Draw uniforms on [0, 1) with the dtype and device of ``like``."""
    return torch.rand(shape, dtype=like.dtype, device=like.device, generator=generator)
