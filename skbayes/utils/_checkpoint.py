"""Files from which a long run goes on: all of a state or nothing, and never a wrong one.

A run has a key and in its folder these files:

- ``<key>.<number>.state``: everything but what only grows, the last two of them;
- ``<key>.<number>.draws``: what has grown between two states, written once. Each names
  the hash of the one before, and a state the hash of the last, so that the cost of a
  checkpoint does not depend on how long the run has been;
- ``<key>.lock``: held while a run is under way.

A file is a line that names the format, the SHA-256 of the rest in a second line, and a
``torch.save`` archive of plain containers, which is read without running code from it.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import torch

from skbayes import __version__
from skbayes.exceptions import CheckpointError

try:
    import fcntl
except ImportError:  # Windows has no such lock: there one process a run is up to the caller
    fcntl = None  # type: ignore[assignment]

#: Number of the layout of files; raised when older releases cannot read it.
FORMAT = 1
MAGIC = b"skbayes checkpoint\n"
#: States kept: the newest, and the one before it.
GENERATIONS = 2


class CheckpointStore:
    """The files of one run, as a context that holds the run's lock.

    Parameters
    ----------
    folder : str or path-like
        Made if it is missing; runs with other keys may share it.
    key : str
        What the run is: another key never reads these files.

    Examples
    --------
    >>> import tempfile
    >>> from skbayes.utils._checkpoint import CheckpointStore
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with CheckpointStore(folder, "abc") as store:
    ...         store.save({"step": 1}, [0.5])
    ...         store.save({"step": 2}, [0.25])
    ...         store.load()
    ({'step': 2}, [[0.5], [0.25]])
    """

    def __init__(self, folder: str | os.PathLike, key: str) -> None:
        self.folder, self.key = Path(folder), key
        self._generation, self._n_segments, self._last = 0, 0, ""
        self._lock: IO | None = None

    def __enter__(self) -> CheckpointStore:
        if self.folder.exists() and not self.folder.is_dir():
            raise CheckpointError(
                f"checkpoint={str(self.folder)!r} is a file; name a folder, which is made if "
                "it is missing"
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = open(self.folder / f"{self.key}.lock", "wb")
        if fcntl is not None:
            # Another fit of the same model on the same data: its draws will be ours too.
            with suppress(OSError):  # some network file systems have no locks either
                fcntl.flock(self._lock, fcntl.LOCK_EX)
        for leftover in self.folder.glob(f".{self.key}.*.tmp"):
            leftover.unlink()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._lock is not None:
            self._lock.close()

    def load(self) -> tuple[Any, list[Any]] | None:
        """The newest state and everything that has grown, in order; None at the start.

        Raises
        ------
        CheckpointError
            If a file is missing, damaged, or not this run's; no file is touched.
        """
        paths = self._states()
        if not paths:
            return None
        states = [self._read(path, "state", _number(path))[0] for path in paths]
        newest = states[-1]
        segments, last = [], ""
        for number in range(newest["n_segments"]):
            path = self._path(number, "draws")
            content, own = self._read(path, "draws", number)
            if content["previous"] != last:
                raise refused(path, "does not follow the file of draws before it")
            segments.append(content["value"])
            last = own
        if last != newest["last"]:
            raise refused(paths[-1], "does not belong to the files of draws beside it")
        self._generation, self._n_segments, self._last = newest["number"], len(segments), last
        return newest["value"], segments

    def save(self, state: Any, grown: Any) -> None:
        """Write a state, and what has grown since the last one (None for nothing)."""
        n_segments, last = self._n_segments, self._last
        if grown is not None:
            last = self._write("draws", n_segments, {"previous": last, "value": grown})
            n_segments += 1
        number = self._generation + 1
        self._write("state", number, {"n_segments": n_segments, "last": last, "value": state})
        self._generation, self._n_segments, self._last = number, n_segments, last
        for path in self._states()[:-GENERATIONS]:
            path.unlink()

    def _states(self) -> list[Path]:
        return sorted(self.folder.glob(f"{self.key}.*.state"))

    def _path(self, number: int, kind: str) -> Path:
        return self.folder / f"{self.key}.{number:010d}.{kind}"

    def _write(self, kind: str, number: int, content: dict[str, Any]) -> str:
        """Write a file of this run; returns its hash."""
        header = {"format": FORMAT, "versions": versions(), "key": self.key}
        buffer = BytesIO()
        torch.save({**header, "kind": kind, "number": number, **content}, buffer)
        payload = buffer.getvalue()
        own = hashlib.sha256(payload).hexdigest()
        write_durably(self._path(number, kind), MAGIC + own.encode() + b"\n" + payload)
        return own

    def _read(self, path: Path, kind: str, number: int) -> tuple[dict[str, Any], str]:
        """Contents and hash of a file of this run."""
        content, own = read_verified(path)
        if content["format"] > FORMAT:
            raise refused(path, f"has format {content['format']}, newer than {FORMAT}")
        if (content["key"], content["kind"], content["number"]) != (self.key, kind, number):
            raise refused(path, "belongs to another run: its parameters, data or place differ")
        if content["versions"] != versions():
            raise refused(
                path,
                f"was written by {content['versions']}, whose draws may differ in the last bit "
                f"from those of {versions()}",
            )
        return content, own


def versions() -> dict[str, str]:
    """Releases whose arithmetic the draws depend on."""
    return {"skbayes": __version__, "torch": str(torch.__version__)}


def refused(path: Path, why: str) -> CheckpointError:
    """The error that names a file, what is wrong with it, and what to do."""
    return CheckpointError(
        f"{path} {why}; move it away to go on from the state before it, if there is one, or "
        "set checkpoint= to another folder"
    )


def read_verified(path: Path) -> tuple[dict[str, Any], str]:
    """Contents and SHA-256 of a file written by `CheckpointStore`, checked against it."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError as error:
        raise refused(path, "is missing") from error
    if not raw.startswith(MAGIC):
        raise refused(path, "is damaged, or was not written by skbayes")
    own, _, payload = raw[len(MAGIC) :].partition(b"\n")
    if hashlib.sha256(payload).hexdigest().encode() != own:
        raise refused(path, "is damaged: its SHA-256 is not the one written in it")
    try:
        content = torch.load(BytesIO(payload), weights_only=True)
        content["format"], content["versions"], content["key"], content["kind"], content["number"]
    except Exception as error:
        raise refused(path, f"is damaged, or was not written by skbayes ({error})") from error
    return content, own.decode()


def write_durably(path: Path, content: bytes) -> None:
    """Replace a file by a new one that is on the disk before it takes the name."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(unfinished, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
    if os.name == "posix":  # elsewhere a folder cannot be opened
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _number(path: Path) -> int:
    """The number in a file's name; -1, which no file has, where there is none."""
    middle = path.name.split(".")[-2]
    return int(middle) if middle.isdecimal() else -1
