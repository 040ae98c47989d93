"""Inference engines: `INFERENCES` maps the names that estimators accept."""

from skbayes.inference._base import Inference, Run, SteppedInference, TrainedInference
from skbayes.inference.mcmc._hmc import HMC
from skbayes.inference.mcmc._mclmc import MCLMC
from skbayes.inference.mcmc._nuts import NUTS
from skbayes.inference.mode._deep_ensemble import DeepEnsemble
from skbayes.inference.mode._laplace import Laplace
from skbayes.inference.mode._map import MAP
from skbayes.inference.mode._swag import SWAG
from skbayes.inference.sgmcmc._sghmc import SGHMC
from skbayes.inference.sgmcmc._sgld import SGLD
from skbayes.inference.vi._gaussian import GaussianVI
from skbayes.inference.vi._mc_dropout import MCDropout
from skbayes.inference.vi._mean_field import MeanFieldVI

INFERENCES: dict[str, type[Inference]] = {
    "map": MAP,
    "laplace": Laplace,
    "mean_field_vi": MeanFieldVI,
    "gaussian_vi": GaussianVI,
    "mc_dropout": MCDropout,
    "deep_ensemble": DeepEnsemble,
    "swag": SWAG,
    "hmc": HMC,
    "nuts": NUTS,
    "sghmc": SGHMC,
    "sgld": SGLD,
    "mclmc": MCLMC,
}

#: Classes that may stand in a file.
STATE: tuple[type, ...] = (*INFERENCES.values(),)

__all__ = [
    "HMC",
    "INFERENCES",
    "MAP",
    "MCLMC",
    "NUTS",
    "SGHMC",
    "SGLD",
    "SWAG",
    "DeepEnsemble",
    "GaussianVI",
    "Inference",
    "Laplace",
    "MCDropout",
    "MeanFieldVI",
    "Run",
    "SteppedInference",
    "TrainedInference",
]
