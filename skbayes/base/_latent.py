"""Transformers to latents that have a posterior."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_array, check_is_fitted

from skbayes.base._predictive import LatentDistribution, as_float
from skbayes.utils._threads import LimitsThreads


class PointTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, LimitsThreads):
    """Verbs over points: latents of rows, and rows of latents."""

    n_components_: int

    @property
    def _n_features_out(self) -> int:
        return self.n_components_

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()  # type: ignore[misc]
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _latent_mean(self, X: Any, y: Any) -> np.ndarray:
        """Check that this is fitted, and rows; return their mean latents, in X's precision."""
        raise NotImplementedError(f"{type(self).__name__} must define _latent_mean")

    def _rows_of(self, Z: np.ndarray, y: Any) -> np.ndarray:
        """Rows (N, n_features) of latents (N, q), without noise."""
        raise NotImplementedError(f"{type(self).__name__} must define _rows_of")

    def transform(self, X: Any, y: Any = None) -> np.ndarray:
        """Compute the posterior mean of the latents of each row.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows, as `fit` takes them.
        y : array-like of shape (n_rows,) or (n_rows, n_targets), optional
            Targets, which a model conditioned on them needs; otherwise ignored.

        Returns
        -------
        Z : ndarray of shape (n_rows, n_components_)
        """
        return self._latent_mean(X, y)

    def inverse_transform(self, Z: Any, y: Any = None) -> np.ndarray:
        """Compute the rows that latents stand for, without noise.

        Parameters
        ----------
        Z : array-like of shape (n_rows, n_components_)
            Latents, as `transform` returns them.
        y : array-like of shape (n_rows,) or (n_rows, n_targets), optional
            Targets, which a model conditioned on them needs; otherwise ignored.

        Returns
        -------
        X : ndarray of shape (n_rows, n_features)
            In the units of the training rows; probabilities of binary columns, and the most
            probable level of categorical ones.
        """
        check_is_fitted(self)
        Z = check_array(Z, dtype=[np.float64, np.float32])
        if Z.shape[1] != self._n_features_out:
            raise ValueError(
                f"Z has {Z.shape[1]} columns, but {type(self).__name__} has "
                f"{self._n_features_out} components; give latents as transform returns them"
            )
        return as_float(self._rows_of(Z, y), Z.dtype)


class LatentTransformer(PointTransformer):
    """Verbs over a `LatentDistribution`, which a subclass makes of rows in `_latent`."""

    def _latent(self, X: Any, y: Any) -> LatentDistribution:
        """Check that this is fitted, and rows; return the posterior of their latents."""
        raise NotImplementedError(f"{type(self).__name__} must define _latent")

    def _latent_mean(self, X: Any, y: Any) -> np.ndarray:
        latent = self._latent(X, y)
        return as_float(latent.mean(), latent.dtype)

    def predict_std(self, X: Any, y: Any = None) -> np.ndarray:
        """Compute the posterior standard deviation of the latents of each row.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows, as `fit` takes them; the more values are missing, the larger it is.
        y : array-like of shape (n_rows,) or (n_rows, n_targets), optional
            Targets, which a model conditioned on them needs; otherwise ignored.

        Returns
        -------
        std : ndarray of shape (n_rows, n_components_)
            In the units of `transform`.
        """
        latent = self._latent(X, y)
        return as_float(latent.std(), latent.dtype)

    def _sample_at(self, X: Any, n_samples: int, random_state: Any, y: Any = None) -> np.ndarray:
        latent = self._latent(X, y)
        return as_float(latent.sample(n_samples, random_state), latent.dtype)
