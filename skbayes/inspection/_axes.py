"""The one place that imports matplotlib."""

from __future__ import annotations

from typing import Any


def get_axes(ax: Any) -> Any:
    """The given axes, or the axes of a new figure."""
    if ax is not None:
        return ax
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError("drawing needs matplotlib; type: pip install matplotlib") from error
    return plt.subplots()[1]
