"""Draws of reconstructions: under plain priors, the prior that was used, and the posterior."""

from __future__ import annotations

from typing import Any

import numpy as np

from skbayes.inspection._axes import get_axes
from skbayes.inspection._images import as_images, find_image_shape, mosaic, show

#: Where reconstructions are drawn from: label, and the ``prior`` of ``sample_prior``.
PRIORS = {"N(0, 1) prior": "standard", "1 / fan-in prior": "fan_in", "prior used": "fitted"}


class ReconstructionDrawsDisplay:
    """Pictures above draws of their reconstructions, under priors and the posterior.

    A prior is good where its draws look like pictures, and a posterior where its draws
    agree on rows like those it has seen and scatter on others (Tran et al., 2021, figure 3).
    Make one by `from_estimator` or `from_predictions`.

    Parameters
    ----------
    images : ndarray of shape (n, height, width) or (n, height, width, 3)
        Pictures.
    draws : dict of str to ndarray of shape (n_draws, n, height, width) or (..., 3)
        Draws of their reconstructions, by what they are drawn from.

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
    >>> from skbayes import BayesianAutoencoder
    >>> from skbayes.inspection import ReconstructionDrawsDisplay
    >>> X = load_digits().data[:200]
    >>> bae = BayesianAutoencoder(2, inference="map", scale_inputs="global", random_state=0)
    >>> display = ReconstructionDrawsDisplay.from_estimator(bae.fit(X), X[:5], random_state=0)
    >>> [(name, len(draws)) for name, draws in display.draws.items()]
    [('N(0, 1) prior', 2), ('1 / fan-in prior', 2), ('prior used', 2), ('posterior', 2)]
    """

    def __init__(self, *, images: np.ndarray, draws: dict[str, np.ndarray]) -> None:
        self.images = images
        self.draws = draws

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        n_draws: int = 2,
        random_state: Any = None,
        image_shape: Any = None,
        ax: Any = None,
    ) -> ReconstructionDrawsDisplay:
        """Draw reconstructions of rows by a fitted Bayesian autoencoder, and show them.

        Parameters
        ----------
        estimator : estimator
            With ``sample_prior`` and ``sample_posterior``, or a Pipeline that ends in one,
            whose pictures are shown as that step sees them.
        X : array-like of shape (n, n_features)
            Rows, such as some like those of the fit and some unlike them.
        n_draws : int, default=2
            Draws from each prior and from the posterior.
        random_state : int, RandomState instance or None, default=None
            Equal seeds give equal draws.
        image_shape : tuple of int, optional
            (height, width), or (channels, height, width) with 1 or 3 channels; by default
            that of the estimator's encoder, or a grey square.
        ax : matplotlib Axes, optional
            A new figure's by default.

        Returns
        -------
        display : ReconstructionDrawsDisplay
        """
        model, seen = last_step(estimator, X)
        rows = np.asarray(seen)
        shape = find_image_shape(estimator, rows.shape[1], image_shape)
        draws = {
            name: np.stack([as_images(draw, shape) for draw in drawn])
            for name, drawn in draw_reconstructions(model, seen, n_draws, random_state).items()
        }
        return cls.from_predictions(as_images(rows, shape), draws, ax=ax)

    @classmethod
    def from_predictions(
        cls, images: Any, draws: dict[str, Any], *, ax: Any = None
    ) -> ReconstructionDrawsDisplay:
        """Show draws that are at hand.

        Parameters
        ----------
        images : array-like of shape (n, height, width) or (n, height, width, 3)
            Pictures.
        draws : dict of str to array-like of shape (n_draws, n, height, width) or (..., 3)
            Draws of their reconstructions, by name.
        ax : matplotlib Axes, optional
            A new figure's by default.

        Returns
        -------
        display : ReconstructionDrawsDisplay
        """
        images = np.asarray(images)
        arrays = {name: np.asarray(drawn) for name, drawn in draws.items()}
        for name, drawn in arrays.items():
            if drawn.shape[1:] != images.shape:
                raise ValueError(
                    f"images have shape {images.shape} but each draw of {name!r} {drawn.shape[1:]}"
                )
        return cls(images=images, draws=arrays).plot(ax=ax)

    def plot(self, ax: Any = None, *, cmap: str = "gray_r") -> ReconstructionDrawsDisplay:
        """Draw.

        Every draw is brought to the brightness of the pictures above, so that values
        beyond theirs are cut off.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            A new figure's by default.
        cmap : str, default="gray_r"
            Colour map of grey pictures.

        Returns
        -------
        self : ReconstructionDrawsDisplay
        """
        ax = get_axes(ax)
        low, high = self.images.min(), self.images.max()
        lines = [self.images, *(draw for drawn in self.draws.values() for draw in drawn)]
        pictures = framed(np.clip(np.concatenate(lines), low, high))
        self.image_ = show(ax, mosaic(pictures, len(self.images)), cmap)
        counts = [1, *(len(drawn) for drawn in self.draws.values())]
        ends = np.cumsum(counts)
        middles = (ends - np.array(counts) / 2) * pictures.shape[1]
        ax.set_yticks(middles - 1, ["row", *self.draws])
        self.ax_, self.figure_ = ax, ax.figure
        return self


