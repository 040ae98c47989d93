"""Samplers: agreement with HMC, diagnostics, resuming."""

import copy
from dataclasses import replace
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
import torch
from sklearn.datasets import load_diabetes, load_iris

from skbayes import BayesianMLPClassifier, BayesianMLPRegressor
from skbayes.exceptions import ConvergenceWarning, DivergenceError
from skbayes.inference import HMC, MCLMC, NUTS, SGHMC, SGLD
from skbayes.inference.sgmcmc._integrators import INTEGRATORS
from skbayes.inference.sgmcmc._step_schedules import Cyclical
from skbayes.likelihoods import Gaussian
from skbayes.priors import Normal
from tests.inference.checks import Z_LIMIT
from tests.scenarios import linear_problem, make_run

X, Y = (a[:40] for a in load_diabetes(return_X_y=True))
IRIS, SPECIES = (a[::4] for a in load_iris(return_X_y=True))
N_CHAINS = 24
MANY = {"n_chains": N_CHAINS, "max_extensions": 0, "evidence": None}
SMALL_STEP = {**MANY, "step_size": 0.08, "warmup": 250, "n_samples": 60, "thinning": 10}
#: R-hat of chains this short is above what the engines ask of a user's run; the scores
#: between chains carry their errors whatever it is.
#: Chains that start from prior draws come down from their height.
HOT = pytest.mark.filterwarnings(
    "ignore:.*mean squared momentum", "ignore:.*energy error.s variance", "ignore:.*moves diverged"
)
SHORT_CHAINS = pytest.mark.filterwarnings("ignore:.*the chains disagree")


def classes(engine):
    clf = BayesianMLPClassifier((3,), prior=Normal(scale=1.0), inference=engine, random_state=0)
    return clf.fit(IRIS, SPECIES), IRIS


def several_targets(engine):
    reg = regressor(engine)
    return reg.fit(X, np.column_stack([Y, Y[::-1] * X[:, 2]])), X


def weighted_rows(engine):
    return regressor(engine).fit(X, Y, sample_weight=1.0 + np.arange(40) % 3), X


def regressor(engine):
    # A step that is small for every target needs scales and noise that do not move.
    return BayesianMLPRegressor(
        (3,),
        prior=Normal(scale=1.0),
        likelihood=Gaussian(noise=60.0),
        inference=engine,
        random_state=0,
    )


def chain_means(fitted, rows):
    """Each chain's mean and variance of function values, or of probabilities: (C, values)."""
    model = fitted._model()
    flat = torch.from_numpy(fitted.posterior_.particles).flatten(0, 1)
    scaled = torch.as_tensor(fitted._x_scaler.transform(rows), dtype=flat.dtype)
    outputs = model.network.forward(model.weights(flat), scaled)
    if model.likelihood.target == "classes":
        outputs = model.likelihood.probabilities(outputs)
    values = outputs.flatten(1).unflatten(0, fitted.posterior_.particles.shape[:2]).double()
    return torch.cat([values.mean(1), values.var(1)], dim=1).numpy()


@cache
def hmc(problem):
    engine = HMC(n_samples=120, warmup=200, trajectory_length=3.0, **MANY)
    fitted, rows = problem(engine)
    assert fitted.diagnostics_["r_hat"] < 1.02, fitted.diagnostics_
    return chain_means(fitted, rows)


def check_agreement(problem, engine, r_hat=1.05):
    fitted, rows = problem(engine)
    assert fitted.diagnostics_["r_hat"] < r_hat, fitted.diagnostics_
    ours, exact = chain_means(fitted, rows), hmc(problem)
    error = np.sqrt((ours.var(0, ddof=1) + exact.var(0, ddof=1)) / N_CHAINS)
    z = (ours.mean(0) - exact.mean(0)) / error
    assert np.abs(z).max() < Z_LIMIT, np.round(z, 1)
    # Rows are alike, so that a small bias everywhere would show in the mean score too.
    assert np.abs(z.mean()) < 2.5, z.mean()


@SHORT_CHAINS
@pytest.mark.parametrize("integrator", INTEGRATORS)
@pytest.mark.parametrize("problem", [classes, several_targets, weighted_rows])
def test_sghmc_agrees_with_hmc(problem, integrator):
    check_agreement(problem, SGHMC(integrator=integrator, **SMALL_STEP))


