"""What every fitted autoencoder says of rows: codes, and rows from codes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_array, check_is_fitted
from torch import Tensor

from skbayes.autoencoder._architecture import build_model
from skbayes.autoencoder._context import Context
from skbayes.autoencoder._table import Table
from skbayes.base._predictive import as_float
from skbayes.data._tables import validate_data
from skbayes.data._tensors import Data
from skbayes.data._tiles import by_tiles, tile_rows
from skbayes.latent._importance import laplace
from skbayes.latent._model import LatentModel, Parameters, count, double
from skbayes.utils._sklearn import in_container
from skbayes.utils._threads import LimitsThreads

FLOATS = [np.float64, np.float32]


class RowCoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, LimitsThreads):
    """Codes of rows and rows of codes, given the fitted parameters."""

    # Set by fit.
    n_components_: int
    _architecture: dict[str, Any]
    _parameters: dict[str, np.ndarray]
    _table: Table
    _context: Context | None
    _dtype: str

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.allow_missing  # type: ignore[attr-defined]
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    @property
    def _n_features_out(self) -> int:
        return self.n_components_

    @property
    def _trained_widths(self) -> bool:
        return self._architecture["trains_widths"]

    def _tensors(self) -> Parameters:
        return {name: torch.from_numpy(value) for name, value in self._parameters.items()}

    def _model(self) -> LatentModel:
        return build_model(self._architecture, self._table, self._context)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_parameters")

    def _validated(self, X: Any, **options: Any) -> np.ndarray:
        finite = "allow-nan" if self.allow_missing else True  # type: ignore[attr-defined]
        return validate_data(self, X, dtype=FLOATS, ensure_all_finite=finite, **options)

    def _rows(self, X: Any, y: Any = None) -> tuple[np.ndarray, Data]:
        """New rows as arrays and as the networks see them."""
        check_is_fitted(self)
        X = self._validated(X, reset=False)
        return X, encode_rows(self._table, X, self._given(y, len(X)))

    def _given(self, y: Any, n_rows: int) -> np.ndarray | None:
        """Context columns of targets, which a conditional model needs and no other uses."""
        if self._context is None:
            return None
        if y is None:
            raise ValueError(
                f"{type(self).__name__} was fitted with condition_on_y=True: what it says of a "
                "row depends on y, so give y"
            )
        return self._context.encode(y, n_rows)

    def _codes(self, rows: Data, with_widths: bool = True) -> tuple[np.ndarray, np.ndarray]:
        """Mean (N, q) and root (N, q) or (N, q, q) of the codes of rows, in float64.

        Where training left the widths alone they are Laplace's, unless nobody asks.
        """
        model, parameters = self._model(), double(self._tensors())

        def encode(tile: Data, _: slice) -> tuple[Tensor, Tensor]:
            tile = tile.to(torch.float64)
            with torch.no_grad():
                codes = model.encode(parameters, tile)
            if not self._trained_widths and with_widths:
                codes = laplace(model, parameters, tile, codes.mean, n_steps=0)
            return codes.mean, codes.root

        size = tile_rows(model.network.n_latents * model.network.n_outputs)
        mean, root = by_tiles(rows, size, encode, size * count(parameters))
        return mean, root

    def transform(self, X: Any, y: Any = None) -> np.ndarray:
        """Posterior mean of the code of each row, by the encoder.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows.
        y : array-like of shape (n_rows,) or (n_rows, n_targets), optional
            Targets, which ``condition_on_y=True`` needs and otherwise are ignored.

        Returns
        -------
        Z : ndarray of shape (n_rows, n_components_)
            Over rows like those of the training, roughly standard normal.
        """
        X, rows = self._rows(X, y)
        return as_float(self._codes(rows, with_widths=False)[0], X.dtype)

    def fit_transform(self, X: Any, y: Any = None, **fit_params: Any) -> np.ndarray:
        """Fit to rows and return their codes.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows.
        y : array-like, optional
            Targets, as `fit` takes them.
        **fit_params : dict
            Passed to `fit`.

        Returns
        -------
        Z : ndarray of shape (n_rows, n_components_)
        """
        fitted = self.fit(X, y, **fit_params)  # type: ignore[attr-defined]
        return fitted.transform(X, y) if self._context is not None else fitted.transform(X)

    def inverse_transform(self, Z: Any, y: Any = None) -> np.ndarray:
        """Rows that codes stand for, without noise.

        Parameters
        ----------
        Z : array-like of shape (n_rows, n_components_)
            Codes.
        y : array-like, optional
            Targets, which ``condition_on_y=True`` needs.

        Returns
        -------
        X : ndarray of shape (n_rows, n_features)
            The decoder's means; probabilities of binary columns, and the most probable
            level of categorical ones.
        """
        check_is_fitted(self)
        Z = check_array(Z, dtype=FLOATS)
        if Z.shape[1] != self.n_components_:
            raise ValueError(
                f"Z has {Z.shape[1]} columns, but {type(self).__name__} has "
                f"{self.n_components_} components; give codes as transform returns them"
            )
        context = self._given(y, len(Z))
        return as_float(self._table.decode(self._decoded(Z, context)), Z.dtype)

    def _decoded(self, Z: np.ndarray, context: np.ndarray | None) -> np.ndarray:
        """Means (N, n_encoded) of encoded rows with these codes."""
        model, parameters = self._model(), double(self._tensors())

        def decode(tile: Data, _: slice) -> tuple[Tensor]:
            with torch.no_grad():
                outputs = model.decode(parameters, tile.X, tile.context)
                return (model.likelihood.mean(outputs, parameters["noise"]),)

        z = torch.from_numpy(Z.astype(np.float64))
        rows = Data(z, z, torch.ones(len(z)), context=_optional(context))
        size = tile_rows(model.network.n_outputs)
        return by_tiles(rows, size, decode, size * count(parameters))[0]

    def reconstruct(self, X: Any, y: Any = None) -> Any:
        """Rows as the decoder sees them from their mean codes.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows.
        y : array-like, optional
            Targets, which ``condition_on_y=True`` needs.

        Returns
        -------
        X : ndarray of shape (n_rows, n_features)
            A frame where `set_output` asks for one, as `transform` has it.
        """
        given = X
        X, rows = self._rows(X, y)
        context = None if rows.context is None else rows.context.numpy()
        decoded = self._decoded(self._codes(rows, with_widths=False)[0], context)
        return in_container(self, as_float(self._table.decode(decoded), X.dtype), given)


def _optional(array: np.ndarray | None) -> Tensor | None:
    return None if array is None else torch.from_numpy(array)


def encode_rows(
    table: Table, X: np.ndarray, context: np.ndarray | None, weight: np.ndarray | None = None
) -> Data:
    """Rows as the networks see them, in single precision."""
    observed = table.observed(X)

    def single(array: np.ndarray | None) -> Tensor | None:
        return None if array is None else torch.from_numpy(array.astype(np.float32))

    encoded = torch.from_numpy(table.encode(X.astype(np.float64)).astype(np.float32))
    seen = None if observed.all() else single(observed)
    weights = torch.ones(len(X)) if weight is None else single(weight)
    assert weights is not None
    return Data(encoded, encoded, weights, seen, single(context))
