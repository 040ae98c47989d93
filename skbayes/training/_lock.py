"""A lock that one process at a time holds, by a file beside what it guards."""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO
from weakref import WeakSet

from skbayes.exceptions import CheckpointError, CheckpointWarning
from skbayes.utils._warnings import warn

try:
    import fcntl
except ImportError:  # Windows has no such lock: there one process a run is up to the caller
    fcntl = None  # type: ignore[assignment]

#: Seconds between two looks at a lock, before a wait is told, and after which it ends.
PAUSE, PATIENCE, LONGEST_WAIT = 0.05, 5.0, 3600.0
#: Locks of this process, which its forked children must not hold as well.
_HELD: WeakSet[FileLock] = WeakSet()


class FileLock:
    """Holds a file's lock as a context, and waits for another fit that does.

    Parameters
    ----------
    path : Path
        Made if it is missing, and left behind; it says who holds it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[bytes] | None = None

    @property
    def held(self) -> bool:
        """Whether this process, and not its parent, holds it."""
        return self._file is not None

    def __enter__(self) -> FileLock:
        file = open(self.path, "a+b")
        try:
            self._wait(file)
        except BaseException:
            file.close()
            raise
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}".encode())
        file.flush()
        self._file = file
        _HELD.add(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _wait(self, file: IO[bytes]) -> None:
        """Take the lock when it is free; say so where that takes long, and give up in the end."""
        began, told = time.monotonic(), False
        while not _taken(file):
            waited = time.monotonic() - began
            if waited >= LONGEST_WAIT:
                raise CheckpointError(
                    f"{self._holder(file)} still holds {self.path} after {waited:.0f} s, and is "
                    "at the same run; wait for it to end, or set checkpoint= to another folder"
                )
            if waited >= PATIENCE and not told:
                told = True
                warn(
                    f"{self._holder(file)} holds {self.path} and is at the same run: this fit "
                    f"waits for it, at most {LONGEST_WAIT:.0f} s, to return its draws. Set "
                    "checkpoint= to another folder to run beside it",
                    CheckpointWarning,
                )
            time.sleep(PAUSE)

    def _holder(self, file: IO[bytes]) -> str:
        file.seek(0)
        return file.read().decode(errors="replace") or "another process"


def _taken(file: IO[bytes]) -> bool:
    if fcntl is not None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # some network file systems have no locks either
            pass
    return True


def _let_go() -> None:
    """In a forked child: the locks are its parent's, who would not be rid of them otherwise."""
    for lock in list(_HELD):
        with suppress(OSError):
            lock.__exit__()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)