@SHORT_CHAINS
@pytest.mark.parametrize("problem", [classes, several_targets, weighted_rows])
def test_sgld_agrees_with_hmc(problem):
    params = {**SMALL_STEP, "step_size": 0.01, "thinning": 20, "warmup": 1500}
    # Diffusion is slower: it takes longer to come down, and its chains are a third as long in
    # units of their memory.
    check_agreement(problem, SGLD(**params), r_hat=1.15)


@SHORT_CHAINS
@pytest.mark.parametrize("problem", [classes, several_targets, weighted_rows])
def test_nuts_agrees_with_hmc(problem):
    check_agreement(problem, NUTS(n_samples=40, warmup=80, max_depth=5, **MANY))


@SHORT_CHAINS
@pytest.mark.parametrize("problem", [classes, several_targets, weighted_rows])
def test_mclmc_agrees_with_hmc(problem):
    params = {**SMALL_STEP, "step_size": "auto", "warmup": 300, "energy_variance": 1e-4}
    check_agreement(problem, MCLMC(**params))


# --- watching ------------------------------------------------------------------------


def test_diagnostics_of_a_default_run():
    fitted = regressor(SGHMC()).fit(X, Y)
    report = fitted.diagnostics_
    names = {"r_hat", "ess_bulk", "ess_tail", "acceptance", "n_divergent", "step_size"}
    names |= {"kinetic_temperature"}
    assert set(report) == names
    assert report["acceptance"] is None
    assert report["n_divergent"] == 0
    assert report["kinetic_temperature"] == pytest.approx(1, abs=0.1)
    assert fitted.posterior_.particles.shape[:2] == (4, 200)
    learned = BayesianMLPRegressor((), inference=SGHMC(), random_state=0).fit(X, Y)
    assert set(learned.diagnostics_) == names | {"r_hat_hyper", "ess_bulk_hyper", "ess_tail_hyper"}


@SHORT_CHAINS
@pytest.mark.parametrize(("step_size", "friction"), [(0.1, 2.0), (0.02, 5.0)])
def test_kinetic_temperature_of_leapfrog_is_what_its_law_says(step_size, friction):
    """1 / (1 - step * friction / 2) where the stiffest direction is far from the limit."""
    engine = SGHMC(
        step_size=step_size, friction=friction, n_chains=64, max_extensions=0, warmup=500
    )
    problem = linear_problem(n_rows=4, noise=3.0)
    fitted = problem.estimator(engine).fit(problem.X, problem.y)
    expected = 1 / (1 - step_size * friction / 2)
    assert fitted.diagnostics_["kinetic_temperature"] == pytest.approx(expected, abs=0.02)
    assert expected > 1.05, "a forgotten friction would show"


@SHORT_CHAINS
def test_hot_momenta_are_warned_about_with_number_and_remedy():
    engine = SGHMC(
        step_size=0.3, friction=4.0, n_samples=40, thinning=5, warmup=200, max_extensions=0
    )
    with pytest.warns(
        ConvergenceWarning, match=r"squared momentum is \d\.\d+.*inference__step_size"
    ):
        regressor(engine).fit(X, Y)


@HOT
@pytest.mark.parametrize("kind", [SGHMC, SGLD, MCLMC])
def test_chains_that_disagree_are_warned_about(kind):
    engine = kind(n_samples=4, thinning=1, warmup=0, init_steps=0, max_extensions=0)
    with pytest.warns(
        ConvergenceWarning, match=r"R-hat of function values \d.*inference__thinning"
    ):
        regressor(engine).fit(X, Y)


@HOT
@SHORT_CHAINS
def test_a_run_whose_chains_disagree_is_lengthened():
    short = {"n_samples": 4, "thinning": 2, "warmup": 0, "init_steps": 0}
    fits = [regressor(SGHMC(**short, max_extensions=n)).fit(X, Y) for n in (0, 2)]
    assert [fit.n_iter_ for fit in fits] == [8, 24]
    assert all(fit.posterior_.particles.shape[:2] == (4, 4) for fit in fits)


