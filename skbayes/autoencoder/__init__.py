"""Autoencoders: codes with a density, rows from codes."""

from skbayes.autoencoder._divergences import (
    DIVERGENCES,
    energy,
    kernel,
    mmd,
    sliced_wasserstein,
)
from skbayes.autoencoder._latent_priors import LATENT_PRIORS, LatentPrior
from skbayes.autoencoder._vae import VAETransformer

__all__ = [
    "DIVERGENCES",
    "LATENT_PRIORS",
    "LatentPrior",
    "VAETransformer",
    "energy",
    "kernel",
    "mmd",
    "sliced_wasserstein",
]
