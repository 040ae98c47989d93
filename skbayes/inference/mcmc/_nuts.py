"""The No-U-Turn sampler over all chains as one batched program.

Trees are built without recursion: a subtree's leaves are visited in order, and of those
passed only the first point of each unfinished subtree is kept, log2 of their number.
All chains of a subtree are at the same leaf, so that which points are compared is a
matter of the leaf's binary digits alone.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any

import numpy as np
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
from skbayes.utils._random import rand, randn
from skbayes.utils._sklearn import Interval


@dataclass(kw_only=True)
class NUTSState(HamiltonianState):
    """A Hamiltonian state with the size of each chain's last tree."""

    depth: Tensor = field(default_factory=lambda: torch.zeros(0))
    n_points: Tensor = field(default_factory=lambda: torch.zeros(0))


@dataclass
class Points:
    """One point of each chain (S, ...): where it is and what is known there."""

    params: Tensor
    packed: Tensor
    value: Tensor
    grad: Tensor
    energy: Tensor

    def put(self, chains: Tensor, others: Points, taken: Tensor) -> None:
        """Replace the points of chains (A,) by others (A, ...) where those are taken (A,)."""
        for name, mine in vars(self).items():
            mine[chains[taken]] = getattr(others, name)[taken]

    def where(self, taken: Tensor, others: Points) -> Points:
        """These points, or the others where taken (S,)."""
        pairs = ((mine, getattr(others, name)) for name, mine in vars(self).items())
        return Points(*(torch.where(along(taken, a), b, a) for a, b in pairs))


def along(flags: Tensor, like: Tensor) -> Tensor:
    """Flags (S,) that broadcast with an array (S,) or (S, n_params)."""
    return flags if like.ndim == 1 else flags[:, None]


class NUTS(HamiltonianSampler):
    """The No-U-Turn sampler: trajectories that stop where they would turn back.

    Each draw doubles its trajectory, forwards or backwards at random, until the ends move
    towards each other, and is one of its points, drawn by their densities with a bias to
    the later half. Step size by dual averaging, a mass from the warm-up draws. Chains wait
    for the longest tree among them, so that `HMC`, whose length is one for the run, is
    faster.

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
    step_size : "auto" or float, default="auto"
        Leapfrog step; "auto" tunes it to ``target_accept``.
    target_accept : float, default=0.8
        Mean acceptance probability, over a tree's points, aimed at.
    mass_matrix : {"diagonal", "dense", "identity"}, default="diagonal"
        Whether variances of the warm-up's draws, or all their covariances (up to 2000
        unknowns), precondition the momenta.
    max_depth : int, default=7
        Most doublings of a trajectory, which then has ``2 ** max_depth`` points.
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
    Hoffman and Gelman (2014), The No-U-Turn sampler, eq. 9 (the U-turn) and algorithm 3;
    Betancourt (2017), A conceptual introduction to Hamiltonian Monte Carlo, appendix
    A.3.2 (multinomial, biased progressive sampling); Phan, Pradhan and Jankowiak (2019),
    Composable effects for flexible and accelerated probabilistic programming in NumPyro,
    appendix A (iterative trees).

    Examples
    --------
    >>> from skbayes.inference import NUTS
    >>> NUTS(max_depth=6).max_depth
    6
    """

    _parameter_constraints: dict = {
        **HamiltonianSampler._parameter_constraints,
        "max_depth": [Interval(Integral, 1, 20, closed="both")],
    }
    test_params = {
        "n_samples": 20,
        "warmup": 20,
        "init_steps": 20,
        "max_extensions": 0,
        "max_depth": 3,
    }
    state_types = (NUTSState, *HamiltonianSampler.state_types)

    def __init__(
        self,
        n_samples: int = 150,
        n_chains: int = 4,
        warmup: int = 150,
        init_steps: int = 300,
        step_size: str | float = "auto",
        target_accept: float = 0.8,
        mass_matrix: str = "diagonal",
        max_depth: int = 7,
        max_extensions: int = 4,
        evidence: str | None = "auto",
        checkpoint: str | os.PathLike | None = None,
        checkpoint_every: int = 50,
    ) -> None:
        self.n_samples = n_samples
        self.n_chains = n_chains
        self.warmup = warmup
        self.init_steps = init_steps
        self.step_size = step_size
        self.target_accept = target_accept
        self.mass_matrix = mass_matrix
        self.max_depth = max_depth
        self.max_extensions = max_extensions
        self.evidence = evidence
        self.checkpoint = checkpoint
        self.checkpoint_every = checkpoint_every

    def init(self, model: Model, data: Data, run: Run) -> NUTSState:
        """Start chains from random weights, or from an earlier posterior."""
        return NUTSState(**self.start(model, data, run))

    def step(self, model: Model, data: Data, state: NUTSState) -> NUTSState:
        """One tree of every chain, a draw from it, and one step of adaptation."""
        target = sampling_coordinates(model, data)
        tree = Tree(target, state, self.present_step(state))
        for _ in range(self.max_depth):
            if not tree.double():
                break
        drawn = tree.drawn
        state.params, state.packed = drawn.params, drawn.packed
        state.value, state.grad, state.energy = drawn.value, drawn.grad, drawn.energy
        state.depth, state.n_points = tree.depth, tree.n_points
        self.adapt_and_record(model, data, state, tree.accepted / tree.n_points, tree.divergent)
        return state

    def stats(self, state: Any) -> dict[str, Tensor]:
        """What HMC notes, and depth and number of points of each chain's tree (n_chains,)."""
        return {**super().stats(state), "tree_depth": state.depth, "n_steps": state.n_points}

    def watch(self, state: Any) -> dict[str, float | None]:
        """Acceptance, divergences, step size, mean depth, and how many trees were cut."""
        depths = self.noted(state)["tree_depth"]
        return {
            **super().watch(state),
            "tree_depth": float(depths.mean()),
            "n_max_depth": int(np.sum(depths == self.max_depth)),
        }


