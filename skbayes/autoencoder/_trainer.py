"""Gradient training of a model: flat buffers, one fused Adam step a batch, resumable.

Everything that a run consists of is in one `Training` state, so that it can be stored
between two steps and resumed to the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from torch import Tensor

from skbayes.autoencoder._model import Parameters
from skbayes.autoencoder._table import Rows
from skbayes.exceptions import DivergenceError
from skbayes.inference._epochs import Epochs
from skbayes.inference._resuming import Checkpoint
from skbayes.utils._adam import Adam
from skbayes.utils._monitor import Monitor

#: Reports of a run: the loss is averaged, checked and compared that often.
N_REPORTS = 50
#: Reports without progress after which ``tol`` ends a run.
PATIENCE = 5

#: Share of the steps over which the rate is held before it falls.
HELD = 0.5

Loss = Callable[[Parameters, Rows, torch.Generator, float], Tensor]


@dataclass(frozen=True)
class Layout:
    """Where each named tensor lies in one flat buffer.

    Attributes
    ----------
    blocks : tuple of (part, name, shape)
        In the order of the buffer.
    """

    blocks: tuple[tuple[str, str, tuple[int, ...]], ...]

    @classmethod
    def of(cls, parameters: Parameters) -> Layout:
        """The layout of named tensors."""
        return cls(
            tuple(
                (part, name, tuple(value.shape))
                for part, own in parameters.items()
                for name, value in own.items()
            )
        )

    @property
    def size(self) -> int:
        """Length of the buffer."""
        return sum(math.prod(shape) for _, _, shape in self.blocks)

    def flatten(self, parameters: Parameters) -> Tensor:
        """A new flat buffer with these values."""
        return torch.cat([parameters[part][name].reshape(-1) for part, name, _ in self.blocks])

    def arrays(self, flat: Tensor) -> dict[str, dict[str, np.ndarray]]:
        """Named copies of what a flat buffer holds."""
        named = self.views(flat.detach().cpu())
        return {
            part: {name: value.numpy().copy() for name, value in own.items()}
            for part, own in named.items()
        }

    def views(self, flat: Tensor) -> Parameters:
        """Named views of a flat buffer."""
        named: Parameters = {"encoder": {}, "decoder": {}, "noise": {}, "prior": {}}
        start = 0
        for part, name, shape in self.blocks:
            stop = start + math.prod(shape)
            named.setdefault(part, {})[name] = flat[start:stop].view(shape)
            start = stop
        return named


@dataclass
class Training:
    """State of a run between two steps.

    Attributes
    ----------
    flat, first, second : Tensor of shape (n_parameters,)
        Parameters, and Adam's moving averages of gradients and their squares.
    n_steps : int
        Steps taken.
    total : Tensor
        Sum of losses since the last report.
    losses : list of float
        Mean loss of each report.
    epochs : Epochs
        Place in the passes over the rows.
    generator : torch.Generator
        Source of all random numbers.
    stopped : bool or None
        Whether ``tol`` ended the run; None where it was 0.
    """

    flat: Tensor
    first: Tensor
    second: Tensor
    epochs: Epochs
    generator: torch.Generator
    total: Tensor
    n_steps: int = 0
    stopped: bool | None = None
    losses: list[float] = field(default_factory=list)

    growing = ("losses",)


class Trainer:
    """Advances a `Training` by Adam (Kingma and Ba, 2015), its rate held and then decayed.

    Parameters
    ----------
    layout : Layout
        Names of the flat parameters.
    loss : callable
        Loss of a batch.
    rows : Rows
        Canonical training rows.
    max_iter : int
        Steps of the whole run.
    learning_rate : float
        The first rate.
    decay : bool
        Whether the rate falls to zero along a cosine, over the second half of the steps.
    tol : float
        Share by which the loss must fall from report to report; 0 never stops.
    warm_up : float
        Share of the steps over which the loss itself changes, and is not compared.
    precision : Tensor of shape (n_parameters,) or None
        Of a normal prior of the parameters around zero, over the total weight of the rows.
    """

    def __init__(
        self,
        layout: Layout,
        loss: Loss,
        rows: Rows,
        *,
        max_iter: int,
        learning_rate: float,
        decay: bool,
        tol: float,
        warm_up: float = 0.0,
        precision: Tensor | None = None,
    ) -> None:
        self.layout, self.loss, self.rows = layout, loss, rows
        self.max_iter, self.learning_rate = max_iter, learning_rate
        self.decay, self.tol, self.precision = decay, tol, precision
        self.report_every = max(1, max_iter // N_REPORTS)
        self.n_incomparable = math.ceil(warm_up * max_iter / self.report_every)

    def start(
        self, parameters: Parameters, batch_size: int, generator: torch.Generator
    ) -> Training:
        """A state that has taken no step."""
        flat = self.layout.flatten(parameters).to(self.rows.table)
        zeros = torch.zeros_like(flat)
        epochs = Epochs.over(self.rows, batch_size)  # type: ignore[arg-type]
        total = torch.zeros((), dtype=torch.float64, device=flat.device)
        return Training(flat, zeros, zeros.clone(), epochs, generator, total)

    def run(self, state: Training, monitor: Monitor, checkpoint: Checkpoint) -> Training:
        """Take the remaining steps, unless ``tol`` or a callback ends the run before."""
        self._attach(state)
        monitor.start(self.max_iter - state.n_steps)
        told = state.n_steps
        while state.n_steps < self.max_iter and not state.stopped:
            self._step(state)
            reports = state.n_steps % self.report_every == 0 or state.n_steps == self.max_iter
            if reports:
                self._report(state)
            checkpoint.passed(state)
            if reports:
                stop = monitor.update(
                    state.n_steps - told,
                    partial(_with_loss, state.losses[-1]),
                    lambda: self.layout.arrays(state.flat),
                )
                told = state.n_steps
                if stop:
                    break
        self._check(state, bool(torch.isfinite(state.flat).all()))
        return state

    def _attach(self, state: Training) -> None:
        """Leaves and gradients that are views of two flat buffers, and their optimiser."""
        flat, self._grad = state.flat, torch.zeros_like(state.flat)
        self._leaves, gradients = self.layout.views(flat), self.layout.views(self._grad)
        for part, name, _ in self.layout.blocks:
            leaf = self._leaves[part][name].detach().requires_grad_()
            leaf.grad = gradients[part][name]
            self._leaves[part][name] = leaf
        flat.grad = self._grad
        self._adam = Adam([flat], lr=self.learning_rate, fused=True)
        self._adam.state[flat] = {
            "step": torch.tensor(float(state.n_steps), device=flat.device),
            "exp_avg": state.first,
            "exp_avg_sq": state.second,
        }

    def _step(self, state: Training) -> None:
        batch, _ = state.epochs.next(self.rows, state.generator)  # type: ignore[arg-type]
        progress = state.n_steps / self.max_iter
        self._grad.zero_()
        loss = self.loss(self._leaves, batch, state.generator, progress)  # type: ignore[arg-type]
        loss.backward()
        if self.precision is not None:
            self._grad.addcmul_(self.precision, state.flat)
        if self.decay and progress > HELD:
            falling = math.pi * (progress - HELD) / (1 - HELD)
            rate = 0.5 * self.learning_rate * (1 + math.cos(falling))
            self._adam.param_groups[0]["lr"] = rate
        self._adam.step()
        state.n_steps += 1
        state.total += loss.detach()

    def _report(self, state: Training) -> None:
        """Average the loss since the last report, and see whether it still falls."""
        since = (state.n_steps - 1) % self.report_every + 1
        loss = float(state.total) / since
        self._check(state, math.isfinite(loss))
        state.losses.append(loss)
        state.total.zero_()
        losses = state.losses[self.n_incomparable :]
        if self.tol > 0 and len(losses) > PATIENCE:
            best = min(losses[:-PATIENCE])
            enough = best - self.tol * max(1.0, abs(best))
            state.stopped = min(losses[-PATIENCE:]) > enough

    def _check(self, state: Training, finite: bool) -> None:
        if not finite:
            last = state.losses[-1] if state.losses else math.nan
            raise DivergenceError(
                f"the training met a non-finite loss by step {state.n_steps} (last finite value "
                f"{last:.6g}); lower learning_rate={self.learning_rate:g} to a tenth of it"
            )


def _with_loss(loss: float, shown: dict[str, float]) -> dict[str, float]:
    """What a monitor shows, the loss brought up to date."""
    return {**shown, "loss": loss}
