"""Importance evidence against closed forms and quadrature."""

import numpy as np
import pytest

from skbayes.inference import MeanFieldVI
from skbayes.utils._logs import log_mean_exp
from tests.inference.draw_checks import check_importance_evidence
from tests.scenarios import learned_problem, linear_problem, logistic_problem, run_engine


@pytest.mark.parametrize("weighted", [False, True], ids=["equal", "weighted"])
def test_linear_model(weighted):
    check_importance_evidence(linear_problem(weighted=weighted))


def test_logistic_model():
    check_importance_evidence(logistic_problem())


def test_learned_scale_and_noise():
    """A skewed scale costs the normal proposal some accuracy."""
    check_importance_evidence(learned_problem(), largest_error=0.1)


def test_variational_proposal():
    """Importance sampling lifts the bound to the evidence, its tails being too light."""
    problem = linear_problem()
    _, posterior = run_engine(MeanFieldVI(n_particles=8, evidence="importance"), problem)
    assert posterior.evidence_kind == "importance"
    error = abs(posterior.log_evidence - problem.log_evidence)
    assert error < 4 * posterior.evidence_se
    assert error < abs(problem.mean_field_bound - problem.log_evidence)


def test_log_mean_exp():
    """Value, delta-method error and effective draws of known weights."""
    weights = np.array([1.0, 2.0, 3.0, 6.0])
    value, error, ess = log_mean_exp(np.log(weights) - 1000)
    assert value == pytest.approx(np.log(3.0) - 1000)
    assert error == pytest.approx(weights.std(ddof=1) / 3 / 2)
    assert ess == pytest.approx(weights.sum() ** 2 / (weights**2).sum())


def test_log_mean_exp_drops_points_outside_the_support():
    value, _, ess = log_mean_exp(np.array([0.0, np.nan, -np.inf, 0.0]))
    assert value == pytest.approx(np.log(0.5))
    assert ess == pytest.approx(2.0)
