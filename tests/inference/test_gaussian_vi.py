"""Normals with a covariance against exact posteriors and evidences of linear models."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skbayes.exceptions import InsufficientMemoryError
from skbayes.inference import GaussianVI
from skbayes.inference.vi import _gaussian
from tests.scenarios import linear_problem, run_engine

ENGINES = [GaussianVI(), GaussianVI("low_rank", rank=5), GaussianVI(batch_size=50)]


@pytest.mark.parametrize("weighted", [False, True], ids=["equal", "weighted"])
@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_posterior_and_evidence_of_a_linear_model_are_exact(engine, weighted):
    problem = linear_problem(weighted=weighted)
    _, posterior = run_engine(engine, problem)
    scale = problem.prior_sd  # whitened weights are divided by it
    exact = problem.packed_covariance / np.outer(scale, scale)
    assert_allclose(posterior.mean, problem.packed_mean / scale, atol=1e-3)
    assert np.abs(posterior.covariance() - exact).max() < 0.01 * np.abs(exact).max()
    assert abs(posterior.log_evidence - problem.log_evidence) < 1e-2


def test_a_covariance_that_would_not_fit_is_refused(monkeypatch):
    monkeypatch.setattr(_gaussian, "MOST_PARAMS", 3)
    with pytest.raises(InsufficientMemoryError, match="structure='low_rank'"):
        run_engine(GaussianVI(), linear_problem())
