"""Which of scikit-learn's checks, and of the contract's, an estimator goes through.

What checks ask of input, tags and interfaces is answered by code that the estimators of a room
share: one estimator for each kind of posterior goes through all of them. Estimators that differ
from it by a part (an engine, a prior, a covariance) go through the checks that a part can fail.
"""

import re

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
    estimator_checks_generator,
)

from skbayes.testing import bayesian_checks_generator

#: Of scikit-learn's checks, those that a part can fail: a single row, and learning. What others
#: ask of a part (weights, company, state) the contract asks of every verb.
SCIKIT_LEARN_OF_PARTS = {
    "check_fit2d_1sample",
    "check_classifiers_train",
    "check_regressors_train",
}
CONTRACT_OF_PARTS = {
    "check_density_has_the_moments",
    "check_density_is_normalised",
    "check_draws_follow_the_seed",
    "check_draws_have_the_density",
    "check_epistemic_falls_with_data",
    "check_evidence_is_joint",
    "check_fit_reproduces",
    "check_global_state_untouched",
    "check_named_draws",
    "check_posterior_draws_agree",
    "check_predictions_leave_state",
    "check_refused_fit",
    "check_row_evidence",
    "check_row_units",
    "check_rows_stand_alone",
    "check_saved_bits",
    "check_target_units",
    "check_weights_repeat_rows",
}
#: Checks that scikit-learn has and does not run by itself.
OUTSIDE_ITS_LIST = [
    check_dataframe_column_names_consistency,
    check_inplace_ensure_writeable,
    check_param_validation,
]
OF_TRANSFORMERS = [
    check_set_output_transform,
    check_set_output_transform_pandas,
    check_set_output_transform_polars,
    check_transformer_get_feature_names_out,
    check_transformer_get_feature_names_out_pandas,
]


def scikit_learn(thorough, others=()):
    """Parametrise by estimator and check: all for the first, those of parts for the others.

    Rows from files, which no model sees, are for the very first alone.
    """
    first, *more = thorough

    def once(estimator):
        checks = estimator_checks_generator(estimator)
        return (pair for pair in checks if not pair[1].keywords.get("readonly_memmap"))

    cases = [*estimator_checks_generator(first), *(pair for each in more for pair in once(each))]
    return _parametrise(cases + _of_parts(once, others, SCIKIT_LEARN_OF_PARTS))


def contract(thorough, others=()):
    """The same of the contract's checks."""
    cases = [pair for each in thorough for pair in bayesian_checks_generator(each)]
    return _parametrise(cases + _of_parts(bayesian_checks_generator, others, CONTRACT_OF_PARTS))


def _of_parts(generator, estimators, names):
    return [
        (estimator, check)
        for each in estimators
        for estimator, check in generator(each)
        if check.func.__name__ in names
    ]


def _parametrise(cases):
    return pytest.mark.parametrize(
        ("estimator", "check"),
        [
            pytest.param(
                estimator,
                check,
                # Functions stand at other addresses in other processes.
                id=re.sub(r" at 0x\w+", "", f"{estimator!r}-{check.func.__name__}-{number}"),
            )
            for number, (estimator, check) in enumerate(cases)
        ],
    )