class Tree:
    """The trajectory of every chain, doubled until it turns, and a draw from each.

    Parameters
    ----------
    target : Coordinates
        The log joint.
    state : NUTSState
        Where the chains are; left as it is but for its generator.
    step_size : float
        Leapfrog step.
    """

    def __init__(self, target: Coordinates, state: NUTSState, step_size: float) -> None:
        self.target, self.mass, self.generator = target, state.mass, state.generator
        self.step_size = step_size
        momentum = self.mass.momentum(randn(state.params.shape, state.params, self.generator))
        self.energy = kinetic(momentum, self.mass) - state.value
        # Positions, momenta and gradients at the ends: (backward or forward, S, n_params).
        self.ends = [torch.stack([a, a]) for a in (state.params, momentum, state.grad)]
        start = state.params, state.packed, state.value, state.grad, self.energy
        self.drawn = Points(*(a.clone() for a in start))
        self.log_weight = torch.zeros_like(self.energy)
        self.growing = torch.ones_like(self.energy, dtype=torch.bool)
        self.divergent = ~self.growing
        self.depth = torch.zeros_like(self.energy, dtype=torch.long)
        self.n_doublings = 0
        self.accepted, self.n_points = torch.zeros_like(self.energy), torch.zeros_like(self.energy)

    def double(self) -> bool:
        """Add to every growing tree a subtree of its own size; False if none grows."""
        chains = self.growing.nonzero()[:, 0]
        if not len(chains):
            return False
        side = (rand((len(chains),), self.energy, self.generator) < 0.5).long()
        start = [values[side, chains] for values in self.ends]
        steps = self.step_size * (2 * side - 1).to(start[0])[:, None]
        part = Subtree(self, start, steps, self.energy[chains])
        part.grow(2**self.n_doublings)
        self.n_doublings += 1
        self.accepted[chains] += part.accepted
        self.n_points[chains] += part.n_points
        self.divergent[chains] |= part.divergent
        self._join(chains, side, part)
        return True

    def _join(self, chains: Tensor, side: Tensor, part: Subtree) -> None:
        """Take in the subtrees that are whole, and stop where they or the trees turn."""
        whole = part.whole
        uniform = rand((len(chains),), self.energy, self.generator)
        later = torch.log(uniform) < part.log_weight - self.log_weight[chains]
        self.drawn.put(chains, part.drawn, whole & later)
        self.log_weight[chains] = torch.logaddexp(self.log_weight[chains], part.log_weight)
        for values, new in zip(self.ends, part.end, strict=True):
            values[side, chains] = new
        (first, last), (before, after) = (values[:, chains] for values in self.ends[:2])
        self.depth[chains] += whole
        self.growing[chains] = whole & ~turning(last - first, before, after)


