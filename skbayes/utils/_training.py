"""Gradient training of particles: a private skorch net with tensor batches.

skorch supplies optimisers, schedulers, callbacks and history; the objective supplies
values and gradients for all particles at once, so nothing loops over them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, LRScheduler
from torch import Tensor, nn

from skbayes.exceptions import DivergenceError
from skbayes.utils._adam import Adam
from skbayes.utils._monitor import Monitor
from skbayes.utils._tensors import Data

#: A net's epoch is this share of the step budget: schedules and guards run that often.
N_EPOCHS = 50
#: Fewest steps of an epoch, whose bookkeeping takes as long as two steps of a small net.
EPOCH_STEPS = 10


class Objective(Protocol):
    """What is minimised: values (S,) and gradients of every parameter, for one batch."""

    def __call__(
        self, params: dict[str, Tensor], batch: Data, scale: float
    ) -> tuple[Tensor, dict[str, Tensor]]: ...


@dataclass(frozen=True)
class History:
    """How a training went.

    Attributes
    ----------
    losses : list of float
        Mean objective of each fiftieth of the budget.
    converged : bool or None
        Whether it stopped by its tolerance; None where that was 0, which asks nothing.
    """

    losses: list[float]
    converged: bool | None


class Batches:
    """Endless fresh permutations of canonical rows, cut into batches."""

    def __init__(self, data: Data, batch_size: int | None, generator: torch.Generator) -> None:
        self.data, self.generator = data, generator
        self.batch_size = min(batch_size or len(data), len(data))

    def __iter__(self) -> Iterator[tuple[Data, float]]:
        n = len(self.data)
        if self.batch_size == n:
            while True:
                yield self.data, 1.0
        while True:
            order = torch.randperm(n, generator=self.generator, device=self.generator.device)
            shuffled = self.data.rows(order)
            # Whole batches of distinct rows; the rows left over sit this permutation out,
            # which the fresh draw of the next makes as likely for any row as for another.
            for start in range(0, n - self.batch_size + 1, self.batch_size):
                rows = shuffled.rows(slice(start, start + self.batch_size))
                yield rows, n / self.batch_size


class _Particles(nn.Module):
    """Holds the trained tensors as parameters."""

    def __init__(self, start: dict[str, Tensor]) -> None:
        super().__init__()
        for name, value in start.items():
            self.register_parameter(name, nn.Parameter(value.clone()))


class _Report(Callback):
    """Guards against non-finite objectives, stops on tolerance, tells the monitor."""

    def __init__(
        self, monitor: Monitor, tol: float, patience: int, engine: str, remedy: str
    ) -> None:
        self.monitor, self.tol, self.patience = monitor, tol, patience
        self.engine, self.remedy = engine, remedy

    def initialize(self) -> _Report:
        self.last_finite, self.best, self.waited = float("nan"), np.inf, 0
        self.converged = False if self.tol > 0 else None
        return self

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        loss = net.history[-1, "train_loss"]
        if not np.isfinite(loss):
            raise self.divergence(net.n_steps)
        self.last_finite = loss
        stop = self.monitor.update(
            net.history[-1, "train_batch_count"], lambda shown: {"loss": loss}, net.state
        )
        improved = np.isinf(self.best) or loss < self.best - self.tol * max(1.0, abs(self.best))
        self.waited = 0 if improved else self.waited + 1
        self.best = min(self.best, loss)
        if self.tol > 0:
            self.converged = self.waited >= self.patience
        if stop or self.converged:
            net.stop = True

    def divergence(self, step: int) -> DivergenceError:
        """What went wrong, and what to type."""
        return DivergenceError(
            f"{self.engine} met a non-finite objective by step {step} "
            f"(last finite value {self.last_finite:.6g}). {self.remedy}"
        )


class ParticleNet(NeuralNet):
    """A skorch net over particles, with its own lean epoch loop."""

    def initialize(self) -> ParticleNet:
        super().initialize()
        self.stop, self.n_steps = False, 0
        self._params = dict(self.module_.named_parameters())
        return self

    @property
    def _default_callbacks(self) -> list:
        return []

    def state(self) -> dict[str, Tensor]:
        """The tensors as they stand."""
        return {name: value.detach() for name, value in self._params.items()}

    def train_step_single(self, batch, **fit_params) -> dict[str, Any]:
        data, scale = batch
        values, grads = self.criterion_(self._params, data, scale)
        for name, grad in grads.items():
            self._params[name].grad = grad
        return {"loss": values.mean(), "y_pred": values}

    def run_steps(self, batches: Iterator, n_steps: int) -> None:
        """One epoch: ``n_steps`` optimiser steps without per-batch bookkeeping."""
        self.notify("on_epoch_begin")
        total = torch.zeros((), dtype=torch.float64, device=self.device)
        for _ in range(n_steps):
            step = self.train_step_single(next(batches))
            self.optimizer_.step()
            total += step["loss"]
        self.n_steps += n_steps
        self.history.record("train_loss", float(total) / n_steps)
        self.history.record("train_batch_count", n_steps)
        self.notify("on_epoch_end")


def train(
    start: dict[str, Tensor],
    objective: Objective,
    batches: Batches,
    *,
    engine: str,
    remedy: str,
    max_iter: int,
    learning_rate: float,
    tol: float,
    monitor: Monitor,
    patience: int = 5,
) -> tuple[dict[str, Tensor], int, History]:
    """Minimise an objective by Adam under a cosine-decayed rate.

    ``engine`` and ``remedy``, what to type, are what `DivergenceError` says.

    Returns
    -------
    params : dict of Tensor
        The trained tensors.
    n_iter : int
        Steps taken.
    history : History
        Losses, and whether the tolerance was met.
    """
    n_epochs = min(N_EPOCHS, -(-max_iter // EPOCH_STEPS))
    sizes = np.diff(np.linspace(0, max_iter, n_epochs + 1).astype(int))
    report = _Report(monitor, tol, patience, engine, remedy)
    cosine = LRScheduler(
        policy=torch.optim.lr_scheduler.CosineAnnealingLR, T_max=n_epochs, step_every="epoch"
    )
    net = ParticleNet(
        module=_Particles,
        module__start=start,
        criterion=_as_criterion(objective),
        optimizer=Adam,
        optimizer__eps=1e-8,
        lr=learning_rate,
        callbacks=[("report", report), ("cosine", cosine)],
        train_split=None,
        device=str(next(iter(start.values())).device),
        verbose=0,
    ).initialize()
    monitor.start(max_iter)
    net.notify("on_train_begin")
    stream = iter(batches)
    for n_steps in sizes:
        net.run_steps(stream, int(n_steps))
        if net.stop:
            break
    net.notify("on_train_end")
    trained = net.state()
    if not all(torch.isfinite(p).all() for p in trained.values()):
        raise report.divergence(net.n_steps)
    return trained, net.n_steps, History(list(net.history[:, "train_loss"]), report.converged)


def _as_criterion(objective: Objective) -> type[nn.Module]:
    """Wrap an objective as the module class that skorch builds its criterion from."""

    class Criterion(nn.Module):
        def forward(self, params, batch, scale):
            with torch.no_grad():
                return objective(params, batch, scale)

    return Criterion
