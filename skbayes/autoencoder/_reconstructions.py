"""What a posterior over an autoencoder's weights says of rows: reconstructions and codes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_array, check_is_fitted
from torch import Tensor

from skbayes._model import Model
from skbayes.base._predictive import Estimate, as_float
from skbayes.base._regressor import NumericVerbs
from skbayes.data._tiles import Rows, by_tiles
from skbayes.networks import EncoderDecoder
from skbayes.neural_network._base import NetworkTemplate
from skbayes.posteriors._functions import NumericFunctions
from skbayes.posteriors._predictive import TILE_ROWS, FunctionDraws
from skbayes.utils._random import make_generator


class Reconstructions(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, NumericVerbs, NetworkTemplate
):
    """Reconstructions average over the posterior; codes are those of one draw of it.

    Draws of the posterior have codes in coordinates of their own, in which a mean over
    draws would say nothing, so that `transform` and `inverse_transform` use one draw.
    """

    _code_params: np.ndarray
    n_components: int

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    @property
    def _n_features_out(self) -> int:
        return self._fitted_config["n_components"]

    # --- reconstructions -------------------------------------------------------------

    def predict(self, X: Any) -> np.ndarray:
        """Mean reconstruction of each row over the posterior.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows, as `fit` takes them.

        Returns
        -------
        X_mean : ndarray of shape (n_rows, n_features)
            In the units of X; with ``likelihood="bernoulli"`` probabilities of ones.
        """
        predictive = self._predictive(X)
        return as_float(predictive.moments()[0], predictive.dtype)

    def _predictive(self, X: Any) -> NumericFunctions:
        check_is_fitted(self)
        return NumericFunctions(self._y_scaler, **self._functions(X))

    def _draws(self, model: Model) -> FunctionDraws:
        """The draws behind every reconstruction, the same at each call."""
        generator = make_generator(self._prediction_seed)
        params = self.posterior_.predictive_draws(self.n_predictive_samples, generator)
        return FunctionDraws(model, self.posterior_, params.to(model.like), self.memory_budget)

    def _sample_at(self, X: Any, n_samples: int, random_state: Any) -> np.ndarray:
        """Draw reconstructions (n_samples, n_rows, n_features) without noise."""
        predictive = self._predictive(X)
        return as_float(predictive.sample_functions(n_samples, random_state), predictive.dtype)

    def log_predictive(self, X: Any, y: Any = None) -> np.ndarray:
        """Log predictive density of each row around its own reconstruction.

        This is log p(row | row as the input, training data): how well a row is told from
        its code. It is no density of rows, for a row stands on both sides of the bar.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows, as `fit` takes them.
        y : Ignored
            Present by convention.

        Returns
        -------
        log_density : ndarray of shape (n_rows,)
            In nats and in the units of X.
        """
        return self._predictive(X).log_prob(check_array(X, dtype=np.float64))

    def _new_evidence(self, X: Any, y: Any) -> Estimate:
        return self._predictive(X).log_prob_joint(check_array(X, dtype=np.float64))

    # --- codes -----------------------------------------------------------------------

    def transform(self, X: Any) -> np.ndarray:
        """Code of each row, by the encoder of the draw in `code_draw_`.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows, as `fit` takes them.

        Returns
        -------
        Z : ndarray of shape (n_rows, n_components)
        """
        X, rows = self._inputs(X)
        network, weights, _ = self._code_network()
        codes = in_tiles(rows, lambda tile: network.encode(weights, tile)[0], weights)
        return as_float(codes, X.dtype)

    def inverse_transform(self, X: Any) -> np.ndarray:
        """Row of each code, by the decoder of the draw in `code_draw_`.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_components)
            Codes.

        Returns
        -------
        X_original : ndarray of shape (n_rows, n_features)
            Means of the rows, in their units.
        """
        check_is_fitted(self)
        codes = check_array(X, dtype=[np.float64, np.float32])
        network, weights, hyper = self._code_network()
        if codes.shape[1] != network.n_latents:
            raise ValueError(
                f"X has {codes.shape[1]} columns, but codes have {network.n_latents}: give "
                "what transform returns"
            )

        def decode(tile: Tensor) -> Tensor:
            return self.likelihood_.mean(network.decode(weights, tile[None]), hyper)[0]

        rows = self._y_scaler.inverse_transform(
            in_tiles(torch.tensor(codes).to(weights), decode, weights)
        )
        return as_float(rows, codes.dtype)

    def _code_network(self) -> tuple[EncoderDecoder, Tensor, Tensor]:
        """The network, and the weights (1, P) and unknowns (1, H) of the codes' draw."""
        model = self._model()
        params = torch.from_numpy(self._code_params)[None].to(model.like)
        return model.network, model.weights(params), model.hyper(params)  # type: ignore[return-value]


@torch.inference_mode()
def in_tiles(rows: Rows, function: Any, weights: Tensor) -> np.ndarray:
    """Answers (N, ...) tile by tile; ``weights`` are those that a row meets in the function."""
    work = float(TILE_ROWS * weights.numel())
    return by_tiles(rows, TILE_ROWS, lambda tile, _: [function(tile).double()], work)[0]


def most_central(model: Model, predictive: FunctionDraws, rows: Rows, weight: np.ndarray) -> int:
    """The draw whose reconstructions of weighted rows are nearest to the mean over draws."""
    distance = torch.zeros(len(predictive.params), dtype=torch.float64)
    weights = torch.from_numpy(weight)
    for at, outputs in predictive.tiles(rows):
        means = model.likelihood.mean(outputs, predictive.hyper).double()  # type: ignore[attr-defined]
        distance += ((means - means.mean(0)).square().sum(2) * weights[at]).sum(1)
    return int(distance.argmin())
