"""Likelihoods: `LIKELIHOODS` maps the names that estimators accept."""

from skbayes.likelihoods._base import IndependentOutputs, Likelihood, NoisyLikelihood
from skbayes.likelihoods._bernoulli_columns import BernoulliColumns
from skbayes.likelihoods._categorical import Bernoulli, Categorical
from skbayes.likelihoods._column_kinds import NORMAL, CategoricalColumns, StudentTColumns
from skbayes.likelihoods._gaussian import Gaussian, SharedGaussian
from skbayes.likelihoods._heteroscedastic import Heteroscedastic
from skbayes.likelihoods._sites import Sites
from skbayes.likelihoods._student_t import StudentTLikelihood

LIKELIHOODS: dict[str, type[Likelihood]] = {
    "gaussian": Gaussian,
    "heteroscedastic": Heteroscedastic,
    "student_t": StudentTLikelihood,
    "categorical": Categorical,
    "bernoulli": Bernoulli,
}
#: Those of columns of rows, by the names that autoencoders accept.
COLUMN_LIKELIHOODS: dict[str, type[Likelihood]] = {
    **NORMAL,
    "student_t": StudentTColumns,
    "bernoulli": BernoulliColumns,
    "categorical": CategoricalColumns,
}

#: Classes that may stand in a file.
STATE: tuple[type, ...] = (
    *LIKELIHOODS.values(),
    *COLUMN_LIKELIHOODS.values(),
    Sites,
)

__all__ = [
    "COLUMN_LIKELIHOODS",
    "LIKELIHOODS",
    "Bernoulli",
    "BernoulliColumns",
    "Categorical",
    "CategoricalColumns",
    "Gaussian",
    "Heteroscedastic",
    "IndependentOutputs",
    "Likelihood",
    "NoisyLikelihood",
    "SharedGaussian",
    "Sites",
    "StudentTColumns",
    "StudentTLikelihood",
]
