"""Quasi-random normal draws, which fill space more evenly than random ones."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri
from scipy.stats import qmc


def sobol_normals(n: int, size: int, seed: int) -> np.ndarray:
    """Scrambled Sobol points (n, size), mapped to standard normals."""
    sequence = qmc.Sobol(size, rng=np.random.default_rng(seed))
    points = sequence.random_base2(int(np.ceil(np.log2(n))))[:n]
    return ndtri(np.clip(points, 1e-12, 1 - 1e-12))
