"""Hamiltonian Monte Carlo over all chains as one batched program."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from numbers import Integral, Real
from typing import NamedTuple

import torch
from torch import Tensor

from skbayes._model import Model
from skbayes.data._tensors import Data
from skbayes.inference._base import Run
from skbayes.inference.mcmc._coordinates import Coordinates, sampling_coordinates
from skbayes.inference.mcmc._hamiltonian import (
    DIVERGENT_ENERGY,
    HamiltonianSampler,
    HamiltonianState,
)
from skbayes.inference.mcmc._mass import kinetic
from skbayes.inference.mcmc._path_length import PathStatistics
from skbayes.utils._random import rand, randn
from skbayes.utils._sklearn import Interval, StrOptions

#: Where an automatic trajectory length starts, in units of the prior's deviation.
FIRST_LENGTH = 1.5
#: Long paths of the warm-up from which the length is told; every other of its last steps.
N_PATHS = 8
#: Rise in energy (nats) beyond which a path says nothing: its steps were unstable.
WILD_ENERGY = 10.0


@dataclass(kw_only=True)
class HMCState(HamiltonianState):
    """A Hamiltonian state with the length of its trajectories."""

    length: float
    paths: PathStatistics | None = None


class HMC(HamiltonianSampler):
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
        Optimiser steps that fit each chain's weights, from its own random start, beforehand.
        Where they explain less than half of numbers under learned noise, three times as many
        look for a mode; if it explains a half more, chains start anew about its scales and
        noise.
    trajectory_length : float or "auto", default=1.5
        Longest integration time, in units in which the prior has standard deviation 1;
        each step takes a uniform share between a half and all of it, halved in warm-up.
        "auto" starts at 1.5 and measures, on the last paths of the warm-up, after which
        length function values and hyperparameters would reach their R-hats with the
        fewest gradients: for long runs, where draws are cheap, and for posteriors on
        which chains disagree.
    step_size : "auto" or float, default="auto"
        Leapfrog step; "auto" tunes it to ``target_accept``.
    target_accept : float, default=0.8
        Mean acceptance probability aimed at.
    jitter : float, default=0.2
        Half-width of the uniform relative jitter of each chain's step.
    mass_matrix : {"diagonal", "dense", "identity"}, default="diagonal"
        Whether variances of the warm-up's draws, or all their covariances (up to 2000
        unknowns), precondition the momenta.
    max_leapfrog : int, default=60
        Most leapfrog steps in a trajectory.
    max_extensions : int, default=4
        How often a run whose R-hat is above 1.01 (function values, median) or 1.05
        (hyperparameters, largest) is lengthened by half of ``n_samples``; draws are
        thinned back evenly.
    evidence : {"auto", "importance"} or None, default="auto"
        "importance" samples importance weights from normals about the draws, hidden units in
        one order and sign, which works in tens of dimensions; there is no evidence where
        fewer than 50 effective draws carry it. "auto" does so for at most 60 unknowns.
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
        **HamiltonianSampler._parameter_constraints,
        "trajectory_length": [StrOptions({"auto"}), Interval(Real, 0, None, closed="neither")],
        "jitter": [Interval(Real, 0, 1, closed="left")],
        "max_leapfrog": [Interval(Integral, 1, None, closed="left")],
    }
    test_params = {
        "n_samples": 20,
        "warmup": 20,
        "init_steps": 20,
        "max_extensions": 0,
        "max_leapfrog": 6,
    }
    searches = True
    state_types = (HMCState, PathStatistics, *HamiltonianSampler.state_types)

    def __init__(
        self,
        n_samples: int = 150,
        n_chains: int = 4,
        warmup: int = 150,
        init_steps: int = 300,
        trajectory_length: str | float = 1.5,
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
        """Start chains from random weights, or from an earlier posterior."""
        auto = self.trajectory_length == "auto"
        length = FIRST_LENGTH if auto else float(self.trajectory_length)
        return HMCState(**self.start(model, data, run), length=length)

    def step(self, model: Model, data: Data, state: HMCState) -> HMCState:
        """One trajectory of every chain, accepted or not, and one step of adaptation."""
        target = sampling_coordinates(model, data)
        step_size = self.present_step(state)
        jitter = rand((len(state.params), 1), state.params, state.generator)
        steps = step_size * (1 + self.jitter * (2 * jitter - 1))
        share = 0.5 + 0.5 * float(rand((1,), state.params, state.generator))
        if state.iteration < self.warmup:
            share *= 0.5
        n_leapfrog = max(1, math.ceil(share * state.length / step_size))
        noise = randn(state.params.shape, state.params, state.generator)
        if self._takes_long_path(state):
            path: list[Tensor] = []
            change = leapfrog_and_accept(target, state, noise, steps, self.max_leapfrog, path)
            self._measure(state, model.n_hyper, torch.stack(path)[:, change < WILD_ENERGY])
        else:
            n_leapfrog = min(n_leapfrog, self.max_leapfrog)
            change = leapfrog_and_accept(target, state, noise, steps, n_leapfrog)
        accept = torch.exp(-change).clamp(max=1.0)
        self.adapt_and_record(model, data, state, accept, change > DIVERGENT_ENERGY)
        return state

    def _takes_long_path(self, state: HMCState) -> bool:
        """Whether this step of the warm-up measures how fast values are forgotten."""
        left = self.warmup - state.iteration
        late = 0 < left <= min(2 * N_PATHS, self.warmup // 4) and left % 2 == 0
        return self.trajectory_length == "auto" and late and self.max_leapfrog > 2

    def _measure(self, state: HMCState, n_hyper: int, values: Tensor) -> None:
        """Add paths; the length is in units of time, as steps may yet change."""
        if state.paths is None:
            state.paths = PathStatistics(len(values) - 1, values.shape[2], n_hyper)
        state.paths.update(values)
        if state.paths.n_paths:
            # A whitened weight of which the data say nothing turns by one radian in unit time.
            n_steps = state.paths.best_length(state.step_size, self.target_accept)
            state.length = n_steps * state.step_size

    def watch(self, state: HMCState) -> dict[str, float | None]:
        """Acceptance, divergences, step size and trajectory length."""
        return {**super().watch(state), "trajectory_length": float(state.length)}


def leapfrog_and_accept(
    target: Coordinates,
    state: HMCState,
    noise: Tensor,
    steps: Tensor,
    n_leapfrog: int,
    path: list[Tensor] | None = None,
) -> Tensor:
    """Move every chain along one trajectory, in place, and accept by Metropolis.

    Parameters
    ----------
    target, steps, n_leapfrog, path
        As `leapfrog_trajectory` takes them.
    state : HMCState
        Moved in place.
    noise : Tensor of shape (n_chains, n_params)
        Standard normals from which momenta are made.

    Returns
    -------
    change : Tensor of shape (n_chains,)
        Energy at the end less that at the start, in nats; infinite where not a number.
    """
    momentum = state.mass.momentum(noise)
    energy = kinetic(momentum, state.mass) - state.value
    end = leapfrog_trajectory(target, state, momentum, steps, n_leapfrog, path)
    change = kinetic(end.momentum, state.mass) - end.value - energy
    change = torch.nan_to_num(change, nan=torch.inf, posinf=torch.inf)
    metropolis_accept(state, end, energy, change)
    return change


class Proposal(NamedTuple):
    """Where a trajectory ends: its point, what belongs to it, and the momentum there."""

    position: Tensor
    momentum: Tensor
    value: Tensor
    grad: Tensor
    packed: Tensor


def leapfrog_trajectory(
    target: Coordinates,
    state: HMCState,
    momentum: Tensor,
    steps: Tensor,
    n_leapfrog: int,
    path: list[Tensor] | None = None,
) -> Proposal:
    """Integrate Hamilton's equations by the leapfrog (velocity Verlet) method.

    Half a kick of the momentum, then drifts of the position and whole kicks in turn, and half
    a kick at the end (Neal, 2011, MCMC using Hamiltonian dynamics, on the leapfrog method).

    Parameters
    ----------
    target : Coordinates
        The log joint.
    state : HMCState
        Where to start; it is left alone.
    momentum : Tensor of shape (n_chains, n_params)
        Its own at the start.
    steps : Tensor of shape (n_chains, 1)
        Step size of each chain.
    n_leapfrog : int
        Steps in the trajectory.
    path : list of Tensor, optional
        Is given the watched values (n_chains, n_watched) at every point but the last.
    """
    mass, position, grad = state.mass, state.params.clone(), state.grad
    momentum = torch.addcmul(momentum, steps, grad, value=0.5)
    for _ in range(n_leapfrog - 1):
        position.addcmul_(steps, mass.velocity(momentum))
        if path is None:
            grad = target.grad(position)
        else:
            grad, watched = target.grad_and_watched(position)
            path.append(watched)
        momentum.addcmul_(steps, grad)
    position.addcmul_(steps, mass.velocity(momentum))
    value, grad, packed = target.evaluate(position)
    momentum.addcmul_(steps, grad, value=0.5)
    return Proposal(position, momentum, value, grad, packed)


def metropolis_accept(state: HMCState, end: Proposal, energy: Tensor, change: Tensor) -> None:
    """Move each chain to its proposal with probability min(1, exp(-change)), in place."""
    accept = torch.exp(-change).clamp(max=1.0)
    taken = rand((len(accept),), accept, state.generator) < accept
    state.params = torch.where(taken[:, None], end.position, state.params)
    state.packed = torch.where(taken[:, None], end.packed, state.packed)
    state.grad = torch.where(taken[:, None], end.grad, state.grad)
    state.value = torch.where(taken, end.value, state.value)
    state.energy = torch.where(taken, energy + change, energy)
