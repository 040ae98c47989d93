"""The variational autoencoder as a transformer with a density."""

from __future__ import annotations

import os
from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any

import numpy as np

from skbayes.autoencoder._columns import COLUMN_KINDS
from skbayes.autoencoder._convolutional import check_image_shape
from skbayes.autoencoder._divergences import DIVERGENCES
from skbayes.autoencoder._fitting import TrainedCoder
from skbayes.autoencoder._generative import GenerativeModel
from skbayes.autoencoder._mixture_priors import LATENT_PRIORS
from skbayes.autoencoder._model import Model
from skbayes.autoencoder._objective import Corruption, Objective
from skbayes.autoencoder._table import Rows, Table
from skbayes.exceptions import IncompatiblePartsError
from skbayes.networks._activations import ACTIVATIONS
from skbayes.utils._sklearn import Interval, StrOptions, fit_context

#: Training rows whose densities `fit` computes, the rest are estimated from them: so many at
#: least, and as many as this number of products of draws, rows and parameters allows.
EVIDENCE_ROWS, EVIDENCE_WORK = 256, 3e10

_POSITIVE = Interval(Integral, 1, None, closed="left")
_NETWORK_CONSTRAINTS: dict = {
    "n_components": [_POSITIVE],
    "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
    "decoder_hidden_layer_sizes": ["array-like", _POSITIVE, None],
    "activation": [StrOptions(set(ACTIVATIONS))],
    "prior_scale": [Interval(Real, 0, None, closed="neither"), None],
    "likelihood": [StrOptions(set(COLUMN_KINDS)), dict],
    "noise_variance": [
        StrOptions({"shared", "feature", "input"}),
        Interval(Real, 0, None, closed="neither"),
    ],
    "scale_inputs": [StrOptions({"column", "global"}), None],
    "binarize": [StrOptions({"threshold", "sample"}), None],
    "corruption": [StrOptions({"mask", "gaussian"}), None],
    "corruption_rate": [Interval(Real, 0, None, closed="neither")],
    "allow_missing": ["boolean"],
    "batch_size": [_POSITIVE],
    "max_iter": [StrOptions({"auto"}), _POSITIVE],
    "learning_rate": [Interval(Real, 0, None, closed="neither")],
    "tol": [Interval(Real, 0, None, closed="left")],
    "device": [str],
    "verbose": ["verbose"],
    "random_state": ["random_state"],
}


