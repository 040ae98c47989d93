"""The training loop: a private skorch net that takes steps over batches and can be resumed.

skorch supplies optimisers, schedulers, callbacks and history; the objective supplies values
and gradients for all particles at once, so nothing loops over them. Networks of predictors,
autoencoders and priors are trained here alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, LRScheduler
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from skbayes.base._monitor import Monitor
from skbayes.exceptions import DivergenceError
from skbayes.training._batches import Batches, RowsLike
from skbayes.training._callbacks import fresh, named, overridden, plain_state
from skbayes.training._resuming import Checkpoint, deferred_interrupt
from skbayes.training._schedules import RATES
from skbayes.utils._adam import Adam

#: A net's epoch is this share of the step budget: schedules and guards run that often.
N_EPOCHS = 50
#: Fewest steps of an epoch, whose bookkeeping takes as long as two steps of a small net.
EPOCH_STEPS = 10
#: Epochs without progress after which ``tol`` ends a run.
PATIENCE = 5
#: Names of the loop's own callbacks.
OWN = ("report", "rate")

Tensors = dict[str, Tensor]


class Objective(Protocol):
    """What is minimised: values (S,) and gradients of every parameter, for one batch.

    ``scale`` is all rows over those of the batch, ``progress`` in [0, 1) the share of the
    steps that were taken.
    """

    def __call__(
        self, params: Tensors, batch: Any, scale: float, progress: float
    ) -> tuple[Tensor, Tensors]: ...


@dataclass(frozen=True)
class History:
    """How a training went.

    Attributes
    ----------
    losses : list of float
        Mean objective of each epoch.
    converged : bool or None
        Whether it stopped by its tolerance, which no callback's stop is; None where that was
        0, which asks nothing.
    snapshots : list of dict of Tensor
        What a `Snapshots` callback kept.
    """

    losses: list[float]
    converged: bool | None
    snapshots: list[Tensors] = field(default_factory=list)


@dataclass
class Training:
    """All of a run between two steps, which a checkpoint stores and a run goes on from.

    Attributes
    ----------
    params : dict of Tensor
        What is trained.
    moments : dict of dict of Tensor
        The optimiser's own numbers of each.
    batches : Batches
        Place in the passes over the rows.
    generator : torch.Generator
        Source of all random numbers.
    total : Tensor
        Sum of losses since the last epoch's end.
    n_steps : int
        Steps taken.
    stopped : bool or None
        Whether ``tol`` ended the run; None where it was 0.
    over : bool
        Whether the run has ended.
    halted : bool
        Whether a callback ended the run.
    losses : list of float
        Mean loss of each epoch.
    snapshots : list of dict of Tensor
        What a `Snapshots` callback kept.
    callbacks : dict of dict
        Plain attributes of the user's callbacks, by their names.
    rates : list of float
        Present rates, where callbacks may have set them.
    """

    params: Tensors
    moments: dict[str, Tensors]
    batches: Batches
    generator: torch.Generator
    total: Tensor
    n_steps: int = 0
    stopped: bool | None = None
    over: bool = False
    halted: bool = False
    losses: list[float] = field(default_factory=list)
    snapshots: list[Tensors] = field(default_factory=list)
    callbacks: dict[str, dict[str, Any]] = field(default_factory=dict)
    rates: list[float] = field(default_factory=list)

    growing = ("losses", "snapshots")

    def history(self) -> History:
        """How it went so far."""
        return History(list(self.losses), self.stopped, list(self.snapshots))


@dataclass(frozen=True)
class _Run:
    """What a training was asked for: who asks, and its steps."""

    engine: str
    remedy: str
    max_iter: int
    warm_up: float

    @property
    def n_epochs(self) -> int:
        """Epochs of the whole run."""
        return min(N_EPOCHS, -(-self.max_iter // EPOCH_STEPS))

    @property
    def n_incomparable(self) -> int:
        """Epochs over which the objective itself changes."""
        return math.ceil(self.warm_up * self.n_epochs)

    def bounds(self, epoch: int) -> tuple[int, int]:
        """Steps before and after an epoch."""
        return epoch * self.max_iter // self.n_epochs, (epoch + 1) * self.max_iter // self.n_epochs

    def decay(self, rate: str) -> Callable[[int], float]:
        """Share of the first rate in each epoch."""
        return lambda epoch: RATES[rate](epoch / self.n_epochs)

    def divergence(self, training: Training) -> DivergenceError:
        """What went wrong, and what to type."""
        last = training.losses[-1] if training.losses else math.nan
        return DivergenceError(
            f"{self.engine} met a non-finite objective by step {training.n_steps} "
            f"(last finite value {last:.6g}). {self.remedy}"
        )


class _Particles(nn.Module):
    """Holds the trained tensors as parameters."""

    def __init__(self, start: Tensors) -> None:
        super().__init__()
        for name, value in start.items():
            self.register_parameter(name, nn.Parameter(value.clone()))


class _Report(Callback):
    """Guards against non-finite objectives, stops on tolerance, tells the monitor."""

    def __init__(self, run: _Run, tol: float, monitor: Monitor, checkpoint: Checkpoint) -> None:
        self.run, self.tol, self.monitor, self.checkpoint = run, tol, monitor, checkpoint

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        training, loss = net.training, net.history[-1, "train_loss"]
        if not np.isfinite(loss):
            raise self.run.divergence(training)
        training.losses.append(loss)
        if self.tol > 0:
            training.stopped = _stalled(training.losses[self.run.n_incomparable :], self.tol)
        n_taken = net.history[-1, "train_batch_count"]
        try:
            stop = self.monitor.update(n_taken, lambda shown: {**shown, "loss": loss}, net.state)
        except KeyboardInterrupt:  # a callback's, between two steps
            self.checkpoint.save(training)
            raise
        net.stop |= stop or bool(training.stopped)


def _stalled(losses: list[float], tol: float) -> bool:
    """Whether none of the last losses fell by a share ``tol`` below the best before it."""
    best, waited = math.inf, 0
    for loss in losses:
        waited = 0 if best == math.inf or loss < best - tol * max(1.0, abs(best)) else waited + 1
        best = min(best, loss)
    return waited >= PATIENCE


class Trainer(NeuralNet):
    """A skorch net over named tensors, with its own lean epoch loop.

    A step is `take_step`: a subclass with several optimisers, or buffers that no gradient
    moves, has a step of its own and not a second loop.
    """

    def initialize(self) -> Trainer:
        super().initialize()
        self._params = dict(self.module_.named_parameters())
        for group in self.optimizer_.param_groups:
            group["initial_lr"] = group["lr"]
        return self

    @property
    def _default_callbacks(self) -> list:
        return []

    def state(self) -> Tensors:
        """The tensors as they stand."""
        return {name: value.detach() for name, value in self._params.items()}

    def begin(self, training: Training, run: _Run) -> None:
        """Stand where a run stands, whose tensors are from now on those that are trained."""
        states, rates = training.callbacks, training.rates
        self.training, self.stop = training, bool(training.stopped) or training.halted
        training.params = self.state()
        for name, parameter in self._params.items():
            moments = training.moments.setdefault(name, self._no_moments(parameter))
            self.optimizer_.state[parameter] = moments
        given = [(name, c) for name, c in self.callbacks_ if name not in OWN]
        self._given = dict(given)
        self._hears_steps = any(overridden(c, "on_batch_begin", "on_batch_end") for _, c in given)
        self._hears_grads = any(overridden(c, "on_grad_computed") for _, c in given)
        self.notify("on_train_begin", X=None, y=None)
        self._repeat(run)
        for group, rate in zip(self.optimizer_.param_groups, rates, strict=False):
            group["lr"] = rate
        for name, state in states.items():
            for attribute, value in state.items():
                setattr(self._given[name], attribute, value)

    def _repeat(self, run: _Run) -> None:
        """Bring history and schedulers to where a stored run stood."""
        training = self.training
        schedulers = [c for _, c in self.callbacks_ if isinstance(c, LRScheduler)]
        self.optimizer_._opt_called = training.n_steps > 0  # of which torch warns otherwise
        n_ended = len(training.losses)
        for epoch in range(n_ended + 1):
            first, last = run.bounds(epoch)
            self.history.new_epoch()
            self.history.record("epoch", len(self.history))
            for scheduler in schedulers:
                for _ in range(min(last, training.n_steps) - first):
                    if scheduler.step_every == "batch":
                        self.history.new_batch()
                        scheduler.on_batch_end(self, training=True)
            if epoch == n_ended:
                break
            self.history.record("train_loss", training.losses[epoch])
            for scheduler in schedulers:
                scheduler.on_epoch_end(self)
        self.history.pop()  # the present epoch begins anew

    def notify(self, method_name: str, **told: Any) -> None:
        """Tell the callbacks; one of the user's that raises KeyboardInterrupt ends the training.

        So skorch's do, inside its own loop. A Ctrl-C that comes meanwhile is the user's.
        """
        getattr(self, method_name)(self, **told)
        for name, callback in self.callbacks_:
            if name in OWN:
                getattr(callback, method_name)(self, **told)
        if not self._given:
            return
        pressed = _Pressed()
        with deferred_interrupt(pressed):
            for callback in self._given.values():
                try:
                    getattr(callback, method_name)(self, **told)
                except KeyboardInterrupt:
                    if pressed.twice:
                        raise
                    self.stop = self.training.halted = True
        if pressed.once:
            raise KeyboardInterrupt
        self.training.rates = [group["lr"] for group in self.optimizer_.param_groups]
        self.training.callbacks = {name: plain_state(c) for name, c in self._given.items()}

    def _no_moments(self, parameter: Tensor) -> Tensors:
        """What Adam knows before its first step."""
        zeros = torch.zeros_like(parameter.detach())
        step = torch.zeros((), device=parameter.device)
        return {"step": step, "exp_avg": zeros, "exp_avg_sq": zeros.clone()}

    def take_step(self, batch: Any, scale: float, progress: float) -> Tensor:
        """Move the parameters by one batch; returns the losses (S,) before."""
        values, grads = self.criterion_(self._params, batch, scale, progress)
        for name, grad in grads.items():
            self._params[name].grad = grad
        if self._hears_grads:
            pairs = list(self._params.items())
            self.notify("on_grad_computed", named_parameters=pairs, batch=batch, training=True)
        self.optimizer_.step()
        return values

    def run_epoch(self, rows: RowsLike, run: _Run, checkpoint: Checkpoint) -> None:
        """Take the steps that are left of the present epoch."""
        training = self.training
        first, last = run.bounds(len(training.losses))
        begun = training.n_steps
        self.notify("on_epoch_begin", dataset_train=range(last - begun))
        while training.n_steps < last and not self.stop:
            batch, scale = training.batches.next(rows, training.generator)
            if self._hears_steps:
                self.notify("on_batch_begin", batch=batch, training=True)
            losses = self.take_step(batch, scale, training.n_steps / run.max_iter)
            training.total += losses.mean()
            training.n_steps += 1
            if self._hears_steps:
                self.history.record_batch("train_loss", float(losses.mean()))
                self.history.record_batch("train_batch_size", len(batch))
                self.notify("on_batch_end", batch=batch, training=True, loss=losses.mean())
            if training.n_steps < last:
                checkpoint.passed(training)
        if training.n_steps == first:  # a callback ended the training before
            return
        self.history.record("train_loss", float(training.total) / (training.n_steps - first))
        self.history.record("train_batch_count", training.n_steps - begun)
        training.total.zero_()
        self.notify("on_epoch_end", dataset_train=range(last - begun))
        checkpoint.passed(training)


@dataclass
class _Pressed:
    """Counts what Ctrl-C is pressed while callbacks run."""

    once: bool = False
    twice: bool = False

    def interrupt(self, number: int, frame: Any) -> None:
        """Remember a first one, obey a second one."""
        self.once, self.twice = True, self.once
        if self.twice:
            raise KeyboardInterrupt


def train(
    start: Tensors,
    objective: Objective,
    rows: RowsLike,
    *,
    batch_size: int | None,
    generator: torch.Generator,
    engine: str,
    remedy: str,
    max_iter: int,
    learning_rate: float,
    tol: float,
    monitor: Monitor,
    rate: str = "cosine",
    warm_up: float = 0.0,
    checkpoint: Checkpoint | None = None,
    callbacks: Sequence[Any] = (),
) -> tuple[Tensors, int, History]:
    """Minimise an objective by Adam (Kingma and Ba, 2015).

    Parameters
    ----------
    start : dict of Tensor
        Where the parameters begin.
    objective : Objective
        What is minimised.
    rows : rows
        Canonical ones, of which the objective sees batches.
    batch_size : int or None
        Rows in a step; None for all.
    generator : torch.Generator
        Shuffles the rows.
    engine, remedy : str
        Who met a non-finite objective, and what to type: what `DivergenceError` says.
    max_iter : int
        Steps of the whole run.
    learning_rate : float
        The first rate.
    tol : float
        Share by which the objective must fall within five epochs; 0 never stops.
    monitor : Monitor
        Hears of each epoch.
    rate : {"cosine", "held", "constant"}
        How the rate falls, by epochs: along a cosine, held over the first half, not at all.
    warm_up : float
        Share of the steps over which the objective itself changes, and is not compared.
    checkpoint : Checkpoint, optional
        Stores the run, and knows where a stored one stood.
    callbacks : sequence of skorch callbacks
        Of which copies hear of this training; an epoch is a fiftieth of the steps, of ten at
        least. With an `LRScheduler` among them, the rate is what that makes of the first one.

    Returns
    -------
    params : dict of Tensor
        The trained tensors.
    n_iter : int
        Steps taken.
    history : History
        Losses, and whether the tolerance was met.
    """
    checkpoint, run = checkpoint or Checkpoint(), _Run(engine, remedy, max_iter, warm_up)
    like = next(iter(start.values()))
    total = torch.zeros((), dtype=torch.float64, device=like.device)
    training = checkpoint.resume() or Training(
        start,
        {},
        Batches.over(rows, batch_size),
        generator,
        total,
        stopped=False if tol > 0 else None,
    )
    monitor.start(max_iter - training.n_steps * (not training.over))
    if training.over:
        monitor.update(training.n_steps)
        return training.params, training.n_steps, training.history()
    given = fresh(callbacks)
    decay = LRScheduler(policy=LambdaLR, lr_lambda=run.decay(rate), step_every="epoch")
    if not any(isinstance(c, LRScheduler) for _, c in named(given)):
        given = [("rate", decay), *given]
    net = Trainer(
        module=_Particles,
        module__start=training.params,
        criterion=_as_criterion(objective),
        optimizer=Adam,
        optimizer__eps=1e-8,
        optimizer__fused=True,
        lr=learning_rate,
        callbacks=[
            ("report", _Report(run, tol, monitor, checkpoint)),
            *given,
        ],
        train_split=None,
        batch_size=1,  # what is counted are steps
        device=str(like.device),
        verbose=0,
    ).initialize()
    net.begin(training, run)
    with checkpoint.watching(training):
        while len(training.losses) < run.n_epochs and not net.stop:
            net.run_epoch(rows, run, checkpoint)
        net.notify("on_train_end", X=None, y=None)
        if not all(torch.isfinite(p).all() for p in net.state().values()):
            raise run.divergence(training)
        training.over = True
        checkpoint.ended(training)
    return net.state(), training.n_steps, training.history()


def _as_criterion(objective: Objective) -> type[nn.Module]:
    """Wrap an objective as the module class that skorch builds its criterion from."""

    class Criterion(nn.Module):
        def forward(self, params, batch, scale, progress):
            with torch.no_grad():
                return objective(params, batch, scale, progress)

    return Criterion
