"""What samplers of many chains share once they move: draws, lengthening, diagnostics."""

from __future__ import annotations

from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.base import clone
from torch import Tensor

from skbayes._model import Model
from skbayes.base._monitor import Numbers
from skbayes.data._tensors import Data
from skbayes.evidence import importance_evidence
from skbayes.exceptions import DivergenceError
from skbayes.inference._base import Run, SteppedInference, warn_not_converged
from skbayes.inference._remedies import smaller_step
from skbayes.inference.mcmc._draw_memory import check_memory
from skbayes.inference.mcmc._longer_runs import stopped
from skbayes.posteriors import ParticlePosterior
from skbayes.posteriors._diagnostics import (
    agreement,
    convergence,
    function_values,
    median_r_hat,
)
from skbayes.training._resuming import CHECKPOINT_CONSTRAINTS
from skbayes.utils._sklearn import Interval, StrOptions

#: Median R-hat of function values, and largest of hyperparameters, taken as converged.
R_HAT, R_HAT_HYPER = 1.01, 1.05
#: Fewer draws of a chain have no R-hat, which halves them.
LEAST_DRAWS = 4


@dataclass(kw_only=True)
class ChainState:
    """What every run of chains carries, beside what moves them."""

    #: Lists that are only appended to: checkpoints write what is new in them.
    growing: ClassVar[tuple[str, ...]] = ("draws", "noted")

    generator: torch.Generator
    step_size: float
    target: int
    iteration: int = 0
    extensions: int = 0
    #: Sampled draws a kept one, rounded up: above 1 after a lengthened run.
    spacing: int = 1
    #: How many of the draws an earlier fit kept; they come first.
    n_earlier: int = 0
    #: (n_chains, n_params) each, as the model's parameters.
    draws: list[Tensor] = field(default_factory=list)
    #: `ChainSampler.stats` (n_stats, n_chains) of every draw.
    noted: list[Tensor] = field(default_factory=list)


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
    #: Share of the moves that may diverge without a warning. Behind an accept step a diverged
    #: move is one more that is refused: at 1.6% of them the predictions and scales on iris
    #: agree within their standard errors with those at 0.06%.
    tolerated: float = 0.05

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

    def check(self, model: Model) -> None:
        """Refuse a model that lacks what the engine needs, or whose draws would not fit."""
        super().check(model)
        check_memory(self, model)

    def extended(self, n_samples: int) -> ChainSampler:
        """The engine that draws so many more from each chain."""
        return clone(self).set_params(n_samples=self.n_samples + n_samples)

    def n_sampling_steps(self) -> int:
        """Steps after the warm-up until ``n_samples`` draws are kept."""
        return self.n_samples * self.thinning

    def n_extension_steps(self) -> int:
        """Steps by which a run whose chains disagree is lengthened."""
        return self.n_sampling_steps()

    def to_model(self, model: Model, data: Data, points: Tensor) -> Tensor:
        """The model's parameters (n_chains, n_params) at the chains' `position`."""
        return points

    def particles(self, state: ChainState) -> np.ndarray:
        """The draws so far (n_chains, n_draws, n_params), as the model's parameters."""
        return torch.stack(state.draws, dim=1).cpu().numpy()

    def kept(self, state: ChainState) -> np.ndarray:
        """Which draws stay: those of an earlier fit, and this one's, thinned evenly."""
        n_earlier, n_draws = state.n_earlier, len(state.draws)
        n_asked = min(max(self.n_samples - n_earlier, 0), n_draws - n_earlier)
        ours = np.linspace(n_earlier, n_draws - 1, n_asked).round().astype(int)
        return np.concatenate([np.arange(n_earlier), ours])

    def judged(self, state: ChainState, particles: np.ndarray) -> np.ndarray:
        """Those of all draws (n_chains, n_draws, n_params) that R-hat and sizes are of.

        All of them; of a run that went on from an earlier fit, whose draws were thinned,
        those that are kept.
        """
        return particles.take(self.kept(state), axis=1) if state.n_earlier else particles

    def stats(self, state: Any) -> dict[str, Tensor]:
        """What is noted of each chain (n_chains,) beside its draw, always by the same names.

        ArviZ's names where it has one: "lp", "energy", "acceptance_rate", "diverging",
        "step_size", "tree_depth", "n_steps".
        """
        return {"step_size": torch.full((self.n_chains,), state.step_size)}

    def noted(self, state: Any) -> dict[str, np.ndarray]:
        """Name -> values (n_chains, n_draws) of what was noted so far."""
        values = torch.stack(state.noted, dim=2).numpy()
        return dict(zip(self.stats(state), values, strict=True))

    def position(self, state: Any) -> Tensor:
        """Where the chains are, as `to_model` takes it: (n_chains, n_params)."""
        raise NotImplementedError(f"{type(self).__name__} must define position")

    def watch(self, state: Any) -> dict[str, float | None]:
        """What the engine adds to R-hat and effective sample sizes, and its own warnings.

        At least "acceptance", None where moves are not put to a test, and "n_divergent".
        """
        raise NotImplementedError(f"{type(self).__name__} must define watch")

    def keep(self, model: Model, data: Data, state: Any) -> None:
        """Store the present positions as draws."""
        self.check_finite(state)
        state.draws.append(self.to_model(model, data, self.position(state)).clone())
        noted = [values.cpu().double() for values in self.stats(state).values()]
        state.noted.append(torch.stack(noted))

    def check_finite(self, state: ChainState) -> None:
        """Raise `DivergenceError` if a chain has left the numbers."""
        if not torch.isfinite(self.position(state)).all():
            raise DivergenceError(
                f"{type(self).__name__} met non-finite weights by step {state.iteration} at step "
                f"size {state.step_size:.3g}. {smaller_step(self, state.step_size)}"
            )

    def remaining(self, model: Model, data: Data, state: ChainState) -> int:
        """Steps to the present target; a run whose chains disagree gets a later one."""
        if state.iteration < state.target:
            return state.target - state.iteration
        self.check_finite(state)
        if state.extensions >= self.max_extensions:
            return 0
        if converged(agreement(model, data, self.judged(state, self.particles(state)))):
            return 0
        state.extensions += 1
        state.target += self.n_extension_steps()
        return state.target - state.iteration

    def n_planned_steps(self) -> int:
        """Optimiser steps, warm-up and sampling, without what disagreement may add."""
        return self.init_steps + self.warmup + self.n_sampling_steps()

    def report(self, state: Any) -> dict[str, float]:
        """Numbers of a state to be shown beside the progress bar."""
        return {"step_size": state.step_size}

    def progress(self, model: Model, data: Data, state: Any, shown: Numbers) -> Numbers:
        """The numbers of `report`, and R-hat of the first ``draws`` draws of each chain.

        It is taken anew when there are a third more of them, so that all of it costs no
        more than four times the last.
        """
        seen: Numbers = {name: shown[name] for name in ("r_hat", "draws") if name in shown}
        n_draws = len(state.draws)
        if self.n_chains > 1 and n_draws >= max(LEAST_DRAWS, 4 / 3 * seen.get("draws", 0)):
            values = function_values(model, data, self.particles(state))
            seen = {"r_hat": median_r_hat(values), "draws": n_draws}
        return {**self.report(state), **seen}

    def networks(self, model: Model, data: Data, state: ChainState) -> dict[str, Tensor]:
        """The draws so far; before the first, where the chains are."""
        if not state.draws:
            return {"params": self.to_model(model, data, self.position(state)).clone()}
        return {"params": torch.from_numpy(self.particles(state))}

    def finish(self, model: Model, data: Data, state: ChainState, run: Run) -> ParticlePosterior:
        """Store the draws, the diagnostics and, where asked for, the evidence."""
        if not state.draws:
            raise DivergenceError(
                f"{type(self).__name__} was stopped by a callback before its first draw"
            )
        particles = self.particles(state)
        report = convergence(model, data, self.judged(state, particles))
        keep = self.kept(state)
        all_kept = len(keep) == particles.shape[1]
        posterior = ParticlePosterior(particles if all_kept else particles.take(keep, axis=1))
        posterior.sample_stats = {n: v[:, keep] for n, v in self.noted(state).items()}
        posterior.stopped = stopped(self, data, state, len(keep))
        posterior.n_iter = state.iteration
        n_kept = posterior.particles[..., 0].size
        posterior.inefficiency = max(1.0, n_kept / max(report["ess_bulk"] or 0.0, 1.0))
        posterior.diagnostics = {**report, **self.watch(state)}
        self._warn(report)
        self._warn_divergent(posterior.diagnostics["n_divergent"], state)
        few = self.evidence == "auto" and model.n_params <= 60
        if self.evidence == "importance" or few:
            draws = torch.from_numpy(particles).to(model.like).flatten(0, 1)
            importance_evidence(model, data, draws, run.evidence, posterior)
        return posterior

    def _warn(self, report: dict[str, float | None]) -> None:
        if converged(report):
            return
        *first, last = [f"inference__{n} (now {getattr(self, n)})" for n in self.remedies]
        warn_not_converged(
            type(self).__name__,
            f"the chains disagree (median R-hat of function values {report['r_hat']:.3f}, "
            f"of hyperparameters {report.get('r_hat_hyper', 1.0):.3f})",
            f"Raise {', '.join(first)} or {last}.",
        )

    def _warn_divergent(self, n_divergent: int, state: ChainState) -> None:
        n_moves = (state.iteration - self.warmup) * self.n_chains
        # One move of a short run says nothing about a share of one in a thousand.
        if n_divergent > max(1.0, self.tolerated * n_moves):
            warn_not_converged(
                type(self).__name__,
                f"{n_divergent} of {n_moves} moves diverged, so that a part of the posterior may "
                "be missing",
                self.divergence_remedy(state),
            )

    def divergence_remedy(self, state: ChainState) -> str:
        """What to type where moves diverge."""
        return smaller_step(self, state.step_size)


def converged(report: dict[str, float | None]) -> bool:
    """Whether R-hat of function values and of hyperparameters is small enough."""
    limits = {"r_hat": R_HAT, "r_hat_hyper": R_HAT_HYPER}
    return all((report.get(name) or 1.0) <= limit for name, limit in limits.items())
