"""Files that are replaced as a whole: the old one until the new one is on the disk."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO


@contextmanager
def replaced(path: str | os.PathLike) -> Iterator[IO[bytes]]:
    """A new file, open for writing and reading, that takes the name in the end.

    Until then it has a name of its own beside it, which nobody can foresee, so that threads,
    processes and machines may write to one path: one of their files stays, whole. It gets the
    mode of the file that it replaces; links are followed to what they name.

    Raises
    ------
    OSError
        As the system says, about ``path``; a file that is there stays as it is.
    """
    target = Path(os.path.realpath(path))
    unfinished = target.with_name(f".{target.name}.{secrets.token_hex(8)}.tmp")
    try:
        # "x" takes no name that exists, a link that somebody has put there included.
        with open(unfinished, "xb+") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileNotFoundError):
            os.chmod(unfinished, target.stat().st_mode & 0o7777)
        os.replace(unfinished, target)
    except OSError as error:
        named = error.filename is not None and Path(error.filename) != unfinished
        if error.errno is not None and not named:
            raise type(error)(error.errno, error.strerror, str(path)) from None
        raise
    finally:
        unfinished.unlink(missing_ok=True)
    _sync(target.parent)


def _sync(folder: Path) -> None:
    """Have the folder's names on the disk, where it can be opened."""
    if os.name != "posix":
        return
    opened = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network file systems cannot
            os.fsync(opened)
    finally:
        os.close(opened)
