"""Exact checks of the samplers without an accept step: they raise AssertionError."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from skbayes.inference import MCLMC, SGHMC, SGLD
from skbayes.inference.mcmc import _mclmc
from skbayes.inference.mcmc._mclmc import unit
from skbayes.inference.sgmcmc import _integrators
from skbayes.inference.sgmcmc._integrators import INTEGRATORS, Dynamics, Phase
from tests.inference.checks import Z_LIMIT, assert_z
from tests.inference.draw_checks import assert_moments, weight_draws
from tests.inference.finite_law import Scheme, chain, orders, stationary_law
from tests.scenarios import (
    LinearProblem,
    LogisticProblem,
    linear_problem,
    make_run,
    run_engine,
    with_bias,
)

#: Chains whose means are the independent estimates behind the z-scores.
N_CHAINS = 256
LANGEVIN = {"sgld": "leimkuhler_matthews", "sgld_euler": "euler"}
SCHEMES = (*LANGEVIN, *INTEGRATORS)
FRICTION = 3.0
#: Fixed, so that the law is known before the run.
PLAIN: dict[str, Any] = {
    "preconditioner": None,
    "init_steps": 0,
    "n_chains": N_CHAINS,
    "max_extensions": 0,
    "evidence": None,
}


def small_problem() -> LinearProblem:
    """Six rows, so that every way to cut them into batches can be listed."""
    return linear_problem(n_rows=6, n_features=1, weighted=True)


def engine_of(scheme: str, **params) -> SGLD | SGHMC:
    """A sampler with that scheme, nothing adapted."""
    if scheme in LANGEVIN:
        params.pop("friction", None)
        return SGLD(integrator=LANGEVIN[scheme], **{**PLAIN, **params})
    return SGHMC(integrator=scheme, **{**PLAIN, "friction": FRICTION, **params})


def row_terms(problem: LinearProblem, batch_size: int):
    """Precision and pull of every row's likelihood where the chains move, and of the prior.

    On batches that is the whitened weights z. On all rows the bias gives way to the mean
    output in the bias's unit, the last row of the map from z.
    """
    A = with_bias(problem.X) * problem.prior_sd
    to_weights = np.eye(A.shape[1])
    if batch_size == len(A):
        to_weights[-1] = np.average(A, axis=0, weights=problem.weight) / problem.prior_sd[-1]
        to_weights = np.linalg.inv(to_weights)
        A = A @ to_weights
    weight = problem.weight / problem.noise**2
    precision = A[:, :, None] * A[:, None, :] * weight[:, None, None]
    return precision, A * (weight * problem.y[:, 0])[:, None], to_weights.T @ to_weights


def exact_law(scheme: str, problem: LinearProblem, batch_size: int, scale, h: float):
    """Mean and second moments of (position, momentum, gradient) at the ends of passes."""
    precision, pull, prior = row_terms(problem, batch_size)
    moves = Scheme(scale, h, FRICTION)
    factor, passes = len(problem.X) / batch_size, []
    for batches in orders(len(problem.X), batch_size):
        steps = []
        for batch in batches:
            rows = list(batch)
            total = factor * precision[rows].sum(0) + prior
            steps.append(moves.step(scheme, total, factor * pull[rows].sum(0)))
        passes.append(chain(steps))
    return stationary_law(passes)


def stiffest(problem: LinearProblem, batch_size: int, scale: np.ndarray) -> float:
    """Largest curvature of the scaled posterior."""
    rows, _, prior = row_terms(problem, batch_size)
    precision = rows.sum(0) + prior
    return float(np.linalg.eigvalsh(precision * np.outer(scale, scale))[-1])


def check_finite_law(
    scheme: str, batch_size: int | None = None, reach: float = 0.6, n_passes: int = 2400
) -> None:
    """Moments of positions and momenta against the law of the very step that was taken.

    The step is so large that its bias is many standard errors: the test knows the
    scheme, not only its limit. On all rows the chains are independent; on batches, which
    they share, stretches of time are.
    """
    problem = small_problem()
    n = problem.X.shape[1] + 1
    scale = np.linspace(0.7, 1.3, n)
    whole = batch_size is None
    batch_size = batch_size or len(problem.X)
    curvature = stiffest(problem, batch_size, scale)
    h = reach / (curvature if scheme in LANGEVIN else np.sqrt(curvature))
    mean, second = exact_law(scheme, problem, batch_size, scale, h)
    positions, momenta = run_passes(scheme, problem, batch_size, scale, h, n_passes)
    joint = positions if scheme == "sgld_euler" else np.concatenate([positions, momenta], axis=2)
    m = joint.shape[2]
    upper = np.triu_indices(m)
    centred, covariance = joint - mean[:m], (second - np.outer(mean, mean))[:m, :m]
    products = (centred[..., :, None] * centred[..., None, :])[..., upper[0], upper[1]]
    for values, exact, what in (
        (joint, mean[:m], "mean"),
        (products, covariance[upper], "covariance"),
    ):
        parts = values.mean(1) if whole else time_blocks(values)
        assert_z(parts, exact, f"{what} under {scheme}")


def time_blocks(values: np.ndarray, n_blocks: int = 40) -> np.ndarray:
    """Averages (n_blocks, ...) over stretches of time and all chains."""
    average = values.mean(0)
    return average.reshape(n_blocks, -1, *average.shape[1:]).mean(1)


def run_passes(scheme, problem, batch_size, scale, h, n_passes):
    """Positions and momenta (chains, passes, P) at the ends of passes."""
    engine = engine_of(scheme, step_size=h, batch_size=batch_size, warmup=0, n_samples=10**9)
    model, data, run = problem.model(), problem.data(), make_run(0)
    state = engine.init(model, data, run)
    # Start with the pass: the batch that init looked at is not part of one.
    state.batches.position = len(data)
    state.scale = torch.from_numpy(scale)
    n_batches = len(data) // batch_size
    n_warm = int(10 / (h * n_batches))
    positions, momenta = [], []
    for index in range(n_warm + n_passes):
        for _ in range(n_batches):
            state = engine.step(model, data, state)
        state.draws.clear()
        if index >= n_warm:
            positions.append(state.phase.position.clone())
            momenta.append(state.phase.momentum.clone())
    return tuple(torch.stack(values, dim=1).numpy() for values in (positions, momenta))


def check_skewed(scheme: str, problem: LogisticProblem, step_size: float, thinning: int) -> None:
    """Moments, the third one too, of a skewed posterior got by quadrature.

    The step is so small that its bias is below the Monte Carlo error.
    """
    sampling = {"n_chains": 96, "n_samples": 150, "thinning": thinning, "warmup": 30 * thinning}
    engine = engine_of(scheme, **{**sampling, "step_size": step_size, "friction": 1.5})
    model, posterior = run_engine(engine, problem)
    draws, exact = weight_draws(model, posterior), problem.posterior
    assert posterior.diagnostics["r_hat"] < 1.01, posterior.diagnostics
    assert_moments(draws, exact.mean, exact.covariance, f"logistic weights under {scheme}")
    third = exact.expect((exact.points - exact.mean) ** 3)
    assert (np.abs(third) > 0.3 * np.diag(exact.covariance) ** 1.5).all(), "target is skewed"
    assert_z(((draws - exact.mean) ** 3).mean(1), third, f"third moments under {scheme}")


# --- one step ------------------------------------------------------------------------


def local_errors(scheme: str, h: float) -> float:
    """Largest error of one step's map and noise covariance on a Gaussian, and of no other.

    Two coordinates of curvature 1 and 4; the map is read off unit vectors, the noise off
    unit normals, from the package's own step.
    """
    friction, curvature = 1.3, torch.tensor([1.0, 4.0], dtype=torch.float64)
    matrix = one_step(scheme, h, friction, curvature, torch.eye(4, dtype=torch.float64), None)
    n_draws = {"obabo": 2, "milstein_tretyakov": 2}.get(scheme, 1)
    zeros = torch.zeros(2 * n_draws, 4, dtype=torch.float64)
    units = torch.eye(2 * n_draws, dtype=torch.float64).unflatten(1, (n_draws, 2))
    root = one_step(scheme, h, friction, curvature, zeros, units)
    exact_map, exact_noise = exact_step(h, friction, curvature.numpy())
    error_map = np.abs(matrix.T - exact_map).max()
    return max(error_map, np.abs(root.T @ root - exact_noise).max())


def one_step(scheme, h, friction, curvature, start, normals) -> np.ndarray:
    """Where one step takes rows (position, momentum), given its normals (rows, draw, 2)."""

    def gradient(position):
        return -curvature * position

    draws = iter(range(9))

    def noise():
        index = next(draws)
        return torch.zeros_like(start[:, :2]) if normals is None else normals[:, index].clone()

    position, momentum = start[:, :2].clone(), start[:, 2:].clone()
    phase = Phase(position, momentum, gradient(position), torch.zeros(()))
    scale = torch.ones(2, dtype=torch.float64)
    getattr(_integrators, scheme)(phase, Dynamics(gradient, noise, h, friction, scale, np.inf))
    return torch.cat([phase.position, phase.momentum], dim=1).numpy()


def exact_step(h: float, friction: float, curvature: np.ndarray):
    """Map and covariance of the equation itself over a time h, by Van Loan's method."""
    from scipy.linalg import expm

    n = len(curvature)
    drift = np.block([[np.zeros((n, n)), np.eye(n)], [-np.diag(curvature), -friction * np.eye(n)]])
    source = np.diag(np.repeat([0.0, 2 * friction], n))
    block = expm(h * np.block([[-drift, source], [np.zeros_like(drift), drift.T]]))
    flow = block[2 * n :, 2 * n :].T
    return flow, flow @ block[: 2 * n, 2 * n :]