class ReconstructionProjectionDisplay:
    """Draws of reconstructions on the plane of the rows' two leading principal components.

    What a prior's draws cover of the space of rows, and how little of it is left to the
    posterior's. Make one by `from_estimator` or `from_predictions`.

    Parameters
    ----------
    points : dict of str to ndarray of shape (n_points, 2)
        Projected draws, by what they are drawn from.
    rows : ndarray of shape (n_rows, 2)
        Projected rows.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where the last plot was drawn.
    figure_ : matplotlib Figure
        Its figure.
    scatters_ : list of matplotlib PathCollection
        The points: draws in the order of ``points``, then the rows.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skbayes import BayesianAutoencoder
    >>> from skbayes.inspection import ReconstructionProjectionDisplay
    >>> X = load_digits().data[:200]
    >>> bae = BayesianAutoencoder(2, inference="map", scale_inputs="global", random_state=0)
    >>> display = ReconstructionProjectionDisplay.from_estimator(bae.fit(X), X, n_draws=3)
    >>> {name: points.shape for name, points in display.points.items()}
    {'prior used': (600, 2), 'posterior': (600, 2)}
    """

    def __init__(self, *, points: dict[str, np.ndarray], rows: np.ndarray) -> None:
        self.points = points
        self.rows = rows

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        n_draws: int = 10,
        priors: tuple[str, ...] = ("prior used",),
        random_state: Any = None,
        ax: Any = None,
    ) -> ReconstructionProjectionDisplay:
        """Draw reconstructions of rows by a fitted Bayesian autoencoder, and project them.

        Parameters
        ----------
        estimator : estimator
            With ``sample_prior`` and ``sample_posterior``, or a Pipeline that ends in one.
        X : array-like of shape (n_rows, n_features)
            Rows, at least two of them, whose principal components are the plane.
        n_draws : int, default=10
            Draws from each prior and from the posterior.
        priors : tuple of str, default=("prior used",)
            Among "N(0, 1) prior", "1 / fan-in prior" and "prior used".
        random_state : int, RandomState instance or None, default=None
            Equal seeds give equal draws.
        ax : matplotlib Axes, optional
            A new figure's by default.

        Returns
        -------
        display : ReconstructionProjectionDisplay
        """
        unknown = set(priors) - PRIORS.keys()
        if unknown:
            raise ValueError(f"priors {sorted(unknown)} are not known; use some of {[*PRIORS]}")
        model, seen = last_step(estimator, X)
        rows = np.asarray(seen)
        drawn = draw_reconstructions(model, seen, n_draws, random_state, priors)
        centre = rows.mean(axis=0)
        plane = np.linalg.svd(rows - centre, full_matrices=False)[2][:2].T
        points = {
            name: (draws.reshape(-1, draws.shape[-1]) - centre) @ plane
            for name, draws in drawn.items()
        }
        return cls.from_predictions(points, (rows - centre) @ plane, ax=ax)

    @classmethod
    def from_predictions(
        cls, points: dict[str, Any], rows: Any, *, ax: Any = None
    ) -> ReconstructionProjectionDisplay:
        """Draw points that are at hand.

        Parameters
        ----------
        points : dict of str to array-like of shape (n_points, 2)
            Projected draws, by name.
        rows : array-like of shape (n_rows, 2)
            Projected rows.
        ax : matplotlib Axes, optional
            A new figure's by default.

        Returns
        -------
        display : ReconstructionProjectionDisplay
        """
        arrays = {name: np.asarray(values) for name, values in points.items()}
        for name, values in {**arrays, "rows": np.asarray(rows)}.items():
            if values.ndim != 2 or values.shape[1] != 2:
                raise ValueError(f"{name!r} must have two columns, got shape {values.shape}")
        return cls(points=arrays, rows=np.asarray(rows)).plot(ax=ax)

    def plot(self, ax: Any = None, *, size: float = 4.0) -> ReconstructionProjectionDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            A new figure's by default.
        size : float, default=4.0
            Area of a draw's point, in square points; rows are three times as large.

        Returns
        -------
        self : ReconstructionProjectionDisplay
        """
        ax = get_axes(ax)
        self.scatters_ = [
            ax.scatter(*values.T, s=size, alpha=0.4, linewidths=0, label=name)
            for name, values in self.points.items()
        ]
        self.scatters_.append(ax.scatter(*self.rows.T, s=3 * size, c="black", label="rows"))
        ax.legend(markerscale=2)
        ax.set(xlabel="first principal component", ylabel="second principal component")
        self.ax_, self.figure_ = ax, ax.figure
        return self


def framed(images: np.ndarray) -> np.ndarray:
    """Pictures (n, H, W, ...) with an empty line below and right of each."""
    edges = [(0, 0), (0, 1), (0, 1), *[(0, 0)] * (images.ndim - 3)]
    return np.pad(images, edges, constant_values=np.nan)


def draw_reconstructions(
    model: Any, rows: Any, n_draws: int, random_state: Any, priors: Any = tuple(PRIORS)
) -> dict[str, np.ndarray]:
    """Draws (n_draws, n_rows, n_features) under some priors and the posterior, by name."""
    drawn = {
        name: np.asarray(model.sample_prior(rows, n_draws, PRIORS[name], random_state))
        for name in priors
    }
    return {**drawn, "posterior": np.asarray(model.sample_posterior(rows, n_draws, random_state))}


def last_step(estimator: Any, X: Any) -> tuple[Any, Any]:
    """The estimator, or a pipeline's last one, and the rows as it sees them."""
    if hasattr(estimator, "steps"):
        return estimator.steps[-1][1], estimator[:-1].transform(X)
    return estimator, X
