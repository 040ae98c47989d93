"""Stored draws, normal densities and dropout masks against their definitions."""

import pytest

from tests.posteriors import checks


@pytest.mark.parametrize(
    "check",
    [
        checks.check_thinning,
        checks.check_distinct_draws,
        checks.check_start,
        checks.check_normal_moments,
        checks.check_normal_density,
        checks.check_kronecker_order,
        checks.check_low_rank,
        checks.check_dropout_masks,
        checks.check_dropout_around_prior_means,
        checks.check_diagnostics,
    ],
    ids=lambda check: check.__name__,
)
def test_posterior(check):
    check()
