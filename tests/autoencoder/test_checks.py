"""scikit-learn's checks and the contract's, on the ways to fit an autoencoder."""

import pytest

from skbayes import AutoencoderTransformer, VAETransformer
from skbayes.autoencoder import ImportanceBound, Matched
from skbayes.likelihoods import StudentTColumns
from skbayes.testing import check_bayesian_estimator
from tests import conformance

QUICK = {
    "encoder__hidden_layer_sizes": (8,),
    "training__max_iter": 60,
    "training__learning_rate": 0.02,
}


def quick(**params):
    return VAETransformer().set_params(
        **{**QUICK, "n_score_samples": 64, "random_state": 0, **params}
    )


@pytest.fixture
def numpy_state_stays():
    """Let scikit-learn's checks draw from NumPy's generator; the contract's look at ours."""


@conformance.scikit_learn(
    [
        quick(random_state=None),
        AutoencoderTransformer(allow_missing=True, corruption="mask").set_params(**QUICK),
    ]
)
def test_scikit_learn(estimator, check):
    check(estimator)


@conformance.contract([quick()], [quick(allow_missing=True, bottleneck="full")])
def test_contract(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    "params",
    [
        {"objective": Matched("energy"), "likelihood": "shared_gaussian"},
        {"likelihood": StudentTColumns("heteroscedastic"), "objective": ImportanceBound(3)},
    ],
    ids=lambda params: next(iter(params.values())),
)
def test_contract_on_other_models(params):
    results = check_bayesian_estimator(quick(**params, training__max_iter=30))
    assert {result["status"] for result in results} == {"passed"}


# The set_output checks fit to a frame and transform an array, and the other way round.
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
@pytest.mark.filterwarnings("ignore:X has feature names, but VAETransformer was fitted without")
@pytest.mark.parametrize("check", conformance.OUTSIDE_ITS_LIST + conformance.OF_TRANSFORMERS)
def test_scikit_learn_checks_outside_its_list(check):
    check("VAETransformer", quick())
