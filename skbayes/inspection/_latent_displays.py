"""Codes on a plane: what they decode to, and where the rows of each class lie."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import norm

from skbayes.inspection._axes import get_axes
from skbayes.inspection._images import as_images, find_image_shape, mosaic, show


class LatentManifoldDisplay:
    """Pictures that a plane of codes decodes to.

    The two codes run over equally probable values of the standard normal prior, through
    its inverse distribution function (Kingma and Welling, 2014, figure 4); other codes are
    zero. Make one by `from_estimator` or `from_predictions`.

    Parameters
    ----------
    images : ndarray of shape (n_points, n_points, height, width) or (..., 3)
        Decoded pictures; the second code rises upwards, the first to the right.
    values : ndarray of shape (n_points,)
        Values of each code.
    components : tuple of int
        Which two codes.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where the last plot was drawn.
    figure_ : matplotlib Figure
        Its figure.
    image_ : matplotlib AxesImage
        The pictures, as one.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skbayes import PPCA
    >>> from skbayes.inspection import LatentManifoldDisplay
    >>> ppca = PPCA(2, whiten=True).fit(load_digits().data)
    >>> LatentManifoldDisplay.from_estimator(ppca, n_points=5).images.shape
    (5, 5, 8, 8)
    """

    def __init__(
        self, *, images: np.ndarray, values: np.ndarray, components: tuple[int, int] = (0, 1)
    ) -> None:
        self.images = images
        self.values = values
        self.components = components

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        n_points: int = 20,
        components: tuple[int, int] = (0, 1),
        image_shape: Any = None,
        ax: Any = None,
    ) -> LatentManifoldDisplay:
        """Decode a plane of codes of a fitted transformer, and draw.

        Parameters
        ----------
        estimator : estimator
            With ``inverse_transform`` and standard normal codes; a Pipeline may hold it.
        n_points : int, default=20
            Values of each code.
        components : tuple of two int, default=(0, 1)
            Which two codes move.
        image_shape : tuple of int, optional
            (height, width), or (channels, height, width) with 1 or 3 channels; by default
            that of the estimator's encoder, or a grey square.
        ax : matplotlib Axes, optional
            A new figure's by default.

        Returns
        -------
        display : LatentManifoldDisplay
        """
        n_codes = len(estimator.get_feature_names_out())
        first, second = _check_components(components, n_codes)
        values = norm.ppf((np.arange(n_points) + 0.5) / n_points)
        codes = np.zeros((n_points, n_points, n_codes))
        # Pictures are laid out from the top, where the second code is largest.
        codes[..., first], codes[..., second] = values, values[::-1, None]
        rows = np.asarray(estimator.inverse_transform(codes.reshape(-1, n_codes)))
        shape = find_image_shape(estimator, rows.shape[1], image_shape)
        images = as_images(rows, shape)
        images = images.reshape(n_points, n_points, *images.shape[1:])
        return cls.from_predictions(images, values, components=components, ax=ax)

    @classmethod
    def from_predictions(
        cls, images: Any, values: Any, *, components: tuple[int, int] = (0, 1), ax: Any = None
    ) -> LatentManifoldDisplay:
        """Draw pictures that are at hand.

        Parameters
        ----------
        images : array-like of shape (n_points, n_points, height, width) or (..., 3)
            Pictures, the row of the largest second code first.
        values : array-like of shape (n_points,)
            Values of each code.
        components : tuple of two int, default=(0, 1)
            Which two codes, for the labels.
        ax : matplotlib Axes, optional
            A new figure's by default.

        Returns
        -------
        display : LatentManifoldDisplay
        """
        display = cls(images=np.asarray(images), values=np.asarray(values), components=components)
        return display.plot(ax=ax)

    def plot(self, ax: Any = None, *, cmap: str = "gray_r") -> LatentManifoldDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            A new figure's by default.
        cmap : str, default="gray_r"
            Colour map of grey pictures.

        Returns
        -------
        self : LatentManifoldDisplay
        """
        ax, n = get_axes(ax), len(self.values)
        picture = mosaic(self.images.reshape(-1, *self.images.shape[2:]), n)
        self.image_ = show(ax, picture, cmap, extent=(0, n, 0, n), aspect="auto")
        at = np.unique(np.linspace(0, n - 1, min(n, 5)).round().astype(int))
        labels = [f"{self.values[i]:.1f}" for i in at]
        ax.set_xticks(at + 0.5, labels)
        ax.set_yticks(at + 0.5, labels)
        ax.set(xlabel=f"code {self.components[0]}", ylabel=f"code {self.components[1]}")
        self.ax_, self.figure_ = ax, ax.figure
        return self


