"""More draws for a network whose posterior was sampled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from skbayes._model import Model
from skbayes.base._fitting import all_or_nothing
from skbayes.base._monitor import Monitor
from skbayes.data._canonical import canonical_rows
from skbayes.data._scaling import Standardizer
from skbayes.data._tables import validate_data
from skbayes.data._tensors import Data, resolve_device
from skbayes.exceptions import DrawsUnavailableError
from skbayes.inference import Inference, Run
from skbayes.inference.mcmc._chains import ChainSampler
from skbayes.inference.mcmc._longer_runs import NO_CHAINS, resumed
from skbayes.neural_network._engine_runs import log_jacobian, run_engine
from skbayes.neural_network._held import reduced
from skbayes.posteriors import Posterior
from skbayes.utils._draws import check_count
from skbayes.utils._random import make_generator
from skbayes.utils._sklearn import check_sample_weight
from skbayes.utils._threads import LimitsThreads


class Extendable(LimitsThreads):
    """Mixin of networks: the chains of a fit go on from where they stopped."""

    # Of the template.
    inference: Any
    device: str
    verbose: int
    inference_: Inference
    posterior_: Posterior
    _x_scaler: Standardizer
    _y_scaler: Any
    _compute_dtype: str
    _evidence_seed: int
    _model: Callable[..., Model]
    _encode_targets: Callable[..., np.ndarray]
    _to_data: Callable[..., Data]

    @all_or_nothing
    def extend(self, X: Any, y: Any, n_samples: int, sample_weight: Any = None) -> Extendable:
        """Draw more from each chain of a fitted sampler.

        The chains go on from where they stand, with the prior, likelihood and engine of
        the fit, whatever parameters were set since; only the folder of checkpoints is what
        ``inference`` says now. A fit of n draws extended by m gives
        the bits of a fit of n + m, unless the first one was lengthened because its chains
        disagreed, was stopped by a callback, or kept a part of its cycles' draws; then the
        new draws stand as far apart as the old ones. With ``schedule="cyclical"`` the
        cycles keep their length, so that the fit to compare with has more of them.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            The rows of the fit, in any order.
        y : array-like of shape (n_rows,) or (n_rows, n_targets)
            Their targets.
        n_samples : int
            Draws to add to each chain.
        sample_weight : array-like of shape (n_rows,), optional
            The weights of the fit.

        Returns
        -------
        self : estimator
            ``inference_.n_samples`` counts all draws; the parameter ``inference`` stays.

        Raises
        ------
        DataMismatchError
            If the rows, targets or weights are not the fit's.
        DrawsUnavailableError
            If the engine keeps no chains.
        InsufficientMemoryError
            If the draws would not fit.
        DivergenceError
            If a chain leaves the numbers. Whatever is raised, the estimator stays as it was.

        Examples
        --------
        >>> from sklearn.datasets import load_diabetes
        >>> from skbayes import BayesianMLPRegressor
        >>> from skbayes.inference import HMC
        >>> X, y = load_diabetes(return_X_y=True)
        >>> reg = BayesianMLPRegressor((), inference=HMC(n_samples=100), random_state=0)
        >>> reg.fit(X, y).extend(X, y, 60).posterior_.particles.shape[:2]
        (4, 160)
        """
        check_is_fitted(self)
        before = self.inference_
        if not isinstance(before, ChainSampler):
            raise DrawsUnavailableError(f"{type(before).__name__} {NO_CHAINS}")
        engine = before.extended(check_count(n_samples))
        engine.checkpoint = getattr(self.inference, "checkpoint", None)
        data, jacobian = self._training_data(X, y, sample_weight)
        model, data = reduced(self._model(data.X), data)
        engine.check(model)
        state = resumed(self.posterior_, data, before, engine)
        run = Run(
            state.generator,
            make_generator(self._evidence_seed, data.X.device),
            Monitor(type(engine).__name__, self.verbose),
            state=state,
        )
        with run.monitor:
            fitted = run_engine(engine, model, data, run, jacobian)
        for name, value in fitted.items():
            setattr(self, name, value)
        return self

    def _training_data(self, X: Any, y: Any, sample_weight: Any) -> tuple[Data, float]:
        """Rows as the fit merged and scaled them, and the evidence's Jacobian."""
        X = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        codes = self._encode_targets(y)
        check_consistent_length(X, codes)
        weight = check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        X, codes, weight = canonical_rows(X, codes, weight)
        work = float(len(X)) * self._model().network.row_work
        device = resolve_device(self.device, work)
        scalers = self._x_scaler, self._y_scaler
        data = self._to_data(X, codes, weight, scalers, self._compute_dtype, device)
        return data, log_jacobian(self._y_scaler, weight)
