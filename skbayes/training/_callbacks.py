"""Callbacks of a training: skorch's, the user's own, and snapshots of what is trained."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from sklearn.base import clone
from skorch.callbacks import (
    BatchScoring,
    Callback,
    Checkpoint,
    EpochScoring,
    InputShapeSetter,
    LoadInitState,
    LRScheduler,
    ParamMapper,
    PassthroughScoring,
    TrainEndCheckpoint,
)
from torch import Tensor
from torch.optim.lr_scheduler import ReduceLROnPlateau

from skbayes.exceptions import IncompatiblePartsError

_SCORES = (
    "scores a module on rows, and networks are trained here as particles without predictions; "
    "use scikit-learn's ScoringMonitor, set by the estimator's set_callbacks"
)
_FILES = "writes or reads a module's files; use the engine's checkpoint="
#: Callbacks of skorch that ask for what there is not, and what to use instead.
REFUSED: dict[type, str] = {
    EpochScoring: _SCORES,
    BatchScoring: _SCORES,
    PassthroughScoring: "averages scores of a module's batches; history has 'train_loss' itself",
    InputShapeSetter: "sets a module's number of inputs, which is the data's already; leave it out",
    Checkpoint: _FILES,
    TrainEndCheckpoint: _FILES,
    LoadInitState: _FILES,
    ParamMapper: "picks parameters by name, and all weights stand in one block; leave it out",
}


class Snapshots(Callback):
    """Keeps what is trained as it stands after every so many steps.

    Parameters
    ----------
    every : int
        Steps from one to the next.
    after : int, default=0
        Steps before the first stretch begins.

    Examples
    --------
    >>> from skbayes.training._callbacks import Snapshots
    >>> Snapshots(every=10).every
    10
    """

    def __init__(self, every: int, after: int = 0) -> None:
        self.every, self.after = every, after

    def on_batch_end(
        self, net: Any, batch: Any = None, training: Any = None, **kwargs: Any
    ) -> None:
        """Keep a copy where one is due."""
        n_steps = net.training.n_steps - self.after
        if n_steps > 0 and n_steps % self.every == 0:
            copies = {name: value.clone() for name, value in net.state().items()}
            net.training.snapshots.append(copies)


def named(callbacks: Iterable[Any] | None) -> list[tuple[str | None, Any]]:
    """Names, where they were given, and callbacks."""
    pairs = (c if isinstance(c, tuple | list) else (None, c) for c in callbacks or ())
    return [(name, callback) for name, callback in pairs]


def fresh(callbacks: Iterable[Any]) -> list[Any]:
    """Copies with the same parameters, for one training."""
    copies = [(name, c() if isinstance(c, type) else clone(c)) for name, c in named(callbacks)]
    return [c if name is None else (name, c) for name, c in copies]


def check_callbacks(callbacks: Any, engine: str, checkpoint: Any = None) -> None:
    """Raise before any work where a callback asks for what a training has not.

    Raises
    ------
    TypeError
        If something is no callback.
    IncompatiblePartsError
        If a callback of skorch needs a module, predictions or a validation split.
    """
    for _, callback in named(callbacks):
        kind = callback if isinstance(callback, type) else type(callback)
        head = f"{engine}(callbacks=[{kind.__name__}(...)])"
        if not issubclass(kind, Callback):
            raise TypeError(
                f"{engine}: callbacks holds {callback!r}, which is no skorch.callbacks.Callback; "
                "derive its class from that"
            )
        for refused, why in REFUSED.items():
            if issubclass(kind, refused):
                raise IncompatiblePartsError(f"{head}: it {why}")
        one = callback() if isinstance(callback, type) else callback
        monitored = getattr(one, "monitor", None)
        if isinstance(monitored, str) and monitored.startswith("valid_"):
            raise IncompatiblePartsError(
                f"{head}: monitor={monitored!r} is of held-out rows, and all rows train the "
                "network; set monitor='train_loss'"
            )
        by_batch = isinstance(one, LRScheduler) and one.step_every == "batch"
        if by_batch and checkpoint is not None and one.policy in (
            ReduceLROnPlateau, "ReduceLROnPlateau",
        ):  # fmt: skip
            raise IncompatiblePartsError(
                f"{head}: a plateau of single steps is on no file; set step_every='epoch', or "
                "checkpoint=None"
            )


def overridden(callback: Any, *methods: str) -> bool:
    """Whether a callback's class has one of these methods of its own."""
    return any(getattr(type(callback), m) is not getattr(Callback, m) for m in methods)


def plain_state(callback: Any) -> dict[str, Any]:
    """A callback's attributes that files can hold: numbers, texts, tensors, containers of them."""
    return {name: value for name, value in vars(callback).items() if _is_plain(value)}


def _is_plain(value: Any) -> bool:
    if value is None or isinstance(value, bool | int | float | str | np.generic | Tensor):
        return True
    if isinstance(value, dict):
        return all(isinstance(k, str) for k in value) and all(map(_is_plain, value.values()))
    return isinstance(value, list | tuple) and _are_plain(value)


def _are_plain(values: Sequence[Any]) -> bool:
    return all(_is_plain(value) for value in values)
