"""HMC against exact moments, by z-scores from the errors between many chains."""

import pytest

from skbayes.inference import HMC
from tests.inference import draw_checks
from tests.scenarios import learned_problem, linear_problem, logistic_problem, run_engine


@pytest.mark.parametrize("mass_matrix", ["identity", "diagonal"])
def test_linear_model(mass_matrix):
    draw_checks.check_hmc_linear(linear_problem(), mass_matrix)


def test_weighted_rows():
    draw_checks.check_hmc_linear(linear_problem(weighted=True, n_features=2), "identity")


def test_skewed_logistic_model():
    draw_checks.check_hmc_logistic(logistic_problem())


def test_learned_scale_and_noise():
    draw_checks.check_hmc_learned(learned_problem())


# An identity mass at this acceptance is a step so large that moves diverge now and then.
@pytest.mark.filterwarnings("ignore:.*moves diverged")
@pytest.mark.parametrize("target", [0.6, 0.9])
def test_dual_averaging_reaches_its_target(target):
    """Sampling at the averaged step keeps the acceptance that the warm-up aimed at.

    Four seeds agree to 0.015; the tolerance leaves twice that.
    """
    engine = draw_checks.coarse_hmc(
        "auto", target_accept=target, warmup=600, n_chains=16, n_samples=500, mass_matrix="identity"
    )
    _, posterior = run_engine(engine, linear_problem())
    assert posterior.diagnostics["acceptance"] == pytest.approx(target, abs=0.03)


def test_dual_averaging_after_the_last_change_of_mass():
    """The last quarter of the warm-up starts anew, and is short: a tenth off at most."""
    engine = draw_checks.coarse_hmc("auto", target_accept=0.7, warmup=300, n_chains=16)
    _, posterior = run_engine(engine, linear_problem())
    assert posterior.diagnostics["acceptance"] == pytest.approx(0.7, abs=0.1)


def test_default_engine_finds_the_posterior():
    """Adapted step, mass and extensions as a user gets them: means within 5 standard errors."""
    problem = linear_problem()
    model, posterior = run_engine(HMC(n_chains=32), problem)
    assert posterior.diagnostics["n_divergent"] == 0
    draws = draw_checks.weight_draws(model, posterior)
    draw_checks.assert_moments(
        draws, problem.packed_mean, problem.packed_covariance, "default draws"
    )
