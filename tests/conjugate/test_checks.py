"""scikit-learn's checks and the contract's, on every family."""

import numpy as np
import pytest

from skbayes import ConjugateDensity
from skbayes.conjugate import FAMILIES, BetaBernoulli, DirichletCategorical, Family, GammaPoisson
from tests import conformance


class Whole(Family):
    """Rounds down: one check of scikit-learn ignores the tag and gives fractions."""

    def check_rows(self, X):
        return super().check_rows(np.floor(X))


class WholeCategories(Whole, DirichletCategorical):
    pass


class WholeCounts(Whole, GammaPoisson):
    pass


#: scikit-learn's rows are integers of any size, and new ones have larger ones.
FOR_SCIKIT_LEARN = {
    "beta_bernoulli": BetaBernoulli(threshold=0.5),
    "dirichlet_categorical": WholeCategories(n_categories=400),
    "gamma_poisson": WholeCounts(),
}
#: Ones are the contract's counts of two and more as well.
FOR_THE_CONTRACT = {"beta_bernoulli": BetaBernoulli(threshold=0.5)}


def densities(configured):
    return [ConjugateDensity(configured.get(name, name)) for name in FAMILIES]


@pytest.fixture
def numpy_state_stays():
    """Let scikit-learn's checks draw from NumPy's generator; the contract's look at ours."""


@conformance.scikit_learn(densities(FOR_SCIKIT_LEARN))
def test_scikit_learn(estimator, check):
    check(estimator)


@conformance.contract(densities(FOR_THE_CONTRACT))
def test_contract(estimator, check):
    check(estimator)


@pytest.mark.parametrize("check", conformance.OUTSIDE_ITS_LIST)
def test_scikit_learn_checks_outside_its_list(check):
    check("ConjugateDensity", ConjugateDensity())
