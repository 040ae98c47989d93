"""NUTS against exact moments, by z-scores from the errors between many chains."""

import pytest

from tests.inference import draw_checks, tree_checks
from tests.scenarios import learned_problem, linear_problem, logistic_problem


def test_subtrees_end_where_the_definition_says():
    tree_checks.check_subtrees()


def test_drawn_points():
    tree_checks.check_drawn()


def test_linear_model():
    draw_checks.check_nuts_linear(linear_problem(), "identity", n_chains=256)


@pytest.mark.parametrize("mass_matrix", ["diagonal", "dense"])
def test_masses(mass_matrix):
    draw_checks.check_nuts_linear(linear_problem(), mass_matrix, warmup=100, n_samples=150)


def test_weighted_rows():
    problem = linear_problem(weighted=True, n_features=2)
    draw_checks.check_nuts_linear(problem, "identity")


def test_skewed_logistic_model():
    draw_checks.check_nuts_logistic(logistic_problem())


def test_learned_scale_and_noise():
    engine = draw_checks.coarse_nuts("auto", target_accept=0.7, warmup=100, n_samples=150)
    draw_checks.check_learned(learned_problem(), engine)
