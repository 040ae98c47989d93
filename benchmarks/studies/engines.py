"""Engines against our MAP on the scoreboard's sets and on sets of many classes.

    python -m benchmarks.studies.engines                     # writes held-out rows beside the table
    python -m benchmarks.studies.engines --against FILE.npz  # and compares with another commit's

Goals: `laplace` at most .02 nats a row behind `map`, `mc_dropout` and `mean_field_vi` at most
.05; ensembles of many classes with a calibration error of .05 at most.
"""

from __future__ import annotations

import os
import time
import warnings
from functools import cache
from pathlib import Path

import numpy as np
from sklearn.datasets import make_classification

from benchmarks._common import limit_threads, parser, table, write
from benchmarks._models import row_log_loss
from benchmarks.scoreboard import CLASSES, NEEDS_FOLDER, NUMBERS, folds, uci
from skbayes import BayesianMLPClassifier, BayesianMLPRegressor
from skbayes.metrics import expected_calibration_error

ENGINES = ("map", "laplace", "deep_ensemble", "mean_field_vi", "mc_dropout")
GOALS = {"laplace": 0.02, "mean_field_vi": 0.05, "mc_dropout": 0.05}
MOST_ERROR = 0.05


def twenty_six_classes():
    return make_classification(
        4000, 16, n_informative=16, n_redundant=0, n_classes=26, n_clusters_per_class=1,
        class_sep=2.0, random_state=0,
    )  # fmt: skip


MANY = {
    "26 classes": twenty_six_classes,
    "texture": uci("uci_texture", 2000),
    "optdigits": uci("uci_optdigits", 2000),
}
SETS = CLASSES | MANY | NUMBERS


@cache
def rows_of(name: str) -> tuple[np.ndarray, np.ndarray]:
    return SETS[name]()


def held_out(name: str, engine: str, n_folds: int, test_folds: int | None) -> dict[str, np.ndarray]:
    """Loss of each held-out row, seconds of each fit, and probabilities of the classes."""
    X, y = rows_of(name)
    numbers = name in NUMBERS
    kind = BayesianMLPRegressor if numbers else BayesianMLPClassifier
    losses, seconds, p = [], [], []
    tests = folds(X, y, "numbers" if numbers else "classes", n_folds)[:test_folds]
    for seed, test in enumerate(tests):
        start = time.process_time()
        model = kind(inference=engine, random_state=seed).fit(X[~test], y[~test])
        seconds.append(time.process_time() - start)
        if numbers:
            losses.append(-model.log_predictive(X[test], y[test]))
        else:
            losses.append(row_log_loss(model, X[test], y[test]))
            p.append(np.c_[model.predict_proba(X[test]), np.searchsorted(model.classes_, y[test])])
    found = {"loss": np.concatenate(losses), "seconds": np.array(seconds)}
    return found if numbers else found | {"p": np.concatenate(p)}


def paired(one: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Mean of the difference, and its standard error over rows."""
    excess = one - other
    return float(excess.mean()), float(excess.std(ddof=1) / np.sqrt(len(excess)))


def compare_sets(held: dict[str, np.ndarray], names: list[str], engines) -> str:
    rows = []
    for name in names:
        row = [name]
        for engine in engines:
            loss = held[f"{name}/{engine}/loss"]
            if engine == "map":
                row.append(f"{loss.mean():.3f}")
                continue
            mean, se = paired(loss, held[f"{name}/map/loss"])
            missed = mean > GOALS.get(engine, np.inf)
            row.append(f"{mean:+.3f} +- {se:.3f}{' MISSED' if missed else ''}")
        rows.append(row)
    return table(["set", "map", *(f"{e} - map" for e in engines[1:])], rows)


def compare_calibration(held: dict[str, np.ndarray], names: list[str], engines) -> str:
    rows = []
    for name in names:
        for engine in engines:
            p = held[f"{name}/{engine}/p"]
            y, p = p[:, -1].astype(int), p[:, :-1]
            right = p.argmax(1) == y
            error = expected_calibration_error(y, p, labels=np.arange(p.shape[1]))
            late = " MISSED" if engine == "deep_ensemble" and error > MOST_ERROR else ""
            rows.append([name, engine, right.mean(), p.max(1).mean(), f"{error:.3f}{late}"])
    return table(["set", "engine", "accuracy", "confidence", "calibration error"], rows)


def compare_commits(held, before, names: list[str], engines) -> str:
    rows, ratios = [], {engine: [] for engine in engines}
    for name in names:
        row = [name]
        for engine in engines:
            at = f"{name}/{engine}"
            mean, se = paired(held[f"{at}/loss"], before[f"{at}/loss"])
            ratio = np.median(held[f"{at}/seconds"]) / np.median(before[f"{at}/seconds"])
            ratios[engine].append(ratio)
            row.append(f"{mean:+.3f} +- {se:.3f}, {ratio:.2f}")
        rows.append(row)
    rows.append(["median time", *(f"{np.median(ratios[engine]):.2f}" for engine in engines)])
    return table(["loss minus that before, time over that before", *engines], rows)


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--sets", help="comma-separated names, default all")
    made.add_argument("--engines", help="comma-separated names, map among them, default all")
    made.add_argument("--folds", type=int, default=3)
    made.add_argument("--against", type=Path, help="held-out rows of another commit")
    made.add_argument("--rows", type=Path, help="where to write the held-out rows")
    args = made.parse_args()
    limit_threads(args.threads)
    warnings.simplefilter("ignore")
    names = args.sets.split(",") if args.sets else list(SETS)
    if "SKBAYES_DATA" not in os.environ:
        names = [name for name in names if name not in NEEDS_FOLDER | MANY.keys()]
    engines = tuple(args.engines.split(",")) if args.engines else ENGINES
    held = {}
    for name in names:
        for engine in engines:
            found = held_out(name, engine, args.folds, 1 if args.quick else None)
            held |= {f"{name}/{engine}/{key}": value for key, value in found.items()}
            print(name, engine, found["loss"].mean(), found["seconds"], flush=True)
        if args.rows:
            np.savez_compressed(args.rows, **held)
    sections = [compare_sets(held, names, engines)]
    classes = [name for name in names if name not in NUMBERS]
    if classes:
        sections.append(compare_calibration(held, classes, engines))
    if args.against:
        before = dict(np.load(args.against))
        sections.append(
            compare_commits(held, before, [n for n in names if f"{n}/map/loss" in before], engines)
        )
    note = (
        "Held-out log loss (classes) or negative log density in the units of y, "
        f"{args.folds}-fold, raw columns, defaults; differences paired by rows."
    )
    write("engines", "Engines against MAP", [*sections, note], args)


if __name__ == "__main__":
    main()