class Subtree:
    """New points of some trees, beyond one end of each.

    Parameters
    ----------
    tree : Tree
        Whose target, mass and generator are used.
    end : list of Tensor of shape (A, n_params)
        Positions, momenta and gradients at the ends to go on from.
    steps : Tensor of shape (A, 1)
        Leapfrog steps, negative backwards in time.
    energy : Tensor of shape (A,)
        Energies at the trees' starts, in nats.
    """

    def __init__(self, tree: Tree, end: list[Tensor], steps: Tensor, energy: Tensor) -> None:
        self.tree, self.end, self.steps, self.energy = tree, end, steps, energy
        self.log_weight = torch.full_like(energy, -torch.inf)
        self.accepted, self.n_points = torch.zeros_like(energy), torch.zeros_like(energy)
        self.divergent = torch.zeros_like(energy, dtype=torch.bool)
        self.whole = ~self.divergent
        self.drawn = Points(end[0], end[0], energy, end[2], energy)
        #: The first position and momentum of each unfinished subtree.
        self.firsts: list[tuple[Tensor, Tensor]] = []

    def grow(self, n_leaves: int) -> None:
        """Visit the leaves in order, until no chain's subtree can become whole."""
        for leaf in range(n_leaves):
            self._leapfrog_step()
            position, momentum, _ = self.end
            depth = (leaf >> 1).bit_count()
            if leaf % 2 == 0:
                self.firsts[depth:] = [(position, momentum)]
            else:
                # As many subtrees end here as the leaf's number has ones at its end.
                n_ended = (~leaf & (leaf + 1)).bit_length() - 1
                for first, before in self.firsts[depth + 1 - n_ended : depth + 1]:
                    self.whole &= ~turning((position - first) * self.steps, before, momentum)
            if not self.whole.any():
                return

    def _leapfrog_step(self) -> None:
        """One leapfrog step, and the new points drawn by their weights."""
        tree, (position, momentum, grad) = self.tree, self.end
        momentum = torch.addcmul(momentum, self.steps, grad, value=0.5)
        position = torch.addcmul(position, self.steps, tree.mass.velocity(momentum))
        value, grad, packed = tree.target.evaluate(position)
        momentum = torch.addcmul(momentum, self.steps, grad, value=0.5)
        self.end = [position, momentum, grad]
        error = kinetic(momentum, tree.mass) - value - self.energy
        error = torch.nan_to_num(error, nan=torch.inf, posinf=torch.inf)
        self.accepted += torch.where(self.whole, torch.exp(-error).clamp(max=1.0), 0.0)
        self.n_points += self.whole
        self.divergent |= self.whole & (error > DIVERGENT_ENERGY)
        self.whole &= error <= DIVERGENT_ENERGY
        self.log_weight = torch.logaddexp(self.log_weight, -error)
        uniform = rand((len(error),), error, tree.generator)
        taken = self.whole & (torch.log(uniform) < -error - self.log_weight)
        here = Points(position, packed, value, grad, self.energy + error)
        self.drawn = self.drawn.where(taken, here)


def turning(span: Tensor, before: Tensor, after: Tensor) -> Tensor:
    """Whether the ends (S, n_params), a span apart in time's order, approach: (S,).

    References
    ----------
    Hoffman and Gelman (2014), eq. 9.
    """
    return ((span * before).sum(1) <= 0) | ((span * after).sum(1) <= 0)
