"""Priors of the weights against draws, and the density of draws against their moments."""

import numpy as np
import pytest

from skbayes.mixture._weights import WEIGHT_PRIORS

COUNTS = np.array([7.5, 3.0, 0.2, 4.0])


@pytest.mark.parametrize("name", WEIGHT_PRIORS)
def test_expectations_are_those_of_draws(name):
    prior = WEIGHT_PRIORS[name](4, 0.7)
    draws = prior.sample(COUNTS, 40_000, np.random.default_rng(0))
    for expected, values in (
        (prior.mean(COUNTS), draws),
        (prior.expected_log(COUNTS), np.log(draws)),
    ):
        error = values.std(axis=0) / np.sqrt(len(values))
        assert (np.abs(values.mean(axis=0) - expected) < 5 * error).all()
    assert prior.mean(COUNTS).sum() == pytest.approx(1)


@pytest.mark.parametrize("name", WEIGHT_PRIORS)
def test_no_counts_leave_the_prior(name):
    prior = WEIGHT_PRIORS[name](3, 2.0)
    assert prior.log_evidence(np.zeros(3)) == pytest.approx(0)
    expected = {"dirichlet": [1 / 3, 1 / 3, 1 / 3], "dirichlet_process": [1 / 3, 2 / 9, 4 / 9]}
    assert prior.mean(np.zeros(3)) == pytest.approx(expected[name])


@pytest.mark.parametrize("name", WEIGHT_PRIORS)
def test_concentration_spreads_the_weights(name):
    few, many = (WEIGHT_PRIORS[name](20, c).mean(np.array([9.0] + [0.0] * 19)) for c in (0.1, 9))
    assert many[0] < few[0]
