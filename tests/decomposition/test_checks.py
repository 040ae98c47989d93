"""scikit-learn's checks and the contract's, on every way to fit a PPCA."""

import pytest
from sklearn.utils.estimator_checks import (
    check_dataframe_column_names_consistency,
    check_inplace_ensure_writeable,
    check_param_validation,
    check_set_output_transform,
    check_set_output_transform_pandas,
    check_set_output_transform_polars,
    check_transformer_get_feature_names_out,
    check_transformer_get_feature_names_out_pandas,
    parametrize_with_checks,
)

from skbayes import PPCA
from skbayes.testing import parametrize_with_bayesian_checks

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


@parametrize_with_checks(WAYS, xfail_strict=True)
def test_scikit_learn(estimator, check):
    check(estimator)


@parametrize_with_bayesian_checks(WAYS)
def test_contract(estimator, check):
    check(estimator)


# The set_output checks fit to a frame and transform an array, and the other way round.
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
@pytest.mark.filterwarnings("ignore:X has feature names, but PPCA was fitted without")
@pytest.mark.parametrize(
    "check",
    [
        check_dataframe_column_names_consistency,
        check_inplace_ensure_writeable,
        check_param_validation,
        check_set_output_transform,
        check_set_output_transform_pandas,
        check_set_output_transform_polars,
        check_transformer_get_feature_names_out,
        check_transformer_get_feature_names_out_pandas,
    ],
)
def test_scikit_learn_checks_outside_its_list(check):
    check("PPCA", PPCA())
