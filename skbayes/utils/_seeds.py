"""Private random streams: one integer seed a purpose, drawn in a fixed order."""

from __future__ import annotations

import numpy as np
from sklearn.utils import check_random_state

PURPOSES = ("init", "training", "evidence", "prediction")


def seed_streams(random_state) -> dict[str, int]:
    """Draw one integer seed per purpose, in a fixed order, from ``random_state``.

    None takes fresh entropy, because global random state is never touched.
    """
    rng = np.random.RandomState() if random_state is None else check_random_state(random_state)
    seeds = rng.randint(np.iinfo(np.int32).max, size=len(PURPOSES))
    return {name: int(seed) for name, seed in zip(PURPOSES, seeds, strict=True)}
