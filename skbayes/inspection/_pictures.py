"""Pictures beside their reconstructions, and new ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from skbayes.inspection._axes import get_axes
from skbayes.inspection._images import as_images, find_image_shape, mosaic, show


class ReconstructionDisplay:
    """Pictures above what is left of them after the way through the codes.

    Make one by `from_estimator` or `from_predictions`.

    Parameters
    ----------
    images, reconstructions : ndarray of shape (n, height, width) or (n, height, width, 3)
        Pictures and reconstructions.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where the last plot was drawn.
    figure_ : matplotlib Figure
        Its figure.
    image_ : matplotlib AxesImage
        All pictures, as one.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skbayes import PPCA
    >>> from skbayes.inspection import ReconstructionDisplay
    >>> X = load_digits().data
    >>> display = ReconstructionDisplay.from_estimator(PPCA(10).fit(X), X[:8])
    >>> display.reconstructions.shape
    (8, 8, 8)
    """

    def __init__(self, *, images: np.ndarray, reconstructions: np.ndarray) -> None:
        self.images = images
        self.reconstructions = reconstructions

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, *, image_shape: Any = None, ax: Any = None
    ) -> ReconstructionDisplay:
        """Reconstruct rows by a fitted transformer, and draw.

        Parameters
        ----------
        estimator : estimator
            With ``transform`` and ``inverse_transform``; a Pipeline may hold it.
        X : array-like of shape (n, n_features)
            Rows; a dozen is a good number.
        image_shape : tuple of int, optional
            (height, width), or (channels, height, width) with 1 or 3 channels; by default
            that of the estimator's encoder, or a grey square.
        ax : matplotlib Axes, optional
            A new figure's by default.

        Returns
        -------
        display : ReconstructionDisplay
        """
        rows = np.asarray(estimator.inverse_transform(estimator.transform(X)))
        shape = find_image_shape(estimator, rows.shape[1], image_shape)
        return cls.from_predictions(as_images(X, shape), as_images(rows, shape), ax=ax)

    @classmethod
    def from_predictions(
        cls, images: Any, reconstructions: Any, *, ax: Any = None
    ) -> ReconstructionDisplay:
        """Draw pictures that are at hand.

        Parameters
        ----------
        images, reconstructions : array-like of shape (n, height, width) or (..., 3)
            Pictures and reconstructions.
        ax : matplotlib Axes, optional
            A new figure's by default.

        Returns
        -------
        display : ReconstructionDisplay
        """
        images, reconstructions = np.asarray(images), np.asarray(reconstructions)
        if images.shape != reconstructions.shape:
            raise ValueError(
                f"images have shape {images.shape} but reconstructions {reconstructions.shape}"
            )
        return cls(images=images, reconstructions=reconstructions).plot(ax=ax)

    def plot(self, ax: Any = None, *, cmap: str = "gray_r") -> ReconstructionDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            A new figure's by default.
        cmap : str, default="gray_r"
            Colour map of grey pictures.

        Returns
        -------
        self : ReconstructionDisplay
        """
        ax = get_axes(ax)
        pair = np.concatenate([self.images, self.reconstructions])
        self.image_ = show(ax, mosaic(pair, len(self.images)), cmap)
        height = self.images.shape[1]
        ax.set_yticks([0.5 * height, 1.5 * height], ["row", "reconstruction"])
        self.ax_, self.figure_ = ax, ax.figure
        return self


class SampleDisplay:
    """New pictures that a density draws.

    Make one by `from_estimator` or `from_predictions`.

    Parameters
    ----------
    images : ndarray of shape (n, height, width) or (n, height, width, 3)
        Pictures.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where the last plot was drawn.
    figure_ : matplotlib Figure
        Its figure.
    image_ : matplotlib AxesImage
        All pictures, as one.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skbayes import PPCA
    >>> from skbayes.inspection import SampleDisplay
    >>> ppca = PPCA(10).fit(load_digits().data)
    >>> SampleDisplay.from_estimator(ppca, 16, random_state=0).images.shape
    (16, 8, 8)
    """

    def __init__(self, *, images: np.ndarray) -> None:
        self.images = images

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        n_samples: int = 25,
        *,
        random_state: Any = None,
        image_shape: Any = None,
        ax: Any = None,
    ) -> SampleDisplay:
        """Draw new rows from a fitted density, and show them.

        Parameters
        ----------
        estimator : estimator
            With ``sample``; a Pipeline may hold it.
        n_samples : int, default=25
            Number of pictures.
        random_state : int, RandomState instance or None, default=None
            Equal seeds give equal pictures.
        image_shape : tuple of int, optional
            (height, width), or (channels, height, width) with 1 or 3 channels; by default
            that of the estimator's encoder, or a grey square.
        ax : matplotlib Axes, optional
            A new figure's by default.

        Returns
        -------
        display : SampleDisplay
        """
        from skbayes.verbs import sample

        drawn = sample(estimator, n_samples, random_state=random_state)
        rows = np.asarray(drawn[0] if isinstance(drawn, tuple) else drawn)
        shape = find_image_shape(estimator, rows.shape[1], image_shape)
        return cls.from_predictions(as_images(rows, shape), ax=ax)

    @classmethod
    def from_predictions(cls, images: Any, *, ax: Any = None) -> SampleDisplay:
        """Show pictures that are at hand.

        Parameters
        ----------
        images : array-like of shape (n, height, width) or (n, height, width, 3)
            Pictures.
        ax : matplotlib Axes, optional
            A new figure's by default.

        Returns
        -------
        display : SampleDisplay
        """
        return cls(images=np.asarray(images)).plot(ax=ax)

    def plot(
        self, ax: Any = None, *, n_columns: int | None = None, cmap: str = "gray_r"
    ) -> SampleDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            A new figure's by default.
        n_columns : int, optional
            Pictures a line; by default as many as lines.
        cmap : str, default="gray_r"
            Colour map of grey pictures.

        Returns
        -------
        self : SampleDisplay
        """
        ax = get_axes(ax)
        n_columns = n_columns or int(np.ceil(np.sqrt(len(self.images))))
        self.image_ = show(ax, mosaic(self.images, n_columns), cmap)
        self.ax_, self.figure_ = ax, ax.figure
        return self
