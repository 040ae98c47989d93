"""Scores of predictive intervals."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_array


def interval_coverage(y_true: Any, interval: Any, *, sample_weight: Any = None) -> float:
    """Share of targets inside their intervals, bounds included.

    Parameters
    ----------
    y_true : array-like of shape (n_rows,) or (n_rows, n_targets)
        Targets.
    interval : array-like of shape (n_rows, 2) or (n_rows, n_targets, 2)
        Lower and upper bounds, as `predict_interval` returns them.
    sample_weight : array-like of shape (n_rows,), optional
        Weights of the rows.

    Returns
    -------
    coverage : float
        Between 0 and 1; to be compared with the probability that was asked for.

    Examples
    --------
    >>> from skbayes.metrics import interval_coverage
    >>> interval_coverage([1.0, 2.0, 3.0, 9.0], [[0, 2], [0, 2], [0, 2], [8, 10]])
    0.75
    """
    y, low, high = _bounds(y_true, interval)
    return _mean((low <= y) & (y <= high), sample_weight)


def interval_width(interval: Any, *, sample_weight: Any = None) -> float:
    """Mean width of intervals.

    Parameters
    ----------
    interval : array-like of shape (n_rows, 2) or (n_rows, n_targets, 2)
        Lower and upper bounds, as `predict_interval` returns them.
    sample_weight : array-like of shape (n_rows,), optional
        Weights of the rows.

    Returns
    -------
    width : float
        In the units of the target. Narrow is good only at the right coverage.

    Examples
    --------
    >>> from skbayes.metrics import interval_width
    >>> interval_width([[0.0, 2.0], [1.0, 5.0]])
    3.0
    """
    _, low, high = _bounds(None, interval)
    return _mean(high - low, sample_weight)


def interval_score(
    y_true: Any, interval: Any, *, coverage: float, sample_weight: Any = None
) -> float:
    """Mean interval score: width, plus a fine for each target outside; lower is better.

    A proper score: no interval does better, on average, than the true central one.

    Parameters
    ----------
    y_true : array-like of shape (n_rows,) or (n_rows, n_targets)
        Targets.
    interval : array-like of shape (n_rows, 2) or (n_rows, n_targets, 2)
        Lower and upper bounds, as `predict_interval` returns them.
    coverage : float
        Probability that the intervals were made for, which they don't show: with another,
        the score is not proper. `predict_interval` makes them for 0.9 by default.
    sample_weight : array-like of shape (n_rows,), optional
        Weights of the rows.

    Returns
    -------
    score : float
        In the units of the target.

    References
    ----------
    Gneiting and Raftery (2007), Strictly proper scoring rules, eq. 43.

    Examples
    --------
    >>> from skbayes.metrics import interval_score
    >>> interval_score([1.0, 3.0], [[0.0, 2.0], [0.0, 2.0]], coverage=0.5)
    4.0
    """
    if not 0 < coverage < 1:
        raise ValueError(f"coverage must lie between 0 and 1, got {coverage!r}")
    y, low, high = _bounds(y_true, interval)
    outside = np.maximum(low - y, 0) + np.maximum(y - high, 0)
    return _mean(high - low + 2 / (1 - coverage) * outside, sample_weight)


def check_targets(y_true: Any) -> np.ndarray:
    """Targets of any shape as numbers; missing and infinite ones are refused."""
    return check_array(
        y_true, ensure_2d=False, allow_nd=True, dtype=np.float64, input_name="y_true"
    )


def _bounds(y_true: Any, interval: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Targets (zeros if there are none), lower and upper bounds, all of one shape."""
    if np.ndim(interval) < 2 or np.shape(interval)[-1] != 2:
        raise ValueError(
            f"interval must end in an axis of length 2 (lower, upper), got shape "
            f"{np.shape(interval)}; y_true comes first, then what predict_interval returns"
        )
    # A coverage that rounds to one gives the whole line.
    interval = check_array(
        interval, allow_nd=True, dtype=np.float64, ensure_all_finite=False, input_name="interval"
    )
    if np.isnan(interval).any():
        raise ValueError("interval contains NaN; give bounds as predict_interval returns them")
    low, high = interval[..., 0], interval[..., 1]
    if (low > high).any():
        row = int(np.argwhere(low > high)[0, 0])
        raise ValueError(f"interval has a lower bound above its upper bound in row {row}")
    y = np.zeros_like(low) if y_true is None else check_targets(y_true)
    if y.shape != low.shape:
        raise ValueError(
            f"y_true has shape {y.shape} but interval has shape {interval.shape}; give "
            "(n_rows,) with (n_rows, 2), or (n_rows, n_targets) with (n_rows, n_targets, 2)"
        )
    return y, low, high


def _mean(values: np.ndarray, sample_weight: Any) -> float:
    """Weighted mean over rows, plain mean over targets."""
    rows = values.reshape(len(values), -1).mean(axis=1)
    return float(np.average(rows, weights=sample_weight))
