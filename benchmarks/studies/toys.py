"""The toys of tests/toys.py: every engine against a network, a Gaussian process and our hmc.

    python -m benchmarks.studies.toys            # five seeds; goes on from results/toys.csv
    python -m benchmarks.studies.toys --pruning  # where mean_field_vi prefers a flat line
    python -m benchmarks.studies.toys --scales   # learned scales of laplace against six fixed ones

Goals: `map`, `laplace` and `deep_ensemble` at most .03 of R2 or accuracy behind the best of the
references, averaged over seeds; `mean_field_vi` too, with 8 units up to 100 rows, with 50 from
1,000; `mc_dropout` at most .1; the function in a gap covered by 90% intervals in .8 of places.
"""

from __future__ import annotations

import time
import warnings

import numpy as np
import torch
from sklearn.base import clone
from sklearn.gaussian_process import GaussianProcessClassifier, GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, WhiteKernel
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks._common import Ledger, limit_threads, parser, table, write
from skbayes import BayesianMLPClassifier, BayesianMLPRegressor
from skbayes.data._tensors import Data
from skbayes.exceptions import ConvergenceWarning
from skbayes.inference import MeanFieldVI
from skbayes.inference.mode._curvature import affordable_curvature
from skbayes.inference.mode._search import log_evidence
from skbayes.priors import Normal
from tests.toys import TOYS, Toy, curve, sine

GOALS = {
    "map": 0.03, "laplace": 0.03, "deep_ensemble": 0.03, "mean_field_vi": 0.03, "mc_dropout": 0.1,
}  # fmt: skip
REFERENCES = ("MLP", "GP", "hmc")
GP_RESTARTS, FEW_ROWS = 10, 100
FIXED_SCALES = (0.5, 1.0, 2.0, 3.0, 5.0, 8.0)
SCALE_TOYS = (
    "one period, 40 rows", "two periods, 60 rows", "three periods, 120 rows", "sinc, 80 rows",
    "sin(4a) cos(4b), 300 rows", "friedman1, 100 rows",
)  # fmt: skip
PRUNING_WIDTHS, PRUNING_ROWS = (4, 8, 16, 32, 50), (60, 120, 250, 500, 1000)


def references(toy: Toy, seed: int) -> dict[str, float]:
    """Held-out scores; MLPs are the best of three seeds in hindsight."""
    network, process = (
        (MLPClassifier, GaussianProcessClassifier)
        if toy.is_classes
        else (MLPRegressor, GaussianProcessRegressor)
    )
    networks = [network(hidden_layer_sizes=(50,), max_iter=5000, random_state=s) for s in range(3)]
    kernel = RBF(np.ones(toy.X.shape[1]))
    if toy.is_classes:
        # Their restarts take minutes each from hundreds of rows on.
        gp = process(kernel, n_restarts_optimizer=1, random_state=seed)
    else:
        restarts = GP_RESTARTS if len(toy.X) <= 500 else 2
        gp = process(
            kernel + WhiteKernel(), n_restarts_optimizer=restarts, normalize_y=True,
            random_state=seed,
        )  # fmt: skip
    fits = [
        make_pipeline(StandardScaler(), m).fit(toy.X, toy.y).score(toy.X_test, toy.y_test)
        for m in (*networks, gp)
    ]
    return {"MLP": max(fits[:3]), "GP": fits[3]}


def fit_ours(toy: Toy, engine: str, seed: int):
    hidden = 8 if engine == "mean_field_vi" and len(toy.X) <= FEW_ROWS else 50
    kind = BayesianMLPClassifier if toy.is_classes else BayesianMLPRegressor
    return kind((hidden,), inference=engine, random_state=seed).fit(toy.X, toy.y)


def coverage(toy: Toy, model) -> float:
    if toy.X_gap is None:
        return np.nan
    low, high = model.predict_interval(toy.X_gap, 0.9).T
    return float(np.mean((low <= toy.f_gap) & (toy.f_gap <= high)))


def run(ledger: Ledger, names, n_seeds: int) -> None:
    for seed in range(n_seeds):
        for name in names:
            toy = TOYS[name](seed)
            if (name, seed, "GP") not in ledger:
                for label, score in references(toy, seed).items():
                    ledger.add(name, seed, label, round(score, 4), "nan", "nan")
            for engine in (*GOALS, "hmc"):
                if (name, seed, engine) in ledger:
                    continue
                start = time.process_time()
                model = fit_ours(toy, engine, seed)
                seconds = time.process_time() - start
                score = model.score(toy.X_test, toy.y_test)
                covered = coverage(toy, model)
                ledger.add(
                    name, seed, engine, round(score, 4), round(covered, 3), round(seconds, 2)
                )


