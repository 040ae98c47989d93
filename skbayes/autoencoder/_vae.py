"""The variational autoencoder as a transformer with a density."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar

from skbayes.autoencoder._architecture import PART_CONSTRAINTS, PARTS
from skbayes.autoencoder._generative import GenerativeModel
from skbayes.autoencoder._objective import Objective
from skbayes.autoencoder._objectives import OBJECTIVES, TrainingObjective
from skbayes.autoencoder._trained import TrainedCoder
from skbayes.base._fitting import fit_method
from skbayes.exceptions import IncompatiblePartsError
from skbayes.latent import (
    BOTTLENECKS,
    LATENT_PRIORS,
    Bottleneck,
    DiagonalNormal,
    LatentPrior,
    Point,
)
from skbayes.latent._latent_model import LatentModel
from skbayes.utils._sklearn import Interval, StrOptions


class VAETransformer(TrainedCoder, GenerativeModel):
    """Variational autoencoder: latent features with a density, as a pipeline step.

    A decoder network turns a few normal latents into the distribution of a row, an encoder
    network turns a row into a normal distribution of its latents; both are trained together
    on a lower bound of the log likelihood (Kingma and Welling, 2014). Beside latents there
    are densities of rows, error bars on latents, new rows and values for missing ones.
    Raw columns are standardised inside.

    Parameters
    ----------
    n_components : int, default=2
        Number of latents.
    encoder : {"mlp", "cnn"}, MLP or CNN, default="mlp"
        Network of the encoder: fully connected, of two hidden layers of 100 units with
        "relu" unless `skbayes.networks.MLP` says otherwise, or `skbayes.networks.CNN` for
        rows that are images.
    decoder : {"mlp", "cnn"}, MLP, CNN or None, default=None
        That of the decoder; None mirrors the encoder.
    prior_scale : float or None, default=1.0
        The decoder's weights have a normal prior with this standard deviation over the
        square root of their fan-in, and are at its posterior mode; ten times that where
        they feed logits of binary or categorical columns alone. None for maximum
        likelihood, which overfits small tables of numbers.
    likelihood : str, Likelihood or dict, default="gaussian"
        What columns are: numbers whose noise is each column's own ("gaussian"), one for all
        ("shared_gaussian") or depends on the latents ("heteroscedastic"), numbers with
        outliers ("student_t", degrees of freedom are learned), zeros and ones ("bernoulli"),
        or levels ("categorical", numbers that name them). Objects of `skbayes.likelihoods`
        say more: ``Gaussian(noise=0.1)`` fixes the noise in the units of X, learned noise
        has a floor of a hundredth of a column's standard deviation. A dict names the columns
        of each, by number or name: ``{"gaussian": [0, 3], "categorical": ["sex"]}``.
    scale_inputs : {"column", "global"} or None, default="column"
        Standardise each column of numbers, divide all by one scale (pixels), or leave
        them alone.
    bottleneck : {"diag", "full"} or Bottleneck, default="diag"
        Latents of a row are independent given the row, or have a full covariance.
    latent_prior : {"normal", "vamp", "gaussian_mixture", "variational_mixture"} or \
            LatentPrior, default="normal"
        Density of latents: standard normal; the encoder's at learned rows; a mixture learned
        with the networks; or a `VariationalGMM` fitted to the latents afterwards. Objects of
        `skbayes.latent` say how many components, as in ``Vamp(n_components=100)``.
    objective : {"elbo", "importance_bound", "matched"}, ELBO, ImportanceBound or Matched, \
            default="elbo"
        What training raises: the evidence lower bound, whose `ELBO` has a factor ``beta`` and
        ``free_bits``; the tighter `ImportanceBound`; or the likelihood, with the latents of a
        batch `Matched` to their prior.
    condition_on_y : bool, default=False
        Encoder and decoder are given y, so that everything said of a row is given its y.
    allow_missing : bool, default=False
        X may hold NaN: those values are left out of the likelihood, and the encoder is
        told where they are.
    corruption : {"mask", "gaussian_noise"}, Mask, GaussianNoise or None, default=None
        What the encoder sees in training: rows with values hidden, with noise added, or
        as they are.
    training : "adam" or Training, default="adam"
        Steps, learning rate, batches, checkpoints and device, as in
        ``skbayes.training.Training(max_iter=1000)``.
    n_score_samples : int, default=256
        Importance draws a row behind densities, evidence and imputed values.
    warm_start : bool, default=False
        Start from the last fit's networks, and keep its scales.
    verbose : int, default=0
        1 shows a progress bar.
    random_state : int, RandomState instance or None, default=None
        Seeds everything: equal seeds give equal bits.

    Attributes
    ----------
    n_components_ : int
        Number of latents.
    loss_curve_ : ndarray of shape (n_reports,)
        Mean training loss in nats a row, of standardised columns, at some 50 places.
    n_iter_ : int
        Steps taken.
    converged_ : bool or None
        Whether ``tol`` ended the training; None where it was 0.
    evidence_kind_ : "plugin" or None
        None after `partial_fit`, and where binary columns hold values between 0 and 1.
    evidence_se_ : float or None
        Standard error of the evidence in nats, from importance draws and, where rows are
        many, from their sampling.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, where X has string names.

    See Also
    --------
    AutoencoderTransformer : Latents alone, without a density.
    skbayes.PPCA : The same with a linear decoder, in closed form.

    Notes
    -----
    The networks are fitted, not integrated over: densities and `score_evidence` are given
    them. With `Matched` nothing trains the encoder's width: standard deviations of latents are
    then those of Laplace's approximation, and densities are computed all the same.

    References
    ----------
    .. [1] D. P. Kingma and M. Welling (2014), Auto-encoding variational Bayes, ICLR.
    .. [2] Y. Burda, R. Grosse and R. Salakhutdinov (2016), Importance weighted
       autoencoders, ICLR.
    .. [3] P.-A. Mattei and J. Frellsen (2019), MIWAE: deep generative modelling and
       imputation of incomplete data sets, ICML.
    .. [4] I. Tolstikhin et al. (2018), Wasserstein auto-encoders, ICLR.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from skbayes import VAETransformer
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> from skbayes.training import Training
    >>> vae = VAETransformer(5, training=Training(max_iter=300), random_state=0)
    >>> pipe = make_pipeline(vae, LogisticRegression()).fit(X[:400], y[:400])
    >>> bool(pipe.score(X[400:], y[400:]) > 0.9)
    True
    >>> vae.score_samples(X[400:]).shape, vae.sample(3, random_state=0).shape
    ((169,), (3, 30))
    """

    _parameter_constraints: dict = {
        **PART_CONSTRAINTS,
        "bottleneck": [StrOptions(set(BOTTLENECKS)), Bottleneck],
        "latent_prior": [StrOptions(set(LATENT_PRIORS)), LatentPrior],
        "objective": [StrOptions(set(OBJECTIVES)), TrainingObjective],
        "condition_on_y": ["boolean"],
        "n_score_samples": [Interval(Integral, 2, None, closed="left")],
        "warm_start": ["boolean"],
    }
    _registries: ClassVar[dict[str, dict[str, type]]] = {
        **PARTS,
        "bottleneck": BOTTLENECKS,
        "latent_prior": LATENT_PRIORS,
        "objective": OBJECTIVES,
    }
    _namesakes: ClassVar[dict[str, str]] = {
        "n_samples": "n_score_samples",
        "covariance": "bottleneck",
        "n_prior_components": "latent_prior=Vamp(n_components=...) or another mixture",
        "latent_prior='variational_gmm'": "latent_prior='variational_mixture'",
        "n_importance_samples": "objective=ImportanceBound(n_samples=...)",
    }

    def __init__(
        self,
        n_components: int = 2,
        *,
        encoder: Any = "mlp",
        decoder: Any = None,
        prior_scale: float | None = 1.0,
        likelihood: Any = "gaussian",
        scale_inputs: str | None = "column",
        bottleneck: Any = "diag",
        latent_prior: str = "normal",
        objective: Any = "elbo",
        condition_on_y: bool = False,
        allow_missing: bool = False,
        corruption: Any = None,
        training: Any = "adam",
        n_score_samples: int = 256,
        warm_start: bool = False,
        verbose: int = 0,
        random_state: Any = None,
    ) -> None:
        self.n_components = n_components
        self.encoder = encoder
        self.decoder = decoder
        self.prior_scale = prior_scale
        self.likelihood = likelihood
        self.scale_inputs = scale_inputs
        self.bottleneck = bottleneck
        self.latent_prior = latent_prior
        self.objective = objective
        self.condition_on_y = condition_on_y
        self.allow_missing = allow_missing
        self.corruption = corruption
        self.training = training
        self.n_score_samples = n_score_samples
        self.warm_start = warm_start
        self.verbose = verbose
        self.random_state = random_state

    @fit_method
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
            If the training met a non-finite loss; the estimator stays as it was.
        """
        further = self.warm_start and hasattr(self, "_parameters")
        rows, total = self._fit(X, y, sample_weight, further, streaming=False)
        self._store_evidence(rows, total)
        return self

    @fit_method
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
        if self._parts()["latent_prior"].refits:
            raise IncompatiblePartsError(
                f"latent_prior={self.latent_prior!r} is fitted to the latents of all training "
                "rows, which partial_fit does not keep; use latent_prior='gaussian_mixture'"
            )
        self._fit(X, y, sample_weight, hasattr(self, "_parameters"), streaming=True)
        self._set_evidence(None, "partial_fit keeps no rows; use score_evidence(X) on some")
        return self

    def _parts(self) -> dict[str, Any]:
        """Make the parts, and refuse those that do not fit each other, by name."""
        parts = super()._parts()
        objective, prior = parts["objective"], parts["latent_prior"]
        free_bits = getattr(objective, "free_bits", 0.0)
        clash = None
        bottleneck = parts["bottleneck"]
        asked_for = bottleneck.has_widths and type(bottleneck) is not DiagonalNormal
        if asked_for and not objective.trains_widths:
            clash = f"bottleneck={self.bottleneck!r} does not go with objective={objective!r}, "
            clash += "which trains no widths; use objective='elbo'"
        if free_bits > 0 and not prior.by_latent:
            clash = f"objective=ELBO(free_bits={free_bits!r}) does not go with latent_prior="
            clash += f"{self.latent_prior!r}, whose latents depend on each other; use "
            clash += "latent_prior='normal'"
        if prior.encodes and self.condition_on_y:
            clash = f"latent_prior={self.latent_prior!r} does not go with condition_on_y=True: the "
            clash += "rows that it encodes have no y; use latent_prior='normal'"
        if clash:
            raise IncompatiblePartsError(clash)
        return parts

    def _describe(self, parts: dict[str, Any], n_features: int) -> dict[str, Any]:
        bottleneck, trains_widths = parts["bottleneck"], parts["objective"].trains_widths
        return {
            **super()._describe(parts, n_features),
            "bottleneck": bottleneck if trains_widths or not bottleneck.has_widths else Point(),
            "trains_widths": trains_widths,
            "latent_prior": parts["latent_prior"],
        }

    def _objective(self, model: LatentModel, parts: dict[str, Any]) -> Objective:
        return parts["objective"].bind(model, parts["corruption"])
