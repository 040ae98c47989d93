"""Stochastic gradient Langevin dynamics over all chains as one batched program."""

from __future__ import annotations

import math
import os

from skbayes.inference.sgmcmc._integrators import Dynamics, Phase
from skbayes.inference.sgmcmc._stochastic import UnadjustedSampler
from skbayes.utils._sklearn import StrOptions

#: Automatic step times the largest curvature, of which both are stable up to 2. Euler's
#: variance is too large there by 1 / (1 - half of it), the other one's is exact.
REACH = {"leimkuhler_matthews": 1.0, "euler": 0.5}


class SGLD(UnadjustedSampler):
    """Overdamped Langevin dynamics on mini-batches, without an accept step.

    The simplest of the samplers: a gradient step and noise. It forgets by diffusion, so
    that SGHMC gets further with the same gradients.

    Parameters
    ----------
    step_size : "auto" or float, default="auto"
        Time step h: positions move by h times the gradient plus normal noise of variance
        2 h, in the preconditioned coordinates; "auto" takes a share of the stability
        limit, from the stiffest direction met in the warm-up.
    batch_size : "auto", int or None, default="auto"
        Rows in a step; None for all, "auto" for all up to 2048 distinct rows, else 512.
    integrator : {"leimkuhler_matthews", "euler"}, default="leimkuhler_matthews"
        "euler" adds fresh noise to every step, with a bias of first order in the step. The
        default averages each step's noise with the last one's: second order on all rows,
        and on mini-batches, still first order, a smaller bias.
    n_chains : int, default=4
        Chains; at least 2 for R-hat.
    n_samples : int, default=200
        Draws kept from each chain.
    thinning : int, default=50
        Steps between draws.
    warmup : int, default=4000
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
    Welling and Teh (2011), Bayesian learning via stochastic gradient Langevin dynamics,
    eq. 4 (with half our step); Leimkuhler and Matthews (2013), Rational construction of
    stochastic numerical methods for molecular sampling, the scheme that BAOAB becomes at
    high friction; Li et al. (2016), Preconditioned stochastic gradient Langevin dynamics,
    algorithm 1, its preconditioner held after the warm-up.

    Examples
    --------
    >>> from skbayes.inference import SGLD
    >>> SGLD(schedule="cyclical", n_cycles=2).n_cycles
    2
    """

    _parameter_constraints: dict = {
        **UnadjustedSampler._parameter_constraints,
        "integrator": [StrOptions(set(REACH))],
    }
    test_params = {
        "n_samples": 20,
        "warmup": 120,
        "init_steps": 20,
        "max_extensions": 0,
        "thinning": 8,
    }

    def __init__(
        self,
        step_size: str | float = "auto",
        batch_size: int | str | None = "auto",
        integrator: str = "leimkuhler_matthews",
        n_chains: int = 4,
        n_samples: int = 200,
        thinning: int = 50,
        warmup: int = 4000,
        init_steps: int = 300,
        preconditioner: str | None = "adaptive",
        schedule: str = "constant",
        n_cycles: int = 4,
        max_extensions: int = 2,
        evidence: str | None = "auto",
        checkpoint: str | os.PathLike | None = None,
        checkpoint_every: int = 1000,
    ) -> None:
        self.step_size = step_size
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
        self.max_extensions = max_extensions
        self.evidence = evidence
        self.checkpoint = checkpoint
        self.checkpoint_every = checkpoint_every

    def advance(self, phase: Phase, dynamics: Dynamics) -> None:
        """One step of the overdamped equation."""
        dynamics.evaluate(phase)
        noise = dynamics.noise()
        if self.integrator == "euler":
            dynamics.diffuse(phase, noise)
            return
        dynamics.diffuse(phase, 0.5 * (phase.momentum + noise))
        # The last noise takes the place of the momenta, which this equation has not.
        phase.momentum.copy_(noise)

    def noise_length(self, step_size: float) -> float:
        """Standard deviation of a coordinate's noise over that of the drift's units."""
        return math.sqrt(2 * step_size)

    def stable_step(self, curvature: float, n_batches: int) -> float:
        """A share of the stability limit."""
        return REACH[self.integrator] / (curvature * n_batches)
