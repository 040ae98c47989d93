"""Priors over network weights: `PRIORS` maps the names that estimators accept."""

from skbayes.priors._base import Prior
from skbayes.priors._flat import Flat
from skbayes.priors._laplace import LaplacePrior
from skbayes.priors._normal import Normal
from skbayes.priors._optimized import Optimized
from skbayes.priors._scale_mixture import ScaleMixture
from skbayes.priors._student_t import Cauchy, StudentT
from skbayes.priors._trained import EmpiricalBayes, Pretrained

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
    "Cauchy",
    "EmpiricalBayes",
    "Flat",
    "LaplacePrior",
    "Normal",
    "Optimized",
    "Pretrained",
    "Prior",
    "ScaleMixture",
    "StudentT",
]
