"""Weak order on a skewed target, from stationary laws that are computed, not sampled."""

import numpy as np
import pytest

from benchmarks.studies._ergodic import Laboratory, SkewedTarget
from benchmarks.studies.convergence import ORDERS, SCHEMES, goal, skewed_errors, slope


@pytest.fixture(scope="module")
def laboratory():
    return Laboratory(SkewedTarget(np.array([1.5, 2.0, 2.5])), degree=10)


@pytest.mark.parametrize("name", SCHEMES)
def test_order_on_all_rows(name, laboratory):
    steps, errors = skewed_errors(name, "full", laboratory)
    assert slope(steps, errors) > goal(ORDERS[name][0], "full")


def test_averaged_noise_is_second_order_on_all_rows_only(laboratory):
    """Weak order 1, but a stationary law of order 2; permuted batches take that away."""
    full, batches = (skewed_errors("sgld", b, laboratory) for b in ("full", "permuted"))
    assert slope(*full) > 1.75
    assert slope(*batches) < 1.25
    plain = skewed_errors("sgld_euler", "permuted", laboratory)[1]
    assert (batches[1] < plain / 4).all()


@pytest.mark.parametrize("name", ["sgld", "sgld_euler", "leapfrog", "baoab", "milstein_tretyakov"])
def test_order_on_permuted_and_on_replaced_rows(name, laboratory):
    steps, errors = skewed_errors(name, "permuted", laboratory)
    assert slope(steps, errors) > goal(ORDERS[name][0], "permuted")
    # The smallest steps show what drawing with replacement comes down to.
    steps, errors = skewed_errors(name, "replaced", laboratory, largest=0.01)
    assert slope(steps, errors) < 1.25


def test_degree_is_high_enough(laboratory):
    """The polynomials' own error is far below that of the schemes."""
    finer = Laboratory(laboratory.target, degree=14)
    for name in ("leapfrog", "milstein_tretyakov"):
        both = [skewed_errors(name, "full", lab)[1] for lab in (laboratory, finer)]
        np.testing.assert_allclose(*both, rtol=0.02, atol=1e-8)
