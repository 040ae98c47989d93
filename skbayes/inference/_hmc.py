"""Hamiltonian Monte Carlo over all chains as one batched program."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from numbers import Integral, Real

import torch
from torch import Tensor

from skbayes._model import Data, Model
from skbayes.exceptions import DivergenceError
from skbayes.inference._adaptation import DualAveraging, RunningVariance
from skbayes.inference._base import Run
from skbayes.inference._chains import ChainSampler, ChainState
from skbayes.inference._coordinates import Coordinates, sampling_coordinates
from skbayes.inference._resuming import CHECKPOINT_CONSTRAINTS
from skbayes.inference._starting import optimised_start
from skbayes.utils._random import rand, randn
from skbayes.utils._sklearn import Interval, StrOptions

#: A proposal whose energy rose by this much has diverged.
DIVERGENT_ENERGY = 1000.0


@dataclass(kw_only=True)
class HMCState(ChainState):
    """Everything a run needs to go on from here; points lie in the sampler's coordinates."""

    params: Tensor
    value: Tensor
    grad: Tensor
    inverse_mass: Tensor
    tuner: DualAveraging
    variance: RunningVariance
    n_divergent: int = 0
    #: Of each chain's last trajectory: the energy it gained, and its energy at the end.
    last_change: Tensor = field(default_factory=lambda: torch.zeros(0))
    energy: Tensor = field(default_factory=lambda: torch.zeros(0))


