"""Sixty of the fits that `tests.fuzz` draws; a warning in a fit is a failure of its own."""

import pytest

from tests.fuzz import run_case


@pytest.mark.parametrize("seed", range(60))
def test_a_fit_ends_right_or_says_what_to_change(seed):
    assert run_case(seed) is None
