"""Warnings that point at the line of the user's that led to them."""

from __future__ import annotations

import sys
import warnings

#: What may stand between that line and ours: this package, what it is called through, and what
#: wraps its functions.
BETWEEN = {
    *("skbayes", "sklearn", "skorch", "torch", "numpy", "scipy", "joblib", "threadpoolctl"),
    *("contextlib", "functools"),
}


def warn(message: str | Warning, category: type[Warning] = UserWarning) -> None:
    """Issue a warning at the nearest caller outside this package and those around it.

    How deep a function stands under a public one changes with every refactoring, and
    ``skip_file_prefixes`` came with Python 3.12.

    Parameters
    ----------
    message : str or Warning
        What happened, and what to type.
    category : type of Warning, default=UserWarning
        Its class, where the message is a string.
    """
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and _is_between(frame.f_globals.get("__name__", "")):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


def _is_between(module: str) -> bool:
    return module.partition(".")[0] in BETWEEN
