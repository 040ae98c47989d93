"""Likelihoods: `LIKELIHOODS` maps the names that estimators accept."""

from skbayes.likelihoods._base import Likelihood, NoisyLikelihood
from skbayes.likelihoods._categorical import Bernoulli, Categorical
from skbayes.likelihoods._gaussian import Gaussian
from skbayes.likelihoods._heteroscedastic import Heteroscedastic
from skbayes.likelihoods._student_t import StudentTLikelihood

LIKELIHOODS: dict[str, type[Likelihood]] = {
    "gaussian": Gaussian,
    "heteroscedastic": Heteroscedastic,
    "student_t": StudentTLikelihood,
    "categorical": Categorical,
    "bernoulli": Bernoulli,
}

__all__ = [
    "LIKELIHOODS",
    "Bernoulli",
    "Categorical",
    "Gaussian",
    "Heteroscedastic",
    "Likelihood",
    "NoisyLikelihood",
    "StudentTLikelihood",
]
