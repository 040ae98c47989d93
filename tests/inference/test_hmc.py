"""HMC against exact moments, by z-scores from the errors between many chains."""

import math

import numpy as np
import pytest
import torch

from skbayes.inference import HMC
from skbayes.inference.mcmc._chains import R_HAT, R_HAT_HYPER
from skbayes.inference.mcmc._path_length import (
    OVERHEAD,
    PathStatistics,
    autocorrelation_times,
    oscillations,
)
from skbayes.utils._random import make_generator
from tests.inference import draw_checks
from tests.scenarios import (
    correlated_problem,
    learned_problem,
    linear_problem,
    logistic_problem,
    run_engine,
)


@pytest.mark.parametrize("mass_matrix", ["identity", "diagonal", "dense"])
def test_linear_model(mass_matrix):
    draw_checks.check_hmc_linear(linear_problem(), mass_matrix)


def test_weighted_rows():
    draw_checks.check_hmc_linear(linear_problem(weighted=True, n_features=2), "identity")


def test_skewed_logistic_model():
    draw_checks.check_hmc_logistic(logistic_problem())


def test_learned_scale_and_noise():
    engine = draw_checks.coarse_hmc("auto", target_accept=0.7, n_samples=800)
    draw_checks.check_learned(learned_problem(), engine)


# An identity mass at this acceptance is a step so large that moves diverge now and then.
@pytest.mark.filterwarnings("ignore:.*moves diverged")
@pytest.mark.parametrize("target", [0.6, 0.8])
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


# --- trajectory length ---------------------------------------------------------------


def oscillators(*angles):
    """Exact paths (61, 512, values): each value turns by its angle a step."""
    phase = 2 * math.pi * torch.rand(512, len(angles), generator=make_generator(0))
    return torch.cos(phase + torch.tensor(angles) * torch.arange(61.0)[:, None, None])


def measured(*angles, n_hyper=0):
    paths = PathStatistics(60, len(angles), n_hyper)
    paths.update(oscillators(*angles))
    return paths


@pytest.mark.parametrize("angle", [0.02, 0.1, 0.3])
def test_correlations_of_a_path(angle):
    """An oscillator's autocorrelation is the cosine of the angle between two times.

    The standard error over 512 phases is below 1 / sqrt(512), twice for the variance.
    """
    exact = torch.cos(angle * torch.arange(1.0, 61.0))
    found = measured(angle).correlations()[:, 0]
    assert float((found - exact).abs().max()) < 4 * 2 / math.sqrt(512)


def worth(longest, *angles):
    """Independent draws a draw, by the definition: lengths from over half to all."""
    lengths = np.arange(longest // 2 + 1, longest + 1)
    mean = np.cos(np.outer(angles, lengths)).mean(1).clip(0, 1 - 1e-9)
    return 1 / np.mean((1 + mean) / (1 - mean))


def rate(longest, *angles):
    """The same a gradient."""
    return worth(longest, *angles) / ((longest + longest // 2 + 1) / 2 + OVERHEAD)


@pytest.mark.parametrize(("angle", "least", "most"), [(0.2, 5, 20), (0.1, 10, 40)])
def test_the_length_of_the_fewest_gradients(angle, least, most):
    best = max(range(1, 61), key=lambda longest: rate(longest, angle))
    assert least < best < most
    assert abs(measured(angle).best_length(0.01, 1.0) - best) <= 1


def test_slow_oscillations_ask_for_longer_trajectories():
    """One value of many angles: where their mean correlation suits, most of it is lost."""
    angles = np.random.default_rng(0).lognormal(math.log(0.15), 0.8, 400).clip(0.02, 1.5)
    correlations = np.cos(np.outer(angles, np.arange(1, 61))).mean(0)
    frequencies, lengths = np.geomspace(0.02, 1.57, 96), np.arange(1, 61)
    shares = oscillations(correlations[None], frequencies)[0]
    found = 1 / (autocorrelation_times(frequencies, lengths, 1.0) @ shares)
    exact = [worth(longest, *angles) for longest in lengths]
    assert found == pytest.approx(exact, rel=0.2)
    best = max(lengths, key=lambda longest: rate(longest, *angles))
    assert best > 1.5 * max(lengths, key=lambda longest: rate(longest, 0.15))


def test_correlations_of_a_chain_add_up():
    """A normal oscillation under trajectories of random length, three in ten of them refused."""
    rng, angle, longest, accept = np.random.default_rng(0), 0.1, 12, 0.7
    lengths = rng.integers(longest // 2 + 1, longest + 1, 2000) * (rng.random(2000) < accept)
    values = np.empty((2000, 1000))
    now = rng.standard_normal(1000)
    for i, turn in enumerate(angle * lengths):
        now = np.cos(turn) * now + np.sin(turn) * rng.standard_normal(1000)
        values[i] = now
    # Of the means of whole chains; the relative error of their variance is sqrt(2 / 1000).
    found = 2000 * values.mean(0).var()
    exact = autocorrelation_times(np.array([angle]), np.arange(1, 61), accept)[longest - 1, 0]
    assert found == pytest.approx(exact, rel=4 * math.sqrt(2 / 1000))


def test_the_slower_of_functions_and_hyperparameters_decides():
    """Hyperparameters need a fifth of the draws: 1.05² - 1 over 1.01² - 1."""
    need = (R_HAT_HYPER**2 - 1) / (R_HAT**2 - 1)
    assert need == pytest.approx(5.1, abs=0.01)

    def slower(longest):
        return min(rate(longest, 0.3), need * rate(longest, 0.03))

    best = max(range(1, 61), key=slower)
    assert best > measured(0.3).best_length(0.01, 1.0) + 5
    found = measured(0.3, 0.03, n_hyper=1).best_length(0.01, 1.0)
    assert slower(found) > 0.97 * slower(best)


def test_unstable_paths_do_not_count():
    """Jittered steps near the limit: some of the long paths leave the posterior."""
    problem = correlated_problem()
    params = {"n_chains": 8, "warmup": 300, "n_samples": 100, "evidence": None}
    _, posterior = run_engine(HMC(trajectory_length="auto", **params), problem)
    assert posterior.diagnostics["trajectory_length"] > 3 * posterior.diagnostics["step_size"]
    assert posterior.diagnostics["r_hat"] < 1.01


def test_the_length_is_found_from_any_first_step():
    """On one problem, steps of a third and of all: the same time, in more and fewer steps."""
    lengths = []
    for step_size in (0.05, 0.15):
        engine = HMC(
            trajectory_length="auto",
            step_size=step_size,
            mass_matrix="identity",
            n_chains=32,
            warmup=64,
            n_samples=40,
        )
        _, posterior = run_engine(engine, linear_problem(n_rows=8))
        lengths.append(posterior.diagnostics["trajectory_length"])
    assert lengths[0] == pytest.approx(lengths[1], rel=0.35)


@pytest.mark.filterwarnings("ignore:.*the chains disagree")
def test_the_slowest_swing_is_the_priors(monkeypatch):
    """A whitened weight that the data leave alone turns by the step; refusals are as aimed at."""
    told = []
    monkeypatch.setattr(PathStatistics, "best_length", lambda self, *args: told.append(args) or 3)
    engine = HMC(trajectory_length="auto", step_size=0.05, target_accept=0.7, warmup=64)
    _, posterior = run_engine(engine.set_params(n_samples=40, n_chains=8), linear_problem(n_rows=8))
    assert set(told) == {(0.05, 0.7)}
    assert posterior.diagnostics["trajectory_length"] == pytest.approx(0.15)
