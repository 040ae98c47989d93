"""A map of uncertainty over two features."""

from __future__ import annotations

from typing import Any

import numpy as np

from skbayes.inspection._axes import get_axes

KINDS = ("total", "epistemic", "aleatoric", "entropy", "mutual_information")


class UncertaintyDisplay:
    """Uncertainty of predictions over the plane of two features.

    Make one by `from_estimator` or `from_predictions`.

    Parameters
    ----------
    xx0, xx1 : ndarray of shape (grid_resolution, grid_resolution)
        Values of the two features, as `numpy.meshgrid` makes them.
    uncertainty : ndarray of shape (grid_resolution, grid_resolution)
        Uncertainty at each point.
    kind : str
        What it is, for the label of the colour bar.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where the last plot was drawn.
    figure_ : matplotlib Figure
        Its figure.
    surface_ : matplotlib QuadContourSet
        The filled contours.

    See Also
    --------
    sklearn.inspection.DecisionBoundaryDisplay : The same for predictions.

    Examples
    --------
    >>> from sklearn.datasets import make_moons
    >>> from skbayes import BayesianMLPClassifier
    >>> from skbayes.inspection import UncertaintyDisplay
    >>> X, y = make_moons(60, noise=0.1, random_state=0)
    >>> clf = BayesianMLPClassifier((8,), inference="laplace", random_state=0).fit(X, y)
    >>> display = UncertaintyDisplay.from_estimator(clf, X, grid_resolution=20)
    >>> display.uncertainty.shape
    (20, 20)
    """

    def __init__(
        self, *, xx0: np.ndarray, xx1: np.ndarray, uncertainty: np.ndarray, kind: str
    ) -> None:
        self.xx0 = xx0
        self.xx1 = xx1
        self.uncertainty = uncertainty
        self.kind = kind

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        kind: str = "epistemic",
        grid_resolution: int = 60,
        margin: float = 1.0,
        ax: Any = None,
    ) -> UncertaintyDisplay:
        """Predict over a grid with a fitted predictor, or what holds one, and draw.

        Parameters
        ----------
        estimator : estimator
            Fitted on two features.
        X : array-like of shape (n_rows, 2)
            Rows around which the grid is laid.
        kind : {"total", "epistemic", "aleatoric", "entropy", "mutual_information"}, \
                default="epistemic"
            What of `predict_uncertainty` to show.
        grid_resolution : int, default=60
            Points along each feature.
        margin : float, default=1.0
            How far beyond the rows the grid goes, in units of the features.
        ax : matplotlib Axes, optional
            A new figure's by default.

        Returns
        -------
        display : UncertaintyDisplay
        """
        from skbayes.verbs import predict_uncertainty

        if kind not in KINDS:
            raise ValueError(f"kind must be one of {KINDS}, got {kind!r}")
        rows = np.asarray(X)
        if rows.ndim != 2 or rows.shape[1] != 2:
            raise ValueError(f"X must have two columns, got shape {rows.shape}; choose two")
        low, high = rows.min(axis=0) - margin, rows.max(axis=0) + margin
        xx0, xx1 = np.meshgrid(*np.linspace(low, high, grid_resolution).T)
        grid = np.column_stack([xx0.ravel(), xx1.ravel()])
        if hasattr(X, "columns"):
            grid = type(X)(dict(zip(X.columns, grid.T, strict=True)))
        uncertainty = predict_uncertainty(estimator, grid)[kind]
        return cls.from_predictions(xx0, xx1, uncertainty, kind=kind, ax=ax)

    @classmethod
    def from_predictions(
        cls, xx0: Any, xx1: Any, uncertainty: Any, *, kind: str = "epistemic", ax: Any = None
    ) -> UncertaintyDisplay:
        """Draw uncertainties that are at hand.

        Parameters
        ----------
        xx0, xx1 : array-like of shape (n, m)
            Values of the two features.
        uncertainty : array-like of n * m values
            Uncertainty at each point, flattened or not.
        kind : str, default="epistemic"
            Label of the colour bar.
        ax : matplotlib Axes, optional
            A new figure's by default.

        Returns
        -------
        display : UncertaintyDisplay
        """
        xx0, xx1, uncertainty = np.asarray(xx0), np.asarray(xx1), np.asarray(uncertainty)
        if uncertainty.size != xx0.size:
            raise ValueError(
                f"the grid has {xx0.size} points but there are {uncertainty.size} uncertainties; "
                "give one a point, of one target"
            )
        display = cls(xx0=xx0, xx1=xx1, uncertainty=uncertainty.reshape(xx0.shape), kind=kind)
        return display.plot(ax=ax)

    def plot(self, ax: Any = None, *, levels: int = 12, cmap: str = "Blues") -> UncertaintyDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            A new figure's by default.
        levels : int, default=12
            Number of contours.
        cmap : str, default="Blues"
            Colour map.

        Returns
        -------
        self : UncertaintyDisplay
        """
        ax = get_axes(ax)
        self.surface_ = ax.contourf(self.xx0, self.xx1, self.uncertainty, levels, cmap=cmap)
        ax.figure.colorbar(self.surface_, ax=ax, label=self.kind.replace("_", " "))
        self.ax_, self.figure_ = ax, ax.figure
        return self
