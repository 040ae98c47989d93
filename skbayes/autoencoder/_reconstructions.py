"""What a posterior over an autoencoder's weights says of rows: reconstructions and codes."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from sklearn.utils.validation import check_array, check_is_fitted
from torch import Tensor

from skbayes._model import Model
from skbayes.base._latent import PointTransformer
from skbayes.base._predictive import as_float
from skbayes.base._regressor import NumericVerbs
from skbayes.data._tiles import Rows, by_tiles
from skbayes.networks import EncoderDecoder
from skbayes.neural_network._base import NetworkTemplate
from skbayes.posteriors import Posterior
from skbayes.posteriors._function_draws import TILE_ROWS, FunctionDraws
from skbayes.posteriors._functions import NumericFunctions
from skbayes.priors import Normal, Prior
from skbayes.utils._draws import check_count
from skbayes.utils._random import make_generator, torch_draw_generator

#: Plain priors to hold the fitted one against: normal weights, of variance one or one over
#: the fan-in.
PLAIN_PRIORS: dict[str, Prior] = {
    "standard": Normal(scale=1.0, fan_in_scaling=False),
    "fan_in": Normal(scale=1.0),
}


class Reconstructions(PointTransformer, NumericVerbs, NetworkTemplate):
    """Reconstructions average over the posterior; latents are those of one draw of it.

    Draws of the posterior have latents in coordinates of their own, in which a mean over
    draws would say nothing, so that `transform` and `inverse_transform` use one draw.
    """

    _code_params: np.ndarray
    n_components: int

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

    def sample_prior(
        self, X: Any, n_samples: int = 1, prior: str = "fitted", random_state: Any = None
    ) -> np.ndarray:
        """Reconstructions of rows under weights drawn from a prior.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows, as `fit` takes them.
        n_samples : int, default=1
            Number of draws.
        prior : {"fitted", "standard", "fan_in"}, default="fitted"
            The prior of the fit, in ``prior_``, after any tuning on rows; or, to compare,
            standard normal weights, or such weights over the root of the fan-in.
        random_state : int, RandomState instance or None, default=None
            Equal seeds give equal draws.

        Returns
        -------
        draws : ndarray of shape (n_samples, n_rows, n_features)
            Without noise, in the units of X.

        Raises
        ------
        ValueError
            If ``prior`` is not known.
        IncompatiblePartsError
            If the fitted prior is improper.
        """
        check_is_fitted(self)
        n = check_count(n_samples)
        if prior not in ("fitted", *PLAIN_PRIORS):
            raise ValueError(
                f"prior={prior!r} is not known; use one of {['fitted', *PLAIN_PRIORS]}"
            )
        own = self._model()
        chosen = own.prior if prior == "fitted" else PLAIN_PRIORS[prior]
        model = Model(own.network, chosen, own.likelihood, own.n_targets, own.like)
        params = model.sample_prior(n, torch_draw_generator(random_state))
        options = {**self._functions(X), "model": model, "posterior": Posterior()}
        law = NumericFunctions(self._y_scaler, **options)
        pushed = law.draws(params)
        draws = law.by_draw(pushed, lambda outputs: law.functions(outputs, pushed.hyper))
        return as_float(draws, law.dtype)

    # --- latents ---------------------------------------------------------------------

    def _latent_mean(self, X: Any, y: Any) -> np.ndarray:
        """Latents of rows by the encoder of the draw in `code_draw_`."""
        X, rows = self._inputs(X)
        network, weights, _ = self._code_network()
        latents = in_tiles(rows, lambda tile: network.encode(weights, tile)[0], weights)
        return as_float(latents, X.dtype)

    def _rows_of(self, Z: np.ndarray, y: Any) -> np.ndarray:
        network, weights, hyper = self._code_network()

        def decode(tile: Tensor) -> Tensor:
            return self.likelihood_.mean(network.decode(weights, tile[None]), hyper)[0]

        rows = in_tiles(torch.tensor(Z).to(weights), decode, weights)
        return self._y_scaler.inverse_transform(rows)

    def _code_network(self) -> tuple[EncoderDecoder, Tensor, Tensor]:
        """The network, and the weights (1, P) and unknowns (1, H) of the codes' draw."""
        model = self._model()
        params = torch.from_numpy(self._code_params)[None].to(model.like)
        network = cast(EncoderDecoder, model.network)
        return network, model.weights(params), model.hyper(params)


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
        means = model.likelihood.mean(outputs, predictive.hyper).double()
        distance += ((means - means.mean(0)).square().sum(2) * weights[at]).sum(1)
    return int(distance.argmin())
