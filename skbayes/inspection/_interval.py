"""Predictions with their intervals."""

from __future__ import annotations

from typing import Any

import numpy as np

from skbayes.inspection._axes import get_axes
from skbayes.metrics import interval_coverage


class IntervalDisplay:
    """Predicted means with predictive intervals, and the targets where they are known.

    Make one by `from_estimator` or `from_predictions`.

    Parameters
    ----------
    y_pred : ndarray of shape (n_rows,)
        Predicted means.
    interval : ndarray of shape (n_rows, 2)
        Lower and upper bounds.
    y_true : ndarray of shape (n_rows,), optional
        Targets; those outside their interval are marked.
    x : ndarray of shape (n_rows,), optional
        Horizontal position of each row; without it rows stand in the order of their
        prediction, one error bar each, with it means and intervals are curves.
    x_name : str, optional
        Label of the horizontal axis.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where the last plot was drawn.
    figure_ : matplotlib Figure
        Its figure.

    See Also
    --------
    CoverageDisplay : Are intervals of every level as wide as they should be?

    Examples
    --------
    >>> import numpy as np
    >>> from skbayes import BayesianMLPRegressor
    >>> from skbayes.inspection import IntervalDisplay
    >>> X = np.linspace(-1, 1, 40)[:, None]
    >>> y = X.ravel() + np.cos(40 * X.ravel()) / 10
    >>> reg = BayesianMLPRegressor((), inference="laplace", random_state=0).fit(X, y)
    >>> display = IntervalDisplay.from_estimator(reg, X, y, feature=0)
    >>> display.interval.shape
    (40, 2)
    """

    def __init__(
        self,
        *,
        y_pred: np.ndarray,
        interval: np.ndarray,
        y_true: np.ndarray | None = None,
        x: np.ndarray | None = None,
        x_name: str | None = None,
    ) -> None:
        self.y_pred = y_pred
        self.interval = interval
        self.y_true = y_true
        self.x = x
        self.x_name = x_name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any = None,
        *,
        coverage: float = 0.9,
        feature: int | str | None = None,
        ax: Any = None,
    ) -> IntervalDisplay:
        """Predict with a fitted regressor, or a Pipeline or search that holds one, and draw.

        Parameters
        ----------
        estimator : estimator
            Fitted, of one target.
        X : array-like of shape (n_rows, n_features)
            Rows to predict.
        y : array-like of shape (n_rows,), optional
            Their targets; those outside their interval are marked.
        coverage : float, default=0.9
            Probability that an interval holds its target.
        feature : int or str, optional
            Column of X for the horizontal axis, by number or, of a frame, by name; best where
            it is the only one that moves.
        ax : matplotlib Axes, optional
            A new figure's by default.

        Returns
        -------
        display : IntervalDisplay
        """
        from skbayes.verbs import predict_interval

        y_pred, interval = estimator.predict(X), predict_interval(estimator, X, coverage=coverage)
        x, x_name = (None, None) if feature is None else _column(X, feature)
        return cls.from_predictions(y_pred, interval, y_true=y, x=x, x_name=x_name, ax=ax)

    @classmethod
    def from_predictions(
        cls,
        y_pred: Any,
        interval: Any,
        *,
        y_true: Any = None,
        x: Any = None,
        x_name: str | None = None,
        ax: Any = None,
    ) -> IntervalDisplay:
        """Draw predictions that are at hand.

        Parameters
        ----------
        y_pred : array-like of shape (n_rows,)
            Predicted means.
        interval : array-like of shape (n_rows, 2)
            Lower and upper bounds.
        y_true : array-like of shape (n_rows,), optional
            Targets; those outside their interval are marked.
        x : array-like of shape (n_rows,), optional
            Horizontal position of each row.
        x_name : str, optional
            Label of the horizontal axis.
        ax : matplotlib Axes, optional
            A new figure's by default.

        Returns
        -------
        display : IntervalDisplay
        """
        y_pred, interval = np.asarray(y_pred), np.asarray(interval)
        if y_pred.ndim != 1 or interval.shape != (len(y_pred), 2):
            raise ValueError(
                f"y_pred has shape {y_pred.shape} and interval {interval.shape}, but a display "
                "shows one target: (n_rows,) and (n_rows, 2); pick a target, y_pred[:, 0] say"
            )
        display = cls(
            y_pred=y_pred,
            interval=interval,
            y_true=None if y_true is None else np.asarray(y_true),
            x=None if x is None else np.asarray(x),
            x_name=x_name,
        )
        return display.plot(ax=ax)

    def plot(self, ax: Any = None) -> IntervalDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            A new figure's by default.

        Returns
        -------
        self : IntervalDisplay
        """
        ax = get_axes(ax)
        order = np.argsort(self.y_pred if self.x is None else self.x, kind="stable")
        x = np.arange(len(order)) if self.x is None else self.x[order]
        mean, (low, high) = self.y_pred[order], self.interval[order].T
        if self.x is None:
            ax.vlines(x, low, high, color="C0", alpha=0.35, label="interval")
            ax.plot(x, mean, "_", color="C0", label="prediction")
        else:
            ax.fill_between(x, low, high, color="C0", alpha=0.25, linewidth=0, label="interval")
            ax.plot(x, mean, color="C0", label="prediction")
        if self.y_true is not None:
            self._plot_targets(ax, x, self.y_true[order], low, high)
        ax.set(xlabel=self.x_name or "rows, by prediction", ylabel="target")
        ax.legend(frameon=False, loc="upper left" if self.x is None else "best")
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _plot_targets(
        self, ax: Any, x: np.ndarray, y: np.ndarray, low: np.ndarray, high: np.ndarray
    ) -> None:
        inside = (low <= y) & (y <= high)
        share = interval_coverage(self.y_true, self.interval)
        ax.plot(x[inside], y[inside], ".", color="0.2", markersize=4, label=f"inside: {share:.0%}")
        ax.plot(x[~inside], y[~inside], "x", color="C3", markersize=5, label="outside")


def _column(X: Any, feature: int | str) -> tuple[np.ndarray, str]:
    """A column of rows by number or name, and its name."""
    names = [str(name) for name in getattr(X, "columns", ())]
    if isinstance(feature, str):
        if feature not in names:
            known = f"X has the columns {names}" if names else "X is an array without names"
            raise ValueError(f"feature={feature!r} names no column of X: {known}; give a number")
        feature = names.index(feature)
    name = names[feature] if names else f"feature {feature}"
    return np.asarray(X)[:, feature].astype(np.float64), name
