"""Files from which a long run goes on: all of a state or nothing, and never a wrong one.

A run has a key and in its folder these files:

- ``<key>.<number>.state``: everything but what only grows, the last two of them;
- ``<key>.<number>.draws``: what has grown between two states, written once. Each names
  the hash of the one before, and a state their numbers and the hash of the last, so that
  the cost of a checkpoint does not depend on how long the run has been;
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
from typing import Any

import torch

from skbayes import __version__
from skbayes.exceptions import CheckpointError, CheckpointWarning
from skbayes.training._lock import FileLock
from skbayes.utils._files import replaced
from skbayes.utils._warnings import warn

#: Number of the layout of files; raised when older releases cannot read it.
FORMAT = 2
MAGIC = b"skbayes checkpoint\n"
#: States kept: the newest, and the one before it.
GENERATIONS = 2
ELSEWHERE = "move the run's files away to begin anew, or set checkpoint= to another folder"


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
    >>> from skbayes.training._checkpoint import CheckpointStore
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with CheckpointStore(folder, "abc") as store:
    ...         store.save({"step": 1}, [0.5])
    ...         store.save({"step": 2}, [0.25])
    ...         store.load()
    ({'step': 2}, [[0.5], [0.25]])
    """

    def __init__(self, folder: str | os.PathLike, key: str) -> None:
        if not os.fspath(folder):
            raise CheckpointError(
                "checkpoint='' names no folder; give one, as in checkpoint='runs' ('.' for the "
                "working folder), or None to keep no files"
            )
        self.folder, self.key = Path(folder), key
        #: Of the newest state: its number, the hash and the numbers of its files of draws.
        self._generation, self._last = 0, ""
        self._segments: list[int] = []
        #: States on file that are older than the next, damaged ones apart.
        self._kept: list[int] = []
        self._first_segment = 0
        #: Another fit of the same model on the same data: its draws will be ours too.
        self._lock = FileLock(self.folder / f"{key}.lock")

    def __enter__(self) -> CheckpointStore:
        if self.folder.exists() and not self.folder.is_dir():
            raise CheckpointError(
                f"checkpoint={str(self.folder)!r} is a file; name a folder, which is made if "
                "it is missing"
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock.__enter__()
        for leftover in self.folder.glob(f".{self.key}.*.tmp"):
            leftover.unlink()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lock.__exit__(kind, error, trace)

    def load(self) -> tuple[Any, list[Any]] | None:
        """The newest sound state and everything that had grown, in order; None at the start.

        Files of a newer state that are damaged stay as they are, and a warning names one.

        Raises
        ------
        CheckpointError
            If no state is sound, or the newest is not this run's; no file is touched.
        """
        paths = self._states()
        errors: list[DamagedError] = []
        while paths:
            try:
                found = self._load(paths[-1])
            except DamagedError as error:
                errors.append(error)
                paths.pop()
                continue
            self._kept = [_number(path) for path in paths]
            self._pass_over(errors)
            return found
        if errors:
            raise errors[0]
        return None

    def _load(self, path: Path) -> tuple[Any, list[Any]]:
        """A state and what had grown by then, all of it verified."""
        state, _ = self._read(path, "state", _number(path))
        segments, last = [], ""
        for number in state["segments"]:
            segment = self._path(number, "draws")
            content, own = self._read(segment, "draws", number)
            if content["previous"] != last:
                raise DamagedError(segment, "does not follow the file of draws before it")
            segments.append(content["value"])
            last = own
        if last != state["last"]:
            raise DamagedError(path, "does not belong to the files of draws beside it")
        self._generation, self._segments, self._last = state["number"], state["segments"], last
        return state["value"], segments

    def _pass_over(self, errors: list[DamagedError]) -> None:
        """Say what is damaged, and keep its names from being taken by new files."""
        self._first_segment = 0
        if not errors:
            return
        self._generation = max(_number(path) for path in self._states())
        drawn = [_number(path) for path in self.folder.glob(f"{self.key}.*.draws")]
        self._first_segment = 1 + max(drawn, default=-1)
        warn(
            f"{errors[0].what}; the run goes on from the state before it, and leaves the file",
            CheckpointWarning,
        )

    def save(self, state: Any, grown: Any) -> None:
        """Write a state, and what has grown since the last one (None for nothing)."""
        if not self._lock.held:
            raise CheckpointError(
                f"the run of {self._lock.path} is the parent's of this forked process, which "
                "cannot go on with it; fit in processes that are not forked in a fit (loky)"
            )
        segments, last = self._segments, self._last
        if grown is not None:
            number = max([self._first_segment, *(n + 1 for n in segments[-1:])])
            last = self._write("draws", number, {"previous": last, "value": grown})
            segments = [*segments, number]
        number = self._generation + 1
        self._write("state", number, {"segments": segments, "last": last, "value": state})
        self._generation, self._segments, self._last = number, segments, last
        self._kept.append(number)
        for number in self._kept[:-GENERATIONS]:
            with suppress(IsADirectoryError):  # not of ours, then
                self._path(number, "state").unlink(missing_ok=True)
        self._kept = self._kept[-GENERATIONS:]

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
        with replaced(self._path(number, kind)) as file:
            file.write(MAGIC + own.encode() + b"\n" + payload)
        return own

    def _read(self, path: Path, kind: str, number: int) -> tuple[dict[str, Any], str]:
        """Contents and hash of a file of this run."""
        content, own = read_verified(path)
        if content["format"] != FORMAT:
            raise refused(path, f"has format {content['format']}, not {FORMAT}")
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


class DamagedError(CheckpointError):
    """A file is missing or not what was written; the state before it may be sound."""

    def __init__(self, path: Path, why: str) -> None:
        self.what = f"{path} {why}"
        super().__init__(f"{self.what}, and no state before it is sound; {ELSEWHERE}")


def refused(path: Path, why: str) -> CheckpointError:
    """The error that names another run's file, why it is one, and what to do."""
    return CheckpointError(f"{path} {why}; {ELSEWHERE}")


def read_verified(path: Path) -> tuple[dict[str, Any], str]:
    """Contents and SHA-256 of a file written by `CheckpointStore`, checked against it."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError as error:
        raise DamagedError(path, "is missing") from error
    except IsADirectoryError as error:
        raise DamagedError(path, "is a folder, where a file was written") from error
    if not raw.startswith(MAGIC):
        raise DamagedError(path, "is damaged, or was not written by skbayes")
    own, _, payload = raw[len(MAGIC) :].partition(b"\n")
    if hashlib.sha256(payload).hexdigest().encode() != own:
        raise DamagedError(path, "is damaged: its SHA-256 is not the one written in it")
    try:
        content = torch.load(BytesIO(payload), weights_only=True)
        content["format"], content["versions"], content["key"], content["kind"], content["number"]
    except Exception as error:
        raise DamagedError(path, f"is damaged, or was not written by skbayes ({error})") from error
    return content, own.decode()


def _number(path: Path) -> int:
    """The number in a file's name; -1, which no file has, where there is none."""
    middle = path.name.split(".")[-2]
    return int(middle) if middle.isdecimal() else -1
