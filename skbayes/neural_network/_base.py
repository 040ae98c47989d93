"""The fit template of Bayesian networks and their posterior's public face."""

from __future__ import annotations

from collections.abc import Iterator
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from skbayes._model import Model
from skbayes.base._estimator import BayesianEstimator, as_float, few_draws
from skbayes.base._fitting import fit_method
from skbayes.base._monitor import Given, Monitor
from skbayes.data._canonical import canonical_rows
from skbayes.data._scaling import Standardizer
from skbayes.data._tables import validate_data
from skbayes.data._tensors import Data, as_tensor, by_columns, resolve_device
from skbayes.exceptions import IncompatiblePartsError
from skbayes.inference import INFERENCES, Inference, Run
from skbayes.likelihoods import LIKELIHOODS, Likelihood
from skbayes.networks import Network
from skbayes.neural_network._fitting import (
    check_squares,
    engine_attributes,
    log_jacobian,
    posterior_of,
    run_engine,
)
from skbayes.neural_network._linear_part import warn_if_linear
from skbayes.neural_network._scaled import ScaledRows, scaled_inputs
from skbayes.posteriors import Posterior, Predictive
from skbayes.posteriors._linearised import Linearised
from skbayes.posteriors._predictive import DrawTiles, Moments, RowDraws
from skbayes.priors import PRIORS, Prior
from skbayes.utils._draws import check_count, seed_streams
from skbayes.utils._logs import MIN_EFFECTIVE_DRAWS, log_mean_exp
from skbayes.utils._random import make_generator
from skbayes.utils._sklearn import (
    Interval,
    StrOptions,
    check_sample_weight,
)
from skbayes.utils._sobol import sobol_normals
from skbayes.utils._threads import limit_threads

