"""MCLMC: one turn, exact moments, and what its tuning reaches."""

import pytest

from skbayes.exceptions import ConvergenceWarning
from tests.inference import sampler_checks as checks
from tests.scenarios import linear_problem, logistic_problem, run_engine


def test_turn_solves_its_equation():
    checks.check_turn()


def test_directions_are_forgotten_after_their_length():
    checks.check_noisy_turn()


@pytest.mark.parametrize("preconditioner", [None, "adaptive"])
def test_linear_model(preconditioner):
    problem = linear_problem(n_features=2, weighted=True)
    checks.check_microcanonical(problem, preconditioner=preconditioner)


def test_skewed_logistic_model():
    checks.check_microcanonical(logistic_problem())


@pytest.mark.parametrize("aim", [1e-3, 1e-5])
def test_tuning_reaches_the_energy_variance_aimed_at(aim):
    """The step follows errors by their sixth root; a factor 2 is 12% of the step."""
    engine = checks.microcanonical(energy_variance=aim, preconditioner="adaptive")
    _, posterior = run_engine(engine, linear_problem())
    assert aim / 2 < posterior.diagnostics["energy_variance"] < 2 * aim


@pytest.mark.filterwarnings("ignore:.*moves diverged")
def test_a_rough_step_is_warned_about():
    engine = checks.microcanonical(step_size=0.15, n_samples=20, energy_variance=1e-4)
    with pytest.warns(ConvergenceWarning, match=r"energy error.*inference__step_size"):
        run_engine(engine, linear_problem())
