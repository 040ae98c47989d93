"""Autoencoders: latents with a density, rows from latents."""

from skbayes.autoencoder._autoencoder import AutoencoderTransformer
from skbayes.autoencoder._bayesian import BayesianAutoencoder
from skbayes.autoencoder._context import Context
from skbayes.autoencoder._corruption import CORRUPTIONS, GaussianNoise, Mask
from skbayes.autoencoder._objectives import ELBO, OBJECTIVES, ImportanceBound, Matched
from skbayes.autoencoder._semi_supervised import SemiSupervisedVAEClassifier
from skbayes.autoencoder._table import Table
from skbayes.autoencoder._vae import VAETransformer

#: Classes that may stand in a file.
STATE: tuple[type, ...] = (
    AutoencoderTransformer,
    BayesianAutoencoder,
    Context,
    SemiSupervisedVAEClassifier,
    Table,
    VAETransformer,
    *CORRUPTIONS.values(),
    *OBJECTIVES.values(),
)

__all__ = [
    "CORRUPTIONS",
    "ELBO",
    "OBJECTIVES",
    "AutoencoderTransformer",
    "BayesianAutoencoder",
    "GaussianNoise",
    "ImportanceBound",
    "Mask",
    "Matched",
    "SemiSupervisedVAEClassifier",
    "VAETransformer",
]
