"""What the samplers without an accept step share: batches, warm-up, draws, diagnostics."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Integral

import torch
from torch import Tensor

from skbayes._model import Model
from skbayes.data._tensors import Data
from skbayes.exceptions import DivergenceError
from skbayes.inference._base import Run, batch_rows
from skbayes.inference._remedies import smaller_step
from skbayes.inference.mcmc._chains import ChainSampler, ChainState
from skbayes.inference.mcmc._coordinates import Coordinates, sampling_coordinates
from skbayes.inference.mcmc._starting import optimised_start
from skbayes.inference.sgmcmc._integrators import Dynamics, Gradient, Noise, Phase
from skbayes.inference.sgmcmc._preconditioning import GradientMoments
from skbayes.inference.sgmcmc._step_schedules import SCHEDULES, Constant, Cyclical, Stage
from skbayes.inference.sgmcmc._step_size import largest_curvature
from skbayes.training._batches import Batches
from skbayes.utils._random import randn
from skbayes.utils._sklearn import Interval, StrOptions

#: Shares of the warm-up after which scales are set anew, and at which curvatures are taken.
SCALING = (1 / 8, 1 / 4, 1 / 2)
MEASURING = (0.0, 1 / 32, 1 / 16, *SCALING, 5 / 8, 3 / 4, 7 / 8, 1.0)
#: Longest kick in units of the usual one.
LONGEST_KICK = 5.0
WARM = Stage(1.0, 1.0, False)


@dataclass(kw_only=True)
class SamplerState(ChainState):
    """Everything a run needs to go on from here."""

    phase: Phase
    scale: Tensor
    moments: GradientMoments
    batches: Batches
    curvature: float = 0.0
    gradient_norm: float = math.inf
    n_sampled: int = 0


class UnadjustedSampler(ChainSampler):
    """Base of SGLD and SGHMC: a subclass moves the chains and chooses the step."""

    _parameter_constraints: dict = {
        **ChainSampler._parameter_constraints,
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left"), None],
        "schedule": [StrOptions(set(SCHEDULES))],
        "n_cycles": [Interval(Integral, 1, None, closed="left")],
    }

    state_types = (SamplerState, Phase, GradientMoments, Batches)
    #: Ten times what `largest_norm` lets pass.
    tolerated = 1e-3

    # Set by subclasses' __init__.
    batch_size: int | str | None
    schedule: str
    n_cycles: int

    # --- what a subclass defines ------------------------------------------------------

    def advance(self, phase: Phase, dynamics: Dynamics) -> None:
        """Move all chains by one step, in place."""
        raise NotImplementedError(f"{type(self).__name__} must define advance")

    def stable_step(self, curvature: float, n_batches: int) -> float:
        """Step size for the stiffest direction's curvature and batches in a pass."""
        raise NotImplementedError(f"{type(self).__name__} must define stable_step")

    def friction_coefficient(self) -> float:
        """Friction per unit of time."""
        return 0.0

    def noise_length(self, step_size: float) -> float:
        """Standard deviation of a coordinate's momentum, to which kicks are compared."""
        return 1.0

    # --- the run ----------------------------------------------------------------------

    def init(self, model: Model, data: Data, run: Run) -> SamplerState:
        """Start chains from a short optimisation, or from an earlier posterior."""
        name = type(self).__name__
        params = optimised_start(model, data, run, self.n_chains, self.init_steps, name)
        params = self.coordinates(model, data).from_model(params).clone()
        batches = Batches.over(data, batch_rows(self.batch_size, data, model))
        momentum = randn(params.shape, params, run.training)
        batch, factor = batches.next(data, run.training)
        gradient = self._gradient(model, data, batch, factor)
        n_limited = torch.zeros((), dtype=torch.int64, device=params.device)
        return SamplerState(
            phase=Phase(params, momentum, gradient(params), n_limited),
            scale=torch.ones_like(params[0]),
            moments=GradientMoments.empty(params[0]),
            batches=batches,
            generator=run.training,
            step_size=0.0 if self.step_size == "auto" else float(self.step_size),
            target=self.warmup + self.n_sampling_steps(),
        )

    def _schedule(self) -> Constant | Cyclical:
        return SCHEDULES[self.schedule](self.n_samples, self.thinning, self.n_cycles)

    def n_sampling_steps(self) -> int:
        """Steps after the warm-up until ``n_samples`` draws are kept."""
        return self._schedule().n_steps

    def extended(self, n_samples: int) -> ChainSampler:
        """The engine that draws so many more from each chain, in cycles of the same length."""
        engine = super().extended(n_samples)
        if self.schedule == "cyclical":
            a_cycle = math.ceil(self.n_samples / self.n_cycles)
            if n_samples % a_cycle:
                raise ValueError(
                    f"schedule='cyclical' goes on by whole cycles of {a_cycle} draws, but "
                    f"n_samples={n_samples}; give a multiple of {a_cycle}"
                )
            engine.set_params(n_cycles=self.n_cycles + n_samples // a_cycle)
        return engine

    def coordinates(self, model: Model, data: Data) -> Coordinates:
        """Where the chains move: the outputs' mean and size are known where all rows are."""
        rows = batch_rows(self.batch_size, data, model)
        whole = rows is None or rows >= len(data)
        return sampling_coordinates(model, data) if whole else Coordinates(model, data)

    def to_model(self, model: Model, data: Data, points: Tensor) -> Tensor:
        """Back from the coordinates in which the chains move."""
        return self.coordinates(model, data).to_model(points)

    def _gradient(self, model: Model, data: Data, batch: Data, factor: float) -> Gradient:
        if batch is data:
            return self.coordinates(model, data).grad
        return lambda params: model.grad(params, batch, factor)

    def position(self, state: SamplerState) -> Tensor:
        """Where the chains are: (n_chains, n_params)."""
        return state.phase.position

    def step(self, model: Model, data: Data, state: SamplerState) -> SamplerState:
        """One step of every chain on one batch; a draw every ``thinning`` sampling steps."""
        warming = state.iteration < self.warmup
        if state.iteration <= self.warmup:
            self._tune(model, data, state)
        stage = WARM if warming else self._schedule().stage(state.iteration - self.warmup)
        batch, factor = state.batches.next(data, state.generator)
        gradient = self._gradient(model, data, batch, factor)
        self.advance(state.phase, self._dynamics(gradient, state, stage))
        state.iteration += 1
        if warming:
            state.moments.update(state.phase.grad)
        if stage.sampling:
            state.n_sampled += 1
            if state.n_sampled % self.thinning == 0:
                self.keep(model, data, state)
        return state

    def _dynamics(self, gradient: Gradient, state: SamplerState, stage: Stage) -> Dynamics:
        step_size = state.step_size * stage.step
        return Dynamics(
            gradient=gradient,
            noise=noise_source(state, stage.temperature),
            step_size=step_size,
            friction=self.friction_coefficient(),
            scale=state.scale,
            limit=min(
                self.noise_length(step_size) * largest_norm(len(state.scale)),
                LONGEST_KICK * step_size * state.gradient_norm,
            ),
        )

    def _tune(self, model: Model, data: Data, state: SamplerState) -> None:
        """Set scale, longest kick and step at a few points of the warm-up.

        The step goes by the largest curvature that any chain met under its scale.
        """
        if state.iteration not in self._points(MEASURING):
            return
        self.check_finite(state)
        moments = state.moments
        if state.iteration in self._points(SCALING) and moments.count:
            state.moments = GradientMoments.empty(state.scale)
            if self.preconditioner == "adaptive":
                state.scale, state.curvature = moments.scale(), 0.0
        if moments.count:
            state.gradient_norm = moments.norm(state.scale)
        if self.step_size == "auto":
            found = largest_curvature(
                self.coordinates(model, data).grad,
                state.phase.position,
                state.scale,
                state.generator,
            )
            state.curvature = max(state.curvature, found)
            state.step_size = self.stable_step(state.curvature, state.batches.n_batches(data))
        if state.iteration == self.warmup:
            state.phase.n_limited.zero_()

    def _points(self, shares: tuple[float, ...]) -> set[int]:
        return {round(share * self.warmup) for share in shares}

    def watch(self, state: SamplerState) -> dict[str, float | None]:
        """What the engine adds to R-hat and effective sample sizes, and its own warnings.

        A step is divergent if its kick was as long as momenta never are.
        """
        n_divergent = int(state.phase.n_limited)
        n_steps = (state.iteration - self.warmup) * self.n_chains
        if n_divergent > n_steps // 2:
            raise DivergenceError(
                f"{type(self).__name__} is unstable at step size {state.step_size:.3g}: "
                f"{n_divergent} of {n_steps} kicks had to be cut. "
                f"{smaller_step(self, state.step_size)}"
            )
        return {
            "acceptance": None,
            "n_divergent": n_divergent,
            "step_size": float(state.step_size),
        }


def largest_norm(n_params: int) -> float:
    """What the norm of so many standard normals does not reach: 1e-4 of them at most."""
    return math.sqrt(n_params) + 4


def noise_source(state: SamplerState, temperature: float) -> Noise:
    """Standard normals for every chain, or nothing at temperature 0."""
    position = state.phase.position
    if temperature == 0:
        return lambda: torch.zeros_like(position)
    return lambda: randn(position.shape, position, state.generator)
