"""The table of promises in the guide names every check of the contract, and nothing else."""

import re
from pathlib import Path

import pytest

from skbayes.testing import bayesian_checks_generator
from tests.every_estimator import ESTIMATORS, PUBLIC

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "promises.md").read_text()
#: What each estimator is held to, whatever it learns.
OF_ALL = {
    "check_unfitted_is_refused",
    "check_predictions_leave_state",
    "check_data_are_left_alone",
    "check_rows_stand_alone",
    "check_fit_reproduces",
    "check_named_draws",
    "check_refused_fit",
    "check_pickle",
    "check_saved_bits",
    "check_global_state_untouched",
    "check_stored_evidence",
    "check_weights_repeat_rows",
}


def checks_of(estimator):
    return {check.func.__name__ for _, check in bayesian_checks_generator(estimator)}


#: A plain autoencoder has no posterior; scikit-learn's checks alone are for it.
PROMISING = {name: each for name, each in ESTIMATORS.items() if hasattr(each, "score_evidence")}


def test_every_public_estimator_is_asked():
    kinds = {type(estimator).__name__ for estimator in PROMISING.values()}
    assert {kind.__name__ for kind in PUBLIC} - kinds == {"AutoencoderTransformer"}


@pytest.mark.parametrize("name", PROMISING)
def test_promises_of_all_are_asked_of_each(name):
    assert checks_of(PROMISING[name]) >= OF_ALL


def test_the_table_names_every_check():
    asked = set().union(*map(checks_of, PROMISING.values()))
    assert set(re.findall(r"`(check_\w+)`", PAGE)) - {"check_estimator"} == asked | {
        "check_bayesian_estimator"
    }


def test_the_files_that_it_names_are_there():
    files = set(re.findall(r"`(tests/[\w/]+\.py)`", PAGE))
    assert files
    assert [name for name in files if not (ROOT / name).exists()] == []
