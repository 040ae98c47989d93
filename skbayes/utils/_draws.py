"""What every verb that draws does first, without torch."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import check_random_state


def check_count(n_samples: Any) -> int:
    """Refuse a number of draws that is not a positive integer."""
    if not isinstance(n_samples, int | np.integer) or n_samples < 1:
        raise ValueError(f"n_samples must be a positive integer, got {n_samples!r}")
    return int(n_samples)


def private_rng(random_state: Any) -> np.random.RandomState:
    """NumPy's generator of a seed; None takes fresh entropy and leaves global state alone."""
    return np.random.RandomState() if random_state is None else check_random_state(random_state)
