"""Latents: normal distributions of them, priors, divergences, densities of rows."""

from skbayes.latent._bottlenecks import (
    BOTTLENECKS,
    Bottleneck,
    DiagonalNormal,
    FullNormal,
    Point,
)
from skbayes.latent._divergences import (
    DIVERGENCES,
    energy,
    kernel,
    mmd,
    sliced_wasserstein,
)
from skbayes.latent._mixture_priors import LATENT_PRIORS, GaussianMixture, Vamp, VariationalMixture
from skbayes.latent._priors import LatentPrior, StandardNormal

#: Classes that may stand in a file.
STATE: tuple[type, ...] = (*LATENT_PRIORS.values(), *BOTTLENECKS.values(), Point)

__all__ = [
    "BOTTLENECKS",
    "DIVERGENCES",
    "LATENT_PRIORS",
    "Bottleneck",
    "DiagonalNormal",
    "FullNormal",
    "GaussianMixture",
    "LatentPrior",
    "StandardNormal",
    "Vamp",
    "VariationalMixture",
    "energy",
    "kernel",
    "mmd",
    "sliced_wasserstein",
]
