"""Ergodic error of functions of position against the step size, for every scheme.

    python -m benchmarks.studies.convergence

Two targets: the skewed posterior of one logistic weight, and regression on 256 random
cosines. Three ways with the rows: all of them, mini-batches in a fresh permutation every
pass, and mini-batches drawn with replacement. Nothing is sampled: the stationary laws are
computed (`_ergodic.py`, `_gaussian_law.py`), so that errors have no Monte Carlo noise.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks._common import limit_threads, parser, table, write
from benchmarks.studies._ergodic import Laboratory, SkewedTarget, Step
from benchmarks.studies._gaussian_law import RandomFeatures
from skbayes.inference import SGLD
from skbayes.inference.sgmcmc._integrators import INTEGRATORS, Dynamics, Phase

FRICTION = 1.5
BATCHINGS = {"full": "all rows", "permuted": "permutations", "replaced": "with replacement"}
#: Weak order of each scheme, and its largest step relative to the others'.
ORDERS = {
    "sgld": (1, 0.3),
    "sgld_euler": (1, 0.3),
    "explicit_euler": (1, 0.3),
    "euler": (1, 1.0),
    "leapfrog": (2, 1.0),
    "obabo": (2, 1.0),
    "baoab": (2, 1.0),
    "milstein_tretyakov": (3, 1.0),
}
SHARES = 0.5 ** np.arange(4)
#: Errors below this are rounding: the scheme is exact there.
ROUNDING = 1e-8
IMAGE = Path(__file__).parents[1] / "docs" / "images" / "convergence.png"


def explicit_euler(phase: Phase, dynamics: Dynamics) -> None:
    """Position along the old momentum: what the package's order of moves is compared with."""
    dynamics.evaluate(phase)
    old = phase.momentum.clone()
    dynamics.damped_kick(phase)
    phase.position.addcmul_(old, dynamics.scale, value=dynamics.step_size)


def sgld_euler(phase: Phase, dynamics: Dynamics) -> None:
    """The overdamped step; the momenta that the others carry stay at nothing."""
    SGLD(integrator="euler").advance(phase, dynamics)
    phase.momentum.zero_()


SCHEMES: dict[str, Step] = {
    "sgld": SGLD().advance,
    "sgld_euler": sgld_euler,
    "explicit_euler": explicit_euler,
    **INTEGRATORS,
}


def skewed_errors(name: str, batching: str, laboratory: Laboratory, largest: float = 0.08):
    """Steps and errors of q, q² and q³ (norm, in standard deviations)."""
    steps = largest * ORDERS[name][1] * SHARES
    found = [laboratory.stationary(SCHEMES[name], h, FRICTION, batching) for h in steps]
    return steps, np.linalg.norm(found, axis=1)


def feature_errors(name: str, batching: str, problem: RandomFeatures, largest: float = 0.2):
    """Steps and relative errors of the second moments of function values."""
    unit = 1 / np.sqrt(problem.stiffness)
    if name.startswith("sgld"):
        unit = unit**2
    # The explicit scheme is unstable unless the step is below friction over stiffness.
    steps = largest * unit * SHARES * (0.4 if name == "explicit_euler" else 1.0)
    found = [problem.error(SCHEMES[name], h, FRICTION, batching) for h in steps]
    return steps / unit, np.array(found)


def slope(steps: np.ndarray, errors: np.ndarray) -> float | None:
    """Least-squares slope of the logarithms; None where the scheme is exact."""
    if errors.max() < ROUNDING:
        return None
    return float(np.polyfit(np.log(steps), np.log(errors), 1)[0])


def goal(order: int, batching: str) -> float | None:
    """Slope to reach; nothing is promised with replacement."""
    if batching == "replaced":
        return None
    return (order if batching == "full" else min(order, 2)) - 0.25


def cell(value: float | None, wanted: float | None) -> str:
    if value is None:
        return "exact"
    missed = wanted is not None and value < wanted
    return f"{value:.2f}" + (f" (MISSED {wanted:g})" if missed else "")


def rows_of(curves: dict) -> list[list[str]]:
    """One row a scheme: its order and the slope under each way with the rows."""
    return [
        [f"`{name}`", str(ORDERS[name][0])]
        + [cell(slope(*curves[name, b]), goal(ORDERS[name][0], b)) for b in BATCHINGS]
        for name in SCHEMES
    ]


def draw(panels: dict[str, dict]) -> None:
    """Errors against steps, a row a target, a column a way with the rows."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 3, figsize=(10, 6), sharey="row", layout="constrained")
    for line, (title, curves) in zip(axes, panels.items(), strict=True):
        for axis, (batching, label) in zip(line, BATCHINGS.items(), strict=True):
            for index, name in enumerate(SCHEMES):
                steps, errors = curves[name, batching]
                if errors.max() >= ROUNDING:
                    axis.loglog(steps, errors, "o-", c=f"C{index}", ms=3, lw=1, label=name)
            axis.set_title(f"{title}: {label}", fontsize=9)
            axis.set_xlabel("step")
            axis.xaxis.set_minor_formatter("")
        line[0].set_ylabel("error")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=8,
                  fontsize=8)  # fmt: skip
    figure.savefig(IMAGE, dpi=110)


def main() -> None:
    args = parser(__doc__).parse_args()
    limit_threads(args.threads)
    laboratory = Laboratory(SkewedTarget(np.array([1.5, 2.0, 2.5, 3.0])), degree=12)
    features = RandomFeatures()
    pairs = [(name, batching) for name in SCHEMES for batching in BATCHINGS]
    skewed = {pair: skewed_errors(*pair, laboratory) for pair in pairs}
    cosines = {pair: feature_errors(*pair, features) for pair in pairs}
    columns = ["scheme", "order p", *BATCHINGS.values()]
    note = (
        "Slopes of log error against log step over four steps, each half the one before. "
        "Goals: p - 0.25 on all rows, min(p, 2) - 0.25 on permuted mini-batches. 'exact': "
        "no error above rounding; on a Gaussian leapfrog and BAOAB have the right second "
        "moments of position at any stable step."
    )
    sections = ["## Skewed posterior of one logistic weight", table(columns, rows_of(skewed))]
    sections += ["## 256 random cosines", table(columns, rows_of(cosines)), note]
    write("convergence", "Weak order of the samplers", sections, args)
    if not args.quick:
        draw({"logistic weight": skewed, "random cosines": cosines})


if __name__ == "__main__":
    main()
