"""scikit-learn's checks and the contract's on the Bayesian autoencoder."""

import pytest

from skbayes import BayesianAutoencoder
from skbayes.inference import DeepEnsemble
from skbayes.priors import EmpiricalBayes
from tests import conformance
from tests.engine_configs import SHORT, quick_engine

# Runs this short must warn that they did not converge; any other warning is an error.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def quick(engine=None, **params):
    """A small autoencoder whose prior and posterior take a tenth of a second."""
    engine = engine or quick_engine("sghmc", **{**SHORT, "n_samples": 4})
    return BayesianAutoencoder(1, inference=engine).set_params(
        encoder__hidden_layer_sizes=(4,), **params
    )


PARTICLES = quick(DeepEnsemble(n_members=2, max_iter=60))
DRAWN = quick(prior=EmpiricalBayes(max_iter=20))
GAUSSIAN = quick(quick_engine("laplace", max_iter=100), prior="normal")


@pytest.fixture
def numpy_state_stays():
    """Let scikit-learn's checks draw from NumPy's generator; the contract's look at ours."""


@conformance.scikit_learn([PARTICLES], [DRAWN])
def test_scikit_learn(estimator, check):
    check(estimator)


@conformance.contract([PARTICLES], [DRAWN, GAUSSIAN])
def test_contract(estimator, check):
    check(estimator)


# The set_output checks fit to a frame and transform an array, and the other way round.
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
@pytest.mark.filterwarnings(
    "ignore:X has feature names, but BayesianAutoencoder was fitted without"
)
@pytest.mark.parametrize("check", conformance.OUTSIDE_ITS_LIST + conformance.OF_TRANSFORMERS)
def test_scikit_learn_checks_outside_its_list(check):
    check("BayesianAutoencoder", PARTICLES)
