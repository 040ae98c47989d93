"""The plain and the denoising autoencoder: a baseline without a density."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skbayes.autoencoder._architecture import PART_CONSTRAINTS, warn_if_as_wide
from skbayes.autoencoder._objective import Objective
from skbayes.autoencoder._trained import TrainedCoder
from skbayes.base._fitting import fit_method
from skbayes.latent._latent_model import LatentModel
from skbayes.utils._sklearn import CallbackSupportMixin


class AutoencoderTransformer(TrainedCoder, CallbackSupportMixin):
    """Autoencoder: latents from which a decoder network rebuilds rows.

    Nothing holds the latents to a distribution, so that there are no densities, error bars
    or new rows: the baseline that `VAETransformer` is to be compared with.

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
        Standard deviation of the decoder's weights under their normal prior, times the
        square root of their fan-in; ten times that where they feed logits alone; None for none.
    likelihood : str, Likelihood or dict, default="shared_gaussian"
        What columns are, as in `VAETransformer`: "shared_gaussian" weighs squared errors of
        all columns equally, "gaussian" by how well each column is rebuilt.
    scale_inputs : {"column", "global"} or None, default="column"
        Standardise each column of numbers, divide all by one scale, or leave them alone.
    allow_missing : bool, default=False
        X may hold NaN: those values are left out of the loss.
    corruption : {"mask", "gaussian_noise"}, Mask, GaussianNoise or None, default=None
        What the encoder sees in training: rows with values hidden, with noise added
        (a denoising autoencoder, Vincent et al., 2008), or as they are.
    training : "adam" or Training, default="adam"
        Steps, learning rate, batches, checkpoints and device, as in
        ``skbayes.training.Training(max_iter=1000)``.
    verbose : int, default=0
        1 shows a progress bar.
    random_state : int, RandomState instance or None, default=None
        Seeds everything.

    Attributes
    ----------
    n_components_ : int
        Number of latents.
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
    >>> coder = AutoencoderTransformer(2, corruption="mask", random_state=0)
    >>> coder.set_params(training__max_iter=200).fit_transform(X).shape
    (150, 2)
    """

    _parameter_constraints: dict = {**PART_CONSTRAINTS}

    def __init__(
        self,
        n_components: int = 2,
        *,
        encoder: Any = "mlp",
        decoder: Any = None,
        prior_scale: float | None = 1.0,
        likelihood: Any = "shared_gaussian",
        scale_inputs: str | None = "column",
        allow_missing: bool = False,
        corruption: Any = None,
        training: Any = "adam",
        verbose: int = 0,
        random_state: Any = None,
    ) -> None:
        self.n_components = n_components
        self.encoder = encoder
        self.decoder = decoder
        self.prior_scale = prior_scale
        self.likelihood = likelihood
        self.scale_inputs = scale_inputs
        self.allow_missing = allow_missing
        self.corruption = corruption
        self.training = training
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

    def _describe(self, parts: dict[str, Any], n_features: int) -> dict[str, Any]:
        if parts["corruption"] is None:  # what is spoilt cannot be copied
            warn_if_as_wide(self.n_components, n_features)
        return super()._describe(parts, n_features)

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

    def _objective(self, model: LatentModel, parts: dict[str, Any]) -> Objective:
        return Objective(model, None, 0.0, 0.0, 0.0, 1, parts["corruption"])
