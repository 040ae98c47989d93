"""Posteriors: what engines return and what predictions are made of."""

from skbayes.posteriors._base import Posterior, to_numpy
from skbayes.posteriors._dropout import DropoutPosterior
from skbayes.posteriors._factors import DenseFactor, DiagonalFactor, KroneckerFactor, LowRankFactor
from skbayes.posteriors._function_draws import FunctionDraws
from skbayes.posteriors._gaussian import GaussianPosterior
from skbayes.posteriors._particles import ParticlePosterior

#: Classes that may stand in a file.
STATE: tuple[type, ...] = (
    DenseFactor,
    DiagonalFactor,
    DropoutPosterior,
    GaussianPosterior,
    KroneckerFactor,
    LowRankFactor,
    ParticlePosterior,
)

__all__ = [
    "DenseFactor",
    "DiagonalFactor",
    "DropoutPosterior",
    "FunctionDraws",
    "GaussianPosterior",
    "KroneckerFactor",
    "LowRankFactor",
    "ParticlePosterior",
    "Posterior",
    "to_numpy",
]
