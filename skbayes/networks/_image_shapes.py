"""Flat rows that are images: their shapes, and what convolutions of stride 2 make of them."""

from __future__ import annotations

from collections.abc import Sequence

#: Width of every kernel; with it, a stride of 2 and a margin of 1 halve a side, rounded up.
KERNEL = 3


def check_image_shape(image_shape: Sequence[int], n_features: int) -> tuple[int, int, int]:
    """Refuse a shape that is not three positive integers whose product is n_features."""
    shape = tuple(image_shape)
    if len(shape) != 3 or any(int(side) != side or side < 1 for side in shape):
        raise ValueError(
            f"image_shape={image_shape!r} is not (channels, height, width) of positive integers"
        )
    channels, height, width = (int(side) for side in shape)
    if channels * height * width != n_features:
        raise ValueError(
            f"image_shape={image_shape!r} has {channels * height * width} numbers, but X has "
            f"{n_features} columns; rows are images, flattened channel by channel"
        )
    return channels, height, width


def halved_sides(height: int, width: int, n_times: int) -> list[tuple[int, int]]:
    """Heights and widths of an image before and after each halving."""
    sides = [(height, width)]
    for _ in range(n_times):
        height, width = (height + 1) // 2, (width + 1) // 2
        sides.append((height, width))
    return sides


def extra_sides(before: tuple[int, int], after: tuple[int, int]) -> list[int]:
    """What a transposed convolution adds: an even side is one longer than its half, doubled."""
    return [a - (2 * b - 1) for a, b in zip(after, before, strict=True)]
