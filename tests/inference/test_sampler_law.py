"""SGLD and SGHMC against the exact law of their finite steps, and skewed targets."""

import pytest

from tests.inference import sampler_checks as checks
from tests.scenarios import logistic_problem

#: Step and thinning at which each scheme's bias on the skewed target is small.
SKEWED = {
    "sgld": (0.02, 12),
    "sgld_euler": (0.004, 60),
    "euler": (0.05, 20),
    "leapfrog": (0.05, 20),
    "obabo": (0.05, 20),
    "baoab": (0.08, 12),
    "milstein_tretyakov": (0.2, 5),
}
ORDERS = {"euler": 1, "leapfrog": 1, "obabo": 2, "baoab": 2, "milstein_tretyakov": 3}


@pytest.mark.parametrize("scheme", checks.SCHEMES)
def test_full_batch_law(scheme):
    checks.check_finite_law(scheme)


@pytest.mark.parametrize("scheme", checks.SCHEMES)
def test_mini_batch_law(scheme):
    checks.check_finite_law(scheme, batch_size=2, reach=0.3, n_passes=1600)


def test_law_of_a_batch_that_does_not_divide_the_rows():
    """Four rows of six count for one and a half times themselves, not for once."""
    checks.check_finite_law("leapfrog", batch_size=4, reach=0.3, n_passes=800)


@pytest.mark.parametrize(("scheme", "order"), ORDERS.items())
def test_weak_order_of_one_step(scheme, order):
    checks.check_local_order(scheme, order)


@pytest.mark.parametrize("scheme", checks.SCHEMES)
def test_skewed_logistic_model(scheme):
    checks.check_skewed(scheme, logistic_problem(), *SKEWED[scheme])
