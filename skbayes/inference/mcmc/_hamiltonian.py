"""What the Hamiltonian samplers share: start, mass and step size, what is watched."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any

import torch
from torch import Tensor

from skbayes._model import Model
from skbayes.data._tensors import Data
from skbayes.exceptions import DivergenceError
from skbayes.inference._base import Run
from skbayes.inference._remedies import smaller_step
from skbayes.inference.mcmc._adaptation import DualAveraging, RunningCovariance, RunningVariance
from skbayes.inference.mcmc._chains import ChainSampler, ChainState
from skbayes.inference.mcmc._coordinates import sampling_coordinates
from skbayes.inference.mcmc._mass import (
    DenseMass,
    DiagonalMass,
    Mass,
    check_mass,
    estimated_mass,
    first_mass,
    first_moments,
)
from skbayes.inference.mcmc._starting import optimised_start
from skbayes.training._resuming import CHECKPOINT_CONSTRAINTS
from skbayes.utils._sklearn import Interval, StrOptions

#: A point whose energy is above the start's by this much has diverged.
DIVERGENT_ENERGY = 1000.0


@dataclass(kw_only=True)
class HamiltonianState(ChainState):
    """Everything a run needs to go on from here.

    ``params`` (S, n_params) lie in the sampler's coordinates, ``packed`` is what they are
    in the model's.
    """

    params: Tensor
    packed: Tensor
    value: Tensor
    grad: Tensor
    mass: Mass
    moments: RunningVariance | RunningCovariance
    tuner: DualAveraging
    n_divergent: int = 0
    #: Of each chain's last trajectory: energy of its draw, acceptance, whether it diverged.
    energy: Tensor = field(default_factory=lambda: torch.zeros(0))
    accept: Tensor = field(default_factory=lambda: torch.zeros(0))
    diverging: Tensor = field(default_factory=lambda: torch.zeros(0))


class HamiltonianSampler(ChainSampler):
    """Base of HMC and NUTS: a subclass says how far a trajectory goes."""

    _parameter_constraints: dict = {
        "n_samples": [Interval(Integral, 4, None, closed="left")],
        "n_chains": [Interval(Integral, 1, None, closed="left")],
        "warmup": [Interval(Integral, 0, None, closed="left")],
        "init_steps": [Interval(Integral, 0, None, closed="left")],
        "step_size": [StrOptions({"auto"}), Interval(Real, 0, None, closed="neither")],
        "target_accept": [Interval(Real, 0, 1, closed="neither")],
        "mass_matrix": [StrOptions({"dense", "diagonal", "identity"})],
        "max_extensions": [Interval(Integral, 0, None, closed="left")],
        "evidence": [StrOptions({"auto", "importance"}), None],
        **CHECKPOINT_CONSTRAINTS,
    }
    state_types: tuple[type, ...] = (
        DualAveraging,
        RunningVariance,
        RunningCovariance,
        DiagonalMass,
        DenseMass,
    )
    remedies = ("n_samples", "warmup")
    #: Whether chains that start on too little begin anew about a mode (`optimised_start`).
    searches = False

    # Set by subclasses' __init__.
    target_accept: float
    mass_matrix: str

    def check(self, model: Model) -> None:
        """Raise `IncompatiblePartsError` if the model lacks what the engine needs."""
        super().check(model)
        check_mass(type(self).__name__, self.mass_matrix, model)

    def start(self, model: Model, data: Data, run: Run) -> dict[str, Any]:
        """Fields of a first state: chains from random weights, or from an earlier posterior."""
        name = type(self).__name__
        params = optimised_start(
            model, data, run, self.n_chains, self.init_steps, name, self.searches
        )
        target = sampling_coordinates(model, data)
        params = target.from_model(params)
        value, grad, packed = target.evaluate(params)
        if not torch.isfinite(value).all():
            raise DivergenceError(
                f"{name} starts at a non-finite log joint; check that the columns of X and y are "
                "of moderate size or leave scale_inputs='column'"
            )
        first = 0.05 if self.step_size == "auto" else float(self.step_size)
        return {
            "params": params,
            "packed": packed,
            "value": value,
            "grad": grad,
            "mass": first_mass(params[0]),
            "moments": first_moments(self.mass_matrix, model.n_params),
            "tuner": DualAveraging(first, self.target_accept),
            "step_size": first,
            "generator": run.training,
            "target": self.warmup + self.n_samples,
        }

    def n_sampling_steps(self) -> int:
        """One step a draw."""
        return self.n_samples

    def n_extension_steps(self) -> int:
        """Half as many draws again."""
        return math.ceil(self.n_samples / 2)

    def position(self, state: Any) -> Tensor:
        """Where the chains are, as the model's parameters: (n_chains, n_params)."""
        return state.packed

    def adapting(self, state: HamiltonianState) -> bool:
        """Whether the next step still tunes the step size."""
        return state.iteration < self.warmup and self.step_size == "auto"

    def present_step(self, state: HamiltonianState) -> float:
        """The step size to take: a trial of dual averaging, or the one it settled on."""
        return state.tuner.current if self.adapting(state) else state.step_size

    def adapt_and_record(
        self,
        model: Model,
        data: Data,
        state: HamiltonianState,
        accept: Tensor,
        diverging: Tensor,
    ) -> None:
        """After a step: adapt in the warm-up, keep draw and records beyond it."""
        state.accept, state.diverging = accept, diverging
        self._adapt(state, float(accept.mean()))
        if state.iteration >= self.warmup:
            self.keep(model, data, state)
            state.n_divergent += int(diverging.sum())
        state.iteration += 1

    def _adapt(self, state: HamiltonianState, accept: float) -> None:
        """Tune the step all through the warm-up, the mass at its half and three quarters."""
        if self.adapting(state):
            state.tuner.update(accept)
            state.step_size = state.tuner.average
        if self.mass_matrix == "identity" or state.iteration >= self.warmup:
            return
        if state.iteration >= self.warmup // 4:
            state.moments.update(state.params)
        if state.iteration in (self.warmup // 2, 3 * self.warmup // 4):
            state.mass = estimated_mass(state.moments, state.params)
            state.moments = first_moments(self.mass_matrix, state.params.shape[1])
            if self.adapting(state):
                state.tuner = DualAveraging(state.step_size, self.target_accept)

    def report(self, state: Any) -> dict[str, float]:
        """Numbers shown beside the progress bar."""
        return {"step_size": state.step_size, "divergent": state.n_divergent}

    def stats(self, state: Any) -> dict[str, Tensor]:
        """Of each chain's last trajectory (n_chains,); densities are those it moves under."""
        return {
            **super().stats(state),
            "lp": state.value,
            "energy": state.energy,
            "acceptance_rate": state.accept,
            "diverging": state.diverging,
        }

    def divergence_remedy(self, state: Any) -> str:
        """What to type where moves diverge."""
        if self.step_size != "auto":
            return super().divergence_remedy(state)
        return (
            f"Raise inference__target_accept (now {self.target_accept:.3g}) or "
            f"inference__warmup (now {self.warmup})."
        )

    def watch(self, state: Any) -> dict[str, float | None]:
        """Acceptance, divergences and step size."""
        acceptance = self.noted(state)["acceptance_rate"]
        if acceptance.max() == 0:
            raise DivergenceError(
                f"{type(self).__name__} accepted no proposal in {acceptance.shape[1]} steps at "
                f"step size {state.step_size:.3g}. {smaller_step(self, state.step_size)}"
            )
        return {
            "acceptance": float(acceptance.mean()),
            "n_divergent": int(state.n_divergent),
            "step_size": float(state.step_size),
        }
