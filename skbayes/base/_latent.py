"""Transformers to latents that have a posterior."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_array, check_is_fitted

from skbayes.base._predictive import LatentDistribution, as_float
from skbayes.utils._threads import LimitsThreads


class LatentTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, LimitsThreads):
    """Verbs over a `LatentDistribution`, which a subclass makes of rows in `_latent`."""

    n_components_: int

    @property
    def _n_features_out(self) -> int:
        return self.n_components_

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()  # type: ignore[misc]
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _latent(self, X: Any) -> LatentDistribution:
        """Check that this is fitted, and rows; return the posterior of their latents."""
        raise NotImplementedError(f"{type(self).__name__} must define _latent")

    def _rows_of(self, Z: np.ndarray) -> np.ndarray:
        """Rows (N, n_features) of latents (N, q), without noise."""
        raise NotImplementedError(f"{type(self).__name__} must define _rows_of")

    def transform(self, X: Any) -> np.ndarray:
        """Compute the posterior mean of the latents of each row.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows, as `fit` takes them.

        Returns
        -------
        Z : ndarray of shape (n_rows, n_components_)
        """
        latent = self._latent(X)
        return as_float(latent.mean(), latent.dtype)

    def predict_std(self, X: Any) -> np.ndarray:
        """Compute the posterior standard deviation of the latents of each row.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows, as `fit` takes them; the more values are missing, the larger it is.

        Returns
        -------
        std : ndarray of shape (n_rows, n_components_)
            In the units of `transform`.
        """
        latent = self._latent(X)
        return as_float(latent.std(), latent.dtype)

    def inverse_transform(self, Z: Any) -> np.ndarray:
        """Compute the rows that latents stand for, without noise.

        Parameters
        ----------
        Z : array-like of shape (n_rows, n_components_)
            Latents, as `transform` returns them.

        Returns
        -------
        X : ndarray of shape (n_rows, n_features)
        """
        check_is_fitted(self)
        Z = check_array(Z, dtype=[np.float64, np.float32])
        if Z.shape[1] != self.n_components_:
            raise ValueError(
                f"Z has {Z.shape[1]} columns, but {type(self).__name__} has "
                f"{self.n_components_} components; give latents as transform returns them"
            )
        return as_float(self._rows_of(Z), Z.dtype)

    def _sample_at(self, X: Any, n_samples: int, random_state: Any) -> np.ndarray:
        latent = self._latent(X)
        return as_float(latent.sample(n_samples, random_state), latent.dtype)
