"""The variational autoencoder as a transformer with a density."""

from __future__ import annotations

import os
from numbers import Integral, Real
from typing import Any

from skbayes.autoencoder._architecture import NETWORK_CONSTRAINTS, POSITIVE, Described
from skbayes.autoencoder._fitting import TrainedCoder
from skbayes.autoencoder._generative import GenerativeModel
from skbayes.autoencoder._model import Model
from skbayes.autoencoder._objective import Objective
from skbayes.base._fitting import fit_method
from skbayes.exceptions import IncompatiblePartsError
from skbayes.latent._divergences import DIVERGENCES
from skbayes.latent._mixture_priors import LATENT_PRIORS
from skbayes.utils._sklearn import Interval, StrOptions


class VAETransformer(Described, TrainedCoder, GenerativeModel):
    """Variational autoencoder: latent features with a density, as a pipeline step.

    A decoder network turns a few normal codes into the distribution of a row, an encoder
    network turns a row into a normal distribution of its codes; both are trained together
    on a lower bound of the log likelihood (Kingma and Welling, 2014). Beside codes there
    are densities of rows, error bars on codes, new rows, and a way with missing values.
    Raw columns are standardised inside.

    Parameters
    ----------
    n_components : int, default=2
        Number of codes.
    hidden_layer_sizes : array-like of int or int, default=(100, 100)
        Units of each hidden layer of the encoder; ``()`` makes it linear.
    decoder_hidden_layer_sizes : array-like of int, int or None, default=None
        Those of the decoder; None turns the encoder's round.
    activation : {"tanh", "relu", "logistic", "softplus"}, default="relu"
        Activation of the hidden units.
    prior_scale : float or None, default=1.0
        The decoder's weights have a normal prior with this standard deviation over the
        square root of their fan-in, and are at its posterior mode; ten times that where
        they feed logits of binary or categorical columns alone. None for maximum
        likelihood, which overfits small tables of numbers.
    likelihood : {"gaussian", "student_t", "bernoulli", "categorical"} or dict, \
            default="gaussian"
        What columns are: numbers, numbers with outliers (degrees of freedom are learned),
        zeros and ones, or levels (numbers that name them). A dict names the columns of
        each kind by number or name, ``{"gaussian": [0, 3], "categorical": ["sex"]}``.
    noise_variance : {"shared", "feature", "input"} or float, default="feature"
        Of numbers: one variance, one a column, or one a column that depends on the code,
        all learned, with a floor of 1e-4 of a column's variance; or a fixed variance in
        the squared units of X.
    scale_inputs : {"column", "global"} or None, default="column"
        Standardise each column of numbers, divide all by one scale (pixels), or leave
        them alone.
    binarize : {"threshold", "sample"} or None, default=None
        What is done to values between 0 and 1 in binary columns: rounded at one half,
        drawn afresh whenever training sees them, or left alone, and then no density is
        claimed.
    covariance : {"diag", "full"}, default="diag"
        Codes of a row are independent given the row, or have a full covariance.
    latent_prior : {"normal", "vamp", "gaussian_mixture", "variational_gmm"}, default="normal"
        Density of codes: standard normal; the encoder's at learned rows; a mixture learned
        with the networks; or a `VariationalGMM` fitted to the codes afterwards.
    n_prior_components : int or None, default=None
        Components of such a mixture; None takes 50 for "vamp" and 10 for the others.
    image_shape : (channels, height, width) or None, default=None
        Rows are images of this shape, flat, and networks convolutional.
    channels : array-like of int, default=(32, 64)
        Channels of each convolution, before the hidden layers.
    divergence : {"kl", "mmd", "sliced_wasserstein", "energy", "kernel"}, default="kl"
        What holds codes to their prior: the Kullback-Leibler divergence of each row's, or
        a distance between the codes of a batch and draws of the prior, times the number
        of columns.
    beta : float, default=1.0
        Factor of the divergence in training; with "kl" and 1 the bound is that of the
        likelihood.
    free_bits : float, default=0.0
        Nats of divergence of each code that cost nothing, against codes that fall idle.
    warm_up : float, default=0.2
        Share of a first training over which ``beta`` rises from 0, so that codes are used
        before their divergence is counted.
    n_importance_samples : int, default=1
        Draws behind the bound in training; above 1 it is the importance-weighted bound.
    condition_on_y : bool, default=False
        Encoder and decoder are given y, so that everything said of a row is given its y.
    allow_missing : bool, default=False
        X may hold NaN: those values are left out of the likelihood, and the encoder is
        told where they are.
    corruption : {"mask", "gaussian"} or None, default=None
        What the encoder sees in training: rows with values masked, with noise added, or
        as they are (denoising).
    corruption_rate : float, default=0.3
        Probability of a mask, or standard deviation of the noise in standardised units.
    batch_size : int, default=128
        Rows of a batch.
    max_iter : int or "auto", default="auto"
        Steps, one a batch; "auto" takes 3000, or 30 passes over the rows if that is more.
    learning_rate : float, default=2e-3
        Rate of Adam, which falls to zero along a cosine over the second half of the steps.
    tol : float, default=0.0
        Training ends once the loss falls by less than this share over a tenth of the
        steps; 0 takes all of them.
    n_score_samples : int, default=256
        Importance draws a row behind densities, evidence and imputed values.
    warm_start : bool, default=False
        Start from the last fit's networks, and keep its scales.
    checkpoint : str, path-like or None, default=None
        Folder of files from which a stopped `fit` goes on, to the same bits; needs an
        integer ``random_state``.
    checkpoint_every : int, default=1000
        Steps between two of them.
    device : str, default="auto"
        Torch device to train on; "auto" takes CUDA for large work, else the CPU.
    verbose : int, default=0
        1 shows a progress bar.
    random_state : int, RandomState instance or None, default=None
        Seeds everything: equal seeds give equal bits.

    Attributes
    ----------
    n_components_ : int
        Number of codes.
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
    AutoencoderTransformer : Codes alone, without a density.
    skbayes.PPCA : The same with a linear decoder, in closed form.

    Notes
    -----
    The networks are fitted, not integrated over: densities and `score_evidence` are given
    them. Without "kl" nothing trains the encoder's width: standard deviations of codes are
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
    >>> vae = VAETransformer(5, max_iter=300, random_state=0)
    >>> pipe = make_pipeline(vae, LogisticRegression()).fit(X[:400], y[:400])
    >>> bool(pipe.score(X[400:], y[400:]) > 0.9)
    True
    >>> vae.score_samples(X[400:]).shape, vae.sample(3, random_state=0).shape
    ((169,), (3, 30))
    """

    _parameter_constraints: dict = {
        **NETWORK_CONSTRAINTS,
        "covariance": [StrOptions({"diag", "full"})],
        "divergence": [StrOptions({"kl", *DIVERGENCES})],
        "beta": [Interval(Real, 0, None, closed="left")],
        "free_bits": [Interval(Real, 0, None, closed="left")],
        "warm_up": [Interval(Real, 0, 1, closed="both")],
        "n_importance_samples": [POSITIVE],
        "latent_prior": [StrOptions(set(LATENT_PRIORS))],
        "n_prior_components": [POSITIVE, None],
        "condition_on_y": ["boolean"],
        "n_score_samples": [Interval(Integral, 2, None, closed="left")],
        "warm_start": ["boolean"],
        "checkpoint": [str, os.PathLike, None],
        "checkpoint_every": [POSITIVE],
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
        warm_up: float = 0.2,
        n_importance_samples: int = 1,
        condition_on_y: bool = False,
        allow_missing: bool = False,
        corruption: str | None = None,
        corruption_rate: float = 0.3,
        batch_size: int = 128,
        max_iter: int | str = "auto",
        learning_rate: float = 2e-3,
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
        self._check_parts()
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
            (self.covariance == "full" and not kl, "covariance", "divergence", "divergence='kl'"),
            (self.free_bits > 0 and not kl, "free_bits", "divergence", "divergence='kl'"),
            (
                self.free_bits > 0 and not prior.by_latent,
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

    def _objective(self, model: Model) -> Objective:
        return Objective(
            model=model,
            divergence="kl" if self.divergence == "kl" else DIVERGENCES[self.divergence],
            beta=self.beta,
            free_bits=self.free_bits,
            warm_up=self.warm_up,
            n_importance_samples=self.n_importance_samples,
            corruption=self._make_corruption(),
        )
