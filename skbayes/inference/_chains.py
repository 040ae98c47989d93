"""What samplers of many chains share once they move: draws, lengthening, diagnostics."""

from __future__ import annotations

from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from skbayes._model import Data, Model
from skbayes.evidence import importance_evidence
from skbayes.exceptions import DivergenceError
from skbayes.inference._base import Run, SteppedInference, warn_not_converged
from skbayes.inference._resuming import CHECKPOINT_CONSTRAINTS
from skbayes.posteriors import ParticlePosterior, to_numpy
from skbayes.posteriors._diagnostics import agreement, convergence
from skbayes.utils._sklearn import Interval, StrOptions

#: Median R-hat of function values, and largest of hyperparameters, taken as converged.
R_HAT, R_HAT_HYPER = 1.01, 1.05


@dataclass(kw_only=True)
class ChainState:
    """What every run of chains carries, beside what moves them."""

    #: Lists that are only appended to: checkpoints write what is new in them.
    growing: ClassVar[tuple[str, ...]] = ("draws",)

    generator: torch.Generator
    step_size: float
    target: int
    iteration: int = 0
    extensions: int = 0
    draws: list[Tensor] = field(default_factory=list)


class ChainSampler(SteppedInference):
    """Base of the samplers: a subclass says how chains move."""

    _parameter_constraints: dict = {
        "step_size": [StrOptions({"auto"}), Interval(Real, 0, None, closed="neither")],
        "n_chains": [Interval(Integral, 1, None, closed="left")],
        "n_samples": [Interval(Integral, 4, None, closed="left")],
        "thinning": [Interval(Integral, 1, None, closed="left")],
        "warmup": [Interval(Integral, 0, None, closed="left")],
        "init_steps": [Interval(Integral, 0, None, closed="left")],
        "preconditioner": [StrOptions({"adaptive"}), None],
        "max_extensions": [Interval(Integral, 0, None, closed="left")],
        "evidence": [StrOptions({"auto", "importance"}), None],
        **CHECKPOINT_CONSTRAINTS,
    }
    needs = ("proper_prior",)
    evidence_kind = "importance"
    #: Parameters to raise where chains disagree.
    remedies: tuple[str, ...] = ("thinning", "n_samples", "warmup")

    # Set by subclasses' __init__.
    step_size: str | float
    n_chains: int
    n_samples: int
    thinning: int
    warmup: int
    init_steps: int
    preconditioner: str | None
    max_extensions: int
    evidence: str | None

    def n_sampling_steps(self) -> int:
        """Steps after the warm-up until ``n_samples`` draws are kept."""
        return self.n_samples * self.thinning

    def n_extension_steps(self) -> int:
        """Steps by which a run whose chains disagree is lengthened."""
        return self.n_sampling_steps()

    def particles(self, state: Any) -> np.ndarray:
        """The draws so far: (n_chains, n_draws, n_params)."""
        return to_numpy(torch.stack(state.draws, dim=1))

    def position(self, state: Any) -> Tensor:
        """Where the chains are, as the model's parameters: (n_chains, n_params)."""
        raise NotImplementedError(f"{type(self).__name__} must define position")

    def watch(self, state: Any) -> dict[str, float]:
        """What the engine adds to R-hat and effective sample sizes, and its own warnings."""
        raise NotImplementedError(f"{type(self).__name__} must define watch")

    def keep(self, state: Any) -> None:
        """Store the present positions as draws."""
        self.check_finite(state)
        state.draws.append(self.position(state).clone())

    def check_finite(self, state: ChainState) -> None:
        """Raise `DivergenceError` if a chain has left the numbers."""
        if not torch.isfinite(self.position(state)).all():
            raise DivergenceError(
                f"{type(self).__name__} met non-finite weights by step {state.iteration} at step "
                f"size {state.step_size:.3g}; set inference__step_size='auto' or a tenth of it"
            )

    def remaining(self, model: Model, data: Data, state: ChainState) -> int:
        """Steps to the present target; a run whose chains disagree gets a later one."""
        if state.iteration < state.target:
            return state.target - state.iteration
        self.check_finite(state)
        if state.extensions >= self.max_extensions:
            return 0
        if converged(agreement(model, data, self.particles(state))):
            return 0
        state.extensions += 1
        state.target += self.n_extension_steps()
        return state.target - state.iteration

    def report(self, state: Any) -> dict[str, float]:
        """Numbers shown beside the progress bar."""
        return {"step_size": state.step_size}

    def finish(self, model: Model, data: Data, state: ChainState, run: Run) -> ParticlePosterior:
        """Store the draws, the diagnostics and, where asked for, the evidence."""
        if not state.draws:
            raise DivergenceError(
                f"{type(self).__name__} was stopped by a callback before its first draw"
            )
        particles = self.particles(state)
        report = convergence(model, data, particles)
        keep = np.linspace(0, particles.shape[1] - 1, self.n_samples).round().astype(int)
        posterior = ParticlePosterior(np.ascontiguousarray(particles[:, np.unique(keep)]))
        posterior.n_iter = state.iteration
        n_kept = posterior.particles[..., 0].size
        posterior.inefficiency = max(1.0, n_kept / max(report["ess_bulk"], 1.0))
        posterior.diagnostics = {**report, **self.watch(state)}
        self._warn(report)
        few = self.evidence == "auto" and model.n_params <= 60
        if self.evidence == "importance" or few:
            draws = torch.from_numpy(particles).to(model.like).flatten(0, 1)
            importance_evidence(model, data, draws, run.evidence, posterior)
        return posterior

    def _warn(self, report: dict[str, float]) -> None:
        if converged(report):
            return
        *first, last = [f"inference__{n} (now {getattr(self, n)})" for n in self.remedies]
        warn_not_converged(
            type(self).__name__,
            f"the chains disagree (median R-hat of function values {report['r_hat']:.3f}, "
            f"of hyperparameters {report.get('r_hat_hyper', 1.0):.3f})",
            f"Raise {', '.join(first)} or {last}.",
        )


def converged(report: dict[str, float]) -> bool:
    """Whether R-hat of function values and of hyperparameters is small enough."""
    agree = report.get("r_hat", 1.0) <= R_HAT
    return agree and report.get("r_hat_hyper", 1.0) <= R_HAT_HYPER
