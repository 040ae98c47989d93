"""Exact checks of the engines that give draws or points: they raise AssertionError."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial

import numpy as np
import torch

from skbayes._model import Model
from skbayes.exceptions import ConvergenceWarning
from skbayes.inference import HMC, MAP, NUTS, DeepEnsemble, Laplace, MCDropout
from skbayes.inference.mcmc import _mass
from skbayes.inference.mcmc._mass import DenseMass, DiagonalMass
from skbayes.posteriors import ParticlePosterior
from tests.inference.checks import Z_LIMIT, assert_z, weight_scale
from tests.scenarios import (
    LearnedProblem,
    LinearProblem,
    LogisticProblem,
    linear_problem,
    run_engine,
)

#: Chains whose means are the independent estimates behind the z-scores.
N_CHAINS = 128


def weight_draws(model: Model, posterior: ParticlePosterior) -> np.ndarray:
    """Network weights (chains, draws, P), then hyperparameters."""
    flat = torch.from_numpy(posterior.particles).flatten(0, 1)
    tail = flat[:, model.n_weights :]
    named = torch.cat([model.weights(flat), tail], dim=1)
    return named.unflatten(0, posterior.particles.shape[:2]).numpy()


def assert_moments(draws: np.ndarray, mean: np.ndarray, covariance: np.ndarray, what: str) -> None:
    """First and second moments (C, n, P) against exact ones, by between-chain errors."""
    centred = draws - mean
    upper = np.triu_indices(len(mean))
    products = (centred[..., :, None] * centred[..., None, :])[..., upper[0], upper[1]]
    assert_z(draws.mean(1), mean, f"mean of {what}")
    assert_z(products.mean(1), covariance[upper], f"second moments of {what}")


# --- HMC and NUTS --------------------------------------------------------------------

COARSE = {
    "n_samples": 250,
    "n_chains": N_CHAINS,
    "warmup": 100,
    "max_extensions": 0,
    "evidence": None,
}


def coarse_hmc(step_size: float | str, **params) -> HMC:
    """Many chains at a step so large that the accept step has work to do."""
    chosen = {"trajectory_length": 1.5, **COARSE, **params}
    return HMC(step_size=step_size, **chosen)


def coarse_nuts(step_size: float | str, **params) -> NUTS:
    """The same, with trees that stop by themselves: fewer draws, almost independent."""
    return NUTS(step_size=step_size, **{**COARSE, "n_samples": 100, "warmup": 40, **params})


def gate(posterior: ParticlePosterior, accept: tuple[float, float] = (0.3, 0.9)) -> None:
    """Only chains that mix can be judged, and only rejections test the accept step."""
    report = posterior.diagnostics
    assert report["r_hat"] < 1.01, report
    assert report["ess_bulk"] > 10 * N_CHAINS, report
    assert accept[0] < report["acceptance"] < accept[1], report


def check_hmc_linear(problem: LinearProblem, mass_matrix: str) -> None:
    """Moments of the weights of a linear model under HMC."""
    length = 1.8 if mass_matrix == "dense" else 3.0
    check_linear(problem, mass_matrix, partial(coarse_hmc, trajectory_length=length))


def check_nuts_linear(problem: LinearProblem, mass_matrix: str, **params) -> None:
    """Moments of the weights of a linear model under NUTS."""
    check_linear(problem, mass_matrix, partial(coarse_nuts, **params))


def check_linear(problem: LinearProblem, mass_matrix: str, sampler: Callable) -> None:
    """Moments of the weights of a linear model.

    The step is 1.2 times the shortest axis of the posterior in units of the exact mass:
    leapfrog is stable up to 2, the jitter takes a fifth, and the mass that the engine
    shrinks towards 1 another. Chains start about the mode, where a coarse step can move.
    Under a dense mass the shrinkage leaves the stiffest direction at four times its
    curvature.
    """
    engine = sampler(1.0, mass_matrix=mass_matrix)
    scale = problem.pack(np.repeat(problem.prior_sd[:, None], problem.n_targets, axis=1))
    precision = problem.packed_precision * np.outer(scale, scale)
    shape = engine.n_chains, 1, len(scale)
    spread = 1e-3 * np.random.default_rng(0).standard_normal(shape)
    mode = ParticlePosterior(problem.packed_mean / scale + spread)
    if mass_matrix == "diagonal":
        sd = np.sqrt(np.diag(np.linalg.inv(precision)))
        precision = precision * np.outer(sd, sd)
    step_size = 1.2 / np.sqrt(np.linalg.eigvalsh(precision)[-1])
    engine.set_params(step_size=0.7 if mass_matrix == "dense" else step_size)
    model, posterior = run_engine(engine, problem, start=mode)
    gate(posterior)
    draws = weight_draws(model, posterior)
    assert_moments(draws, problem.packed_mean, problem.packed_covariance, mass_matrix)


def check_hmc_logistic(problem: LogisticProblem, step_size: float = 0.28) -> None:
    """Moments of a skewed posterior under HMC."""
    check_logistic(problem, coarse_hmc(step_size, mass_matrix="identity"))


def check_nuts_logistic(problem: LogisticProblem, step_size: float = 0.28) -> None:
    """Moments of a skewed posterior under NUTS."""
    check_logistic(problem, coarse_nuts(step_size, mass_matrix="identity"))


def check_logistic(problem: LogisticProblem, engine: HMC | NUTS) -> None:
    """Moments, the third one too, of a skewed posterior got by quadrature."""
    model, posterior = run_engine(engine, problem)
    gate(posterior)
    draws, exact = weight_draws(model, posterior), problem.posterior
    assert_moments(draws, exact.mean, exact.covariance, "logistic weights")
    third = exact.expect((exact.points - exact.mean) ** 3)
    assert (np.abs(third) > 0.3 * np.diag(exact.covariance) ** 1.5).all(), "target is skewed"
    assert_z(((draws - exact.mean) ** 3).mean(1), third, "third moments of logistic weights")


def check_learned(problem: LearnedProblem, engine: HMC | NUTS) -> None:
    """Moments of log scale and log noise, and of the weights with both integrated out."""
    model, posterior = run_engine(engine, problem)
    gate(posterior)
    draws, exact = weight_draws(model, posterior), problem.posterior
    n = model.n_weights
    assert_moments(draws[..., n:], exact.mean, exact.covariance, "hyperparameters")
    assert_moments(draws[..., :n], *problem.weights, "weights")


def check_importance_evidence(problem, largest_error: float = 0.05, **params) -> None:
    """Importance sampling's evidence within its standard error, and that is small."""
    engine = HMC(n_samples=250, n_chains=16, warmup=150, evidence="importance", **params)
    _, posterior = run_engine(engine, problem)
    exact = getattr(problem, "posterior", problem).log_evidence
    error = posterior.log_evidence - exact
    assert posterior.evidence_kind == "importance"
    assert 0 < posterior.evidence_se < largest_error, f"standard error {posterior.evidence_se}"
    assert abs(error) < 4 * posterior.evidence_se, f"off by {error}"
    assert abs(error) < 0.1, f"off by {error}"


