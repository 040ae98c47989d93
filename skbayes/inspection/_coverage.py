"""Coverage of intervals of every level."""

from __future__ import annotations

from typing import Any

import numpy as np

from skbayes.inspection._axes import get_axes
from skbayes.metrics import interval_coverage

LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)


class CoverageDisplay:
    """Share of held-out targets inside their intervals, against the share asked for.

    On the diagonal intervals are honest; below it they are too narrow, above it too wide.
    Make one by `from_estimator` or `from_predictions`.

    Parameters
    ----------
    nominal : ndarray of shape (n_levels,)
        Coverage asked for.
    observed : ndarray of shape (n_levels,)
        Coverage found.
    n_rows : int
        Number of targets behind it.
    name : str, optional
        Label of the curve.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where the last plot was drawn.
    figure_ : matplotlib Figure
        Its figure.

    See Also
    --------
    skbayes.metrics.interval_coverage : The number at one level.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.stats import norm
    >>> from skbayes.inspection import CoverageDisplay
    >>> y, levels = norm.ppf([0.1, 0.3, 0.5, 0.7, 0.9]), np.array([0.5, 0.9])
    >>> half = norm.ppf((1 + levels) / 2)[:, None]
    >>> intervals = np.stack(np.broadcast_arrays(-half, half + 0 * y), axis=-1)
    >>> display = CoverageDisplay.from_predictions(y, intervals, levels)
    >>> display.observed
    array([0.6, 1. ])
    """

    def __init__(
        self, *, nominal: np.ndarray, observed: np.ndarray, n_rows: int, name: str | None = None
    ) -> None:
        self.nominal = nominal
        self.observed = observed
        self.n_rows = n_rows
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        levels: Any = LEVELS,
        name: str | None = None,
        ax: Any = None,
    ) -> CoverageDisplay:
        """Predict intervals with a fitted regressor, or what holds one, and draw.

        Parameters
        ----------
        estimator : estimator
            Fitted.
        X : array-like of shape (n_rows, n_features)
            Rows that were not fitted.
        y : array-like of shape (n_rows,) or (n_rows, n_targets)
            Their targets.
        levels : array-like of float, default=(0.1, ..., 0.9, 0.95)
            Coverages to ask for.
        name : str, optional
            Label of the curve; the estimator's class by default.
        ax : matplotlib Axes, optional
            A new figure's by default.

        Returns
        -------
        display : CoverageDisplay
        """
        from skbayes.verbs import predict_interval

        intervals = [predict_interval(estimator, X, coverage=float(level)) for level in levels]
        return cls.from_predictions(
            y, intervals, levels, name=name or type(estimator).__name__, ax=ax
        )

    @classmethod
    def from_predictions(
        cls, y_true: Any, intervals: Any, levels: Any, *, name: str | None = None, ax: Any = None
    ) -> CoverageDisplay:
        """Draw intervals that are at hand.

        Parameters
        ----------
        y_true : array-like of shape (n_rows,) or (n_rows, n_targets)
            Targets.
        intervals : array-like of shape (n_levels, n_rows, 2) or (n_levels, n_rows, n_targets, 2)
            Intervals of each level.
        levels : array-like of shape (n_levels,)
            Coverage asked for at each level.
        name : str, optional
            Label of the curve.
        ax : matplotlib Axes, optional
            A new figure's by default.

        Returns
        -------
        display : CoverageDisplay
        """
        if len(intervals) != len(levels):
            raise ValueError(f"there are {len(intervals)} intervals but {len(levels)} levels")
        observed = np.array([interval_coverage(y_true, interval) for interval in intervals])
        display = cls(
            nominal=np.asarray(levels, dtype=float),
            observed=observed,
            n_rows=int(np.size(y_true)),
            name=name,
        )
        return display.plot(ax=ax)

    def plot(self, ax: Any = None) -> CoverageDisplay:
        """Draw, with the band in which nine curves of ten lie by chance at each level.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            A new figure's by default.

        Returns
        -------
        self : CoverageDisplay
        """
        from scipy.stats import binom

        ax = get_axes(ax)
        grid = np.linspace(0, 1, 101)
        low, high = binom.interval(0.9, self.n_rows, grid[1:-1])
        ax.plot([0, 1], [0, 1], ":", color="0.4", label="honest")
        band = {"color": "0.85", "linewidth": 0, "label": f"90% chance, {self.n_rows} targets"}
        ax.fill_between(grid[1:-1], low / self.n_rows, high / self.n_rows, **band)
        ax.plot(self.nominal, self.observed, "o-", markersize=4, label=self.name)
        ax.set(xlabel="coverage asked for", ylabel="coverage found", xlim=(0, 1), ylim=(0, 1))
        ax.legend(frameon=False)
        self.ax_, self.figure_ = ax, ax.figure
        return self
