"""Defaults on small sets against our own MAP and against natural peers.

    python -m benchmarks.scoreboard              # bundled sets and those of SKBAYES_DATA
    python -m benchmarks.scoreboard --bundled    # without SKBAYES_DATA
    python -m benchmarks.scoreboard --further    # 600 rows of ten sets that no network was set by

The gate: never worse than our own MAP on held-out log loss, and 90% intervals that cover
within 5 points. tests/test_scoreboard.py holds the quick sets to it.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn import datasets
from sklearn.model_selection import KFold, StratifiedKFold

from benchmarks._common import limit_threads, load, parser, table, write
from benchmarks._models import (
    REGRESSORS,
    Ours,
    make_classifiers,
    row_log_loss,
)
from skbayes import BayesianMLPClassifier

Dataset = tuple[np.ndarray, np.ndarray]


def bundled(name: str) -> Callable[[], Dataset]:
    return lambda: getattr(datasets, f"load_{name}")(return_X_y=True)


def uci(name: str, n_rows: int | None = None) -> Callable[[], Dataset]:
    """Reader of all rows, or of so many at random."""

    def read() -> Dataset:
        arrays = load(name)
        rows = np.random.default_rng(0).permutation(len(arrays["y"]))[:n_rows] if n_rows else ...
        return arrays["X"][rows].astype(np.float64), arrays["y"].ravel()[rows]

    return read


CLASSES: dict[str, Callable[[], Dataset]] = {
    "iris": bundled("iris"),
    "wine cultivars": bundled("wine"),
    "breast cancer": bundled("breast_cancer"),
    "digits": bundled("digits"),
    "moons": lambda: datasets.make_moons(400, noise=0.3, random_state=0),
    "vehicle": uci("uci_vehicle"),
    "german credit": uci("german_credit"),
}
NUMBERS: dict[str, Callable[[], Dataset]] = {
    "diabetes": bundled("diabetes"),
    "friedman1": lambda: datasets.make_friedman1(300, noise=1.0, random_state=0),
    "boston": uci("uci_boston"),
    "yacht": uci("uci_yacht"),
    "wine quality": uci("uci_wine"),
}
FURTHER_CLASSES = {
    name: uci(f"uci_{name}", 600)
    for name in ("segment", "satimage", "spambase", "eeg", "htru2", "penbased", "texture")
}
FURTHER_NUMBERS = {name: uci(f"uci_{name}", 600) for name in ("naval", "power", "protein")}
ALL_CLASSES, ALL_NUMBERS = CLASSES | FURTHER_CLASSES, NUMBERS | FURTHER_NUMBERS
NEEDS_FOLDER = {"vehicle", "german credit", "boston", "yacht", "wine quality"}
NEEDS_FOLDER |= FURTHER_CLASSES.keys() | FURTHER_NUMBERS.keys()


def folds(X: np.ndarray, y: np.ndarray, kind: str, n_folds: int) -> list[np.ndarray]:
    """Row masks of the test folds."""
    splitter = StratifiedKFold if kind == "classes" else KFold
    splits = splitter(n_folds, shuffle=True, random_state=0).split(X, y)
    return [np.isin(np.arange(len(y)), test) for _, test in splits]


class Held:
    """What one model says of the held-out rows of all folds, row by row."""

    def __init__(self) -> None:
        self.losses: list[np.ndarray] = []
        self.covered: list[np.ndarray] = []
        self.seconds: list[float] = []

    @property
    def loss(self) -> np.ndarray:
        return np.concatenate(self.losses)

    @property
    def coverage(self) -> float:
        return float(np.concatenate(self.covered).mean()) if self.covered else float("nan")


def evaluate_classifier(model: Any, X, y, tests: list[np.ndarray]) -> Held:
    held = Held()
    for test in tests:
        start = time.process_time()
        model.fit(X[~test], y[~test])
        held.seconds.append(time.process_time() - start)
        held.losses.append(row_log_loss(model, X[test], y[test]))
    return held


def evaluate_regressor(model: Any, X, y, tests: list[np.ndarray]) -> Held:
    held = Held()
    for seed, test in enumerate(tests):
        start = time.process_time()
        found = model(X[~test], y[~test], X[test], y[test], seed)
        held.seconds.append(getattr(model, "fitted_at", time.process_time()) - start)
        low, high = found.interval.T
        held.covered.append((low <= y[test]) & (y[test] <= high))
        if found.log_density is not None:
            held.losses.append(-found.log_density)
    return held


def compare(name: str, n_folds: int, peers: bool, test_folds: int | None = None) -> dict[str, Held]:
    """The default, our MAP and, on request, the peers of one set, on the same folds."""
    kind = "classes" if name in ALL_CLASSES else "numbers"
    X, y = (ALL_CLASSES | ALL_NUMBERS)[name]()
    tests = folds(X, y, kind, n_folds)[:test_folds]
    found = {}
    for label, inference in (("default", "auto"), ("MAP", "map")):
        if kind == "classes":
            model = BayesianMLPClassifier(inference=inference, random_state=0)
            found[label] = evaluate_classifier(model, X, y, tests)
        else:
            found[label] = evaluate_regressor(Ours(inference=inference), X, y, tests)
    if peers and kind == "classes":
        for label, model in make_classifiers().items():
            found[label] = evaluate_classifier(model, X, y, tests)
    elif peers:
        for label, model in REGRESSORS.items():
            found[label] = evaluate_regressor(model, X, y, tests)
    return found


def worse_than_map(found: dict[str, Held]) -> tuple[float, float]:
    """Mean excess of the default's loss over MAP's, and its standard error over rows."""
    excess = found["default"].loss - found["MAP"].loss
    return float(excess.mean()), float(excess.std(ddof=1) / np.sqrt(len(excess)))


def row(name: str, found: dict[str, Held]) -> list:
    excess, se = worse_than_map(found)
    peers = {k: v for k, v in found.items() if k not in ("default", "MAP") and v.losses}
    best = min(peers, key=lambda k: peers[k].loss.mean())
    coverage = found["default"].coverage
    covers = "-" if np.isnan(coverage) else "yes" if abs(coverage - 0.9) <= 0.05 else "NO"
    return [
        name,
        f"{found['default'].loss.mean():.3f}",
        f"{found['MAP'].loss.mean():.3f}",
        f"{excess:+.3f} +- {se:.3f}",
        "yes" if excess <= 0 else "NO",
        coverage,
        covers,
        f"{best} {peers[best].loss.mean():.3f}",
        "won" if found["default"].loss.mean() <= peers[best].loss.mean() else "LOST",
        float(np.mean(found["default"].seconds)),
    ]


COLUMNS = [
    "set",
    "default, log loss",
    "our MAP",
    "default - MAP",
    "no worse than MAP",
    "coverage of 90%",
    "within 5 points",
    "best peer",
    "against it",
    "fit, CPU s",
]


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--bundled", action="store_true", help="only sets that need no folder")
    made.add_argument("--further", action="store_true", help="the sets kept for this")
    made.add_argument("--sets", help="comma-separated names, default all")
    made.add_argument("--folds", type=int, default=5)
    args = made.parse_args()
    limit_threads(args.threads)
    warnings.simplefilter("ignore")
    all_names = [*FURTHER_CLASSES, *FURTHER_NUMBERS] if args.further else [*CLASSES, *NUMBERS]
    names = args.sets.split(",") if args.sets else all_names
    if args.bundled or "SKBAYES_DATA" not in os.environ:
        names = [name for name in names if name not in NEEDS_FOLDER]
    test_folds = 1 if args.quick else None
    rows = []
    for name in names:
        rows.append(row(name, compare(name, args.folds, peers=True, test_folds=test_folds)))
        print(*rows[-1], flush=True)
    note = (
        "Held-out log loss (classes) or negative log predictive density in the units of y, "
        f"{args.folds}-fold, raw columns, all parameters at their defaults. The excess over MAP "
        "is paired by rows. The best peer is the better one in hindsight of "
        f"{', '.join(make_classifiers())} (classes) or "
        f"{', '.join(n for n in REGRESSORS if n != 'HistGB quantiles')} (numbers)."
    )
    file = "scoreboard_further" if args.further else "scoreboard"
    write(file, "Scoreboard of defaults", [table(COLUMNS, rows), note], args)


if __name__ == "__main__":
    main()
