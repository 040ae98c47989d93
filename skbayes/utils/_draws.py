"""What everything that draws does first, without torch: counts, generators, seeds."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

#: Those of a fit, then those of the verbs that draw: a draw seeded as the fit was shares
#: no random number with it.
PURPOSES = ("init", "training", "evidence", "prediction", "draws", "noise")


def check_count(n_samples: Any) -> int:
    """Refuse a number of draws that is not a positive integer."""
    if not isinstance(n_samples, Integral) or n_samples < 1:
        raise ValueError(f"n_samples must be a positive integer, got {_in_short(n_samples)}")
    return int(n_samples)


def _in_short(value: Any) -> str:
    """A value in a message; of a table its shape, for it was meant for another parameter."""
    shape = np.shape(value)
    if not shape:
        return repr(value)
    return (
        f"a table of shape {shape}; draws for rows are sample_posterior(X, 10) or "
        "sample_y(X, n_samples=10)"
    )


def private_rng(random_state: Any) -> np.random.RandomState:
    """NumPy's generator of a seed; None takes fresh entropy and leaves global state alone."""
    return np.random.RandomState() if random_state is None else check_random_state(random_state)


def seed_streams(random_state: Any) -> dict[str, int]:
    """One integer seed per purpose, drawn in a fixed order."""
    seeds = private_rng(random_state).randint(np.iinfo(np.int32).max, size=len(PURPOSES))
    return {name: int(seed) for name, seed in zip(PURPOSES, seeds, strict=True)}


def draw_generator(random_state: Any) -> np.random.Generator:
    """NumPy's generator for the draws of a verb."""
    return np.random.default_rng(seed_streams(random_state)["draws"])
