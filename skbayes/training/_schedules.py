"""How a learning rate falls, as a share of the first one."""

from __future__ import annotations

import math
from collections.abc import Callable

#: Share of the steps over which a held rate stays, before it falls.
HELD = 0.5


def constant(share: float) -> float:
    """The first rate throughout, where ``share`` in [0, 1) of the steps were taken."""
    return 1.0


def cosine(share: float) -> float:
    """Half a period of a cosine, down to nothing."""
    return 0.5 * (1 + math.cos(math.pi * share))


def held(share: float) -> float:
    """The first rate over half of the steps, then along a cosine."""
    return cosine(max(0.0, (share - HELD) / (1 - HELD)))


RATES: dict[str, Callable[[float], float]] = {"constant": constant, "cosine": cosine, "held": held}
