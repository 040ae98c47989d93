"""Rows as pictures, and pictures side by side."""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def find_image_shape(estimator: Any, n_features: int, image_shape: Any) -> tuple[int, int, int]:
    """Channels, height and width of a row: given, the encoder's, or a grey square's."""
    if image_shape is None and hasattr(estimator, "steps"):
        estimator = estimator.steps[-1][1]
    own = getattr(getattr(estimator, "encoder", None), "image_shape", None)
    shape = own if image_shape is None else image_shape
    if shape is None:
        side = math.isqrt(n_features)
        shape = (side, side)
    shape = tuple(int(size) for size in shape)
    shape = (1, *shape) if len(shape) == 2 else shape
    if len(shape) != 3 or shape[0] not in (1, 3) or math.prod(shape) != n_features:
        raise ValueError(
            f"rows of {n_features} features are no pictures of shape {shape}; give "
            "image_shape=(height, width) or (1 or 3, height, width) whose product is "
            f"{n_features}"
        )
    return shape


def as_images(rows: Any, shape: tuple[int, int, int]) -> np.ndarray:
    """Pictures (n, height, width), or (n, height, width, 3) in colours."""
    images = np.asarray(rows, dtype=np.float64).reshape(-1, *shape)
    return images[:, 0] if shape[0] == 1 else np.moveaxis(images, 1, -1)


def mosaic(images: np.ndarray, n_columns: int) -> np.ndarray:
    """One picture of pictures (n, H, W, ...), row by row; what is missing at the end is NaN."""
    n, height, width, *colours = images.shape
    n_rows = -(-n // n_columns)
    padded = np.full((n_rows * n_columns, height, width, *colours), np.nan)
    padded[:n] = images
    grid = padded.reshape(n_rows, n_columns, height, width, *colours).swapaxes(1, 2)
    return grid.reshape(n_rows * height, n_columns * width, *colours)


def show(ax: Any, picture: np.ndarray, cmap: str, **options: Any) -> Any:
    """Draw a picture without ticks; colours are brought to [0, 1]."""
    if picture.ndim == 3:
        low, high = np.nanmin(picture), np.nanmax(picture)
        picture = np.nan_to_num((picture - low) / max(high - low, 1e-300))
    drawn = ax.imshow(picture, cmap=cmap, **options)
    ax.set_xticks([])
    ax.set_yticks([])
    return drawn