class VAETransformer(TrainedCoder, GenerativeModel):
    """TODO"""

    _parameter_constraints: dict = {
        **_NETWORK_CONSTRAINTS,
        "covariance": [StrOptions({"diag", "full"})],
        "divergence": [StrOptions({"kl", *DIVERGENCES})],
        "beta": [Interval(Real, 0, None, closed="left")],
        "free_bits": [Interval(Real, 0, None, closed="left")],
        "warm_up": [Interval(Real, 0, 1, closed="both")],
        "n_importance_samples": [_POSITIVE],
        "latent_prior": [StrOptions(set(LATENT_PRIORS))],
        "n_prior_components": [_POSITIVE, None],
        "image_shape": ["array-like", None],
        "channels": ["array-like", _POSITIVE],
        "condition_on_y": ["boolean"],
        "n_score_samples": [_POSITIVE],
        "warm_start": ["boolean"],
        "checkpoint": [str, os.PathLike, None],
        "checkpoint_every": [_POSITIVE],
    }

    def __init__(
        self,
        n_components: int = 2,
        *,
        hidden_layer_sizes: Any = (100, 100),
        decoder_hidden_layer_sizes: Any = None,
        activation: str = "relu",
        prior_scale: float | None = 1.0,
        likelihood: Any = "gaussian",
        noise_variance: str | float = "feature",
        scale_inputs: str | None = "column",
        binarize: str | None = None,
        covariance: str = "diag",
        latent_prior: str = "normal",
        n_prior_components: int | None = None,
        image_shape: Any = None,
        channels: Any = (32, 64),
        divergence: str = "kl",
        beta: float = 1.0,
        free_bits: float = 0.0,
        warm_up: float = 0.0,
        n_importance_samples: int = 1,
        condition_on_y: bool = False,
        allow_missing: bool = False,
        corruption: str | None = None,
        corruption_rate: float = 0.3,
        batch_size: int = 128,
        max_iter: int | str = "auto",
        learning_rate: float = 1e-3,
        tol: float = 0.0,
        n_score_samples: int = 256,
        warm_start: bool = False,
        checkpoint: str | os.PathLike | None = None,
        checkpoint_every: int = 1000,
        device: str = "auto",
        verbose: int = 0,
        random_state: Any = None,
    ) -> None:
        self.n_components = n_components
        self.hidden_layer_sizes = hidden_layer_sizes
        self.decoder_hidden_layer_sizes = decoder_hidden_layer_sizes
        self.activation = activation
        self.prior_scale = prior_scale
        self.likelihood = likelihood
        self.noise_variance = noise_variance
        self.scale_inputs = scale_inputs
        self.binarize = binarize
        self.covariance = covariance
        self.latent_prior = latent_prior
        self.n_prior_components = n_prior_components
        self.image_shape = image_shape
        self.channels = channels
        self.divergence = divergence
        self.beta = beta
        self.free_bits = free_bits
        self.warm_up = warm_up
        self.n_importance_samples = n_importance_samples
        self.condition_on_y = condition_on_y
        self.allow_missing = allow_missing
        self.corruption = corruption
        self.corruption_rate = corruption_rate
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.learning_rate = learning_rate
        self.tol = tol
        self.n_score_samples = n_score_samples
        self.warm_start = warm_start
        self.checkpoint = checkpoint
        self.checkpoint_every = checkpoint_every
        self.device = device
        self.verbose = verbose
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> VAETransformer:
        """Train encoder and decoder.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows; missing values are NaN, with ``allow_missing=True``.
        y : array-like of shape (n_rows,) or (n_rows, n_targets), optional
            Labels or numbers, with ``condition_on_y=True``; otherwise ignored.
        sample_weight : array-like of shape (n_rows,), optional
            Exponents of the rows' likelihoods: a row of weight 2 counts as two rows.

        Returns
        -------
        self : VAETransformer

        Raises
        ------
        IncompatiblePartsError
            If two parameters do not fit each other; raised before any work.
        DivergenceError
            If the training met a non-finite loss.
        """
        self._check_parts()
        further = self.warm_start and hasattr(self, "_parameters")
        rows, total = self._fit(X, y, sample_weight, further, streaming=False)
        self._store_evidence(rows, total)
        return self

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> VAETransformer:
        """Take one pass over further rows, which need not be kept.

        The first call learns the scales of columns; the rate does not fall.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows.
        y : array-like, optional
            As in `fit`.
        sample_weight : array-like of shape (n_rows,), optional
            Exponents of the rows' likelihoods.

        Returns
        -------
        self : VAETransformer
        """
        self._check_parts()
        if LATENT_PRIORS[self.latent_prior].refits:
            raise IncompatiblePartsError(
                f"latent_prior={self.latent_prior!r} is fitted to the codes of all training "
                "rows, which partial_fit does not keep; use latent_prior='gaussian_mixture'"
            )
        self._fit(X, y, sample_weight, hasattr(self, "_parameters"), streaming=True)
        self._set_evidence(None, "partial_fit keeps no rows; use score_evidence(X) on some")
        return self

    def _check_parts(self) -> None:
        """Refuse parameters that do not fit each other, by name."""
        kl, importance = self.divergence == "kl", self.n_importance_samples > 1
        prior = LATENT_PRIORS[self.latent_prior]
        pairs = [
            (importance and not kl, "n_importance_samples", "divergence", "divergence='kl'"),
            (importance and self.beta != 1, "n_importance_samples", "beta", "beta=1"),
            (importance and self.free_bits > 0, "n_importance_samples", "free_bits", "free_bits=0"),
            (importance and self.warm_up > 0, "n_importance_samples", "warm_up", "warm_up=0"),
            (self.free_bits > 0 and not kl, "free_bits", "divergence", "divergence='kl'"),
            (
                self.free_bits > 0 and not prior.by_code,
                "free_bits",
                "latent_prior",
                "latent_prior='normal'",
            ),
        ]
        conditional = prior.encodes and self.condition_on_y
        pairs.append((conditional, "latent_prior", "condition_on_y", "latent_prior='normal'"))
        for clash, one, other, remedy in pairs:
            if clash:
                raise IncompatiblePartsError(
                    f"{one}={getattr(self, one)!r} does not go with {other}="
                    f"{getattr(self, other)!r}; use {remedy}"
                )

    def _describe(self, n_features: int) -> dict[str, Any]:
        """All that decides the networks, as plain values."""
        hidden = _sizes(self.hidden_layer_sizes)
        down = self.decoder_hidden_layer_sizes
        return {
            "n_components": int(self.n_components),
            "hidden_layer_sizes": hidden,
            "decoder_hidden_layer_sizes": hidden[::-1] if down is None else _sizes(down),
            "activation": self.activation,
            "covariance": self.covariance,
            "latent_prior": self.latent_prior,
            "n_prior_components": self.n_prior_components,
            "image_shape": self._image_shape(n_features),
            "channels": _sizes(self.channels),
            "divergence": self.divergence,
            "allow_missing": bool(self.allow_missing),
        }

    def _image_shape(self, n_features: int) -> tuple[int, int, int] | None:
        """The shape of a row, checked against its number of columns."""
        if self.image_shape is None:
            return None
        if not isinstance(self.likelihood, str) or self.likelihood == "categorical":
            raise IncompatiblePartsError(
                f"image_shape={self.image_shape!r} does not go with likelihood="
                f"{self.likelihood!r}; pixels have one kind, use 'gaussian' or 'bernoulli'"
            )
        return check_image_shape(self.image_shape, n_features)

    def _make_table(self, n_features: int) -> Table:
        options = {
            name: getattr(self, name) for name in ("noise_variance", "scale_inputs", "binarize")
        }
        return Table.of(self._likelihood_by_number(), n_features, options)

    def _likelihood_by_number(self) -> Any:
        """The likelihood with names of columns replaced by their numbers."""
        if isinstance(self.likelihood, str):
            return self.likelihood
        names = list(getattr(self, "feature_names_in_", ()))

        def number(column: Any) -> int:
            if not isinstance(column, str):
                return column
            if column not in names:
                raise ValueError(f"likelihood names the column {column!r}, which X does not have")
            return names.index(column)

        return {
            kind: [number(column) for column in np.atleast_1d(np.asarray(columns, dtype=object))]
            for kind, columns in self.likelihood.items()
        }

    def _objective(self, model: Model) -> Objective:
        return Objective(
            model=model,
            divergence="kl" if self.divergence == "kl" else DIVERGENCES[self.divergence],
            beta=self.beta,
            free_bits=self.free_bits,
            warm_up=self.warm_up,
            n_importance_samples=self.n_importance_samples,
            corruption=Corruption(self.corruption, self.corruption_rate),
        )

    def _store_evidence(self, rows: Rows, total: float) -> None:
        """Log density of the training rows, from a sample of them where they are many."""
        if self._holds_shares(rows):
            self._set_evidence(None, "binary columns hold values between 0 and 1; use binarize=")
            return
        # Canonical rows are as good as shuffled: their order is that of a hash.
        n_parameters = sum(v.size for own in self._parameters.values() for v in own.values())
        affordable = int(EVIDENCE_WORK / (self.n_score_samples * n_parameters))
        m = min(len(rows), max(EVIDENCE_ROWS, affordable))
        sampled = rows.rows(slice(0, m))
        weight = np.ones(m) if sampled.weight is None else sampled.weight.double().numpy()
        share = weight / weight.sum()
        log_density, error, effective = self._sampler().scores(sampled)
        log_density = log_density - self._table.log_scale(sampled)
        mean = share @ log_density
        variance = (share**2) @ error**2
        left_out = 1 - m / len(rows)
        variance += left_out * (share**2) @ (log_density - mean) ** 2
        found = total * float(mean), total * float(np.sqrt(variance)), float(np.median(effective))
        self._set_evidence(found, "")

    def _set_evidence(self, found: tuple[float, float, float] | None, why: str) -> None:
        """Keep a log evidence, its standard error and effective draws, or why there is none."""
        self.evidence_kind_ = None if found is None else "plugin"
        self._why_none = why
        nothing: tuple[Any, Any, Any] = (None, None, None)
        self._log_evidence, self.evidence_se_, self._evidence_ess = found or nothing


def _sizes(sizes: Any) -> list[int]:
    """Layer sizes as plain integers."""
    return [int(n) for n in (sizes if isinstance(sizes, Iterable) else [sizes])]
