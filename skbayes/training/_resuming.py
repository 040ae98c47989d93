"""Stopping a run and going on from where it stood, to the bit."""

from __future__ import annotations

import copy
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from numbers import Integral
from typing import Any, Protocol

import torch
from torch import Tensor

from skbayes.exceptions import CheckpointError
from skbayes.training._checkpoint import CheckpointStore
from skbayes.training._encoding import Codec, digest
from skbayes.utils._sklearn import Interval

#: Parameters of checkpoints: they name where and when, and leave the draws alone.
CHECKPOINT_CONSTRAINTS: dict = {
    "checkpoint": [str, os.PathLike, None],
    "checkpoint_every": [Interval(Integral, 1, None, closed="left")],
}


class Checkpoint:
    """What the driver tells of a run; this one keeps no files.

    Examples
    --------
    >>> from skbayes.training._resuming import Checkpoint
    >>> Checkpoint().resume() is None
    True
    """

    def resume(self) -> Any:
        """The state to go on from, or None."""
        return None

    @contextmanager
    def watching(self, state: Any) -> Iterator[None]:
        """Around the steps of a run that starts from this state."""
        yield

    def save(self, state: Any) -> None:
        """Write the state, which must stand between two steps."""

    def passed(self, state: Any) -> None:
        """Hear of a step; raises KeyboardInterrupt where one was asked for."""

    def ended(self, state: Any) -> None:
        """Hear of the end of a training."""


class FileCheckpoint(Checkpoint):
    """Keeps the state of a run in a folder.

    Parameters
    ----------
    store : CheckpointStore
        The run's files, opened.
    types : tuple of type
        Classes that the engine's states are made of.
    generator : torch.Generator
        The run's, set to where the stored one stood.
    every : int
        Steps between two states on file.
    """

    def __init__(
        self,
        store: CheckpointStore,
        types: tuple[type, ...],
        generator: torch.Generator,
        every: int,
    ) -> None:
        self.store, self.codec, self.generator, self.every = store, Codec(types), generator, every
        self._sealed: dict[str, int] = {}
        self._n_steps = 0
        self._saved_at = -1
        self._interrupted = False

    def resume(self) -> Any:
        """The stored state, or None at a run's start."""
        loaded = self.store.load()
        if loaded is None:
            return None
        tree, segments = loaded
        state = self._decoded(tree)
        for segment in segments:
            for name, values in segment.items():
                getattr(state, name).extend(values)
        self._settle(state)
        return state

    def _decoded(self, tree: Any) -> Any:
        """A state; the generator is set to where its own stood."""
        try:
            return self.codec.decode(tree, self.generator)
        except KeyError as error:
            raise CheckpointError(
                f"the files in {self.store.folder} hold another engine's state ({error}); set "
                "checkpoint= to another folder"
            ) from error

    def _settle(self, state: Any) -> None:
        """The files now hold this state."""
        self._sealed = {name: len(getattr(state, name)) for name in state.growing}
        self._saved_at = self._n_steps

    @contextmanager
    def watching(self, state: Any) -> Iterator[None]:
        """Write a new run's first state; hold Ctrl-C back to the end of a step."""
        self.save(state)
        with deferred_interrupt(self):
            yield
        if self._interrupted:
            raise KeyboardInterrupt

    def save(self, state: Any) -> None:
        """Write the state and what has grown since the last one, if there was a step."""
        if self._saved_at == self._n_steps:
            return
        grown = {name: getattr(state, name)[self._sealed.get(name, 0) :] for name in state.growing}
        rest = copy.copy(state)
        for name in state.growing:
            setattr(rest, name, [])
        segment = {name: packed(values) for name, values in grown.items() if values}
        self.store.save(self.codec.encode(rest), segment or None)
        self._settle(state)

    def passed(self, state: Any) -> None:
        """Write the state where it is due, or where Ctrl-C was pressed in the step."""
        self._n_steps += 1
        if self._interrupted or self._n_steps - self._saved_at >= self.every:
            self.save(state)
        if self._interrupted:
            raise KeyboardInterrupt

    def ended(self, state: Any) -> None:
        """Write the last state."""
        self.save(state)

    def interrupt(self, number: int, frame: Any) -> None:
        """Remember a first Ctrl-C, obey a second one."""
        if self._interrupted:
            raise KeyboardInterrupt
        self._interrupted = True


