"""The frame of every benchmark: where it ran, peers timed in turns, tables, goals, data."""

from __future__ import annotations

import argparse
import csv
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

HERE, SCRIPT = Path(__file__).resolve().parent, Path(sys.argv[0]).resolve()
#: Beside the script that runs: a study's results stay with it.
RESULTS = (SCRIPT.parent if SCRIPT.is_relative_to(HERE) else HERE) / "results"
PACKAGES = ("skbayes", "torch", "scikit-learn", "numpy", "scipy", "skorch")


def parser(doc: str | None) -> argparse.ArgumentParser:
    """An argument parser with the options that all benchmarks take."""
    made = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawTextHelpFormatter)
    made.add_argument("--quick", action="store_true", help="a smoke run; writes no result file")
    made.add_argument("--threads", type=int, default=1, help="intra-op threads (default 1)")
    return made


def limit_threads(n_threads: int) -> None:
    """Set torch's and the BLAS libraries' threads for this process."""
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(n_threads)
    threadpool_limits(n_threads)


def header(extra: Sequence[str] = ()) -> str:
    """Command, date, machine and versions, as markdown lines."""
    module = ".".join(SCRIPT.relative_to(HERE.parent).with_suffix("").parts)
    command = " ".join(["python -m", module, *sys.argv[1:]])
    installed = ", ".join(f"{name} {_version(name)}" for name in (*PACKAGES, *extra))
    lines = (
        f"- command: `{command}`",
        f"- date: {datetime.now(UTC):%Y-%m-%d}, revision {revision()}",
        f"- machine: {_processor()}, {os.cpu_count()} cores, {platform.system()}",
        f"- versions: Python {platform.python_version()}, {installed}",
    )
    return "\n".join(lines)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


def revision() -> str:
    """Short hash of the checked-out commit, starred if the package differs from it."""
    root = Path(__file__).parents[1]

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False
        ).stdout.strip()

    changed = "*" if git("status", "--porcelain", "--", "skbayes") else ""
    return (git("rev-parse", "--short", "HEAD") or "unknown") + changed


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def interleaved(
    variants: dict[str, Callable[[], Any]], rounds: int = 7, budget: float = 0.2
) -> dict[str, float]:
    """Median process-CPU seconds a call of each variant.

    The variants take turns in every round, so that whatever else the machine does falls
    on all of them alike; a fast variant is repeated until it fills ``budget`` seconds.
    """
    repeats = {}
    for name, call in variants.items():
        call()
        start = time.process_time()
        call()
        once = max(time.process_time() - start, 1e-6)
        repeats[name] = max(1, int(budget / once))
    taken: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(rounds):
        for name, call in variants.items():
            start = time.process_time()
            for _ in range(repeats[name]):
                call()
            taken[name].append((time.process_time() - start) / repeats[name])
    return {name: float(np.median(times)) for name, times in taken.items()}


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A markdown table; numbers are written with three significant digits."""
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(_cell(value) for value in row) + " |" for row in rows]
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and not np.isfinite(value)):
        return "-"
    if not isinstance(value, float | np.floating):
        return str(value)
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:#.3g}".rstrip(".")


def verdict(value: float, goal: float, at_most: bool = False) -> str:
    """Say whether a goal was met."""
    met = value <= goal if at_most else value >= goal
    return f"{'<=' if at_most else '>='} {goal:g}: {'met' if met else 'MISSED'}"


def write(name: str, title: str, sections: Sequence[str], args: Any, extra=()) -> None:
    """Print a report and, unless it was a quick run, store it in results/."""
    text = "\n\n".join([f"# {title}", header(extra), *sections]) + "\n"
    print(text)
    if not args.quick:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{name}.md").write_text(text)


class Ledger:
    """Rows of results/<name>.csv, appended as they come: an interrupted run goes on.

    Parameters
    ----------
    name : str
        Name of the file, without its ending.
    fields : sequence of str
        Columns; the first ``n_keys`` tell rows apart.
    n_keys : int
    stored : bool, default=True
        Whether there is a file; a smoke run has none.
    """

    def __init__(self, name: str, fields: Sequence[str], n_keys: int, stored: bool = True) -> None:
        self.path = RESULTS / f"{name}.csv" if stored else None
        self.fields, self.n_keys = list(fields), n_keys
        self.rows: dict[tuple[str, ...], dict[str, str]] = {}
        if self.path is not None and self.path.exists():
            with self.path.open(newline="") as lines:
                for row in csv.DictReader(lines):
                    self.rows[self._key(row.values())] = row

    def _key(self, values) -> tuple[str, ...]:
        return tuple(str(value) for value in values)[: self.n_keys]

    def __contains__(self, key: Sequence[Any]) -> bool:
        return self._key(key) in self.rows

    def __getitem__(self, key: Sequence[Any]) -> dict[str, str]:
        return self.rows[self._key(key)]

    def add(self, *values: Any) -> None:
        """Print a row and append it to the file."""
        row = {name: str(value) for name, value in zip(self.fields, values, strict=True)}
        self.rows[self._key(values)] = row
        print(*row.values(), flush=True)
        if self.path is None:
            return
        new = not self.path.exists()
        with self.path.open("a", newline="") as lines:
            writer = csv.DictWriter(lines, self.fields, lineterminator="\n")
            if new:
                writer.writeheader()
            writer.writerow(row)


def load(name: str) -> dict[str, np.ndarray]:
    """Arrays of one file of the folder that ``SKBAYES_DATA`` names."""
    folder = os.environ.get("SKBAYES_DATA")
    if folder is None:
        raise SystemExit(
            "this benchmark reads UCI data: set the environment variable SKBAYES_DATA to the "
            "folder that holds the .npz files (benchmarks/README.md lists them)"
        )
    with np.load(Path(folder) / f"{name}.npz", allow_pickle=False) as archive:
        return dict(archive)
