"""Autoencoders with a density."""

from skbayes.autoencoder._divergences import (
    DIVERGENCES,
    energy,
    kernel,
    mmd,
    sliced_wasserstein,
)

__all__ = ["DIVERGENCES", "energy", "kernel", "mmd", "sliced_wasserstein"]
