"""Microcanonical Langevin Monte Carlo over all chains as one batched program."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from numbers import Real

import torch
from torch import Tensor

from skbayes._model import Model
from skbayes.data._tensors import Data
from skbayes.exceptions import DivergenceError
from skbayes.inference._base import Run, warn_not_converged
from skbayes.inference._remedies import smaller_step
from skbayes.inference.mcmc._adaptation import RunningVariance
from skbayes.inference.mcmc._chains import ChainSampler, ChainState
from skbayes.inference.mcmc._coordinates import Coordinates, sampling_coordinates
from skbayes.inference.mcmc._starting import optimised_start
from skbayes.utils._random import randn
from skbayes.utils._sklearn import Interval, StrOptions

#: Shares of the warm-up from which variances are gathered and after which they are set.
GATHERING, SCALING = 1 / 4, (1 / 2, 3 / 4)
#: Steps that the step size's running average remembers, and how broadly it trusts.
MEMORY, TRUST = 150, 1.5
#: Squared energy errors, in units of those aimed at, beyond which a step is divergent.
DIVERGENT = 1e4
#: Sampling steps' energy variance over the one aimed at, beyond which to warn.
ROUGH = 5.0


@dataclass(kw_only=True)
class MicrocanonicalState(ChainState):
    """Everything a run needs to go on from here.

    ``direction`` (S, P) has unit length; ``errors`` and ``trusts`` are the step size's
    running sums.
    """

    params: Tensor
    direction: Tensor
    value: Tensor
    grad: Tensor
    scale: Tensor
    length: float
    variance: RunningVariance
    errors: float = 0.0
    trusts: float = 0.0
    energy_variance: float = 0.0
    n_divergent: int = 0
    #: Of each chain: its last step's energy error, and whether one diverged since a draw.
    error: Tensor = field(default_factory=lambda: torch.zeros(0))
    diverging: Tensor = field(default_factory=lambda: torch.zeros(0))


class MCLMC(ChainSampler):
    """Microcanonical Langevin Monte Carlo, without an accept step.

    Chains move at constant speed and only their directions turn, towards likelier
    weights and, a little, at random. The step is tuned to a small variance of the energy
    error, which is what is left of the bias. Every step takes all rows.

    Parameters
    ----------
    step_size : "auto" or float, default="auto"
        Distance of a step in the preconditioned coordinates; "auto" tunes it to
        ``energy_variance``.
    decoherence_length : "auto" or float, default="auto"
        Distance after which directions are forgotten; "auto" takes the root of the sum
        of the unknowns' variances, in the preconditioned coordinates.
    energy_variance : float, default=5e-4
        Variance of a step's energy error, per unknown, that the step size aims at.
    n_chains : int, default=4
        Chains; at least 2 for R-hat.
    n_samples : int, default=200
        Draws kept from each chain.
    thinning : int, default=20
        Steps between draws.
    warmup : int, default=1500
        Steps that are discarded, in which scale, length and step adapt.
    init_steps : int, default=300
        Optimiser steps that fit each chain's weights, from its own random start, beforehand.
    preconditioner : {"adaptive"} or None, default="adaptive"
        "adaptive" measures each coordinate in standard deviations of the warm-up's draws.
    max_extensions : int, default=2
        How often a run whose R-hat is above 1.01 (function values, median) or 1.05
        (hyperparameters, largest) is lengthened by ``n_samples``; draws are thinned back
        evenly.
    evidence : {"auto", "importance"} or None, default="auto"
        "importance" samples importance weights from normals about the draws, hidden units in
        one order and sign, which works in tens of dimensions; there is no evidence where
        fewer than 50 effective draws carry it. "auto" does so for at most 60 unknowns.
    checkpoint : str, path-like or None, default=None
        Folder in which the run's state is kept, so that a fit of the same model to the same
        data goes on where the last one stopped; needs an integer ``random_state``.
    checkpoint_every : int, default=1000
        Steps between two states on file.

    References
    ----------
    Robnik, De Luca, Silverstein and Seljak (2023), Microcanonical Hamiltonian Monte Carlo;
    Robnik and Seljak (2024), Fluctuation without dissipation: microcanonical Langevin
    Monte Carlo.

    Examples
    --------
    >>> from skbayes.inference import MCLMC
    >>> MCLMC(n_samples=100).energy_variance
    0.0005
    """

    _parameter_constraints: dict = {
        **ChainSampler._parameter_constraints,
        "decoherence_length": [StrOptions({"auto"}), Interval(Real, 0, None, closed="neither")],
        "energy_variance": [Interval(Real, 0, None, closed="neither")],
    }
    test_params = {
        "n_samples": 20,
        "warmup": 120,
        "init_steps": 20,
        "max_extensions": 0,
        "thinning": 4,
    }
    state_types = (MicrocanonicalState, RunningVariance)
    #: Without an accept step a move that is refused leaves a bias.
    tolerated = 1e-3

    def __init__(
        self,
        step_size: str | float = "auto",
        decoherence_length: str | float = "auto",
        energy_variance: float = 5e-4,
        n_chains: int = 4,
        n_samples: int = 200,
        thinning: int = 20,
        warmup: int = 1500,
        init_steps: int = 300,
        preconditioner: str | None = "adaptive",
        max_extensions: int = 2,
        evidence: str | None = "auto",
        checkpoint: str | os.PathLike | None = None,
        checkpoint_every: int = 1000,
    ) -> None:
        self.step_size = step_size
        self.decoherence_length = decoherence_length
        self.energy_variance = energy_variance
        self.n_chains = n_chains
        self.n_samples = n_samples
        self.thinning = thinning
        self.warmup = warmup
        self.init_steps = init_steps
        self.preconditioner = preconditioner
        self.max_extensions = max_extensions
        self.evidence = evidence
        self.checkpoint = checkpoint
        self.checkpoint_every = checkpoint_every

    def init(self, model: Model, data: Data, run: Run) -> MicrocanonicalState:
        """Start chains from a short optimisation, or from an earlier posterior."""
        params = optimised_start(model, data, run, self.n_chains, self.init_steps, "MCLMC")
        target = sampling_coordinates(model, data)
        params = target.from_model(params)
        value, grad = target.value_and_grad(params)
        root = math.sqrt(model.n_params)
        auto = self.decoherence_length == "auto"
        return MicrocanonicalState(
            generator=run.training,
            step_size=0.02 * root if self.step_size == "auto" else float(self.step_size),
            target=self.warmup + self.n_sampling_steps(),
            params=params,
            direction=unit(randn(params.shape, params, run.training)),
            value=value,
            grad=grad,
            scale=torch.ones_like(params[0]),
            length=root if auto else float(self.decoherence_length),
            variance=RunningVariance(model.n_params),
            diverging=torch.zeros(len(params), dtype=torch.bool, device=params.device),
        )

    def position(self, state: MicrocanonicalState) -> Tensor:
        """Where the chains are: (n_chains, n_params)."""
        return state.params

    def to_model(self, model: Model, data: Data, points: Tensor) -> Tensor:
        """Back from the coordinates in which the chains move."""
        return sampling_coordinates(model, data).to_model(points)

    def step(self, model: Model, data: Data, state: MicrocanonicalState) -> MicrocanonicalState:
        """One step of every chain, and in the warm-up one of adaptation."""
        warming = state.iteration < self.warmup
        unit_error = model.n_params * self.energy_variance
        target = sampling_coordinates(model, data)
        error = microcanonical_step(target, state, math.sqrt(DIVERGENT * unit_error))
        relative = torch.nan_to_num(error.square() / unit_error, nan=DIVERGENT)
        state.iteration += 1
        if warming:
            self._adapt(state, float(relative.mean()))
            return state
        state.energy_variance += float(relative.mean()) * self.energy_variance
        diverged = relative >= DIVERGENT
        state.n_divergent += int(diverged.sum())
        state.error, state.diverging = error, diverged | state.diverging
        if (state.iteration - self.warmup) % self.thinning == 0:
            self.keep(model, data, state)
            state.diverging = torch.zeros_like(diverged)
        return state

    def stats(self, state: MicrocanonicalState) -> dict[str, Tensor]:
        """Of each chain (n_chains,): step, log joint, last energy error, divergence since."""
        return {
            **super().stats(state),
            "lp": state.value,
            "energy_error": torch.nan_to_num(state.error),
            "diverging": state.diverging,
        }

    def _adapt(self, state: MicrocanonicalState, relative: float) -> None:
        """Tune the step all through the warm-up, scale and length twice."""
        if self.step_size == "auto":
            tune_step(state, relative)
        if state.iteration >= GATHERING * self.warmup:
            state.variance.update(state.params)
        if state.iteration not in {int(share * self.warmup) for share in SCALING}:
            return
        variance = state.variance.regularised().to(state.params)
        before = state.scale
        if self.preconditioner == "adaptive":
            state.scale = variance.sqrt()
        if self.decoherence_length == "auto":
            state.length = float((variance / state.scale**2).sum().sqrt())
        if self.step_size == "auto":
            # The mean scale moves with the units; the old step's errors say nothing now.
            state.step_size *= float((before / state.scale).log().mean().exp())
            state.errors = state.trusts = 0.0
        state.variance = RunningVariance(state.params.shape[1])

    def watch(self, state: MicrocanonicalState) -> dict[str, float | None]:
        """Step, length and energy variance, and a warning where that is large."""
        n_steps = state.iteration - self.warmup
        variance = state.energy_variance / n_steps
        if state.n_divergent > n_steps * self.n_chains // 2:
            raise DivergenceError(
                f"MCLMC is unstable at step size {state.step_size:.3g}: {state.n_divergent} of "
                f"{n_steps * self.n_chains} steps broke the energy. "
                f"{smaller_step(self, state.step_size)}"
            )
        if variance > ROUGH * self.energy_variance:
            warn_not_converged(
                "MCLMC",
                f"the energy error's variance is {variance:.2g} per unknown, not "
                f"{self.energy_variance:.2g}",
                smaller_step(self, state.step_size),
            )
        return {
            "acceptance": None,
            "step_size": float(state.step_size),
            "decoherence_length": float(state.length),
            "energy_variance": variance,
            "n_divergent": int(state.n_divergent),
        }


def microcanonical_step(target: Coordinates, state: MicrocanonicalState, largest: float) -> Tensor:
    """Noise, turn, drift, turn, noise; returns each chain's energy error (S,) in nats.

    A chain whose error is beyond ``largest`` stays where it is, turns back and is given
    as NaN.
    """
    half = 0.5 * state.step_size
    direction = noisy_turn(state.direction, half / state.length, state.generator)
    direction, first = turn(direction, state.grad * state.scale, half)
    params = state.params + state.step_size * state.scale * direction
    value, grad = target.value_and_grad(params)
    direction, second = turn(direction, grad * state.scale, half)
    error = first + second - (value - state.value)
    direction = noisy_turn(direction, half / state.length, state.generator)
    sound = error.abs() < largest
    taken = sound[:, None]
    state.params = torch.where(taken, params, state.params)
    state.grad = torch.where(taken, grad, state.grad)
    state.direction = torch.where(taken, direction, -state.direction)
    state.value = torch.where(sound, value, state.value)
    return torch.where(sound, error, torch.nan)


def unit(vectors: Tensor) -> Tensor:
    """Rows of length 1."""
    return vectors / vectors.norm(dim=1, keepdim=True)


def noisy_turn(direction: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Turn directions at random, so that they are forgotten after a length.

    References
    ----------
    Robnik and Seljak (2024), section on the discretised Langevin equation: noise of
    variance (exp(2 share) - 1) / P, then back to unit length.
    """
    size = math.sqrt(math.expm1(2 * share) / direction.shape[1])
    return unit(direction + size * randn(direction.shape, direction, generator))


