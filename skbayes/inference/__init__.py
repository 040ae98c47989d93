"""Inference engines: `INFERENCES` maps the names that estimators accept."""

from skbayes.inference._base import Inference, Run, SteppedInference, TrainedInference
from skbayes.inference._deep_ensemble import DeepEnsemble
from skbayes.inference._hmc import HMC
from skbayes.inference._laplace import Laplace
from skbayes.inference._map import MAP
from skbayes.inference._mc_dropout import MCDropout
from skbayes.inference._mclmc import MCLMC
from skbayes.inference._mean_field_vi import MeanFieldVI
from skbayes.inference._nuts import NUTS
from skbayes.inference._sghmc import SGHMC
from skbayes.inference._sgld import SGLD

INFERENCES: dict[str, type[Inference]] = {
    "map": MAP,
    "laplace": Laplace,
    "mean_field_vi": MeanFieldVI,
    "mc_dropout": MCDropout,
    "deep_ensemble": DeepEnsemble,
    "hmc": HMC,
    "nuts": NUTS,
    "sghmc": SGHMC,
    "sgld": SGLD,
    "mclmc": MCLMC,
}

__all__ = [
    "HMC",
    "INFERENCES",
    "MAP",
    "MCLMC",
    "NUTS",
    "SGHMC",
    "SGLD",
    "DeepEnsemble",
    "Inference",
    "Laplace",
    "MCDropout",
    "MeanFieldVI",
    "Run",
    "SteppedInference",
    "TrainedInference",
]
