"""Autoencoders: codes with a density, rows from codes."""

from skbayes.autoencoder._autoencoder import AutoencoderTransformer
from skbayes.autoencoder._bayesian import BayesianAutoencoder
from skbayes.autoencoder._divergences import (
    DIVERGENCES,
    energy,
    kernel,
    mmd,
    sliced_wasserstein,
)
from skbayes.autoencoder._latent_priors import LatentPrior
from skbayes.autoencoder._mixture_priors import LATENT_PRIORS
from skbayes.autoencoder._semi_supervised import SemiSupervisedVAEClassifier
from skbayes.autoencoder._vae import VAETransformer

__all__ = [
    "DIVERGENCES",
    "LATENT_PRIORS",
    "AutoencoderTransformer",
    "BayesianAutoencoder",
    "LatentPrior",
    "SemiSupervisedVAEClassifier",
    "VAETransformer",
    "energy",
    "kernel",
    "mmd",
    "sliced_wasserstein",
]
