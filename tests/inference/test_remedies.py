"""Remedies name parameters that are there, and would help."""

import pytest

from skbayes.inference import HMC, MCLMC, NUTS, SGHMC, SGLD
from skbayes.inference._remedies import smaller_rate, smaller_step

SAMPLERS = pytest.mark.parametrize("sampler", [HMC, MCLMC, NUTS, SGHMC, SGLD])


@SAMPLERS
def test_a_step_of_ones_own_may_be_made_smaller(sampler):
    remedy = smaller_step(sampler(step_size=0.3), 0.3)
    assert remedy == "Set inference__step_size (now 0.3) to 'auto' or a tenth."


@SAMPLERS
def test_a_step_that_was_found_asks_for_more_time_or_another(sampler):
    """To set it to "auto" would change nothing."""
    remedy = smaller_step(sampler(warmup=50), 0.3)
    assert "'auto'" not in remedy
    assert "inference__warmup (now 50)" in remedy
    assert "inference__step_size below 0.3" in remedy


def test_a_rate_is_named_with_its_value():
    assert "inference__learning_rate (now 0.01)" in smaller_rate(0.01)
