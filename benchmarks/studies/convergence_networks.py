"""Ergodic error against the step size on the weights of networks: Boston and Vehicle.

    python -m benchmarks.studies.convergence_networks

Franzese et al. (2022): Boston with four layers of 50 rectified units, Vehicle with two,
mini-batches in a fresh permutation every pass. Errors of the average log likelihood, in
posterior standard deviations, against Hamiltonian Monte Carlo, whose accept step leaves no
error of the step. Every average is appended to
results/convergence_networks.csv and not run again while its row is there.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from torch import Tensor

from benchmarks._common import Ledger, limit_threads, parser, revision, table, write
from benchmarks.studies._network_ergodic import TARGETS

#: Steps of each target, two to the power of a half apart, and the time averaged over.
STEPS = {"boston": 0.006 * 0.5 ** (np.arange(6) / 2), "vehicle": 0.02 * 0.5 ** (np.arange(4) / 2)}
TIMES = {"boston": 12.0, "vehicle": 25.0}
N_DRAWS = {"boston": 50, "vehicle": 50}
N_CHAINS = {"boston": 8, "vehicle": 16}
INTEGRATORS = {"leapfrog": 2, "baoab": 2, "milstein_tretyakov": 3}
FIELDS = ("target", "scheme", "step", "seconds", "revision", "averages")
IMAGE = Path(__file__).parents[1] / "docs" / "images" / "convergence_networks.png"
N_RESAMPLED = 500


def pack(values: np.ndarray) -> str:
    """Numbers of all chains as text."""
    return " ".join(f"{value:.6g}" for value in values)


def unpack(ledger: Ledger, *key) -> np.ndarray:
    """Averages (chains,) of a row."""
    return np.array(ledger[key]["averages"].split(), dtype=float)


def run(name: str, ledger: Ledger, shrink: int) -> None:
    """Every average of a target that the ledger lacks."""
    wanted = [(scheme, h) for scheme in INTEGRATORS for h in STEPS[name]]
    missing = [(scheme, h) for scheme, h in wanted if (name, scheme, f"{h:.6f}") not in ledger]
    if not missing:
        return
    target = TARGETS[name]()
    start = exact(name, target, ledger, shrink)
    for scheme, h in missing:
        began = time.process_time()
        found = target.averages(scheme, h, start, TIMES[name] / shrink)
        seconds = f"{time.process_time() - began:.1f}"
        ledger.add(name, scheme, f"{h:.6f}", seconds, revision(), pack(found))


def exact(name: str, target, ledger: Ledger, shrink: int) -> Tensor:
    """Ends of the exact chains; their averages and spread go into the ledger."""
    began = time.process_time()
    values, ends = target.exact(N_CHAINS[name], N_DRAWS[name] // shrink)
    seconds = f"{time.process_time() - began:.1f}"
    for what, numbers in (("exact", values.mean(1)), ("spread", values.std(1))):
        if (name, what, "0") not in ledger:
            ledger.add(name, what, "0", seconds, revision(), pack(numbers))
    return ends


def errors(name: str, scheme: str, ledger: Ledger) -> np.ndarray:
    """Errors (steps, chains) in posterior standard deviations, chain by chain."""
    exact_means = unpack(ledger, name, "exact", "0")
    within = (unpack(ledger, name, "spread", "0") ** 2).mean()
    spread = np.sqrt(within + exact_means.var())
    averages = [unpack(ledger, name, scheme, f"{h:.6f}") for h in STEPS[name]]
    return (np.stack(averages) - exact_means) / spread


def size(found: np.ndarray) -> np.ndarray:
    """Absolute errors (steps,) of the average over chains."""
    return np.abs(found.mean(1))


def noise(found: np.ndarray) -> np.ndarray:
    """Monte Carlo errors (steps,) of the average over chains."""
    return found.std(1, ddof=1) / np.sqrt(found.shape[1])


def slope(name: str, found: np.ndarray) -> float:
    """Least-squares slope of log error against log step."""
    return float(np.polyfit(np.log(STEPS[name]), np.log(size(found)), 1)[0])


def slope_error(name: str, found: np.ndarray) -> float:
    """Standard error of the slope, from chains drawn anew with replacement."""
    rng, n = np.random.default_rng(0), found.shape[1]
    drawn = [slope(name, found[:, rng.integers(n, size=n)]) for _ in range(N_RESAMPLED)]
    return float(np.std(drawn))


def section(name: str, ledger: Ledger) -> list[str]:
    """The table of a target, and what it cost."""
    lines = []
    for scheme in INTEGRATORS:
        found = errors(name, scheme, ledger)
        pairs = zip(size(found), noise(found), strict=True)
        cells = [f"{error:.2f} ± {chance:.2f}" for error, chance in pairs]
        fit = f"{slope(name, found):.2f} ± {slope_error(name, found):.2f}"
        lines.append([f"`{scheme}`", str(INTEGRATORS[scheme]), *cells, fit])
    columns = ["scheme", "order p", *(f"step {h:.4f}" for h in STEPS[name]), "slope"]
    rows = [row for key, row in ledger.rows.items() if key[0] == name and key[1] != "spread"]
    seconds = sum(float(row["seconds"]) for row in rows)
    means = unpack(ledger, name, "exact", "0")
    truth = f"{means.mean():.1f} ± {noise(means[None])[0]:.1f}"
    cost = f"Exact average: {truth} nats. {seconds:.0f} CPU seconds in all."
    return [f"## {name.capitalize()}", table(columns, lines), cost]


def draw(names: list[str], ledger: Ledger) -> None:
    """Errors with two standard errors against steps, and the slopes 1 and 2."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    n = len(names)
    figure, axes = plt.subplots(1, n, figsize=(4.5 * n, 3.6), squeeze=False, layout="constrained")
    for axis, name in zip(axes[0], names, strict=True):
        steps = STEPS[name]
        for index, scheme in enumerate(INTEGRATORS):
            found = errors(name, scheme, ledger)
            label = scheme if name == names[0] else None
            axis.errorbar(steps, size(found), 2 * noise(found), fmt="o-", c=f"C{index}", ms=3, lw=1,
                          label=label)  # fmt: skip
        last = size(errors(name, "leapfrog", ledger))[-1]
        for order, style in ((1, ":"), (2, "--")):
            line = last * (steps / steps[-1]) ** order
            axis.loglog(steps, line, style, c="grey", lw=1)
        axis.set(title=name.capitalize(), xlabel="step", ylabel="error, posterior sd")
        axis.set_xticks(steps, [f"{h:.4f}" for h in steps])
        axis.set_xticks([], minor=True)
    figure.legend(loc="outside lower center", ncols=5, fontsize=8)
    figure.savefig(IMAGE, dpi=110)


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--targets", default="vehicle,boston", help="of vehicle, boston")
    args = options.parse_args()
    limit_threads(args.threads)
    ledger = Ledger("convergence_networks", FIELDS, 3, stored=not args.quick)
    names = args.targets.split(",")
    sections = []
    for name in names:
        run(name, ledger, shrink=25 if args.quick else 1)
        sections += section(name, ledger)
    sections.append(
        "Errors of the average log likelihood of the training rows, in its posterior standard "
        "deviations, with their Monte Carlo errors, from chains that are each compared with an "
        "exact chain of their own. A log likelihood adds up small errors of all weights: a "
        "whole standard deviation of it is a small error of any one. Goal: slope at least "
        "min(p, 2) - 0.25. `euler` is `leapfrog` seen half a drift later and has the same law "
        "of positions."
    )
    write("convergence_networks", "Weak order on network weights", sections, args)
    if not args.quick:
        draw(names, ledger)


if __name__ == "__main__":
    main()
