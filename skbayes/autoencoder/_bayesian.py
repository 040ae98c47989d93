"""The autoencoder with a posterior over its weights."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar, cast

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from skbayes.autoencoder._architecture import NAMESAKES, warn_if_as_wide
from skbayes.autoencoder._reconstructions import Reconstructions, in_tiles, most_central
from skbayes.autoencoder._row_density import N_IMPORTANCE, MixedRows, MixedRowVerbs, RowMixture
from skbayes.base._fitting import fit_method
from skbayes.data._canonical import canonical_rows
from skbayes.data._scaling import Standardizer
from skbayes.data._tables import validate_data
from skbayes.data._tensors import Data, as_tensor
from skbayes.exceptions import EvidenceUnavailableError, IncompatiblePartsError
from skbayes.inference import INFERENCES, Inference
from skbayes.latent._fitted_mixtures import (
    DENSITY_ROWS,
    LATENT_DENSITIES,
    fit_mixtures,
    spread_evenly,
)
from skbayes.likelihoods import BernoulliColumns, Gaussian, Likelihood, SharedGaussian
from skbayes.mixture import VariationalGMM
from skbayes.networks import WAYS_BACK, EncoderDecoder, NetworkSpec
from skbayes.networks._encoder_decoder import joined
from skbayes.networks._specs import resolve_networks
from skbayes.neural_network._base import NetworkTemplate
from skbayes.neural_network._scaled import scaled_inputs, scaled_rows
from skbayes.posteriors import ParticlePosterior
from skbayes.priors import PRIORS, EmpiricalBayes, Normal, Optimized, Pretrained, Prior
from skbayes.priors._trained import TrainedPrior
from skbayes.utils._random import make_generator
from skbayes.utils._sklearn import Interval, StrOptions

#: Priors by the names that autoencoders accept.
ROW_PRIORS: dict[str, type[Prior]] = {
    "auto": Normal,
    "empirical_bayes": EmpiricalBayes,
    "pretrained": Pretrained,
    "optimized": Optimized,
    **PRIORS,
}
#: Likelihoods by the names that a `BayesianAutoencoder` accepts.
ROW_LIKELIHOODS: dict[str, type[Likelihood]] = {
    "shared_gaussian": SharedGaussian,
    "gaussian": Gaussian,
    "bernoulli": BernoulliColumns,
}
#: What "auto" stands for in the networks.
NETWORK_DEFAULTS = {"hidden_layer_sizes": [50], "activation": "tanh", "channels": [8, 16]}
#: Training rows that choose the draw of the codes; canonical ones come in hashed order, so
#: the first are as good as random.
CENTRAL_ROWS = 1000
#: What the density can hold of latents and weights: squares stay in single precision.
LARGEST = 1e18


class BayesianAutoencoder(MixedRowVerbs, Reconstructions):
    """Autoencoder with a posterior over the weights of encoder and decoder.

    Rows are the targets of a network that takes the rows themselves as inputs, through a
    narrow layer of codes. Many encoders and decoders reconstruct the rows alike; the
    posterior keeps draws of them, whose reconstructions agree on what the data say and
    scatter elsewhere. A mixture over the codes of each draw makes it a density of rows.

    Parameters
    ----------
    n_components : int, default=2
        Numbers in a code.
    encoder : {"mlp", "cnn"}, MLP or CNN, default="mlp"
        Network of the encoder: fully connected, of one hidden layer of 50 units with "tanh"
        unless `skbayes.networks.MLP` says otherwise, or `skbayes.networks.CNN` for rows that
        are images (channels (8, 16)). Latents and outputs have no activation.
    decoder : {"mlp", "cnn"}, MLP, CNN or None, default=None
        That of the decoder, of the encoder's kind; None mirrors the encoder.
    prior : str or Prior, default="auto"
        Prior of the weights. "auto" is "normal", whose scale of each layer is inferred with
        the weights. "empirical_bayes" has zero mean and one fixed scale for the weights and
        for the biases of each layer, those of a network trained quickly beforehand;
        "pretrained" has every weight's mean from a network trained on ``X_prior``;
        "optimized" tunes these means and each weight's variance further, by the distance
        between rows and the prior's reconstructions; or a name in
        ``skbayes.priors.PRIORS``, or an object.
    likelihood : {"shared_gaussian", "gaussian", "bernoulli"} or Likelihood, \
            default="shared_gaussian"
        One noise for all (standardised) columns, or one a column; "bernoulli" takes columns
        from 0 to 1, such as pixels. Any likelihood of numbers may be given as an object.
    inference : str or Inference, default="sghmc"
        Engine, a name in ``skbayes.inference.INFERENCES`` or an object.
    density : {"dpmm"}, VariationalGMM or None, default="dpmm"
        Density of the codes, behind `sample` and `score_samples`: a Gaussian mixture with
        Dirichlet-process weights (at most 10 components), or an unfitted mixture of full
        covariances. One is fitted to the codes of each of up to 8 posterior draws, for
        codes of different draws have different coordinates. None for no density.
    scale_inputs : {"column", "global"} or None, default="column"
        Standardise each column, divide all by one scale (pixels), or leave X alone.
    n_predictive_samples : int, default=400
        Posterior draws behind a reconstruction (fewer where the engine keeps fewer).
    device : str, default="auto"
        Torch device to fit on; "auto" takes CUDA for large work, else the CPU.
    dtype : {"auto", "float32", "float64"}, default="auto"
        Precision of the network; "auto" is single. Answers have the dtype of X.
    memory_budget : float, default=256.0
        MiB that a prediction's intermediate values may take; up to 32 whatever it is,
        and more where one row has more than half a million outputs over all draws.
    verbose : int, default=0
        1 shows a progress bar.
    random_state : int, RandomState instance or None, default=None
        Seeds everything: equal seeds give equal bits.

    Attributes
    ----------
    posterior_ : Posterior
        The posterior, as NumPy arrays.
    code_draw_ : int
        Number of the draw, among those behind predictions, whose encoder and decoder make
        codes: its reconstructions are the nearest to the mean ones. -1 where the posterior
        is a distribution around a mean, whose encoder and decoder it then is.
    density_draws_ : ndarray of int of shape (n_density_draws,)
        Numbers of the draws that have a density of codes, spread evenly over those behind
        predictions; [-1] for the mean alone. With a ``density``.
    inference_, prior_, likelihood_ : Inference, Prior, Likelihood
        The parts that were used.
    wasserstein_curve_ : list of float
        Distance of rows from the prior's reconstructions at each step of its tuning; only
        with ``prior="optimized"``.
    evidence_kind_ : str or None
        How the evidence was obtained, if it was.
    evidence_se_ : float or None
        Its standard error in nats.
    diagnostics_ : dict
        What the engine reports; R-hat and effective sizes are those of reconstructions.
    n_iter_ : int
        Steps taken by the engine.
    n_features_in_ : int
        Columns seen in fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, if all were strings.

    See Also
    --------
    PPCA : The linear autoencoder with a density of codes, in closed form.

    References
    ----------
    Tran, Rossi, Milios, Michiardi, Bonilla and Filippone (2021), Model selection for
    Bayesian autoencoders, NeurIPS.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skbayes import BayesianAutoencoder
    >>> X = load_iris().data
    >>> from skbayes.networks import MLP
    >>> bae = BayesianAutoencoder(2, encoder=MLP(()), inference="laplace", random_state=0)
    >>> bae.fit(X).transform(X).shape
    (150, 2)
    >>> bae.predict_std(X, kind="epistemic").shape
    (150, 4)
    """

    density_draws_: np.ndarray
    #: Weights (S, P) of the retained draws, and their mixtures, stacked.
    _density_params: np.ndarray
    _latent_mixtures: dict[str, np.ndarray]
    _target = "rows"
    _instead: ClassVar[dict[str, str]] = dict.fromkeys(
        ("score_samples", "score", "sample"),
        "density=None leaves rows without one; set density='dpmm' and fit again",
    )
    _namesakes: ClassVar[dict[str, str]] = NAMESAKES
    #: A fit starts anew.
    warm_start = False
    _registries: ClassVar[dict[str, dict[str, type]]] = {
        "encoder": WAYS_BACK,
        "decoder": WAYS_BACK,
        "prior": ROW_PRIORS,
        "likelihood": ROW_LIKELIHOODS,
        "inference": INFERENCES,
        "density": LATENT_DENSITIES,
    }
    _parameter_constraints: dict = {
        **{k: v for k, v in NetworkTemplate._parameter_constraints.items() if k != "warm_start"},
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "encoder": [StrOptions(set(WAYS_BACK)), NetworkSpec],
        "decoder": [StrOptions(set(WAYS_BACK)), NetworkSpec, None],
        "prior": [StrOptions(set(ROW_PRIORS)), Prior],
        "likelihood": [StrOptions(set(ROW_LIKELIHOODS)), Likelihood],
        "inference": [StrOptions(set(INFERENCES)), Inference],
        "density": [StrOptions(set(LATENT_DENSITIES)), VariationalGMM, None],
    }

    def __init__(
        self,
        n_components: int = 2,
        *,
        encoder: Any = "mlp",
        decoder: Any = None,
        prior: Any = "auto",
        likelihood: Any = "shared_gaussian",
        inference: Any = "sghmc",
        density: Any = "dpmm",
        scale_inputs: str | None = "column",
        n_predictive_samples: int = 400,
        device: str = "auto",
        dtype: str = "auto",
        memory_budget: float = 256.0,
        verbose: int = 0,
        random_state: Any = None,
    ) -> None:
        self.n_components = n_components
        self.encoder = encoder
        self.decoder = decoder
        self.prior = prior
        self.likelihood = likelihood
        self.inference = inference
        self.density = density
        self.scale_inputs = scale_inputs
        self.n_predictive_samples = n_predictive_samples
        self.device = device
        self.dtype = dtype
        self.memory_budget = memory_budget
        self.verbose = verbose
        self.random_state = random_state

    @fit_method
    def fit(
        self, X: Any, y: Any = None, sample_weight: Any = None, X_prior: Any = None
    ) -> BayesianAutoencoder:
        """Infer the posterior over the weights of encoder and decoder.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Raw columns; they are standardised inside.
        y : Ignored
            Present by convention.
        sample_weight : array-like of shape (n_rows,), optional
            Exponents of the rows' likelihoods: a row of weight 2 counts as two rows.
        X_prior : array-like of shape (n_prior_rows, n_features), optional
            Rows that tune the prior and nothing else, for the priors that are tuned;
            "pretrained" needs them. They count as data: a comparison with another method
            should let it see them too.

        Returns
        -------
        self : estimator

        Raises
        ------
        ValueError
            If the data or a parameter is unusable.
        IncompatiblePartsError
            If engine, prior and likelihood do not fit together.
        DivergenceError
            If the engine met non-finite numbers; the estimator stays as it was.
        CheckpointError
            If the engine's ``checkpoint`` holds damaged files, or another run's.
        """
        self._check_prior_rows(X_prior)
        self._fit(X, y, sample_weight, X_prior)
        return self

    def _check_prior_rows(self, X_prior: Any) -> None:
        """Rows for the prior go with priors that use them, and "pretrained" needs some."""
        kind = ROW_PRIORS[self.prior] if isinstance(self.prior, str) else type(self.prior)
        if X_prior is None and issubclass(kind, Pretrained):
            raise ValueError(
                "prior='pretrained' takes its means from rows of their own: give fit X_prior, "
                "or use prior='empirical_bayes', which takes a few scales from the training rows"
            )
        if X_prior is not None and not issubclass(kind, TrainedPrior):
            raise ValueError(
                f"X_prior was given, but prior={self.prior!r} is not tuned on rows; use "
                "prior='pretrained', 'optimized' or 'empirical_bayes'"
            )

    @property
    def wasserstein_curve_(self) -> list[float]:
        """Distance of rows from the prior's reconstructions at each step of its tuning."""
        check_is_fitted(self)
        return self.prior_.wasserstein_curve_

    # --- hooks of the template --------------------------------------------------------

    def _network_config(self) -> dict[str, Any]:
        encoder = self._checked_part("encoder")
        decoder = None if self.decoder is None else self._checked_part("decoder")
        up, down = resolve_networks(encoder, decoder, NETWORK_DEFAULTS, self.n_features_in_)
        if getattr(up, "image_shape", None) != getattr(down, "image_shape", None):
            raise IncompatiblePartsError(
                f"decoder={self.decoder!r} does not go with encoder={self.encoder!r} in a "
                "BayesianAutoencoder, whose halves see the same image or none; use decoder=None"
            )
        return {"n_components": int(self.n_components), "encoder": up, "decoder": down}

    def _make_network(self, n_inputs: int, n_outputs: int) -> EncoderDecoder:
        return _network(n_inputs, n_outputs, self._network_config())

    def _make_network_from(self, config: dict[str, Any]) -> EncoderDecoder:
        n_features = self.n_features_in_
        return _network(n_features, self.likelihood_.n_outputs(n_features), config)

    def _make_likelihood(self, n_targets: int) -> Likelihood:
        likelihood = self._checked_part("likelihood")
        if likelihood.target == "classes":
            raise IncompatiblePartsError(
                f"likelihood={self.likelihood!r} is one of labels; BayesianAutoencoder takes "
                f"{sorted(ROW_LIKELIHOODS)} or a likelihood of numbers"
            )
        if getattr(likelihood, "binarize", None) is not None:
            raise IncompatiblePartsError(
                f"likelihood={self.likelihood!r} does not go with BayesianAutoencoder, which "
                "takes shares as they are; binarise X, and use likelihood='bernoulli'"
            )
        return likelihood

    @property
    def _of_shares(self) -> bool:
        """Whether the likelihood takes columns from 0 to 1."""
        return self._make_part("likelihood").target == "unit"

    def _validate_training(self, X: Any, y: Any, reset: bool) -> tuple[np.ndarray, np.ndarray, int]:
        X = validate_data(self, X, dtype=[np.float64, np.float32], reset=reset)
        if self._of_shares and ((X < 0) | (X > 1)).any():
            raise ValueError(
                f"likelihood={self.likelihood!r} takes columns from 0 to 1, but X reaches from "
                f"{X.min():.6g} to {X.max():.6g}; scale it, or use likelihood='gaussian'"
            )
        warn_if_as_wide(self.n_components, X.shape[1])
        return X, X.astype(np.float64), X.shape[1]

    def _fit_scalers(
        self, X: np.ndarray, y: np.ndarray, weight: np.ndarray
    ) -> tuple[Standardizer, Standardizer]:
        scaler = Standardizer(self.scale_inputs).fit(X, weight)
        return scaler, Standardizer(None).fit(y, weight) if self._of_shares else scaler

    def _prior_data(
        self, X_prior: Any, data: Data, scalers: tuple[Standardizer, Standardizer | None]
    ) -> Data:
        X, y, _ = self._validate_training(X_prior, None, reset=False)
        dtype = str(data.X.dtype).removeprefix("torch.")
        rows = canonical_rows(X, y, np.ones(len(X)))
        return self._to_data(*rows, scalers, dtype, str(data.X.device))

    def _complete(
        self, fitted: dict[str, Any], X: np.ndarray, weight: np.ndarray
    ) -> dict[str, Any]:
        """The fitted attributes, with the draw that makes codes and the density of codes."""
        fitted = {**fitted, "_dtype": str(X.dtype)}
        if self._of_shares and not np.isin(X, (0, 1)).all():
            fitted |= {"evidence_kind_": None, "evidence_se_": None}
        # The draw is chosen, and the density made, by what the fitted networks answer.
        self.__dict__.update(fitted)
        fitted |= self._choose_codes(X[:CENTRAL_ROWS], weight[:CENTRAL_ROWS])
        self.__dict__.update(fitted)
        if self.density is None:
            return fitted
        return fitted | self._fit_density(X[:DENSITY_ROWS], weight[:DENSITY_ROWS])

    def _choose_codes(self, X: np.ndarray, weight: np.ndarray) -> dict[str, Any]:
        """The draw of the codes: the most central one, or a posterior's own mean."""
        posterior, model = self.posterior_, self._model()
        if not isinstance(posterior, ParticlePosterior):
            mean = posterior.start(1, make_generator(self._prediction_seed))[0]
            return {"code_draw_": -1, "_code_params": mean.numpy()}
        predictive = self._draws(model)
        rows = scaled_rows(X, self._x_scaler, model.like.dtype)
        chosen = most_central(model, predictive, rows, weight)
        return {"code_draw_": chosen, "_code_params": predictive.params[chosen].numpy().copy()}

    # --- density ----------------------------------------------------------------------

    def _fit_density(self, X: np.ndarray, weight: np.ndarray) -> dict[str, Any]:
        """Fitted attributes: the retained draws, and a mixture of the latents of each."""
        gmm = self._checked_part("density")
        if gmm.covariance_type != "full":
            raise ValueError(
                f"density has covariance_type={gmm.covariance_type!r}, but codes have no axes "
                "of their own; use covariance_type='full'"
            )
        model = self._model()
        params = torch.from_numpy(self._code_params)[None].to(model.like)
        numbers = np.array([self.code_draw_])
        if isinstance(self.posterior_, ParticlePosterior):
            params = self._draws(model).params
            numbers = spread_evenly(len(params), len(self.posterior_.particles))
            params = params[numbers]
        weights, network = model.weights(params), cast(EncoderDecoder, model.network)
        rows = scaled_rows(X, self._x_scaler, model.like.dtype)

        def encode(tile: Tensor) -> Tensor:
            return network.encode(weights, tile).transpose(0, 1)

        latents = in_tiles(rows, encode, weights)
        reach = max(float(np.abs(latents).max()), float(weights.abs().max()))
        if not reach <= LARGEST:
            raise ValueError(
                f"X leads to codes or weights up to {reach:.3g} under "
                f"scale_inputs={self.scale_inputs!r}, whose squares exceed the single precision "
                "of the density of rows; use scale_inputs='column', or set density=None"
            )
        return {
            "density_draws_": numbers,
            "_density_params": params.numpy().copy(),
            "_latent_mixtures": fit_mixtures(gmm, latents, weight, self._evidence_seed),
        }

    def _mixture(self) -> RowMixture:
        return RowMixture(self._model(), self._density_params, self._latent_mixtures)

    def _density(self, X: Any, y: Any, n_draws: int = N_IMPORTANCE) -> MixedRows:
        check_is_fitted(self)
        if self.density is None:
            raise EvidenceUnavailableError(
                f"{type(self).__name__}(density=None) has no density of rows; use "
                "density='dpmm', or log_predictive(X) for reconstructions"
            )
        if self._of_shares and not np.isin(self._inputs(X)[0], (0, 1)).all():
            raise EvidenceUnavailableError(self._no_probability())
        return self._mixed(X, n_draws)

    def _mixed(self, X: Any, n_draws: int) -> MixedRows:
        X, inputs = self._inputs(X)
        targets = as_tensor(scaled_inputs(self._y_scaler, X), torch.float32)
        rows = Data(inputs[:].float(), targets, torch.ones(len(targets)))
        log_density, error = self._mixture().scores(rows, n_draws, self._prediction_seed)
        log_density = log_density - np.log(self._y_scaler.scale).sum()
        return MixedRows(log_density, error, self.posterior_.monte_carlo, X.dtype)

    def _no_evidence(self) -> str:
        has_one = self.posterior_.evidence_kind is not None
        return self._no_probability() if has_one else super()._no_evidence()

    def _no_probability(self) -> str:
        return (
            "likelihood='bernoulli' gives a probability to zeros and ones only, and X holds "
            "numbers between them; binarise X, use likelihood='gaussian', or of rows "
            "anomaly_score(X)"
        )


def _network(n_inputs: int, n_outputs: int, config: dict[str, Any]) -> EncoderDecoder:
    """Encoder and decoder, dense or, where rows are images, convolutional."""
    n_latents = config["n_components"]
    return joined(
        config["encoder"].encoder(n_inputs, n_latents),
        config["decoder"].decoder(n_latents, n_outputs),
    )