def turn(direction: Tensor, grad: Tensor, time: float) -> tuple[Tensor, Tensor]:
    """Directions (S, P) turned towards the gradients, and the kinetic energy gained (S,).

    The exact solution of du/dt = (1 - u u') grad / (P - 1), and of the energy (P - 1)
    times the logarithm of what its normalisation divides by.

    References
    ----------
    Ver Steeg and Galstyan (2021), Hamiltonian dynamics with non-Newtonian momentum,
    eq. 8; Robnik et al. (2023), eq. 16.
    """
    free = direction.shape[1] - 1
    length = grad.norm(dim=1, keepdim=True).clamp_min(1e-30)
    pull, angle = grad / length, time * length / free
    along = (direction * pull).sum(1, keepdim=True)
    # cosh and sinh over exp(angle), which does not overflow.
    decay = torch.exp(-angle)
    cosh, sinh = 0.5 * (1 + decay**2), 0.5 * (1 - decay**2)
    turned = decay * direction + pull * (sinh + along * (cosh - decay))
    gained = free * (angle + torch.log(cosh + along * sinh))[:, 0]
    return unit(turned), gained.double()


def tune_step(state: MicrocanonicalState, relative: float) -> None:
    """Move the step to where squared energy errors are what they should be.

    Errors grow with the third power of the step; those near the aim count most.

    References
    ----------
    Robnik et al. (2023), section 4.3.
    """
    forget = (MEMORY - 1) / (MEMORY + 1)
    relative += 1e-8
    trust = math.exp(-0.5 * (math.log(relative) / (6 * TRUST)) ** 2)
    state.errors = forget * state.errors + trust * relative / state.step_size**6
    state.trusts = forget * state.trusts + trust
    state.step_size = (state.errors / state.trusts) ** (-1 / 6)