def check_kinetic_energy() -> None:
    """Kinetic energy is that of the normals that momenta are made of, under every mass."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(4000, 3, dtype=torch.float64, generator=generator)
    root = torch.randn(3, 3, dtype=torch.float64, generator=generator)
    for mass in (DiagonalMass(torch.tensor([0.1, 1.0, 4.0])), DenseMass(root @ root.T)):
        momentum = mass.momentum(noise)
        np.testing.assert_allclose(
            _mass.kinetic(momentum, mass), 0.5 * (noise**2).sum(1), rtol=1e-5
        )


# --- evidence through the estimators --------------------------------------------------


def check_chain_rule(problem: LinearProblem) -> None:
    """log Z(all) = log Z(A) + log p(B | A), each of them exact."""
    n = len(problem.X) - 10
    first, rest = problem.rows(slice(n)), problem.rows(slice(n, None))
    engine = Laplace("full", max_iter=50)
    whole, part = (fit_weighted(p.estimator(engine), p) for p in (problem, first))
    assert abs(whole.score_evidence() - problem.log_evidence) < 1e-6, "evidence of all rows"
    assert abs(part.score_evidence() - first.log_evidence) < 1e-6, "evidence of first rows"
    counts = rest.weight.astype(int)
    new_rows = (np.repeat(values, counts, axis=0) for values in (rest.X, rest.y))
    new, error = part.score_evidence(*new_rows, return_std=True)
    assert 0 < error < 0.2, f"standard error {error}"
    off = whole.score_evidence() - part.score_evidence() - new
    assert abs(off) < 4 * error, f"chain rule off by {off}, standard error {error}"


def check_error_of_new_rows() -> None:
    """The standard error of new rows' evidence is that of chains which mix badly.

    Each chain has a mean of its own; their spread gives the error of all of them, to
    1 / sqrt(2 * 50), without a word about autocorrelation.
    """
    problem = linear_problem(n_rows=20, n_features=1)
    steps = {"step_size": 0.05, "trajectory_length": 0.05, "mass_matrix": "identity"}
    engine = HMC(n_chains=50, n_samples=40, max_extensions=0, evidence=None, **steps)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        reg = problem.estimator(engine).fit(problem.X, problem.y)
    X, y = problem.X[:3] + 0.5, problem.y[:3]
    value, error, _ = reg._new_evidence(X, y)
    by_chain, predictive = [], reg._predictive(X)
    for chain in reg.posterior_.particles:
        draws = predictive.draws(torch.from_numpy(chain))
        density = predictive.log_prob_by_draw(draws, reg._encode_targets(y))
        by_chain.append(np.exp(density.sum(1) - value).mean())
    spread = np.std(by_chain, ddof=1) / np.sqrt(len(by_chain))
    assert 0.6 * spread < error < 2 * spread, f"{error}, where chains have {spread}"


def fit_weighted(estimator, problem: LinearProblem):
    """Fit, passing weights only where they are not all one."""
    weight = None if (problem.weight == 1).all() else problem.weight
    return estimator.fit(problem.X, problem.y, sample_weight=weight)


# --- ensembles and points -------------------------------------------------------------


def check_anchored(problem: LinearProblem, n_members: int = 1000) -> None:
    """Each anchored member of a linear model is an independent draw from the posterior."""
    engine = DeepEnsemble(n_members, anchored=True, max_iter=1000, learning_rate=0.05, tol=0.0)
    model, posterior = run_engine(engine, problem)
    draws = weight_draws(model, posterior)
    assert_moments(draws, problem.packed_mean, problem.packed_covariance, "anchored members")


def check_mode(problem: LinearProblem, within: float = 0.01, **params) -> None:
    """MAP is the mode; a plain ensemble collapses to it (in posterior sd)."""
    sd = np.sqrt(np.diag(problem.packed_covariance))
    chosen = {"max_iter": 1500, "learning_rate": 0.05, "tol": 0.0, **params}
    for engine in (MAP(**chosen), DeepEnsemble(5, **chosen)):
        model, posterior = run_engine(engine, problem)
        off = np.abs(weight_draws(model, posterior) - problem.packed_mean) / sd
        assert off.max() < within, f"{type(engine).__name__} off by {off.max():.3f} sd"


def check_dropout(problem: LinearProblem, rate: float = 0.2, within: float = 0.25) -> None:
    """Mean weights are the ridge solution with the masks' variance (in posterior sd)."""
    exact = problem.pack(problem.dropout_mean(rate))
    sd = np.sqrt(np.diag(problem.packed_covariance))
    far = np.abs(exact - problem.packed_mean) / sd
    assert far.max() > 10 * within, "masks move the optimum far from the mode"
    model, posterior = run_engine(MCDropout(rate=rate, max_iter=3000), problem)
    mean = posterior.mean * weight_scale(model, posterior.mean)
    off = np.abs(mean - exact) / sd
    assert off.max() < within, f"off by {off.max():.3f} posterior sd"


def check_dropout_spread(n_rows: int, rate: float = 0.2) -> float:
    """Epistemic variance is that of the masks on the exact optimum; returns its mean root."""
    problem = linear_problem(n_rows=n_rows)
    n_draws = 4000
    engine = MCDropout(rate=rate, max_iter=1500, batch_size=None)
    estimator = problem.estimator(engine, n_predictive_samples=n_draws)
    X = problem.X[:20]
    found = estimator.fit(problem.X, problem.y).predict_std(X, "epistemic")[:, 0] ** 2
    slopes = problem.dropout_mean(rate)[:-1, 0]
    exact = rate / (1 - rate) * (X**2) @ slopes**2
    # Sample variance: (kurtosis - 1) / n is below 10 / n for these masks; and the fit's error.
    tolerance = Z_LIMIT * np.sqrt(10 / n_draws) + 0.05
    assert (np.abs(found / exact - 1) < tolerance).all(), f"variance ratios {found / exact}"
    return float(np.sqrt(found.mean()))