@pytest.mark.parametrize(
    "engine",
    [
        SGHMC(step_size=30.0, integrator="baoab", warmup=50, n_samples=20),
        SGLD(step_size=30.0, warmup=50, n_samples=20),
    ],
    ids=["sghmc", "sgld"],
)
def test_cut_kicks_are_divergence(engine):
    with pytest.raises(DivergenceError, match=r"unstable at step size 30.*inference__step_size"):
        regressor(engine).fit(X, Y)


# --- schedules, momenta, batches -----------------------------------------------------


def test_cyclical_schedule_descends_before_it_samples():
    schedule = Cyclical(n_samples=10, thinning=3, n_cycles=4)
    stages = [schedule.stage(index) for index in range(schedule.n_steps)]
    length = schedule.n_steps // 4
    assert length == 2 * 3 * 3
    assert stages[:length] == stages[length : 2 * length]
    steps = np.array([stage.step for stage in stages[:length]])
    assert steps[0] == 1.0
    assert (np.diff(steps) <= 0).all()
    sampling = np.array([stage.sampling for stage in stages[:length]])
    assert not sampling[: length // 2].any()
    assert sampling[length // 2 :].all()
    assert all(stage.temperature == stage.sampling for stage in stages)


def test_cyclical_run_keeps_as_many_draws_as_asked_for():
    engine = SGHMC(n_samples=10, thinning=3, schedule="cyclical", warmup=30, max_extensions=0)
    with pytest.warns(ConvergenceWarning):
        fitted = regressor(engine).fit(X, Y)
    assert fitted.posterior_.particles.shape[:2] == (4, 10)
    assert fitted.n_iter_ == 30 + 4 * 18


def start(engine, seed=0):
    problem = linear_problem()
    model, data, run = problem.model(), problem.data(), make_run(seed)
    return model, data, engine.init(model, data, run)


def test_momenta_are_drawn_anew_when_due():
    engine = SGHMC(step_size=1e-9, resample_momentum=3, init_steps=0, warmup=0)
    model, data, state = start(engine)
    seen = []
    for _ in range(7):
        state = engine.step(model, data, state)
        seen.append(state.phase.momentum.clone())
    # At such a step nothing else moves them by more than the root of step times friction.
    changed = [float((a - b).abs().max()) > 1e-2 for a, b in pairwise(seen)]
    assert changed == [False, False, True, False, False, True]


def test_a_pass_uses_every_row_once():
    engine = SGHMC(batch_size=10, init_steps=0)
    _, data, state = start(engine)
    state.batches.position = len(data)
    for _ in range(3):
        seen = [state.batches.next(data, state.generator)[0].X for _ in range(5)]
        rows = torch.cat(seen)
        assert torch.equal(rows.sort(0).values, data.X.sort(0).values)
        assert not torch.equal(rows, data.X)


# --- resuming ------------------------------------------------------------------------


def copied(state):
    """A state that shares nothing with the first, its generator included."""
    memo = {id(state.generator): state.generator.clone_state()}
    return copy.deepcopy(state, memo)


ALL = [
    HMC(trajectory_length="auto"),
    NUTS(max_depth=3),
    NUTS(mass_matrix="dense", max_depth=3),
    SGLD(),
    MCLMC(),
    *(SGHMC(integrator=name) for name in INTEGRATORS),
]


@pytest.mark.parametrize("engine", ALL)
@pytest.mark.parametrize("at", [7, 40, 63])
def test_the_state_holds_all_that_a_run_needs(engine, at):
    """Going on from a copy gives the same bits, in warm-up, at a tuning point, in a pass."""
    engine.set_params(warmup=40, init_steps=0, n_samples=20)
    if "thinning" in engine.get_params():
        engine.set_params(thinning=2)
    if "batch_size" in engine.get_params():
        engine.set_params(batch_size=7)
    model, data, state = start(engine)
    for _ in range(at):
        state = engine.step(model, data, state)
    saved = copied(state)
    ends = []
    for resumed in (state, saved):
        for _ in range(30):
            resumed = engine.step(model, data, resumed)
        ends.append(resumed)
    first, second = ends
    assert torch.equal(engine.position(first), engine.position(second))
    assert all(torch.equal(a, b) for a, b in zip(first.draws, second.draws, strict=True))
    lost = replace(copied(second), generator=torch.Generator().manual_seed(1))
    for a in (lost, first):
        engine.step(model, data, a)
    assert not torch.equal(engine.position(lost), engine.position(first))
