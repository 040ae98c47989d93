"""Conjugate densities: `FAMILIES` maps the names that `ConjugateDensity` accepts."""

from skbayes.conjugate._base import Family
from skbayes.conjugate._beta_bernoulli import BetaBernoulli
from skbayes.conjugate._density import FAMILIES, ConjugateDensity
from skbayes.conjugate._dirichlet_categorical import DirichletCategorical
from skbayes.conjugate._gamma_poisson import GammaPoisson
from skbayes.conjugate._normal_gamma import NormalGamma
from skbayes.conjugate._normal_inverse_wishart import NormalInverseWishart

#: Classes that may stand in a file.
STATE: tuple[type, ...] = (
    ConjugateDensity,
    *FAMILIES.values(),
)

__all__ = [
    "FAMILIES",
    "BetaBernoulli",
    "ConjugateDensity",
    "DirichletCategorical",
    "Family",
    "GammaPoisson",
    "NormalGamma",
    "NormalInverseWishart",
]