def check_local_order(scheme: str, order: int) -> None:
    """Halving the step divides the error of one step by 2 ** (order + 1)."""
    coarse, fine = (local_errors(scheme, h) for h in (0.02, 0.01))
    slope = np.log2(coarse / fine)
    assert abs(slope - order - 1) < 0.15, f"{scheme}: local slope {slope:.2f}"


# --- microcanonical ------------------------------------------------------------------


def microcanonical(**params) -> MCLMC:
    """Many chains, nothing but the step adapted."""
    chosen = {"n_chains": 64, "n_samples": 150, "thinning": 25, "warmup": 600, **params}
    return MCLMC(**{**PLAIN, "energy_variance": 1e-5, **chosen})


def check_microcanonical(problem: LinearProblem | LogisticProblem, **params) -> None:
    """Mean and covariance, at an energy error so small that its bias does not show."""
    model, posterior = run_engine(microcanonical(**params), problem)
    assert posterior.diagnostics["r_hat"] < 1.01, posterior.diagnostics
    draws = weight_draws(model, posterior)
    if isinstance(problem, LinearProblem):
        assert_moments(draws, problem.packed_mean, problem.packed_covariance, "draws")
        return
    exact = problem.posterior
    assert_moments(draws, exact.mean, exact.covariance, "logistic weights")
    third = exact.expect((exact.points - exact.mean) ** 3)
    assert_z(((draws - exact.mean) ** 3).mean(1), third, "third moments")


