"""Private random streams: one integer seed a purpose, one torch generator a seed."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.utils import check_random_state

PURPOSES = ("init", "training", "evidence", "prediction")


def seed_streams(random_state) -> dict[str, int]:
    """Draw one integer seed per purpose, in a fixed order, from ``random_state``.

    None takes fresh entropy, because global random state is never touched.
    """
    rng = np.random.RandomState() if random_state is None else check_random_state(random_state)
    seeds = rng.randint(np.iinfo(np.int32).max, size=len(PURPOSES))
    return {name: int(seed) for name, seed in zip(PURPOSES, seeds, strict=True)}


def make_generator(seed: int, device: str | torch.device = "cpu") -> torch.Generator:
    """Return a private generator, so that global random state is never touched."""
    return torch.Generator(device=device).manual_seed(int(seed))


def randn(shape, like: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Draw standard normals with the dtype and device of ``like``."""
    return torch.randn(shape, dtype=like.dtype, device=like.device, generator=generator)


def rand(shape, like: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Draw uniforms on [0, 1) with the dtype and device of ``like``."""
    return torch.rand(shape, dtype=like.dtype, device=like.device, generator=generator)
