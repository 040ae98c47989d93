"""One process at a time holds a lock; who waits says so, and a forked child holds none."""

import multiprocessing
import os
import subprocess
import sys

import pytest

from skbayes.exceptions import CheckpointError, CheckpointWarning
from skbayes.training import _lock
from skbayes.training._checkpoint import CheckpointStore
from skbayes.training._lock import FileLock

pytestmark = pytest.mark.skipif(os.name != "posix", reason="locks")

#: Holds a lock until its input ends.
HOLDER = """
import sys
from pathlib import Path
from skbayes.training._lock import FileLock
with FileLock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds a lock, and the lock's path."""
    path = tmp_path / "run.lock"
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        yield process, path
        process.stdin.close()


def test_who_waits_says_for_whom_and_goes_on(holder, monkeypatch):
    process, path = holder
    monkeypatch.setattr(_lock, "PATIENCE", 0.0)
    monkeypatch.setattr(_lock.time, "sleep", lambda pause: process.stdin.close())
    told = rf"process {process.pid} on \S+ holds {path} .*at most 3600 s.*checkpoint="
    with pytest.warns(CheckpointWarning, match=told) as caught, FileLock(path) as lock:
        assert lock.held
    assert len(caught) == 1
    assert str(os.getpid()) in path.read_text()


def test_a_wait_ends(holder, monkeypatch):
    process, path = holder
    monkeypatch.setattr(_lock, "LONGEST_WAIT", 0.01)
    message = rf"process {process.pid} on \S+ still holds {path} after .*set checkpoint="
    with pytest.raises(CheckpointError, match=message), FileLock(path):
        pass


def test_a_free_lock_is_taken_in_silence(tmp_path):
    for _ in range(2):
        with FileLock(tmp_path / "run.lock"):
            pass


def test_where_there_are_no_locks_nobody_waits(tmp_path, monkeypatch):
    def refuse(*args):
        raise OSError("no locks available")

    monkeypatch.setattr(_lock.fcntl, "flock", refuse)
    with FileLock(tmp_path / "run.lock") as lock:
        assert lock.held


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_does_not_hold_its_parents_lock(tmp_path, monkeypatch):
    monkeypatch.setattr(_lock, "LONGEST_WAIT", 0.01)
    context = multiprocessing.get_context("fork")
    leave, told = context.Event(), context.SimpleQueue()

    def child():
        try:
            store.save({}, None)
        except CheckpointError as error:
            told.put(str(error))
        leave.wait(30)

    with CheckpointStore(tmp_path, "run") as store:
        process = context.Process(target=child)
        process.start()
        assert "is the parent's of this forked process" in told.get()
        with pytest.raises(CheckpointError, match="still holds"), FileLock(tmp_path / "run.lock"):
            pass
    # The child lives on, and keeps nobody waiting.
    with FileLock(tmp_path / "run.lock"):
        leave.set()
    process.join()
    assert not list(tmp_path.glob("*.state"))
