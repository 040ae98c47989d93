"""What a prior over a network's weights says of rows before any target is seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sklearn.base import clone

from skbayes._model import Model
from skbayes.base._predictive import as_float
from skbayes.data._scaling import Standardizer
from skbayes.data._tensors import Data, as_tensor
from skbayes.exceptions import IncompatiblePartsError
from skbayes.networks import Network
from skbayes.neural_network._scaled import scaled_inputs, scaled_rows
from skbayes.posteriors import Posterior
from skbayes.posteriors._functions import ClassFunctions, NumericFunctions
from skbayes.utils._draws import check_count, seed_streams
from skbayes.utils._random import make_generator, torch_draw_generator
from skbayes.utils._threads import LimitsThreads


class PriorDraws(LimitsThreads):
    """Mixin of networks: functions drawn from the prior, fitted or not."""

    # Of the template.
    _target: str
    dtype: str
    scale_inputs: str | None
    memory_budget: float
    random_state: Any
    _validate_params: Callable[[], None]
    _validate_training: Callable[..., Any]
    _make_likelihood: Callable[[int], Any]
    _make_network: Callable[[int, int], Network]
    _checked_part: Callable[[str], Any]
    _fit_scalers: Callable[..., Any]

    def sample_prior(
        self, X: Any, n_samples: int = 1, random_state: Any = None, y: Any = None
    ) -> np.ndarray:
        """Draw functions from the prior, at rows.

        The estimator need not be fitted, and a fit changes nothing here: rows set the scaling
        of the inputs, as those of the training do in `fit`.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows at which to draw.
        n_samples : int, default=1
            Number of draws.
        random_state : int, RandomState instance or None, default=None
            Equal seeds give equal draws.
        y : array-like of shape (n_rows,) or (n_rows, n_targets), optional
            Targets, which set the units of draws of numbers, and the number of classes.
            Without them draws are of one target in standardised units, or of two classes.

        Returns
        -------
        draws : ndarray of shape (n_samples, n_rows, n_outputs)
            Function values without noise, or logits, one for two classes.

        Raises
        ------
        IncompatiblePartsError
            If the prior is improper.

        Examples
        --------
        >>> import numpy as np
        >>> from skbayes import BayesianMLPRegressor
        >>> x = np.linspace(-1, 1, 50)[:, None]
        >>> BayesianMLPRegressor().sample_prior(x, 7, random_state=0).shape
        (7, 50, 1)
        """
        self._validate_params()
        n_samples = check_count(n_samples)
        trial = clone(self)  # type: ignore[type-var]
        numeric = self._target == "numeric"
        given = np.arange(len(X)) % 2 if y is None else y
        X, codes, n_targets = trial._validate_training(X, given, reset=True)
        ones = np.ones(len(X))
        x_scaler, y_scaler = trial._fit_scalers(X, codes, ones)
        if numeric and y is None:
            y_scaler = Standardizer(None).fit(codes, ones)
        likelihood = trial._make_likelihood(n_targets)
        likelihood = likelihood.prepare(None if y_scaler is None else y_scaler.scale)
        network = trial._make_network(X.shape[1], likelihood.n_outputs(n_targets))
        kind = torch.float64 if self.dtype == "float64" else torch.float32
        targets = as_tensor(codes if y_scaler is None else y_scaler.transform(codes), kind)
        data = Data(as_tensor(scaled_inputs(x_scaler, X), kind), targets, as_tensor(ones, kind))
        seed = seed_streams(self.random_state)["init"]
        prior = trial._checked_part("prior")
        prior = prior.prepare(network, likelihood, data, make_generator(seed))
        if not prior.proper:
            raise IncompatiblePartsError(
                f"prior={type(prior).__name__} is improper: there is nothing to draw from; use "
                "prior='normal'"
            )
        model = Model(network, prior, likelihood, n_targets, torch.empty(0, dtype=kind))
        options = {
            "model": model,
            "posterior": Posterior(),
            "rows": scaled_rows(X, x_scaler, kind),
            "dtype": X.dtype,
            "n_draws": n_samples,
            "seed": seed,
            "memory_budget": self.memory_budget,
        }
        law: Any = NumericFunctions(y_scaler, **options) if numeric else ClassFunctions(**options)
        pushed = law.draws(model.sample_prior(n_samples, torch_draw_generator(random_state)))
        draws = law.by_draw(pushed, lambda outputs: law.functions(outputs, pushed.hyper))
        return as_float(draws, X.dtype)
