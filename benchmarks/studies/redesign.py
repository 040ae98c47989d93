"""Seconds of the same fits and predictions in two checkouts, and counts of their code.

    git worktree add ../before 41fe83c
    python -m benchmarks.studies.redesign ../before

One process a checkout answers in turns, so that a machine that slows down slows both. What is
reported is the median of the ratios of CPU seconds, after over before.
"""

from __future__ import annotations

import ast
import json
import os
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks._common import parser, table, write

HERE = Path(__file__).resolve().parents[2]


def jobs() -> dict[str, Callable]:
    """What is timed, by name; the names of parameters are those of either checkout."""
    from inspect import signature

    from skbayes import (
        PPCA,
        BayesianLinearRegression,
        BayesianLogisticRegression,
        BayesianMLPRegressor,
        VAETransformer,
        VariationalGMM,
    )
    from skbayes.inference import HMC, SGHMC, DeepEnsemble, Laplace, MeanFieldVI

    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 13))
    y = np.sin(X[:, 0]) + 0.1 * rng.normal(size=400)
    clusters = rng.normal(size=(2000, 5)) + 3 * (np.arange(2000) < 1000)[:, None]
    pixels = rng.uniform(size=(4000, 64))

    def network(inference, sizes=(50,)):
        return BayesianMLPRegressor(sizes, inference=inference, random_state=0)

    def vae(likelihood, rows):
        if "training" not in signature(VAETransformer.__init__).parameters:  # before
            old = {"hidden_layer_sizes": (100,), "max_iter": 600}
            model = VAETransformer(8, likelihood=likelihood, n_score_samples=2, **old)
        else:
            model = VAETransformer(8, likelihood=likelihood, n_score_samples=2)
            model.set_params(encoder__hidden_layer_sizes=(100,), training__max_iter=600)
        return model.set_params(random_state=0).fit(rows)

    short = {"max_extensions": 0, "evidence": None}
    fixed = Laplace(hyperparameters="fixed", max_iter=300)
    ensemble = DeepEnsemble(hyperparameters="fixed", max_iter=600)
    hmc = HMC(n_samples=60, warmup=60, **short)
    sghmc = SGHMC(n_samples=50, warmup=500, thinning=20, **short)
    vi = MeanFieldVI(max_iter=400, temperature=1.0)
    sampled, normal = network(hmc, (20,)).fit(X, y), network(fixed).fit(X, y)
    mixture, many = VariationalGMM(5, random_state=0).fit(clusters), np.tile(X, (20, 1))
    return {
        "laplace, fit": lambda: network(fixed).fit(X, y),
        "deep_ensemble, fit": lambda: network(ensemble).fit(X, y),
        "mean_field_vi, fit": lambda: network(vi).fit(X, y),
        "hmc, fit": lambda: network(hmc, (20,)).fit(X, y),
        "sghmc, fit": lambda: network(sghmc).fit(X, y),
        "mixture, fit": lambda: VariationalGMM(5, random_state=0).fit(clusters),
        "PPCA, fit": lambda: PPCA().fit(pixels),
        "linear, 20 fits": lambda: [BayesianLinearRegression().fit(X, y) for _ in range(20)],
        "logistic, fit": lambda: BayesianLogisticRegression(random_state=0).fit(X, y > 0),
        "VAE, numbers, fit": lambda: vae("gaussian", pixels),
        "VAE, bits, fit": lambda: vae("bernoulli", (pixels > 0.5) * 1.0),
        "hmc, predict_std": lambda: sampled.predict_std(many),
        "hmc, predict_interval": lambda: sampled.predict_interval(X),
        "laplace, predict_std": lambda: normal.predict_std(many),
        "mixture, score_samples": lambda: mixture.score_samples(np.tile(clusters, (10, 1))),
    }


def answer() -> None:
    """Time the jobs that are named on standard input."""
    warnings.simplefilter("ignore")
    known = jobs()
    print(json.dumps(list(known)), flush=True)
    for line in sys.stdin:
        start = time.process_time()
        known[line.strip()]()
        print(json.dumps(time.process_time() - start), flush=True)


class Checkout:
    """A process that times jobs with the package of a checkout."""

    def __init__(self, path: Path) -> None:
        # The study is this checkout's own, the package that of the path.
        code = (
            f"import sys; sys.path.insert(0, {str(path)!r}); import skbayes; "
            f"sys.path.insert(0, {str(HERE)!r}); "
            "from benchmarks.studies.redesign import answer; answer()"
        )
        self.process = subprocess.Popen(
            [sys.executable, "-c", code],
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.names: list[str] = json.loads(self._ask(""))

    def _ask(self, line: str) -> str:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        if line:
            self.process.stdin.write(f"{line}\n")
            self.process.stdin.flush()
        return self.process.stdout.readline()

    def seconds(self, name: str) -> float:
        """CPU seconds of a job."""
        return json.loads(self._ask(name))


def code_lines(path: Path) -> int:
    """Lines of the package without docstrings, comments and blanks."""
    total = 0
    for file in (path / "skbayes").rglob("*.py"):
        source = file.read_text(encoding="utf-8")
        documented: set[int] = set()
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and node.body:
                first = node.body[0]
                if isinstance(getattr(first, "value", None), ast.Constant):
                    documented |= set(range(first.lineno, first.end_lineno + 1))
        total += sum(
            bool(line.strip()) and not line.strip().startswith("#") and number not in documented
            for number, line in enumerate(source.splitlines(), 1)
        )
    return total


def counts(path: Path) -> dict[str, int]:
    """What the redesign was to make fewer."""
    files = [file for file in (path / "skbayes").rglob("*.py") if file.name != "__init__.py"]
    sources = [file.read_text(encoding="utf-8") for file in files]
    names = [file.name for file in files]
    told = ("predict_std", "sample_posterior", "_new_evidence")
    return {
        "code lines": code_lines(path),
        **{f"methods `{name}`": sum(s.count(f"    def {name}(") for s in sources) for name in told},
        "`type: ignore`": sum(s.count("type: ignore") for s in sources),
        "file names in several rooms": len({n for n in names if names.count(n) > 1}),
    }


def main() -> None:
    made = parser(__doc__)
    made.add_argument("before", type=Path, help="the earlier checkout")
    made.add_argument("--rounds", type=int, default=7)
    args = made.parse_args()
    paths = {"before": args.before.resolve(), "after": HERE}
    checkouts = {name: Checkout(path) for name, path in paths.items()}
    rows = []
    for name in checkouts["after"].names:
        found = []
        for checkout in checkouts.values():
            checkout.seconds(name)
        for number in range(1 if args.quick else args.rounds):
            order = list(checkouts) if number % 2 else list(checkouts)[::-1]
            found.append({key: checkouts[key].seconds(name) for key in order})
        ratios = sorted(each["after"] / each["before"] for each in found)
        before = statistics.median(each["before"] for each in found)
        shown = f"{ratios[0]:.2f} to {ratios[-1]:.2f}"
        rows.append((name, f"{before:.3g}", f"{statistics.median(ratios):.2f}", shown))
        print(rows[-1], flush=True)
    both = {name: counts(path) for name, path in paths.items()}
    sections = [
        table(("job", "before, CPU s", "after / before, median", "range"), rows),
        table(("count", *both), [(key, *(both[k][key] for k in both)) for key in both["after"]]),
    ]
    write("redesign", "Before and after the redesign", sections, args)


if __name__ == "__main__":
    main()
