"""Modes, ensembles and dropout against their exact answers on linear models."""

import pytest

from tests.inference import checks, draw_checks
from tests.scenarios import linear_problem


def test_anchored_members_are_posterior_draws():
    draw_checks.check_anchored(linear_problem())


def test_anchored_members_of_weighted_rows_and_two_targets():
    draw_checks.check_anchored(checks.two_targets())


@pytest.mark.parametrize("weighted", [False, True], ids=["equal", "weighted"])
def test_map_and_plain_ensemble_are_the_mode(weighted):
    draw_checks.check_mode(linear_problem(weighted=weighted))


def test_mode_by_mini_batches():
    """A decayed rate settles; constant batches of ten leave a few hundredths of an sd."""
    draw_checks.check_mode(linear_problem(), within=0.4, batch_size=10)


@pytest.mark.parametrize("weighted", [False, True], ids=["equal", "weighted"])
def test_dropout_is_a_ridge_solution(weighted):
    draw_checks.check_dropout(linear_problem(weighted=weighted))


def test_dropout_spread_does_not_vanish():
    """A hundred times the rows, and the epistemic spread is the masks' all the same."""
    few, many = (draw_checks.check_dropout_spread(n) for n in (50, 5000))
    # A posterior's spread would have fallen to a tenth.
    assert many > 0.7 * few