#: Draws behind score_evidence(X, y), where the posterior can make new ones.
N_EVIDENCE_DRAWS = 2000
#: Distinct rows times weights up to which inference="auto" samples.
AUTO_SAMPLING_WORK = 2e6


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

    # Set by subclasses' __init__.
    inference: Any
    random_state: Any

    def _fit(self, X: Any, y: Any, sample_weight: Any, X_prior: Any = None) -> NetworkTemplate:
        """What `fit` does; ``X_prior`` are rows to tune the prior on."""
        resume = self.warm_start and hasattr(self, "posterior_")  # type: ignore[attr-defined]
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
        work = float(len(X)) * network.n_weights
        device = resolve_device(self.device, work)  # type: ignore[attr-defined]
        dtype = "float64" if self.dtype == "float64" else "float32"  # type: ignore[attr-defined]
        data = self._to_data(X, y, weight, (x_scaler, y_scaler), dtype, device)
        prior = self._checked_part("prior")
        with limit_threads(work):
            prior_data = data if X_prior is None else self._prior_data(X_prior, data, scalers)
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
            Monitor(type(inference).__name__, self.verbose, self, given, attributes),  # type: ignore[attr-defined]
            start,
            repeatable=self.random_state is not None,
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
        if likelihood.target != self._target:  # type: ignore[attr-defined]
            fitting = sorted(
                name
                for name, kind in LIKELIHOODS.items()
                if kind.target == self._target  # type: ignore[attr-defined]
            )
            raise IncompatiblePartsError(
                f"likelihood={self.likelihood!r} does not fit {type(self).__name__}; "  # type: ignore[attr-defined]
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
        x_scaler = Standardizer(self.scale_inputs).fit(X, weight)  # type: ignore[attr-defined]
        if self._target == "classes":  # type: ignore[attr-defined]
            return x_scaler, None
        mode = "column" if self.scale_targets else None  # type: ignore[attr-defined]
        return x_scaler, Standardizer(mode).fit(y, weight)

    def _prepare_resume(self, n_targets: int) -> Posterior:
        if n_targets != self._n_targets or self._network_config() != self._fitted_config:
            raise ValueError(
                "warm_start=True needs the same network and the same number of targets or "
                "classes as the first fit; set warm_start=False to start anew"
            )
        self._check_scaling("scale_inputs", self._x_scaler, self.scale_inputs)  # type: ignore[attr-defined]
        if self._y_scaler is not None:
            mode = "column" if self.scale_targets else None  # type: ignore[attr-defined]
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
        return Model(network, self.prior_, self.likelihood_, self._n_targets, like)

    def _make_network_from(self, config: dict[str, Any]) -> Network:
        raise NotImplementedError(f"{type(self).__name__} must define _make_network_from")

    def _inputs(self, X: Any) -> tuple[np.ndarray, ScaledRows]:
        """Validated rows, and the same to be read as standardised tensors."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        return X, ScaledRows(X, self._x_scaler, getattr(torch, self._compute_dtype))

    def _predictive(self, model: Model, n_draws: int | None = None) -> Predictive:
        """The draws behind every prediction, the same at each call."""
        n_draws = n_draws or self.n_predictive_samples  # type: ignore[attr-defined]
        generator = make_generator(self._prediction_seed)
        return self._push(model, self.posterior_.predictive_draws(n_draws, generator))

    def _normals(self, model: Model, joint: bool) -> Linearised | None:
        """The normals of each row's outputs, where they are to be had for no more work.

        ``joint`` asks for covariances of a row's outputs, not for their variances alone.
        """
        normals = self.posterior_.normal_outputs(model)
        if normals is None:
            return None
        n_draws = self.n_predictive_samples  # type: ignore[attr-defined]
        return normals if normals.is_quicker(n_draws, joint) else None

    def _row_predictive(self, model: Model) -> DrawTiles:
        """Draws behind what is asked of single rows: from each row's normal, if it has one."""
        normals = self._normals(model, joint=True)
        if normals is None:
            return self._predictive(model)
        n_draws = self.n_predictive_samples  # type: ignore[attr-defined]
        noise = sobol_normals(n_draws, model.network.n_outputs, self._prediction_seed)
        return RowDraws(normals, noise)

    def _reduced(
        self, X: Any, names: tuple[str, ...], of_normals: Any, of_draws: Any, then: Any = None
    ) -> tuple[np.dtype, list[np.ndarray]]:
        """Dtype of the caller's rows, and averages over normals if that is exact, or draws.

        ``then`` makes of the dtype and the averages of a tile what is kept of them, where that
        is smaller than they are.
        """
        X, rows = self._inputs(X)
        model, source = self._model(), of_draws
        tiles: Moments | DrawTiles
        normals = self._normals(model, joint=False)
        if normals and of_normals.suit(self.likelihood_):
            tiles, source = Moments(normals), of_normals
        else:
            tiles = self._row_predictive(model)

        def reduce(outputs: Any) -> list[Any]:
            averages = source(self.likelihood_, outputs, tiles.hyper)
            found = [getattr(averages, name) for name in names]
            return then(X.dtype, *found) if then else found

        return X.dtype, tiles.reduce(rows, reduce)

    def _fresh_predictive(self, model: Model, n_draws: int, seed: int) -> Predictive:
        """New draws from the posterior."""
        return self._push(model, self.posterior_.sample(n_draws, make_generator(seed)))

    def _new_draws(self, n_samples: Any, random_state: Any) -> tuple[Predictive, torch.Generator]:
        """New draws, and the stream of the noise of new targets that goes with them."""
        seeds = seed_streams(random_state)
        n_draws = check_count(n_samples)
        predictive = self._fresh_predictive(self._model(), n_draws, seeds["draws"])
        return predictive, make_generator(seeds["noise"])

    def _push(self, model: Model, params: Tensor) -> Predictive:
        return Predictive(model, self.posterior_, params.to(model.like), self.memory_budget)  # type: ignore[attr-defined]

    def sample_posterior(
        self, n_samples: int = 1, X: Any = None, random_state: Any = None
    ) -> dict[str, np.ndarray] | np.ndarray:
        """Draw from the posterior.

        Parameters
        ----------
        n_samples : int, default=1
            Number of draws.
        X : array-like of shape (n_rows, n_features), optional
            Rows at which to draw function values.
        random_state : int, RandomState instance or None, default=None
            Equal seeds give equal draws.

        Returns
        -------
        draws : dict of ndarray, or ndarray
            Without X, named arrays (n_samples, ...) of weights, layer scales and noise, in
            standardised units. With X, latent function values (n_samples, n_rows,
            n_outputs): means of the targets in their units, or logits.
        """
        check_is_fitted(self)
        model, seed = self._model(), seed_streams(random_state)["draws"]
        predictive = self._fresh_predictive(model, check_count(n_samples), seed)
        if X is None:
            named = model.named(predictive.params)
            return {name: draws.numpy() for name, draws in named.items()}
        X, rows = self._inputs(X)
        (draws,) = predictive.reduce(
            rows, lambda outputs: [self._latent(outputs, predictive.hyper).swapaxes(0, 1)]
        )
        return as_float(draws.swapaxes(0, 1), X.dtype)

    def _latent(self, outputs: Tensor, hyper: Tensor) -> np.ndarray:
        raise NotImplementedError(f"{type(self).__name__} must define _latent")

    def _row_log_density(
        self, predictive: DrawTiles, rows: ScaledRows, y: Tensor
    ) -> Iterator[tuple[slice, Tensor]]:
        """Tiles of rows, their log density (S, rows) under each draw, y standardised."""
        hyper = predictive.hyper.double()
        for at, outputs in predictive.tiles(rows):
            yield at, self.likelihood_.log_prob(outputs.double(), y[at], hyper)

    def _log_jacobian(self) -> float:
        """Log of d(standardised y) / dy, summed over targets."""
        return 0.0 if self._y_scaler is None else -float(np.log(self._y_scaler.scale).sum())

    def _target_tensor(self, y: Any, n_rows: int) -> Tensor:
        codes = self._encode_targets(y)
        if len(codes) != n_rows:
            raise ValueError(f"X has {n_rows} rows but y has {len(codes)}")
        if self._y_scaler is None:
            return as_tensor(codes, torch.int64)
        return as_tensor(self._y_scaler.transform(codes), torch.float64)

    def log_predictive(self, X: Any, y: Any) -> np.ndarray:
        """Log posterior predictive density of each row's targets.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows to predict, as `fit` takes them.
        y : array-like of shape (n_rows,) or (n_rows, n_targets)
            Their targets.

        Returns
        -------
        log_density : ndarray of shape (n_rows,)
            In nats and in the units of y, jointly over several targets.
        """
        X, rows = self._inputs(X)
        y, model = self._target_tensor(y, len(X)), self._model()
        exact = self._exact_log_density(model, rows, y)
        if exact is not None:
            return exact + self._log_jacobian()
        predictive = self._row_predictive(model)
        shift = self._log_jacobian() - np.log(len(predictive))
        mixture = np.empty(len(X))
        for at, density in self._row_log_density(predictive, rows, y):
            mixture[at] = torch.logsumexp(density, 0).numpy() + shift
        return mixture

    def _exact_log_density(self, model: Model, rows: ScaledRows, y: Tensor) -> np.ndarray | None:
        """Log predictive density (N,), y standardised, where it has a closed form."""
        return None

    def _new_evidence(self, X: Any, y: Any) -> tuple[float, float, float]:
        X, rows = self._inputs(X)
        predictive = self._predictive(self._model(), N_EVIDENCE_DRAWS)
        total = torch.zeros(len(predictive), dtype=torch.float64)
        for _, density in self._row_log_density(predictive, rows, self._target_tensor(y, len(X))):
            total += density.sum(1)
        inefficiency = self.posterior_.inefficiency
        value, se, ess = log_mean_exp(total.numpy(force=True), inefficiency=inefficiency)
        if not self.posterior_.monte_carlo:
            se, ess = 0.0, np.inf
        return value + len(X) * self._log_jacobian(), se, ess

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


class BayesianNetwork(NetworkTemplate):
    """A network from rows to targets."""

    def _check_fit(self, model: Model, posterior: Posterior, data: Data, engine: str) -> None:
        warn_if_linear(model, posterior, data, engine)

    @fit_method
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> BayesianNetwork:
        """Infer the posterior over the network's weights, scales and noise.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Raw columns; they are standardised inside.
        y : array-like of shape (n_rows,) or (n_rows, n_targets)
            Targets, or class labels.
        sample_weight : array-like of shape (n_rows,), optional
            Exponents of the rows' likelihoods: a row of weight 2 counts as two rows, so
            the scale of the weights matters.

        Returns
        -------
        self : estimator

        Raises
        ------
        ValueError
            If the data or a parameter is unusable.
        IncompatiblePartsError
            If engine, prior and likelihood do not fit together.
        InsufficientMemoryError
            If the draws of a sampler would not fit, before any work.
        DivergenceError
            If the engine met non-finite numbers; the estimator stays as it was.
        CheckpointError
            If the engine's ``checkpoint`` holds damaged files, or another run's.
        """
        self._fit(X, y, sample_weight)
        return self
