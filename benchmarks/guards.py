"""Run every guard in its quick form, and say which ended well and in how many seconds.

    python -m benchmarks.guards                  # all
    python -m benchmarks.guards mixture laplace  # some
    python -m benchmarks.guards --jobs 2         # two at a time: seconds are then no measure

A guard is a benchmark that is run again before a release: it holds speed or quality against a
peer, a loop or our own MAP. Its whole form is run by its own module; the studies, which decided
something once, are in benchmarks/studies with their results.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec

from benchmarks._common import HERE, table

#: Arguments of each guard's quick runs, and packages of peers that it cannot run without.
GUARDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "defaults": (("--quick",), ()),
    "scoreboard": (("--quick", "--bundled"), ()),
    "sampling_speed": (("--quick",), ()),
    "mixture": (("--quick",), ()),
    "vae": (("speed", "--quick"), ()),
    "particles": (("--quick",), ()),
    "modules": (("--quick",), ()),
    "prediction": (("--quick",), ()),
    "laplace": (("--quick",), ("laplace",)),
    "training_loop": (("--quick",), ()),
    "linear_models": (("--quick",), ()),
}


def run(name: str) -> tuple[str, str, float]:
    """Run a guard; returns its name, what became of it and its seconds."""
    arguments, peers = GUARDS[name]
    missing = [peer for peer in peers if find_spec(peer) is None]
    if missing:
        return name, f"left out: needs {', '.join(missing)}", 0.0
    command = [sys.executable, "-m", f"benchmarks.{name}", *arguments]
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, cwd=HERE.parent, check=False)
    seconds = time.perf_counter() - start
    print(f"\n===== {name}\n{done.stdout}", flush=True)
    if "set the environment variable SKBAYES_DATA" in done.stderr:
        return name, "left out: reads SKBAYES_DATA", seconds
    if done.returncode:
        print(done.stderr, file=sys.stderr, flush=True)
        return name, "FAILED", seconds
    missed = done.stdout.count("MISSED")
    return name, f"{missed} goals missed" if missed else "passed", seconds


def main() -> None:
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    made.add_argument("names", nargs="*", metavar="guard", help=f"of {', '.join(GUARDS)}")
    made.add_argument("--jobs", type=int, default=1, help="guards at a time (default 1)")
    args = made.parse_args()
    unknown = set(args.names) - GUARDS.keys()
    if unknown:
        made.error(
            f"no guard is called {', '.join(sorted(unknown))}; there are {', '.join(GUARDS)}"
        )
    with ThreadPoolExecutor(args.jobs) as pool:
        rows = list(pool.map(run, args.names or GUARDS))
    print(table(("guard", "quick form", "seconds"), rows))
    sys.exit(any(state == "FAILED" for _, state, _ in rows))


if __name__ == "__main__":
    main()
