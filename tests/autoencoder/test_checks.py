"""scikit-learn's checks and the contract's, on the ways to fit an autoencoder."""

import pytest
from sklearn.utils.estimator_checks import (
    check_dataframe_column_names_consistency,
    check_inplace_ensure_writeable,
    check_param_validation,
    check_set_output_transform,
    check_set_output_transform_pandas,
    check_transformer_get_feature_names_out,
    check_transformer_get_feature_names_out_pandas,
    parametrize_with_checks,
)

from skbayes import AutoencoderTransformer, VAETransformer
from skbayes.autoencoder import ImportanceBound, Matched
from skbayes.testing import (
    check_bayesian_estimator,
    parametrize_with_bayesian_checks,
)

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


@parametrize_with_checks(
    [
        quick(random_state=None),
        AutoencoderTransformer(allow_missing=True, corruption="mask").set_params(**QUICK),
    ],
    xfail_strict=True,
)
def test_scikit_learn(estimator, check):
    check(estimator)


@parametrize_with_bayesian_checks([quick(), quick(allow_missing=True, bottleneck="full")])
def test_contract(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    "params",
    [
        {"objective": Matched("energy"), "noise_variance": "shared"},
        {"likelihood": "student_t", "noise_variance": "input", "objective": ImportanceBound(3)},
    ],
    ids=lambda params: next(iter(params.values())),
)
def test_contract_on_other_models(params):
    results = check_bayesian_estimator(quick(**params, training__max_iter=30))
    assert {result["status"] for result in results} == {"passed"}


# The set_output checks fit to a frame and transform an array, and the other way round.
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
@pytest.mark.filterwarnings("ignore:X has feature names, but VAETransformer was fitted without")
@pytest.mark.parametrize(
    "check",
    [
        check_dataframe_column_names_consistency,
        check_inplace_ensure_writeable,
        check_param_validation,
        check_set_output_transform,
        check_set_output_transform_pandas,
        check_transformer_get_feature_names_out,
        check_transformer_get_feature_names_out_pandas,
    ],
)
def test_scikit_learn_checks_outside_its_list(check):
    check("VAETransformer", quick())
