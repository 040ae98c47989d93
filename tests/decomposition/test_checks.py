"""scikit-learn's checks and the contract's, on every way to fit a PPCA."""

import pytest

from skbayes import PPCA
from tests import conformance

WAYS = [
    PPCA(),
    PPCA(1),
    PPCA("ard"),
    PPCA(1, solver="em"),
    PPCA(1, evidence="plugin"),
]


@pytest.fixture
def numpy_state_stays():
    """Let scikit-learn's checks draw from NumPy's generator; the contract's look at ours."""


@conformance.scikit_learn(WAYS[:1], WAYS[1:])
def test_scikit_learn(estimator, check):
    check(estimator)


@conformance.contract(WAYS[:1], WAYS[1:])
def test_contract(estimator, check):
    check(estimator)


# The set_output checks fit to a frame and transform an array, and the other way round.
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
@pytest.mark.filterwarnings("ignore:X has feature names, but PPCA was fitted without")
@pytest.mark.parametrize("check", conformance.OUTSIDE_ITS_LIST + conformance.OF_TRANSFORMERS)
def test_scikit_learn_checks_outside_its_list(check):
    check("PPCA", PPCA())
