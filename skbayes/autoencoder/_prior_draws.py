"""What a prior over an autoencoder's weights says of rows before any were seen."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skbayes._model import Model
from skbayes.autoencoder._reconstructions import Reconstructions
from skbayes.base._predictive import as_float
from skbayes.posteriors import Posterior
from skbayes.posteriors._functions import NumericFunctions
from skbayes.priors import Normal, Prior
from skbayes.utils._draws import check_count
from skbayes.utils._random import torch_draw_generator

#: Plain priors to hold the fitted one against: normal weights, of variance one or one over
#: the fan-in.
PLAIN_PRIORS: dict[str, Prior] = {
    "standard": Normal(scale=1.0, fan_in_scaling=False),
    "fan_in": Normal(scale=1.0),
}


class PriorDraws(Reconstructions):
    """Reconstructions under draws from the prior."""

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
