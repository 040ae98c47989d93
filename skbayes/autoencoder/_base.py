"""What every fitted autoencoder says of rows: codes, and rows from codes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from skbayes.autoencoder._architecture import build_model
from skbayes.autoencoder._context import Context
from skbayes.autoencoder._table import Table
from skbayes.base._latent import PointTransformer
from skbayes.base._predictive import as_float
from skbayes.data._tables import validate_data
from skbayes.data._tensors import Data
from skbayes.data._tiles import by_tiles, tile_rows
from skbayes.latent._importance import laplace
from skbayes.latent._latent_model import LatentModel, Parameters, count, double
from skbayes.latent._normal_latents import NormalLatents
from skbayes.utils._sklearn import in_container

FLOATS = [np.float64, np.float32]


class RowCoder(PointTransformer):
    """Latents of rows and rows of latents, given the fitted parameters."""

    # Parameters, and a method, of the estimators.
    allow_missing: bool
    fit: Callable[..., Any]

    # Set by fit.
    _architecture: dict[str, Any]
    _parameters: dict[str, np.ndarray]
    _table: Table
    _context: Context | None
    _dtype: str

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.allow_missing
        return tags

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
        finite = "allow-nan" if self.allow_missing else True
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

    def _encode(self, rows: Data, with_widths: bool = True) -> NormalLatents:
        """Latents of rows, in float64.

        Where training left the widths alone they are Laplace's, unless nobody asks.
        """
        model, parameters = self._model(), double(self._tensors())

        def encode(tile: Data, _: slice) -> tuple[Tensor, Tensor]:
            tile = tile.to(torch.float64)
            with torch.no_grad():
                latents = model.encode(parameters, tile)
            if not self._trained_widths and with_widths:
                latents = laplace(model, parameters, tile, latents.mean, n_steps=0)
            return latents.mean, latents.root

        size = tile_rows(model.network.n_latents * model.network.n_outputs)
        parts = by_tiles(rows, size, encode, size * count(parameters))
        return NormalLatents(*(torch.from_numpy(part) for part in parts))

    def _latent_mean(self, X: Any, y: Any) -> np.ndarray:
        X, rows = self._rows(X, y)
        return as_float(self._encode(rows, with_widths=False).mean.numpy(), X.dtype)

    def fit_transform(self, X: Any, y: Any = None, **fit_params: Any) -> np.ndarray:
        """Fit to rows and return their latents.

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
        return self.fit(X, y, **fit_params).transform(X, y)

    def _rows_of(self, Z: np.ndarray, y: Any) -> np.ndarray:
        return self._decode(Z, self._given(y, len(Z)))

    def _decode(self, Z: np.ndarray, context: np.ndarray | None) -> np.ndarray:
        """Means (N, n_features) of rows with these latents."""
        model, parameters = self._model(), double(self._tensors())

        def decode(tile: Data, _: slice) -> tuple[Tensor]:
            with torch.no_grad():
                outputs = model.decode(parameters, tile.X, tile.context)
                return (model.likelihood.mean(outputs, parameters["noise"]),)

        z = torch.from_numpy(Z.astype(np.float64))
        rows = Data(z, z, torch.ones(len(z)), context=_optional(context))
        size = tile_rows(model.network.n_outputs)
        return self._table.decode(by_tiles(rows, size, decode, size * count(parameters))[0])

    def reconstruct(self, X: Any, y: Any = None) -> Any:
        """Compute rows as the decoder sees them from their mean latents.

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
        decoded = self._decode(self._encode(rows, with_widths=False).mean.numpy(), context)
        return in_container(self, as_float(decoded, X.dtype), given)


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
