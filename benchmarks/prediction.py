"""Prediction with 100 posterior draws against 100 scikit-learn MLP forward passes.

    python -m benchmarks.prediction

Then the growth of resident memory while a million rows are predicted, in a process of
its own. ``predict_proba`` of ours gives means over all draws; scikit-learn's is called
100 times.
"""

from __future__ import annotations

import ctypes
import resource
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
from sklearn.datasets import make_classification
from sklearn.neural_network import MLPClassifier

from benchmarks._common import interleaved, limit_threads, parser, table, verdict, write
from skbayes import BayesianMLPClassifier, BayesianMLPRegressor
from skbayes.inference import HMC

N_DRAWS, GOAL = 100, 0.4
SHAPES = [(13, (50, 50), 2), (20, (100,), 10)]
MIB = 2**20


def training_set(n_features: int, n_classes: int) -> tuple[np.ndarray, np.ndarray]:
    return make_classification(
        300, n_features, n_informative=8, n_classes=n_classes, random_state=0
    )


def ours(hidden: tuple[int, ...], activation: str, n_classes: int) -> BayesianMLPClassifier:
    """A classifier that keeps 100 draws; how good they are does not matter here."""
    engine = HMC(n_samples=N_DRAWS // 4, n_chains=4, warmup=10, max_extensions=0, evidence=None)
    return BayesianMLPClassifier(
        hidden,
        activation,
        likelihood="categorical",
        inference=engine,
        n_predictive_samples=N_DRAWS,
        random_state=0,
    )


def measure(n_features, hidden, n_classes, activation: str, n_rows: int, rounds: int) -> list:
    X, y = training_set(n_features, n_classes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # neither is run to convergence
        bayes = ours(hidden, activation, n_classes).fit(X, y)
        point = MLPClassifier(hidden, activation=activation, max_iter=5).fit(X, y)
        single = MLPClassifier(hidden, activation=activation, max_iter=5)
        single.fit(X.astype(np.float32), y)
    assert len(bayes.posterior_.particles.reshape(-1, bayes.posterior_.particles.shape[-1])) == 100
    rows = np.random.default_rng(1).standard_normal((n_rows, n_features))
    rows32 = rows.astype(np.float32)
    seconds = interleaved(
        {
            "ours": lambda: bayes.predict_proba(rows),
            "double": lambda: [point.predict_proba(rows) for _ in range(N_DRAWS)],
            "single": lambda: [single.predict_proba(rows32) for _ in range(N_DRAWS)],
        },
        rounds,
    )
    shape = "-".join(map(str, (n_features, *hidden, n_classes)))
    ratio = seconds["ours"] / seconds["double"]
    row = [shape, activation, seconds["ours"], seconds["double"], ratio]
    return [*row, seconds["ours"] / seconds["single"], verdict(ratio, GOAL, at_most=True)]


# --- memory ---------------------------------------------------------------------------


def resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / MIB


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def memory_child(verb: str, n_rows: int, budget: float) -> None:
    """Print peak growth of resident memory during one prediction, less its result."""
    limit_threads(1)
    rows = np.random.default_rng(0).random((n_rows, 13), dtype=np.float64)
    X, y = rows[:300] - 0.5, rows[:300].sum(1)
    if verb == "predict_proba":
        model = ours((50, 50), "tanh", 2)
        y = (y > y.mean()).astype(int)
    else:
        model = BayesianMLPRegressor((50, 50), inference=ours((), "tanh", 2).inference)
        model.set_params(n_predictive_samples=N_DRAWS, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.set_params(memory_budget=budget).fit(X, y)
    # What the fit has freed must not stand in for what the prediction takes.
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    before = resident_mib()
    result = getattr(model, verb)(rows)
    print(peak_mib() - before - result.nbytes / MIB)


def memory(verb: str, n_rows: int, budget: float) -> list:
    child = [sys.executable, "-m", "benchmarks.prediction"]
    child += ["--memory-child", verb, "--rows", str(n_rows), "--budget", str(budget)]
    output = subprocess.run(child, capture_output=True, text=True, check=True).stdout
    growth = float(output)
    return [verb, n_rows, budget, growth, verdict(growth, budget, at_most=True)]


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--rounds", type=int, default=5)
    made.add_argument("--rows", type=int, default=10_000)
    made.add_argument("--memory-rows", type=int, default=1_000_000)
    made.add_argument("--budget", type=float, default=256.0, help="memory_budget in MiB")
    made.add_argument("--memory-child", metavar="VERB", help="(internal) measure one verb")
    args = made.parse_args()
    if args.memory_child:
        memory_child(args.memory_child, args.rows, args.budget)
        return
    limit_threads(args.threads)
    rounds = 2 if args.quick else args.rounds
    rows = [
        measure(*shape, activation, args.rows, rounds)
        for shape in SHAPES
        for activation in ("relu", "tanh")
    ]
    columns = ["network", "activation", "ours, s", "100 x scikit-learn, s", "ratio"]
    speed = table([*columns, "ratio to scikit-learn in float32", "goal"], rows)
    n_rows = 50_000 if args.quick else args.memory_rows
    verbs = ("predict_proba",) if args.quick else ("predict_proba", "predict", "predict_interval")
    grown = [memory(verb, n_rows, args.budget) for verb in verbs]
    columns = ["verb", "rows", "memory budget, MiB", "peak growth, MiB", "within the budget"]
    notes = (
        f"{args.rows} rows, {N_DRAWS} draws, one thread, CPU time. Both get float64 rows; the "
        "last ratio gives scikit-learn a float32 model and rows.",
        "Memory: highest resident size during the call less the resident size before it and "
        "less the result, 13-50-50 network, 100 draws, in a process of its own.",
    )
    sections = [speed, notes[0], table(columns, grown), notes[1]]
    write("prediction", "Prediction", sections, args)


if __name__ == "__main__":
    main()