def check_turn(n_fine: int = 4000) -> None:
    """Direction and energy after a turn against the equation in many small steps."""
    generator = torch.Generator().manual_seed(0)
    shape = (6, 4)
    start = unit(torch.randn(shape, dtype=torch.float64, generator=generator))
    grad = 3 * torch.randn(shape, dtype=torch.float64, generator=generator)
    direction, gained = _mclmc.turn(start, grad, 1.3)
    fine, total = start, torch.zeros(6, dtype=torch.float64)
    for _ in range(n_fine):
        # Midpoint rule; the kinetic energy (P - 1) log|p| grows by u . grad.
        middle = unit(fine + 0.65 / n_fine * slope(fine, grad))
        total += 1.3 / n_fine * (middle * grad).sum(1)
        fine = unit(fine + 1.3 / n_fine * slope(middle, grad))
    np.testing.assert_allclose(direction, fine, atol=1e-6)
    np.testing.assert_allclose(gained, total, rtol=1e-6)


def check_noisy_turn(share: float = 0.4, n_params: int = 400, n_chains: int = 4000) -> None:
    """Directions keep exp(-share) of themselves on average, to the first order in 1 / P.

    The noise along the old direction changes the kept share by 1 / P of itself, and its
    spread over chains is of size P ** -0.5.
    """
    generator = torch.Generator().manual_seed(0)
    start = unit(torch.randn((n_chains, n_params), dtype=torch.float64, generator=generator))
    kept = (_mclmc.noisy_turn(start, share, generator) * start).sum(1)
    error = float(kept.std()) / np.sqrt(n_chains) + 1 / n_params
    assert abs(float(kept.mean()) - np.exp(-share)) < Z_LIMIT * error, kept.mean()


def slope(direction: torch.Tensor, grad: torch.Tensor) -> torch.Tensor:
    """Right-hand side of the directions' equation."""
    along = (direction * grad).sum(1, keepdim=True)
    return (grad - along * direction) / (direction.shape[1] - 1)
