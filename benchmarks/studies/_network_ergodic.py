"""Averages over the weights of a network under a scheme and a step, by many chains.

Nothing can be computed here, so that every average carries a Monte Carlo error. Each chain
starts from where a chain of Hamiltonian Monte Carlo ended, whose accept step leaves no
error of the step, and is compared with it: what differs between places of the posterior
for good cancels.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from benchmarks._common import load
from skbayes._model import Model
from skbayes.base._monitor import Monitor
from skbayes.data._tensors import Data
from skbayes.exceptions import ConvergenceWarning
from skbayes.inference import HMC, SGHMC, Run
from skbayes.inference.sgmcmc._integrators import INTEGRATORS, Dynamics, Phase
from skbayes.likelihoods import Categorical, Gaussian, Likelihood
from skbayes.networks import MLPNetwork
from skbayes.posteriors import ParticlePosterior
from skbayes.priors import Normal
from skbayes.utils._random import make_generator, randn

FRICTION = 2.0
#: Time, in units of 1 / friction or so, before averages are taken.
SETTLING = 4.0


@dataclass(frozen=True)
class NetworkTarget:
    """A posterior over network weights, its rows in batches.

    Parameters
    ----------
    model : Model
    data : Data
        Training rows, standardised.
    n_batches : int
        Batches in a pass; left-over rows wait for the next permutation.
    """

    model: Model
    data: Data
    n_batches: int

    def fit(self, params: Tensor) -> np.ndarray:
        """Log likelihood (S,) of the training rows, in nats: what is averaged."""
        return self.model.log_likelihood(params, self.data).numpy()

    def exact(self, n_chains: int, n_draws: int) -> tuple[np.ndarray, Tensor]:
        """Log likelihoods (S, draws) along chains of Hamiltonian Monte Carlo, and their ends."""
        warm = SGHMC(n_chains=n_chains, warmup=1500, n_samples=4, max_extensions=0, evidence=None)
        engine = HMC(n_draws, n_chains, warmup=100, init_steps=0, max_extensions=0, evidence=None)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            start = warm.run(self.model, self.data, _run(0, None))
            found = engine.run(self.model, self.data, _run(1, start)).particles  # type: ignore[attr-defined]
        draws = torch.from_numpy(found)
        values = [self.fit(draws[:, index]) for index in range(n_draws)]
        return np.stack(values, axis=1), draws[:, -1].clone()

    def averages(self, integrator: str, h: float, start: Tensor, time: float) -> np.ndarray:
        """Averages (S,) over a time under a scheme, permuted batches and that step."""
        step, generator = INTEGRATORS[integrator], make_generator(2)
        phase = Phase(
            start.clone(),
            randn(start.shape, start, generator),
            self.model.grad(start, self.data),
            torch.zeros((), dtype=torch.int64),
        )
        total, count = np.zeros(len(start)), 0
        n_settling = math.ceil(SETTLING / (h * self.n_batches))
        for index in range(n_settling + math.ceil(time / (h * self.n_batches))):
            for batch in self._batches(generator):
                step(phase, self._dynamics(batch, h, start, generator))
            if index >= n_settling:
                total += self.fit(phase.position)
                count += 1
        return total / count

    def _batches(self, generator: torch.Generator) -> list[Data]:
        order = torch.randperm(len(self.data), generator=generator)
        size = len(self.data) // self.n_batches
        return [self.data.rows(rows) for rows in order.split(size)[: self.n_batches]]

    def _dynamics(self, batch: Data, h: float, like: Tensor, generator) -> Dynamics:
        factor = len(self.data) / len(batch)
        return Dynamics(
            gradient=lambda params: self.model.grad(params, batch, factor),
            noise=lambda: randn(like.shape, like, generator),
            step_size=h,
            friction=FRICTION,
            scale=torch.ones(like.shape[1]),
            limit=float("inf"),
        )


def _run(seed: int, start: ParticlePosterior | None) -> Run:
    return Run(make_generator(seed), make_generator(seed + 100), Monitor(), start)


def boston() -> NetworkTarget:
    """Four layers of 50 rectified units, N(0, 1) prior over sqrt(fan_in), noise known."""
    X, y = _training_rows("uci_boston")
    target = torch.from_numpy(((y - y.mean()) / y.std())[:, None])
    return _target(X, target, 1, Gaussian(noise=math.sqrt(0.1)), (50,) * 4, n_batches=5)


def vehicle() -> NetworkTarget:
    """Two layers of 50 rectified units, N(0, 1) prior over sqrt(fan_in), four classes."""
    X, y = _training_rows("uci_vehicle")
    return _target(X, torch.from_numpy(y).long(), 4, Categorical(), (50, 50), n_batches=8)


def _training_rows(name: str) -> tuple[np.ndarray, np.ndarray]:
    """All rows but those of the first test split."""
    arrays = load(name)
    kept = np.setdiff1d(np.arange(len(arrays["X"])), arrays["test_idx"][0])
    return arrays["X"][kept], arrays["y"].ravel()[kept]


def _target(X, y: Tensor, n_targets: int, likelihood: Likelihood, hidden, n_batches: int):
    rows = torch.from_numpy((X - X.mean(0)) / X.std(0)).float()
    network = MLPNetwork(X.shape[1], likelihood.n_outputs(n_targets), hidden, "relu")
    model = Model(network, Normal(scale=1.0), likelihood, n_targets, torch.empty(0))
    if y.is_floating_point():
        y = y.float()
    return NetworkTarget(model, Data(rows, y, torch.ones(len(rows))), n_batches)


TARGETS = {"boston": boston, "vehicle": vehicle}