class LatentScatterDisplay:
    """Codes of rows on a plane, coloured by class.

    Make one by `from_estimator` or `from_predictions`.

    Parameters
    ----------
    codes : ndarray of shape (n_rows, 2)
        The two codes.
    y : ndarray of shape (n_rows,) or None
        Classes.
    components : tuple of int
        Which two codes.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where the last plot was drawn.
    figure_ : matplotlib Figure
        Its figure.
    scatters_ : list of matplotlib PathCollection
        The points, one collection a class.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skbayes import PPCA
    >>> from skbayes.inspection import LatentScatterDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> display = LatentScatterDisplay.from_estimator(PPCA(2).fit(X), X, y)
    >>> display.codes.shape, len(display.scatters_)
    ((150, 2), 3)
    """

    def __init__(
        self, *, codes: np.ndarray, y: np.ndarray | None, components: tuple[int, int] = (0, 1)
    ) -> None:
        self.codes = codes
        self.y = y
        self.components = components

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any = None,
        *,
        components: tuple[int, int] = (0, 1),
        ax: Any = None,
    ) -> LatentScatterDisplay:
        """Transform rows by a fitted transformer, and draw.

        Parameters
        ----------
        estimator : estimator
            With ``transform``; a Pipeline may hold it.
        X : array-like of shape (n_rows, n_features)
            Rows.
        y : array-like of shape (n_rows,), optional
            Classes of the rows.
        components : tuple of two int, default=(0, 1)
            Which two codes.
        ax : matplotlib Axes, optional
            A new figure's by default.

        Returns
        -------
        display : LatentScatterDisplay
        """
        codes = np.asarray(estimator.transform(X))
        chosen = codes[:, list(_check_components(components, codes.shape[1]))]
        return cls.from_predictions(chosen, y, components=components, ax=ax)

    @classmethod
    def from_predictions(
        cls, codes: Any, y: Any = None, *, components: tuple[int, int] = (0, 1), ax: Any = None
    ) -> LatentScatterDisplay:
        """Draw codes that are at hand.

        Parameters
        ----------
        codes : array-like of shape (n_rows, 2)
            The two codes.
        y : array-like of shape (n_rows,), optional
            Classes.
        components : tuple of two int, default=(0, 1)
            Which two codes, for the labels.
        ax : matplotlib Axes, optional
            A new figure's by default.

        Returns
        -------
        display : LatentScatterDisplay
        """
        codes, y = np.asarray(codes), None if y is None else np.asarray(y)
        if codes.ndim != 2 or codes.shape[1] != 2:
            raise ValueError(f"codes must have two columns, got shape {codes.shape}")
        if y is not None and y.shape != (len(codes),):
            raise ValueError(f"y has shape {y.shape} for {len(codes)} codes; give one class a row")
        return cls(codes=codes, y=y, components=components).plot(ax=ax)

    def plot(self, ax: Any = None, *, size: float = 8.0) -> LatentScatterDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            A new figure's by default.
        size : float, default=8.0
            Area of a point, in square points.

        Returns
        -------
        self : LatentScatterDisplay
        """
        ax = get_axes(ax)
        groups = [(None, slice(None))]
        if self.y is not None:
            groups = [(label, self.y == label) for label in np.unique(self.y)]
        self.scatters_ = [
            ax.scatter(*self.codes[rows].T, s=size, label=None if label is None else str(label))
            for label, rows in groups
        ]
        if self.y is not None:
            ax.legend(markerscale=2)
        ax.set(xlabel=f"code {self.components[0]}", ylabel=f"code {self.components[1]}")
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _check_components(components: Any, n_codes: int) -> tuple[int, int]:
    """Refuse what is not two different codes."""
    chosen = tuple(components)
    if len(chosen) != 2 or len({*chosen} & {*range(n_codes)}) != 2:
        raise ValueError(
            f"components={components!r} must be two different numbers below n_components={n_codes}"
        )
    return chosen