@dataclass
class Trainings:
    """The trainings of a fit, encoded: those that ended, and the present one."""

    ended: list[Any]
    present: Any

    growing = ("ended",)


class Journal(FileCheckpoint):
    """Keeps the trainings of a fit, one after the other, in a folder.

    A fit that goes on runs its code again from the beginning. Each training that had ended is
    given back at once, with the generator as it left it; the one that was stopped goes on.
    """

    def __init__(self, store: CheckpointStore, types: tuple[type, ...], *args: Any) -> None:
        super().__init__(store, (Trainings, *types), *args)
        found = super().resume() or Trainings([], None)
        self._ended, self._present, self._n_given = found.ended, found.present, 0

    def resume(self) -> Any:
        """The next training as it stood; None for one that did not begin."""
        if self._n_given < len(self._ended):
            tree = self._ended[self._n_given]
            self._n_given += 1
        else:
            tree, self._present = self._present, None
        return None if tree is None else self._decoded(tree)

    def save(self, state: Any) -> None:
        """Write where the present training stands."""
        if self._saved_at != self._n_steps:
            super().save(Trainings(self._ended, self.codec.encode(state)))

    def ended(self, state: Any) -> None:
        """Write the present training among those that ended."""
        self._ended.append(self.codec.encode(state))
        self._n_given += 1
        self._n_steps += 1
        super().save(Trainings(self._ended, None))


def packed(values: list[Any]) -> Any:
    """Tensors of one shape as one tensor: one record of the file instead of hundreds."""
    return torch.stack(values) if isinstance(values[0], Tensor) else list(values)


class Hearer(Protocol):
    """What may hear of Ctrl-C in place of Python's own handler."""

    def interrupt(self, number: int, frame: Any) -> None: ...


@contextmanager
def deferred_interrupt(hearer: Hearer) -> Iterator[None]:
    """Let a checkpoint hear of Ctrl-C, which would otherwise stop a step half-way.

    Signals reach the main thread alone, and whoever handles them otherwise goes on to.
    """
    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, hearer.interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@contextmanager
def open_checkpoint(
    engine: Any, model: Any, data: Any, run: Any, kind: type[FileCheckpoint] = FileCheckpoint
) -> Iterator[Checkpoint]:
    """The checkpoint that an engine asks for, if it does, in a `Run`."""
    folder = engine.checkpoint
    if folder is None:
        yield Checkpoint()
        return
    if not run.repeatable:
        raise CheckpointError(
            f"checkpoint={str(folder)!r} needs an integer random_state: with random_state=None "
            "every fit is a new run, and none could go on from its files; set random_state=0"
        )
    with ExitStack() as stack:
        store = stack.enter_context(CheckpointStore(folder, run_key(engine, model, data, run)))
        yield kind(store, engine.state_types, run.training, engine.checkpoint_every)


def run_key(engine: Any, model: Any, data: Any, run: Any) -> str:
    """Hash of all that decides a run's draws."""
    params = engine.get_params(deep=False)
    parts = (model.network, model.prior, model.likelihood, model.unit_scales, model.log_widths)
    return digest(
        type(engine),
        {name: value for name, value in params.items() if name not in CHECKPOINT_CONSTRAINTS},
        parts,
        (data.X, data.y, data.weight),
        (model.like.dtype, model.like.device.type),
        run.training.get_state(),
        run.start,
        run.trained,
        None if run.state is None else run.state.iteration,
    )[:32]
