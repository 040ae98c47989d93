"""Likelihoods: `LIKELIHOODS` maps the names that estimators accept."""

from skbayes.likelihoods._base import IndependentOutputs, Likelihood, NoisyLikelihood
from skbayes.likelihoods._bernoulli_columns import BernoulliColumns
from skbayes.likelihoods._categorical import Bernoulli, Categorical
from skbayes.likelihoods._gaussian import Gaussian, SharedGaussian
from skbayes.likelihoods._heteroscedastic import Heteroscedastic
from skbayes.likelihoods._student_t import StudentTLikelihood

LIKELIHOODS: dict[str, type[Likelihood]] = {
    "gaussian": Gaussian,
    "heteroscedastic": Heteroscedastic,
    "student_t": StudentTLikelihood,
    "categorical": Categorical,
    "bernoulli": Bernoulli,
}
#: Those of whole rows, by the names that autoencoders accept.
ROW_LIKELIHOODS: dict[str, type[Likelihood]] = {
    "gaussian": SharedGaussian,
    "bernoulli": BernoulliColumns,
}

#: Classes that may stand in a file.
STATE: tuple[type, ...] = (
    *LIKELIHOODS.values(),
    *ROW_LIKELIHOODS.values(),
)

__all__ = [
    "LIKELIHOODS",
    "ROW_LIKELIHOODS",
    "Bernoulli",
    "BernoulliColumns",
    "Categorical",
    "Gaussian",
    "Heteroscedastic",
    "IndependentOutputs",
    "Likelihood",
    "NoisyLikelihood",
    "SharedGaussian",
    "StudentTLikelihood",
]
