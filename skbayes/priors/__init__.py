"""Priors over network weights and scales: `PRIORS` and `SCALE_PRIORS` map the names accepted."""

from skbayes.priors._base import Prior
from skbayes.priors._flat import Flat
from skbayes.priors._laplace import LaplacePrior
from skbayes.priors._normal import Normal
from skbayes.priors._optimized import Optimized
from skbayes.priors._scale_mixture import ScaleMixture
from skbayes.priors._student_t import Cauchy, StudentT
from skbayes.priors._trained import EmpiricalBayes, Pretrained
from skbayes.scale_priors import (
    SCALE_PRIORS,
    Gamma,
    HalfCauchy,
    HalfNormal,
    HalfStudentT,
    InverseGamma,
    LogNormal,
    ScalePrior,
)

PRIORS: dict[str, type[Prior]] = {
    "normal": Normal,
    "laplace": LaplacePrior,
    "cauchy": Cauchy,
    "student_t": StudentT,
    "flat": Flat,
    "scale_mixture": ScaleMixture,
}

#: Classes that may stand in a file.
STATE: tuple[type, ...] = (
    *PRIORS.values(),
    EmpiricalBayes,
    Optimized,
    Pretrained,
)

__all__ = [
    "PRIORS",
    "SCALE_PRIORS",
    "Cauchy",
    "EmpiricalBayes",
    "Flat",
    "Gamma",
    "HalfCauchy",
    "HalfNormal",
    "HalfStudentT",
    "InverseGamma",
    "LaplacePrior",
    "LogNormal",
    "Normal",
    "Optimized",
    "Pretrained",
    "Prior",
    "ScaleMixture",
    "ScalePrior",
    "StudentT",
]
