"""The fit of Bayesian networks, from rows to a posterior."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from skbayes._model import Model
from skbayes.base._estimator import BayesianEstimator, few_draws
from skbayes.base._monitor import Given, Monitor
from skbayes.data._canonical import canonical_rows
from skbayes.data._scaling import Standardizer
from skbayes.data._tables import validate_data
from skbayes.data._tensors import Data, as_tensor, by_columns, resolve_device
from skbayes.data._tiles import Rows
from skbayes.exceptions import IncompatiblePartsError
from skbayes.inference import INFERENCES, Inference, Run
from skbayes.likelihoods import LIKELIHOODS, Likelihood
from skbayes.networks import Network
from skbayes.networks._partial import partial_network
from skbayes.neural_network._engine_runs import (
    check_squares,
    engine_attributes,
    log_jacobian,
    posterior_of,
    run_engine,
    warn_if_zero,
)
from skbayes.neural_network._held import mode_of_all, with_features
from skbayes.neural_network._scaled import scaled_inputs, scaled_rows
from skbayes.posteriors import Posterior
from skbayes.posteriors._functions import named_draws
from skbayes.priors import PRIORS, Prior
from skbayes.utils._draws import seed_streams
from skbayes.utils._logs import MIN_EFFECTIVE_DRAWS
from skbayes.utils._parameters import Parametrised
from skbayes.utils._random import make_generator
from skbayes.utils._sklearn import (
    Interval,
    StrOptions,
    check_sample_weight,
)
from skbayes.utils._threads import limit_threads

#: Distinct rows times weights up to which inference="auto" samples.
AUTO_SAMPLING_WORK = 2e6


def plain(value: Any) -> Any:
    """Parts as their parameters, which can be compared."""
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items()}
    if isinstance(value, Parametrised):
        return type(value), plain(value.get_params(deep=False))
    if isinstance(value, np.ndarray):
        return value.shape, value.tobytes()
    return value


class NetworkTemplate(BayesianEstimator):
    """Fit template: validate, merge rows, standardise, assemble the model, infer, store."""

    _registries: ClassVar[dict[str, dict[str, type]]] = {
        "prior": PRIORS,
        "likelihood": LIKELIHOODS,
        "inference": INFERENCES,
    }
    _parameter_constraints: dict = {
        "prior": [StrOptions(set(PRIORS)), Prior],
        "inference": [StrOptions({"auto", *INFERENCES}), Inference],
        "scale_inputs": [StrOptions({"column", "global"}), None],
        "n_predictive_samples": [Interval(Integral, 1, None, closed="left")],
        "device": [str],
        "dtype": [StrOptions({"auto", "float32", "float64"})],
        "memory_budget": [Interval(Real, 0, None, closed="neither")],
        "warm_start": ["boolean"],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
    }

    #: Which weights are inferred; the others are held at a mode.
    bayesian: Any = "all"
    #: All weights of a network of which some are held.
    _held_weights: np.ndarray | None = None

    # Set by subclasses, or their __init__.
    _target: ClassVar[str]
    likelihood: Any
    inference: Any
    scale_inputs: str | None
    scale_targets: bool
    n_predictive_samples: int
    device: str
    dtype: str
    memory_budget: float
    warm_start: bool
    verbose: int
    random_state: Any

    def _fit(self, X: Any, y: Any, sample_weight: Any, X_prior: Any = None) -> NetworkTemplate:
        """What `fit` does; ``X_prior`` are rows to tune the prior on."""
        resume = self.warm_start and hasattr(self, "posterior_")
        given = Given(X, y, sample_weight)
        X, y, n_targets = self._validate_training(X, y, reset=not resume)
        weight = check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        seeds = seed_streams(self.random_state)
        X, y, weight = canonical_rows(X, y, weight)
        start = self._prepare_resume(n_targets) if resume else None
        scalers = (self._x_scaler, self._y_scaler) if resume else self._fit_scalers(X, y, weight)
        fitted = self._infer(X, y, weight, n_targets, seeds, scalers, start, X_prior, given)
        for name, value in fitted.items():
            setattr(self, name, value)
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "posterior_")

    def _infer(
        self,
        X: np.ndarray,
        y: np.ndarray,
        weight: np.ndarray,
        n_targets: int,
        seeds: dict[str, int],
        scalers: tuple[Standardizer, Standardizer | None],
        start: Posterior | None,
        X_prior: Any,
        given: Given,
    ) -> dict[str, Any]:
        """Run the engine; returns the fitted attributes, so that failure sets none."""
        x_scaler, y_scaler = scalers
        likelihood = self._make_likelihood(n_targets)
        likelihood = likelihood.prepare(None if y_scaler is None else y_scaler.scale)
        network = self._make_network(X.shape[1], likelihood.n_outputs(n_targets))
        work = float(len(X)) * network.row_work
        trained = self._trained_weights(network)
        device = resolve_device(self.device, work)
        dtype = "float64" if self.dtype == "float64" else "float32"
        data = self._to_data(X, y, weight, (x_scaler, y_scaler), dtype, device)
        prior, held = self._checked_part("prior"), None
        with limit_threads(work):
            prior_data = data if X_prior is None else self._prior_data(X_prior, data, scalers)
            if self.bayesian != "all":
                generator = make_generator(seeds["training"], device)
                held = trained
                if start is not None and self._held_weights is not None:
                    held = torch.from_numpy(self._held_weights).to(data.X)
                if held is None:
                    parts = (network, self._checked_part("prior"), likelihood, n_targets)
                    engine = None if self.inference == "auto" else self._make_part("inference")
                    held = mode_of_all(*parts, data, generator, engine)
                network = partial_network(network, self.bayesian, held)
                trained = None if trained is None else network.free_weights(trained)
                data, prior_data = (with_features(network, d) for d in (data, prior_data))
                network = getattr(network, "head", network)
            generator = make_generator(seeds["init"], device)
            prior = prior.prepare(network, likelihood, prior_data, generator)
        model = Model(network, prior, likelihood, n_targets, data.X)
        inference = self._make_inference(work, prior)
        inference.check(model)
        if start is not None and start.n_params != model.n_params:
            raise ValueError(
                "warm_start=True needs a prior and a likelihood with the same unknowns as the "
                "first fit; set warm_start=False to start anew"
            )
        known = {
            "prior_": prior,
            "likelihood_": likelihood,
            "_x_scaler": x_scaler,
            "_y_scaler": y_scaler,
            "_n_targets": n_targets,
            "_fitted_config": self._network_config(),
            "_held_weights": None if held is None else held.numpy(force=True),
            "_prediction_seed": seeds["prediction"],
            "_evidence_seed": seeds["evidence"],
            "_compute_dtype": str(model.like.dtype).removeprefix("torch."),
        }

        def attributes(state: dict[str, Tensor]) -> dict[str, Any]:
            told = engine_attributes(inference, posterior_of(state), 0.0)
            return self._complete({**told, **known}, X, weight)

        # Callbacks hear of the fit only once it can start.
        run = Run(
            make_generator(seeds["training"], device),
            make_generator(seeds["evidence"], device),
            Monitor(type(inference).__name__, self.verbose, self, given, attributes),
            start,
            repeatable=self.random_state is not None,
            trained=None if trained is None else trained.to(data.X),
        )
        with run.monitor:
            found = run_engine(inference, model, data, run, log_jacobian(y_scaler, weight))
            self._check_fit(model, found["posterior_"], data, type(inference).__name__)
            fitted = self._complete({**found, **known}, X, weight)
            run.monitor.ended(fitted)
        return fitted

    def _complete(
        self, fitted: dict[str, Any], X: np.ndarray, weight: np.ndarray
    ) -> dict[str, Any]:
        """The fitted attributes, with those that a subclass derives from the posterior."""
        return fitted

    def _check_fit(self, model: Model, posterior: Posterior, data: Data, engine: str) -> None:
        """Say of a posterior that it learned nothing, where that can be told."""

    # --- parts -----------------------------------------------------------------------

    def _make_likelihood(self, n_targets: int) -> Likelihood:
        likelihood = self._checked_part("likelihood")
        if likelihood.target != self._target:
            fitting = sorted(
                name for name, kind in LIKELIHOODS.items() if kind.target == self._target
            )
            raise IncompatiblePartsError(
                f"likelihood={self.likelihood!r} does not fit {type(self).__name__}; "
                f"use one of {fitting}"
            )
        return likelihood

    def _make_inference(self, work: float, prior: Prior) -> Inference:
        """The engine; "auto" samples while that takes seconds, else trains an ensemble."""
        if self.inference != "auto":
            return self._checked_part("inference")
        if not prior.proper:
            return INFERENCES["map"]()
        return INFERENCES["hmc" if work <= AUTO_SAMPLING_WORK else "deep_ensemble"]()

    def _network_config(self) -> dict[str, Any]:
        raise NotImplementedError(f"{type(self).__name__} must define _network_config")

    def _trained_weights(self, network: Network) -> Tensor | None:
        """Weights (P,) of a network that was trained before; None where it was not."""
        return None

    def _column_groups(self) -> np.ndarray | None:
        """Which columns are of one channel; None where there are no channels."""
        return None

    def _make_network(self, n_inputs: int, n_outputs: int) -> Network:
        raise NotImplementedError(f"{type(self).__name__} must define _make_network")

    def _validate_training(self, X: Any, y: Any, reset: bool) -> tuple[np.ndarray, np.ndarray, int]:
        raise NotImplementedError(f"{type(self).__name__} must define _validate_training")

    def _encode_targets(self, y: Any) -> np.ndarray:
        raise NotImplementedError(f"{type(self).__name__} must define _encode_targets")

    # --- data ------------------------------------------------------------------------

    def _fit_scalers(
        self, X: np.ndarray, y: np.ndarray, weight: np.ndarray
    ) -> tuple[Standardizer, Standardizer | None]:
        x_scaler = Standardizer(self.scale_inputs, self._column_groups()).fit(X, weight)
        if self._target == "classes":
            return x_scaler, None
        mode = "column" if self.scale_targets else None
        return x_scaler, Standardizer(mode).fit(y, weight)

    def _prepare_resume(self, n_targets: int) -> Posterior:
        config = plain(self._network_config())
        if n_targets != self._n_targets or config != plain(self._fitted_config):
            raise ValueError(
                "warm_start=True needs the same network and the same number of targets or "
                "classes as the first fit; set warm_start=False to start anew"
            )
        self._check_scaling("scale_inputs", self._x_scaler, self.scale_inputs)
        if self._y_scaler is not None:
            mode = "column" if self.scale_targets else None
            self._check_scaling("scale_targets", self._y_scaler, mode)
        return self.posterior_

    def _check_scaling(self, name: str, scaler: Standardizer, mode: str | None) -> None:
        """Refuse a scaling other than the one whose units the posterior is in."""
        if scaler.mode != mode:
            raise ValueError(
                f"warm_start=True keeps the scaling of the first fit, which {name}="
                f"{getattr(self, name)!r} would change; set {name} back, or set "
                "warm_start=False to start anew"
            )

    def _to_data(
        self,
        X: np.ndarray,
        y: np.ndarray,
        weight: np.ndarray,
        scalers: tuple[Standardizer, Standardizer | None],
        dtype: str,
        device: str,
    ) -> Data:
        x_scaler, y_scaler = scalers
        kind = getattr(torch, dtype)
        rows = as_tensor(scaled_inputs(x_scaler, X), kind, device)
        if y_scaler is None:
            targets = as_tensor(y, torch.int64, device)
        else:
            targets = by_columns(as_tensor(y_scaler.transform(y), kind, device))
            check_squares(y, targets)
        return Data(rows, targets, as_tensor(weight, kind, device))

    def _prior_data(
        self, X_prior: Any, data: Data, scalers: tuple[Standardizer, Standardizer | None]
    ) -> Data:
        """Rows to tune the prior on, in the units of the training data."""
        raise NotImplementedError(f"{type(self).__name__} must define _prior_data")

    # --- posterior -------------------------------------------------------------------

    def _model(self, like: Tensor | None = None) -> Model:
        """The fitted model, on the CPU if no tensor says where else."""
        if like is None:
            like = torch.empty(0, dtype=getattr(torch, self._compute_dtype))
        network = self._make_network_from(self._fitted_config)
        if self._held_weights is not None:
            held = torch.from_numpy(self._held_weights)
            network = partial_network(network, self._fitted_config["bayesian"], held)
        return Model(network, self.prior_, self.likelihood_, self._n_targets, like)

    def _make_network_from(self, config: dict[str, Any]) -> Network:
        raise NotImplementedError(f"{type(self).__name__} must define _make_network_from")

    def _inputs(self, X: Any) -> tuple[np.ndarray, Rows]:
        """Validated rows, and the same to be read as standardised tensors."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        return X, scaled_rows(X, self._x_scaler, getattr(torch, self._compute_dtype))

    def _functions(self, X: Any) -> dict[str, Any]:
        """What the law of targets at rows is made of: see `FunctionPredictive`."""
        X, rows = self._inputs(X)
        return {
            "model": self._model(),
            "posterior": self.posterior_,
            "rows": rows,
            "dtype": X.dtype,
            "n_draws": self.n_predictive_samples,
            "seed": self._prediction_seed,
            "memory_budget": self.memory_budget,
        }

    def _sample_parameters(self, n_samples: int, random_state: Any) -> dict[str, np.ndarray]:
        return named_draws(self._model(), self.posterior_, n_samples, random_state)

    def _check_kind(self, kind: str) -> None:
        super()._check_kind(kind)
        warn_if_zero(self, kind)

    def _no_evidence(self) -> str:
        if not self.prior_.proper:
            return (
                f"prior={type(self.prior_).__name__} is improper and has no evidence; use "
                "prior='normal' with inference='laplace'"
            )
        name, kind = type(self.inference_).__name__, self.inference_.evidence_kind
        if self._evidence_ess < MIN_EFFECTIVE_DRAWS:
            remedy = (
                "raise inference__n_samples, take fewer hidden units, or use inference='laplace'"
            )
            if kind != "importance":
                remedy = "set inference__evidence='auto'"
            return f"{few_draws(self._evidence_ess)}; {remedy}"
        if kind:
            return (
                f"{name} was run without an evidence; set "
                "inference__evidence='importance', or use inference='laplace'"
            )
        return (
            f"{name} has no evidence; use inference='laplace' or inference='mean_field_vi', or "
            "score held-out rows with score_evidence(X, y)"
        )