def summary(ledger: Ledger, names, n_seeds: int) -> list[str]:
    def mean(name: str, label: str, field: str = "score") -> float:
        return float(np.mean([float(ledger[name, seed, label][field]) for seed in range(n_seeds)]))

    scores, gaps = [], []
    for name in names:
        best = max(mean(name, label) for label in REFERENCES)
        row = [name, *(f"{mean(name, label):.3f}" for label in REFERENCES)]
        for engine, goal in GOALS.items():
            score = mean(name, engine)
            row.append(f"{score:.3f}{' MISSED' if score < best - goal else ''}")
        scores.append(row)
        if "gap" in name:
            covered = [mean(name, engine, "covered") for engine in (*GOALS, "hmc")]
            gaps.append([name, *(f"{c:.2f}{' MISSED' if c < 0.8 else ''}" for c in covered)])
    return [
        table(["R2 or accuracy", *REFERENCES, *GOALS], scores),
        table(["function in the gap covered", *GOALS, "hmc"], gaps),
    ]


def pruning(quick: bool) -> str:
    """R2 of mean_field_vi on three periods of a sine, and whether it warned."""
    rows = []
    for n_rows in PRUNING_ROWS[: 1 if quick else None]:
        row = [f"{n_rows} rows"]
        for width in PRUNING_WIDTHS:
            found = []
            for seed in range(1 if quick else 3):
                toy = curve(sine(3), n_rows, 0.1)(seed)
                with warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("always")
                    model = BayesianMLPRegressor(
                        (width,), inference=MeanFieldVI(), random_state=seed
                    ).fit(toy.X, toy.y)
                warned = any(
                    issubclass(w.category, ConvergenceWarning) and "no more than" in str(w.message)
                    for w in caught
                )
                found.append((model.score(toy.X_test, toy.y_test), warned))
            median = np.median([score for score, _ in found])
            row.append(f"{median:.2f}, {sum(w for _, w in found)}/{len(found)}")
            print(row, flush=True)
        rows.append(row)
    return table(
        ["R2 (median of 3), how many warned", *(f"{w} units" for w in PRUNING_WIDTHS)], rows
    )


def posterior_value(learned, fitted, scale: float | None, toy: Toy) -> float:
    """Log evidence with the hyperprior, in the learned model, at a fit's scales and noise."""
    model, mode = learned._model(), torch.from_numpy(fitted.posterior_.mean)[None]
    if scale is not None:
        log_scales = mode.new_full((1, model.n_scales), np.log(scale))
        mode = torch.cat([mode[:, : model.n_weights], log_scales, mode[:, model.n_weights :]], 1)
    X = torch.as_tensor(learned._x_scaler.transform(toy.X)).to(model.like)
    y = torch.as_tensor(learned._y_scaler.transform(toy.y[:, None])).to(model.like)
    data = Data(X, y, torch.ones(len(y)).to(model.like))
    with torch.no_grad():
        return log_evidence(model, data, mode, affordable_curvature(model, data))


def fixed_scales(n_seeds: int) -> str:
    rows = []
    for name in SCALE_TOYS:
        for seed in range(n_seeds):
            toy = TOYS[name](seed)
            learned = BayesianMLPRegressor((50,), inference="laplace", random_state=seed)
            learned.fit(toy.X, toy.y)
            own = posterior_value(learned, learned, None, toy)
            values = []
            for scale in FIXED_SCALES:
                fixed = clone(learned).set_params(prior=Normal(scale=scale)).fit(toy.X, toy.y)
                values.append(posterior_value(learned, fixed, scale, toy))
            met = own >= max(values) - 0.5
            best = FIXED_SCALES[int(np.argmax(values))]
            rows.append([name, seed, f"{own:.1f}", f"{max(values):.1f} at {best:g}"])
            rows[-1].append("met" if met else "MISSED")
            print(*rows[-1], flush=True)
    return table(["toy", "seed", "learned", "best of six", "less .5 nat"], rows)


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--seeds", type=int, default=5)
    made.add_argument("--toys", help="semicolon-separated names, default all")
    made.add_argument("--pruning", action="store_true")
    made.add_argument("--scales", action="store_true")
    args = made.parse_args()
    limit_threads(args.threads)
    warnings.simplefilter("ignore")
    if args.pruning:
        write(
            "toys_pruning",
            "Where mean-field bounds prefer a flat line",
            [pruning(args.quick)],
            args,
        )
        return
    if args.scales:
        found = fixed_scales(1 if args.quick else args.seeds)
        note = "Log evidence, in nats, plus the log density of scales and noise a priori."
        write("toys_scales", "Learned scales against fixed ones", [found, note], args)
        return
    names = args.toys.split(";") if args.toys else list(TOYS)
    n_seeds = 1 if args.quick else args.seeds
    fields = ["toy", "seed", "model", "score", "covered", "fit_cpu_s"]
    ledger = Ledger("toys", fields, 3, stored=not args.quick)
    run(ledger, names, n_seeds)
    note = (
        f"Means over {n_seeds} seeds of data and fit. MLPs: 50 units, the best of three seeds in "
        f"hindsight; GPs: RBF with a length a column, {GP_RESTARTS} restarts (2 over 500 rows, 1 "
        f"for classes). mean_field_vi has 8 units up to {FEW_ROWS} rows, else 50 units as all."
    )
    write("toys", "Toys", [*summary(ledger, names, n_seeds), note], args)


if __name__ == "__main__":
    main()
