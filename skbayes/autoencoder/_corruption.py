"""What an encoder in training sees in place of rows, so that it learns to denoise."""

from __future__ import annotations

from dataclasses import replace
from numbers import Real

import torch

from skbayes.data._tensors import Data
from skbayes.latent._latent_model import LatentModel
from skbayes.utils._parameters import Parametrised
from skbayes.utils._sklearn import Interval


class Corruption(Parametrised):
    """Base of corruptions: a function of rows, which draws."""

    def __call__(self, rows: Data, model: LatentModel, generator: torch.Generator) -> Data:
        """Corrupt rows.

        Parameters
        ----------
        rows : Data
            A batch as the decoder is to rebuild it.
        model : LatentModel
            Whose table knows the columns of encoded numbers.
        generator : torch.Generator
            Of the draws.

        Returns
        -------
        rows : Data
            As the encoder sees them.
        """
        raise NotImplementedError(f"{type(self).__name__} must define __call__")


class Mask(Corruption):
    """Hide values at random.

    A masked value is zero, the mean of a standardised column; with ``allow_missing`` the
    encoder is told where.

    Parameters
    ----------
    rate : float, default=0.3
        Probability that a value is hidden, between 0 and 1.

    References
    ----------
    P. Vincent, H. Larochelle, Y. Bengio and P.-A. Manzagol (2008), Extracting and composing
    robust features with denoising autoencoders, ICML.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skbayes import AutoencoderTransformer
    >>> from skbayes.autoencoder import Mask
    >>> from skbayes.training import Training
    >>> short = Training(max_iter=50)
    >>> coder = AutoencoderTransformer(2, corruption=Mask(rate=0.2), training=short)
    >>> coder.fit_transform(load_iris().data).shape
    (150, 2)
    """

    _parameter_constraints: dict = {"rate": [Interval(Real, 0, 1, closed="neither")]}

    def __init__(self, rate: float = 0.3) -> None:
        self.rate = rate

    def __call__(self, rows: Data, model: LatentModel, generator: torch.Generator) -> Data:
        """Replace values of rows by zeros."""
        X = rows.X
        shape = (len(X), model.likelihood.n_columns)
        kept = torch.rand(shape, generator=generator, device=X.device) >= self.rate
        kept = kept.to(X.dtype)
        observed = kept if rows.observed is None else kept * rows.observed
        return replace(rows, X=X * model.likelihood.per_number(kept), observed=observed)


class GaussianNoise(Corruption):
    """Add normal noise.

    Parameters
    ----------
    sd : float, default=0.3
        Standard deviation of the noise, in standardised units.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skbayes import AutoencoderTransformer
    >>> from skbayes.autoencoder import GaussianNoise
    >>> from skbayes.training import Training
    >>> short = Training(max_iter=50)
    >>> coder = AutoencoderTransformer(2, corruption=GaussianNoise(sd=0.1), training=short)
    >>> coder.fit_transform(load_iris().data).shape
    (150, 2)
    """

    _parameter_constraints: dict = {"sd": [Interval(Real, 0, None, closed="neither")]}

    def __init__(self, sd: float = 0.3) -> None:
        self.sd = sd

    def __call__(self, rows: Data, model: LatentModel, generator: torch.Generator) -> Data:
        """Add noise to rows."""
        X = rows.X
        noise = torch.randn(X.shape, generator=generator, device=X.device)
        return replace(rows, X=X + self.sd * noise)


#: Corruptions by the names that autoencoders accept.
CORRUPTIONS: dict[str, type[Corruption]] = {"mask": Mask, "gaussian_noise": GaussianNoise}