class HMC(ChainSampler):
    """Hamiltonian Monte Carlo: the posterior itself, up to Monte Carlo error.

    All chains move as one batched program over whitened weights, layer scales and noise.
    Step size by dual averaging, a diagonal mass from the warm-up draws, trajectories of
    random length so that none resonates. A run whose chains disagree is lengthened,
    then warned about.

    Parameters
    ----------
    n_samples : int, default=150
        Draws kept from each chain.
    n_chains : int, default=4
        Chains; at least 2 for R-hat.
    warmup : int, default=150
        Adaptation steps, discarded.
    init_steps : int, default=300
        Optimiser steps that fit each chain's weights, from its own prior draw, beforehand.
    trajectory_length : float, default=1.5
        Longest integration time, in units in which the prior has standard deviation 1;
        each step takes a uniform share between a half and all of it, halved in warm-up.
    step_size : "auto" or float, default="auto"
        Leapfrog step; "auto" tunes it to ``target_accept``.
    target_accept : float, default=0.8
        Mean acceptance probability aimed at.
    jitter : float, default=0.2
        Half-width of the uniform relative jitter of each chain's step.
    mass_matrix : {"diagonal", "identity"}, default="diagonal"
        Whether warm-up variances precondition the momenta.
    max_leapfrog : int, default=60
        Most leapfrog steps in a trajectory.
    max_extensions : int, default=4
        How often a run whose R-hat is above 1.01 (function values, median) or 1.05
        (hyperparameters, largest) is lengthened by half of ``n_samples``; draws are
        thinned back evenly.
    evidence : {"auto", "importance"} or None, default="auto"
        "importance" samples importance weights from a normal fitted to the draws, which
        works in tens of dimensions; "auto" does so for at most 60 unknowns.
    checkpoint : str, path-like or None, default=None
        Folder in which the run's state is kept, so that a fit of the same model to the same
        data goes on where the last one stopped; needs an integer ``random_state``.
    checkpoint_every : int, default=50
        Steps between two states on file.

    References
    ----------
    Neal (2011), MCMC using Hamiltonian dynamics, section 3; Hoffman and Gelman (2014),
    The No-U-Turn sampler, algorithm 5 (dual averaging).

    Examples
    --------
    >>> from skbayes.inference import HMC
    >>> HMC(n_samples=100).n_samples
    100
    """

    _parameter_constraints: dict = {
        "n_samples": [Interval(Integral, 4, None, closed="left")],
        "n_chains": [Interval(Integral, 1, None, closed="left")],
        "warmup": [Interval(Integral, 0, None, closed="left")],
        "init_steps": [Interval(Integral, 0, None, closed="left")],
        "trajectory_length": [Interval(Real, 0, None, closed="neither")],
        "step_size": [StrOptions({"auto"}), Interval(Real, 0, None, closed="neither")],
        "target_accept": [Interval(Real, 0, 1, closed="neither")],
        "jitter": [Interval(Real, 0, 1, closed="left")],
        "mass_matrix": [StrOptions({"diagonal", "identity"})],
        "max_leapfrog": [Interval(Integral, 1, None, closed="left")],
        "max_extensions": [Interval(Integral, 0, None, closed="left")],
        "evidence": [StrOptions({"auto", "importance"}), None],
        **CHECKPOINT_CONSTRAINTS,
    }
    state_types = (HMCState, DualAveraging, RunningVariance)
    remedies = ("n_samples", "warmup")

    def __init__(
        self,
        n_samples: int = 150,
        n_chains: int = 4,
        warmup: int = 150,
        init_steps: int = 300,
        trajectory_length: float = 1.5,
        step_size: str | float = "auto",
        target_accept: float = 0.8,
        jitter: float = 0.2,
        mass_matrix: str = "diagonal",
        max_leapfrog: int = 60,
        max_extensions: int = 4,
        evidence: str | None = "auto",
        checkpoint: str | os.PathLike | None = None,
        checkpoint_every: int = 50,
    ) -> None:
        self.n_samples = n_samples
        self.n_chains = n_chains
        self.warmup = warmup
        self.init_steps = init_steps
        self.trajectory_length = trajectory_length
        self.step_size = step_size
        self.target_accept = target_accept
        self.jitter = jitter
        self.mass_matrix = mass_matrix
        self.max_leapfrog = max_leapfrog
        self.max_extensions = max_extensions
        self.evidence = evidence
        self.checkpoint = checkpoint
        self.checkpoint_every = checkpoint_every

    def init(self, model: Model, data: Data, run: Run) -> HMCState:
        """Start chains from prior draws, or from an earlier posterior."""
        params = optimised_start(model, data, run, self.n_chains, self.init_steps, "HMC")
        target = sampling_coordinates(model, data)
        params = target.from_model(params)
        value, grad = target.value_and_grad(params)
        if not torch.isfinite(value).all():
            raise DivergenceError(
                "HMC starts at a non-finite log joint; check that the columns of X and y are "
                "of moderate size or leave scale_inputs='column'"
            )
        first = 0.05 if self.step_size == "auto" else float(self.step_size)
        return HMCState(
            params=params,
            value=value,
            grad=grad,
            inverse_mass=torch.ones_like(params[0]),
            tuner=DualAveraging(first, self.target_accept),
            step_size=first,
            variance=RunningVariance(model.n_params),
            generator=run.training,
            target=self.warmup + self.n_samples,
        )

    def n_sampling_steps(self) -> int:
        """One step a draw."""
        return self.n_samples

    def n_extension_steps(self) -> int:
        """Half as many draws again."""
        return math.ceil(self.n_samples / 2)

    def position(self, state: HMCState) -> Tensor:
        """Where the chains are: (n_chains, n_params)."""
        return state.params

    def to_model(self, model: Model, data: Data, points: Tensor) -> Tensor:
        """Back from the coordinates in which the chains move."""
        return sampling_coordinates(model, data).to_model(points)

    def step(self, model: Model, data: Data, state: HMCState) -> HMCState:
        """One trajectory of every chain, accepted or not, and one step of adaptation."""
        adapting = state.iteration < self.warmup and self.step_size == "auto"
        step_size = state.tuner.current if adapting else state.step_size
        jitter = rand((len(state.params), 1), state.params, state.generator)
        steps = step_size * (1 + self.jitter * (2 * jitter - 1))
        share = 0.5 + 0.5 * float(rand((1,), state.params, state.generator))
        if state.iteration < self.warmup:
            share *= 0.5
        n_leapfrog = max(1, math.ceil(share * self.trajectory_length / step_size))
        momentum = randn(state.params.shape, state.params, state.generator)
        accept = leapfrog_and_accept(
            sampling_coordinates(model, data),
            state,
            momentum,
            steps,
            min(n_leapfrog, self.max_leapfrog),
        )
        self._adapt(state, accept, adapting)
        if state.iteration >= self.warmup:
            self.keep(state)
            state.n_divergent += int((state.last_change > DIVERGENT_ENERGY).sum())
        state.iteration += 1
        return state

    def _adapt(self, state: HMCState, accept: float, adapting: bool) -> None:
        """Tune the step all through the warm-up, the mass at its half and three quarters."""
        if adapting:
            state.tuner.update(accept)
            state.step_size = state.tuner.average
        if self.mass_matrix == "identity" or state.iteration >= self.warmup:
            return
        if state.iteration >= self.warmup // 4:
            state.variance.update(state.params)
        if state.iteration in (self.warmup // 2, 3 * self.warmup // 4):
            state.inverse_mass = state.variance.regularised().to(state.params)
            state.variance = RunningVariance(state.params.shape[1])
            if adapting:
                state.tuner = DualAveraging(state.step_size, self.target_accept)

    def stats(self, state: HMCState) -> dict[str, Tensor]:
        """Of each chain's last trajectory (n_chains,); densities are those it moves under."""
        return {
            "step_size": torch.full((self.n_chains,), state.step_size),
            "lp": state.value,
            "energy": state.energy,
            "acceptance_rate": torch.exp(-state.last_change).clamp(max=1.0),
            "diverging": state.last_change > DIVERGENT_ENERGY,
        }

    def report(self, state: HMCState) -> dict[str, float]:
        """Numbers shown beside the progress bar."""
        return {"step_size": state.step_size, "divergent": state.n_divergent}

    def divergence_remedy(self, state: HMCState) -> str:  # type: ignore[override]
        """What to type where moves diverge."""
        if self.step_size != "auto":
            return super().divergence_remedy(state)
        return (
            f"Raise inference__target_accept (now {self.target_accept:.3g}) or "
            f"inference__warmup (now {self.warmup})."
        )

    def watch(self, state: HMCState) -> dict[str, float | None]:
        """Acceptance, divergences and step size."""
        acceptance = self.noted(state)["acceptance_rate"]
        if acceptance.max() == 0:
            raise DivergenceError(
                f"HMC accepted no proposal in {acceptance.shape[1]} steps at step size "
                f"{state.step_size:.3g}; set inference__step_size='auto' or lower it"
            )
        return {
            "acceptance": float(acceptance.mean()),
            "n_divergent": int(state.n_divergent),
            "step_size": float(state.step_size),
        }


def leapfrog_and_accept(
    target: Coordinates, state: HMCState, noise: Tensor, steps: Tensor, n_leapfrog: int
) -> float:
    """Move every chain along one trajectory and accept by Metropolis; mean acceptance.

    Parameters
    ----------
    target : Coordinates
        The log joint.
    state : HMCState
        Moved in place.
    noise : Tensor of shape (n_chains, n_params)
        Standard normals from which momenta are made.
    steps : Tensor of shape (n_chains, 1)
        Step of each chain.
    n_leapfrog : int
        Steps in the trajectory.
    """
    momentum = noise * state.inverse_mass.rsqrt()
    velocity_step = steps * state.inverse_mass
    energy = kinetic(momentum, state.inverse_mass) - state.value
    position, grad = state.params.clone(), state.grad
    momentum = torch.addcmul(momentum, steps, grad, value=0.5)
    for _ in range(n_leapfrog - 1):
        position.addcmul_(velocity_step, momentum)
        momentum.addcmul_(steps, target.grad(position))
    position.addcmul_(velocity_step, momentum)
    value, grad = target.value_and_grad(position)
    momentum.addcmul_(steps, grad, value=0.5)
    change = kinetic(momentum, state.inverse_mass) - value - energy
    change = torch.nan_to_num(change, nan=torch.inf, posinf=torch.inf)
    state.last_change = change
    accept = torch.exp(-change).clamp(max=1.0)
    taken = rand((len(accept),), accept, state.generator) < accept
    state.params = torch.where(taken[:, None], position, state.params)
    state.grad = torch.where(taken[:, None], grad, state.grad)
    state.value = torch.where(taken, value, state.value)
    state.energy = torch.where(taken, energy + change, energy)
    return float(accept.mean())


def kinetic(momentum: Tensor, inverse_mass: Tensor) -> Tensor:
    """Kinetic energy (n_chains,) of the momenta, in nats."""
    return 0.5 * (momentum * momentum * inverse_mass).sum(1, dtype=torch.float64)
