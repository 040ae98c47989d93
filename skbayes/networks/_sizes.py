"""Sizes of hidden layers, as estimators are given them."""

from __future__ import annotations

from numbers import Integral
from typing import Any


def layer_sizes(name: str, sizes: Any) -> list[int]:
    """Units of hidden layers, one number or several, as a list of integers."""
    listed = (sizes,) if isinstance(sizes, Integral) else tuple(sizes)
    for size in listed:
        if not isinstance(size, Integral) or isinstance(size, bool) or size < 1:
            raise ValueError(f"{name} must be positive integers, got {sizes!r}; () leaves them out")
    return [int(size) for size in listed]
