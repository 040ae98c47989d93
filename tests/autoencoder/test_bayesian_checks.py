"""scikit-learn's checks and the contract's on the Bayesian autoencoder."""

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

from skbayes import BayesianAutoencoder
from skbayes.priors import EmpiricalBayes
from skbayes.testing import parametrize_with_bayesian_checks
from tests.engine_configs import SHORT, quick_engine

# Runs this short must warn that they did not converge; any other warning is an error.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def quick(engine=None, **params):
    """A small autoencoder whose prior and posterior take a tenth of a second."""
    engine = engine or quick_engine("sghmc", **{**SHORT, "n_samples": 4})
    return BayesianAutoencoder(1, inference=engine).set_params(
        encoder__hidden_layer_sizes=(4,), **params
    )


WAYS = [
    quick(prior=EmpiricalBayes(max_iter=20)),
    quick(quick_engine("laplace", max_iter=100), prior="normal"),
]


@pytest.fixture
def numpy_state_stays():
    """Let scikit-learn's checks draw from NumPy's generator; the contract's look at ours."""


@parametrize_with_checks(WAYS[:1], xfail_strict=True)
def test_scikit_learn(estimator, check):
    check(estimator)


@parametrize_with_bayesian_checks(WAYS)
def test_contract(estimator, check):
    check(estimator)


# The set_output checks fit to a frame and transform an array, and the other way round.
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
@pytest.mark.filterwarnings(
    "ignore:X has feature names, but BayesianAutoencoder was fitted without"
)
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
    check("BayesianAutoencoder", WAYS[0])
