"""Masses: what they are made of, and where a dense one is refused."""

import numpy as np
import pytest
import torch

from skbayes import BayesianMLPRegressor
from skbayes.exceptions import IncompatiblePartsError
from skbayes.inference import HMC, NUTS
from skbayes.inference.mcmc._adaptation import RunningCovariance, oas_shrinkage
from skbayes.inference.mcmc._mass import DenseMass, DiagonalMass
from tests.inference import draw_checks
from tests.scenarios import correlated_problem, run_engine

SAMPLE = np.random.default_rng(0).normal(size=(60, 3)) @ [[1, 0.8, 0], [0, 1, 0.5], [0, 0, 2.0]]


def running(parts):
    found = RunningCovariance(3)
    for part in np.split(SAMPLE, parts):
        found.update(torch.from_numpy(part))
    return found


def test_kinetic_energy():
    draw_checks.check_kinetic_energy()


@pytest.mark.parametrize("parts", [1, 15, 60])
def test_running_covariance_is_the_sample_covariance(parts):
    found = running(parts)
    np.testing.assert_allclose(found.products / 59, np.cov(SAMPLE.T), rtol=1e-10)
    np.testing.assert_allclose(found.squares / 59, SAMPLE.var(0, ddof=1), rtol=1e-10)


def test_regularised_covariance():
    """Variances as the diagonal mass has them, correlations shrunk by one factor."""
    covariance = running(1).regularised().numpy()
    sd = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose(sd**2, (60 * SAMPLE.var(0, ddof=1) + 20) / 80)
    ratio = (covariance / np.outer(sd, sd)) / np.corrcoef(SAMPLE.T)
    off = ratio[np.triu_indices(3, 1)]
    np.testing.assert_allclose(off, off[0])
    # Chen et al. (2010), eq. 23, for correlations, whose trace is their number.
    p, n, trace = 3, 60, (np.corrcoef(SAMPLE.T) ** 2).sum()
    oas = ((1 - 2 / p) * trace + p**2) / ((n + 1 - 2 / p) * (trace - p))
    assert off[0] == pytest.approx(1 - oas)


def test_fewer_draws_than_unknowns_shrink_to_a_diagonal():
    few = np.random.default_rng(0).normal(size=(8, 40))
    assert oas_shrinkage(torch.from_numpy(np.corrcoef(few.T)), 8) > 0.8
    found = RunningCovariance(40)
    found.update(torch.from_numpy(few))
    assert torch.linalg.eigvalsh(found.regularised())[0] > 0.1


def test_one_unknown_has_no_correlation():
    found = RunningCovariance(1)
    found.update(torch.zeros(3, 1))
    assert found.regularised().shape == (1, 1)


def test_dense_and_diagonal_are_one_where_nothing_is_correlated():
    variance = torch.tensor([0.1, 1.0, 4.0])
    noise = torch.from_numpy(SAMPLE).float()
    for name in ("momentum", "velocity"):
        dense, diagonal = (
            getattr(mass, name)(noise)
            for mass in (DenseMass(torch.diag(variance)), DiagonalMass(variance))
        )
        torch.testing.assert_close(dense, diagonal)


@pytest.mark.parametrize("kind", [HMC, NUTS])
def test_a_dense_mass_of_many_unknowns_is_refused(kind):
    X = np.zeros((10, 100))
    reg = BayesianMLPRegressor((30,), inference=kind(mass_matrix="dense"))
    message = rf"{kind.__name__}: mass_matrix='dense' holds at most 2000 .* 3064.*'diagonal'"
    with pytest.raises(IncompatiblePartsError, match=message):
        reg.fit(X + np.arange(10)[:, None], np.arange(10.0))


def test_a_dense_mass_takes_longer_steps_where_weights_are_correlated():
    steps = {}
    for kind in ("dense", "diagonal"):
        engine = HMC(mass_matrix=kind, n_chains=8, warmup=300, n_samples=100, evidence=None)
        steps[kind] = run_engine(engine, correlated_problem())[1].diagnostics["step_size"]
    assert steps["dense"] > 2 * steps["diagonal"], steps
