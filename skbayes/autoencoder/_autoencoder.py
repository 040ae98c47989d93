"""The plain and the denoising autoencoder: a baseline without a density."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skbayes.autoencoder._architecture import NETWORK_CONSTRAINTS, Described, warn_if_as_wide
from skbayes.autoencoder._fitting import TrainedCoder
from skbayes.autoencoder._model import Model
from skbayes.autoencoder._objective import Objective
from skbayes.base._fitting import fit_method
from skbayes.utils._parameters import Parametrised
from skbayes.utils._sklearn import CallbackSupportMixin


class AutoencoderTransformer(Described, TrainedCoder, CallbackSupportMixin, Parametrised):
    """Autoencoder: codes from which a decoder network rebuilds rows.

    Nothing holds the codes to a distribution, so that there are no densities, error bars
    or new rows: the baseline that `VAETransformer` is to be compared with.

    Parameters
    ----------
    n_components : int, default=2
        Number of codes.
    hidden_layer_sizes : array-like of int or int, default=(100, 100)
        Units of each hidden layer of the encoder.
    decoder_hidden_layer_sizes : array-like of int, int or None, default=None
        Those of the decoder; None turns the encoder's round.
    activation : {"tanh", "relu", "logistic", "softplus"}, default="relu"
        Activation of the hidden units.
    prior_scale : float or None, default=1.0
        Standard deviation of the decoder's weights under their normal prior, times the
        square root of their fan-in; ten times that where they feed logits alone; None for none.
    likelihood : {"gaussian", "student_t", "bernoulli", "categorical"} or dict, \
            default="gaussian"
        What columns are, as in `VAETransformer`: squared error, or cross-entropy.
    noise_variance : {"shared", "feature", "input"} or float, default="shared"
        Of numbers: "shared" weighs squared errors of all columns equally, "feature" by
        how well each column is rebuilt.
    scale_inputs : {"column", "global"} or None, default="column"
        Standardise each column of numbers, divide all by one scale, or leave them alone.
    binarize : {"threshold", "sample"} or None, default=None
        What is done to values between 0 and 1 in binary columns.
    image_shape : (channels, height, width) or None, default=None
        Rows are images of this shape, flat, and networks convolutional.
    channels : array-like of int, default=(32, 64)
        Channels of each convolution.
    allow_missing : bool, default=False
        X may hold NaN: those values are left out of the loss.
    corruption : {"mask", "gaussian"} or None, default=None
        What the encoder sees in training: rows with values masked, with noise added
        (a denoising autoencoder, Vincent et al., 2008), or as they are.
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
    device : str, default="auto"
        Torch device to train on.
    verbose : int, default=0
        1 shows a progress bar.
    random_state : int, RandomState instance or None, default=None
        Seeds everything.

    Attributes
    ----------
    n_components_ : int
        Number of codes.
    loss_curve_ : ndarray of shape (n_reports,)
        Mean training loss in nats a row, at some 50 places.
    n_iter_ : int
        Steps taken.
    converged_ : bool or None
        Whether ``tol`` ended the training; None where it was 0.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, where X has string names.

    See Also
    --------
    VAETransformer : The same with a density.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skbayes import AutoencoderTransformer
    >>> X = load_iris().data
    >>> coder = AutoencoderTransformer(2, corruption="mask", max_iter=200, random_state=0)
    >>> coder.fit_transform(X).shape
    (150, 2)
    """

    _parameter_constraints: dict = {**NETWORK_CONSTRAINTS}

    def __init__(
        self,
        n_components: int = 2,
        *,
        hidden_layer_sizes: Any = (100, 100),
        decoder_hidden_layer_sizes: Any = None,
        activation: str = "relu",
        prior_scale: float | None = 1.0,
        likelihood: Any = "gaussian",
        noise_variance: str | float = "shared",
        scale_inputs: str | None = "column",
        binarize: str | None = None,
        image_shape: Any = None,
        channels: Any = (32, 64),
        allow_missing: bool = False,
        corruption: str | None = None,
        corruption_rate: float = 0.3,
        batch_size: int = 128,
        max_iter: int | str = "auto",
        learning_rate: float = 2e-3,
        tol: float = 0.0,
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
        self.image_shape = image_shape
        self.channels = channels
        self.allow_missing = allow_missing
        self.corruption = corruption
        self.corruption_rate = corruption_rate
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.learning_rate = learning_rate
        self.tol = tol
        self.device = device
        self.verbose = verbose
        self.random_state = random_state

    @fit_method
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> AutoencoderTransformer:
        """Train encoder and decoder.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows.
        y : Ignored
            Present by convention.
        sample_weight : array-like of shape (n_rows,), optional
            A row of weight 2 counts as two rows.

        Returns
        -------
        self : AutoencoderTransformer
        """
        self._fit(X, None, sample_weight, further=False, streaming=False)
        return self

    def _describe(self, n_features: int) -> dict[str, Any]:
        if self.corruption is None:  # what is spoilt cannot be copied
            warn_if_as_wide(self.n_components, n_features)
        return super()._describe(n_features)

    def score(self, X: Any, y: Any = None) -> float:
        """How well rows are rebuilt.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows.
        y : Ignored
            Present by convention.

        Returns
        -------
        score : float
            Minus the mean squared error of `reconstruct` over observed values, in the
            squared units of X.
        """
        check_is_fitted(self)
        rebuilt = np.asarray(self.reconstruct(X))
        return -float(
            np.nanmean((self._validated(X, reset=False) - rebuilt) ** 2, dtype=np.float64)
        )

    def _objective(self, model: Model) -> Objective:
        return Objective(
            model=model,
            divergence=None,
            beta=0.0,
            free_bits=0.0,
            warm_up=0.0,
            n_importance_samples=1,
            corruption=self._make_corruption(),
        )
