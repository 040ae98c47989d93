"""One thread for small work, for a second costs more than it gives, and in forked processes.

A child of `os.fork` has none of the threads that its parent had started, and waits for them
forever where it wants them again.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from types import FunctionType
from typing import Any, TypeVar, cast

from skbayes.utils._sklearn import AvailableIf, thread_pools

__all__ = ["SMALL_TILE", "SMALL_WORK", "LimitsThreads", "limit_sklearn", "limit_threads", "limited"]

#: Below this many multiply-adds a step, a second thread costs more than it gives.
SMALL_WORK = 5e7
#: The same of a tile of rows to predict: products without gradients are done sooner.
SMALL_TILE = 5e8

Function = TypeVar("Function", bound=Callable[..., Any])


class _Own(threading.local):
    """What torch was told in one Python thread."""

    #: Threads that the caller wants, while a limit stands.
    wanted: int | None = None
    #: Whether a limit ever stood.
    known = False


_OWN = _Own()
#: What the callers in all Python threads want whose limits stand.
_STANDING: list[int] = []
#: Held while scikit-learn has changed the threads of the process.
_SKLEARN = threading.RLock()
_forked = False


def _after_fork() -> None:
    global _forked
    _forked = True
    _SKLEARN.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_SKLEARN.acquire, after_in_parent=_SKLEARN.release, after_in_child=_after_fork
    )


@contextmanager
def limit_threads(work: float = 0.0, small: float = SMALL_WORK) -> Iterator[None]:
    """Use one intra-op thread for small work, and as many as the caller for large work.

    Limits may be nested. Counts are those of the Python thread that calls, and are put back
    when its outermost limit ends; torch is not imported for their sake. A forked process
    has one thread for all work.

    Parameters
    ----------
    work : float, default=0.0
        Multiply-adds of one step.
    small : float, default=SMALL_WORK
        The most that are small.
    """
    torch: Any = sys.modules.get("torch")
    if not hasattr(torch, "set_num_threads"):  # not loaded, or not yet
        yield
        return
    before, outermost = torch.get_num_threads(), _OWN.wanted is None
    if outermost:
        before = _wanted(before)
    try:  # Ctrl-C may come as soon as anything is set
        if outermost:
            _OWN.wanted = before
            _STANDING.append(before)
        _set(torch, 1 if work <= small or _forked else _OWN.wanted)
        yield
    finally:
        _set(torch, before)
        if outermost:
            _OWN.wanted = None
            with suppress(ValueError):
                _STANDING.remove(before)


def _wanted(count: int) -> int:
    """The count that the caller wants, where torch has this one.

    torch gives a new Python thread the count that was set last, were it by a limit that
    stands in another one.
    """
    known, _OWN.known = _OWN.known, True
    return count if known or count > 1 else max(tuple(_STANDING), default=count)


def _set(torch: Any, count: int | None) -> None:
    if torch.get_num_threads() != count:
        torch.set_num_threads(count)


@contextmanager
def limit_sklearn() -> Iterator[None]:
    """Let scikit-learn's compiled loops use one thread, in one Python thread at a time.

    Some of them hold the process's BLAS to one thread meanwhile. Two at a time would put
    back each other's count, and leave the process with one thread for good.
    """
    with _SKLEARN, thread_pools().limit(limits=1, user_api="openmp"):
        yield


def limited(function: Function) -> Function:
    """Run a function under `limit_threads`, but for the large work that it finds."""

    @wraps(function)
    def under_limit(*args: Any, **kwargs: Any) -> Any:
        with limit_threads():
            return function(*args, **kwargs)

    return cast(Function, under_limit)


class LimitsThreads:
    """Base of estimators: their public methods, and those of subclasses, are `limited`."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name, member in list(vars(cls).items()):
            if name.startswith("_"):
                continue
            if isinstance(member, FunctionType):
                setattr(cls, name, limited(member))
            elif isinstance(member, AvailableIf):
                member.fn = limited(member.fn)
