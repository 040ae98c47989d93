"""Stochastic gradient Hamiltonian Monte Carlo over all chains as one batched program."""

from __future__ import annotations

import math
import os
from numbers import Integral, Real

from torch import Tensor

from skbayes._model import Model
from skbayes.data._tensors import Data
from skbayes.inference._base import warn_not_converged
from skbayes.inference._remedies import smaller_step
from skbayes.inference.sgmcmc._integrators import INTEGRATORS, Dynamics, Phase
from skbayes.inference.sgmcmc._stochastic import SamplerState, UnadjustedSampler
from skbayes.utils._random import randn
from skbayes.utils._sklearn import Interval, StrOptions

#: Automatic step times the stiffest frequency, where leapfrog is stable up to 2, and times
#: the friction, whose half is the first-order error of leapfrog's squared momenta.
REACH, FRICTION_REACH = 0.5, 0.1
#: Mean squared momentum beyond which the step is too large.
HOT = 1.2


class SGHMC(UnadjustedSampler):
    """Underdamped Langevin dynamics on mini-batches, without an accept step.

    All chains move as one batched program over whitened weights, layer scales and noise.
    Mini-batches are fresh permutations of the rows, so that a pass over the data makes an
    error of second order in the step. Without an accept step that error stays: the mean
    squared momentum in ``diagnostics_`` is near 1 where the step is small enough.

    Parameters
    ----------
    step_size : "auto" or float, default="auto"
        Step of the integrator in units of the preconditioned coordinates; "auto" takes a
        share of the stability limit, from the stiffest direction met in the warm-up.
    friction : float, default=1.0
        Friction per unit of time: momenta are forgotten after ``1 / friction``.
    batch_size : "auto", int or None, default="auto"
        Rows in a step; None for all, "auto" for all up to 2048 distinct rows, else 512.
    integrator : {"leapfrog", "euler", "obabo", "baoab", "milstein_tretyakov"}, \
default="leapfrog"
        Scheme; the last one has weak order 3 and takes three gradients a step.
    n_chains : int, default=4
        Chains; at least 2 for R-hat.
    n_samples : int, default=200
        Draws kept from each chain.
    thinning : int, default=20
        Steps between draws.
    warmup : int, default=1500
        Steps that are discarded, in which scale and step adapt.
    init_steps : int, default=300
        Optimiser steps that fit each chain's weights, from its own random start, beforehand.
    preconditioner : {"adaptive"} or None, default="adaptive"
        "adaptive" sets each coordinate's unit by its mean squared gradient.
    schedule : {"constant", "cyclical"}, default="constant"
        "cyclical" runs the step along cosines, each descending before it samples, to visit
        several modes.
    n_cycles : int, default=4
        Cycles of the cyclical schedule.
    resample_momentum : int or None, default=None
        Steps after which momenta are drawn anew; None leaves it to the friction.
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
    Chen, Fox and Guestrin (2014), Stochastic gradient Hamiltonian Monte Carlo; Springenberg
    et al. (2016), Bayesian optimization with robust Bayesian neural networks; Franzese et
    al. (2022), Revisiting the effects of stochasticity for Hamiltonian samplers.

    Examples
    --------
    >>> from skbayes.inference import SGHMC
    >>> SGHMC(integrator="baoab").integrator
    'baoab'
    """

    _parameter_constraints: dict = {
        **UnadjustedSampler._parameter_constraints,
        "friction": [Interval(Real, 0, None, closed="neither")],
        "integrator": [StrOptions(set(INTEGRATORS))],
        "resample_momentum": [Interval(Integral, 1, None, closed="left"), None],
    }
    test_params = {
        "n_samples": 20,
        "warmup": 120,
        "init_steps": 20,
        "max_extensions": 0,
        "thinning": 4,
    }

    def __init__(
        self,
        step_size: str | float = "auto",
        friction: float = 1.0,
        batch_size: int | str | None = "auto",
        integrator: str = "leapfrog",
        n_chains: int = 4,
        n_samples: int = 200,
        thinning: int = 20,
        warmup: int = 1500,
        init_steps: int = 300,
        preconditioner: str | None = "adaptive",
        schedule: str = "constant",
        n_cycles: int = 4,
        resample_momentum: int | None = None,
        max_extensions: int = 2,
        evidence: str | None = "auto",
        checkpoint: str | os.PathLike | None = None,
        checkpoint_every: int = 1000,
    ) -> None:
        self.step_size = step_size
        self.friction = friction
        self.batch_size = batch_size
        self.integrator = integrator
        self.n_chains = n_chains
        self.n_samples = n_samples
        self.thinning = thinning
        self.warmup = warmup
        self.init_steps = init_steps
        self.preconditioner = preconditioner
        self.schedule = schedule
        self.n_cycles = n_cycles
        self.resample_momentum = resample_momentum
        self.max_extensions = max_extensions
        self.evidence = evidence
        self.checkpoint = checkpoint
        self.checkpoint_every = checkpoint_every

    def advance(self, phase: Phase, dynamics: Dynamics) -> None:
        """One step of the integrator."""
        INTEGRATORS[self.integrator](phase, dynamics)

    def stable_step(self, curvature: float, n_batches: int) -> float:
        """A share of the stiffest direction's period."""
        return min(REACH / math.sqrt(curvature * n_batches), FRICTION_REACH / self.friction)

    def friction_coefficient(self) -> float:
        """Friction per unit of time."""
        return self.friction

    def step(self, model: Model, data: Data, state: SamplerState) -> SamplerState:
        """One step of every chain, with new momenta where they are due."""
        if self.resample_momentum and state.iteration % self.resample_momentum == 0:
            momentum = state.phase.momentum
            momentum.copy_(randn(momentum.shape, momentum, state.generator))
        return super().step(model, data, state)

    def stats(self, state: SamplerState) -> dict[str, Tensor]:
        """Step and mean squared momentum of each chain (n_chains,)."""
        momentum = state.phase.momentum.double()
        return {**super().stats(state), "kinetic_temperature": momentum.square().mean(1)}

    def watch(self, state: SamplerState) -> dict[str, float | None]:
        """Step, and the mean squared momentum: 1 where the step is small enough."""
        report = super().watch(state)
        temperature = float(self.noted(state)["kinetic_temperature"].mean())
        # One draw's chance: later ones may depend on it.
        chance = 4 * math.sqrt(2 / state.phase.momentum.numel())
        if temperature > HOT + chance:
            warn_not_converged(
                "SGHMC",
                f"the mean squared momentum is {temperature:.3g}, not 1",
                f"{smaller_step(self, state.step_size)} Larger batches help too: raise "
                f"inference__batch_size (now {self.batch_size!r}).",
            )
        return {**report, "kinetic_temperature": temperature}
