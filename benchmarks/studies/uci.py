"""UCI regression on the standard splits, one hidden layer of 50 units: engines and peers.

    python -m benchmarks.studies.uci --sets boston,yacht --engines auto,hmc --splits 6
    python -m benchmarks.studies.uci --peers              # NGBoost and bde too
    python -m benchmarks.studies.uci --table              # the table from what has been run

Every split is appended to results/uci.csv as it ends, and is not run again while its row
is there (--fresh runs the chosen ones anew), so an interrupted run goes on.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._common import RESULTS, limit_threads, load, parser, revision, table, write
from benchmarks._models import PEER_REGRESSORS, REGRESSORS, Ours, score_regressor

CSV = RESULTS / "uci.csv"
FIELDS = (
    "set",
    "model",
    "split",
    "rmse",
    "nll",
    "coverage",
    "width",
    "seconds",
    "warned",
    "revision",
)
SETS = ("boston", "yacht", "wine", "power")
ENGINES = ("auto", "hmc", "deep_ensemble", "laplace", "mean_field_vi", "mc_dropout", "map")

#: RMSE and NLL per point. Sources: Lakshminarayanan et al. (2017), table 1 (first three);
#: the dropout experiments of Gal's repository with a fair grid search (next two); an
#: independent Bayes-by-Backprop repository on the same splits. Two layers is not a
#: one-layer column and stands for context.
PUBLISHED: dict[str, dict[str, tuple[float, float]]] = {
    "PBP": {
        "boston": (3.01, 2.57), "power": (4.12, 2.84), "wine": (0.64, 0.97), "yacht": (1.02, 1.63)
    },
    "MC dropout, original": {
        "boston": (2.97, 2.46), "power": (4.02, 2.80), "wine": (0.62, 0.93), "yacht": (1.11, 1.55)
    },
    "Deep Ensembles (5)": {
        "boston": (3.28, 2.41), "power": (4.11, 2.79), "wine": (0.64, 0.94), "yacht": (1.58, 1.18)
    },
    "MC dropout, grid search": {
        "boston": (2.90, 2.40), "power": (4.01, 2.81), "wine": (0.62, 0.93), "yacht": (0.67, 1.25)
    },
    "MC dropout, two layers": {
        "boston": (2.80, 2.34), "power": (3.63, 2.67), "wine": (0.60, 0.90), "yacht": (0.66, 1.37)
    },
    "Bayes by Backprop": {
        "boston": (3.31, 2.64), "power": (4.22, 2.94), "wine": (0.64, 0.97), "yacht": (0.97, 1.45)
    },
    "linear": {
        "boston": (4.588, 2.973), "power": (4.613, 2.949), "wine": (0.654, 0.997),
        "yacht": (8.970, 3.627),
    },
}  # fmt: skip
#: NUTS on one layer of 50 tanh units with learned noise and layer scales, and its splits.
WELL_SAMPLED = {"boston": (2.39, 2.275, 6), "yacht": (0.318, 0.034, 6), "wine": (0.606, 0.900, 2)}
TWO_LAYERS = "MC dropout, two layers"


def models(engines: list[str], peers: bool) -> dict[str, Any]:
    chosen: dict[str, Any] = {f"skbayes {e}": Ours(inference=e) for e in engines}
    return chosen | REGRESSORS | (PEER_REGRESSORS if peers else {})


def read(path: Path = CSV) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(newline="") as lines:
        return list(csv.DictReader(lines))


def append(row: dict[str, Any]) -> None:
    new = not CSV.exists()
    with CSV.open("a", newline="") as lines:
        writer = csv.DictWriter(lines, FIELDS)
        if new:
            writer.writeheader()
        writer.writerow(row)


def drop(sets: list[str], names: list[str]) -> None:
    """Forget the rows of these models on these sets."""
    kept = [row for row in read() if row["set"] not in sets or row["model"] not in names]
    with CSV.open("w", newline="") as lines:
        writer = csv.DictWriter(lines, FIELDS)
        writer.writeheader()
        writer.writerows(kept)


def splits_of(text: str, n_available: int) -> range:
    """ "6" is splits 0 to 5; "3-7" is splits 3 to 7."""
    first, _, last = text.partition("-")
    chosen = range(int(first), int(last) + 1) if last else range(int(first))
    return range(chosen.start, min(chosen.stop, n_available))


def run(sets: list[str], chosen: dict[str, Any], splits: str, keep: bool) -> None:
    done = {(row["set"], row["model"], int(row["split"])) for row in read()}
    for name in sets:
        arrays = load(f"uci_{name}")
        X, y = arrays["X"].astype(np.float64), arrays["y"].astype(np.float64).ravel()
        for split in splits_of(splits, len(arrays["test_idx"])):
            test = np.zeros(len(y), bool)
            test[arrays["test_idx"][split]] = True
            for label, model in chosen.items():
                if keep and (name, label, split) in done:
                    continue
                scores = score_regressor(model, X, y, test, split)
                print(name, label, split, {k: f"{v:.4g}" for k, v in scores.items()}, flush=True)
                if keep:
                    numbers = {k: f"{v:.6g}" for k, v in scores.items()}
                    row = {"set": name, "model": label, "split": split, **numbers}
                    append({**row, "revision": revision()})


def collect() -> dict[tuple[str, str], list[dict[str, float]]]:
    found: dict[tuple[str, str], list[dict[str, float]]] = {}
    for row in read():
        scores = {key: float(row[key]) for key in FIELDS[3:9]} | {"split": int(row["split"])}
        found.setdefault((row["set"], row["model"]), []).append(scores)
    return found


def set_table(name: str, found: dict[tuple[str, str], list[dict[str, float]]]) -> str:
    """Measured, then published rows of one set."""
    rows: list[list] = []
    for (of, model), scores in found.items():
        if of != name:
            continue
        mean = {key: np.mean([s[key] for s in scores]) for key in scores[0]}
        se = {key: np.std([s[key] for s in scores], ddof=1) / len(scores) ** 0.5
              if len(scores) > 1 else float("nan") for key in ("rmse", "nll")}  # fmt: skip
        both = [f"{mean[k]:.3f} +- {se[k]:.3f}" if np.isfinite(mean[k]) else "-" for k in se]
        rows.append([model, len(scores), *both, f"{mean['coverage']:.3f}", float(mean["seconds"])])
    rows.sort(key=lambda row: row[0])
    if name in WELL_SAMPLED:
        rmse, nll, n_splits = WELL_SAMPLED[name]
        rows.append(["*NUTS, the well-sampled mark*", n_splits, rmse, nll, "-", "-"])
    for column, numbers in PUBLISHED.items():
        rows.append([f"*{column}, published*", 20, *numbers[name], "-", "-"])
    columns = ["model", "splits", "RMSE", "NLL", "coverage of 90%", "fit, CPU s"]
    return f"## {name}\n\n" + table(columns, rows)


def goals(found: dict[tuple[str, str], list[dict[str, float]]]) -> str:
    """Default and best engine against the best published one-layer NLL and the mark."""
    rows = []
    for name in SETS:
        published = min(v[name][1] for k, v in PUBLISHED.items() if k != TWO_LAYERS)
        ours = {
            model: float(np.mean([s["nll"] for s in scores]))
            for (of, model), scores in found.items()
            if of == name and model.startswith("skbayes")
        }
        if not ours:
            continue
        best = min(ours, key=ours.__getitem__)
        row = [name, ours.get("skbayes auto", float("nan")), f"{best} {ours[best]:.3f}", published]
        row.append("yes" if ours[best] < published else "NO")
        if name in WELL_SAMPLED:
            _, mark, n_splits = WELL_SAMPLED[name]
            same = [s["nll"] for s in found[name, best] if s["split"] < n_splits]
            gap = float(np.mean(same)) - mark if same else float("nan")
            row.append(f"{gap:+.3f} on {len(same)} of its {n_splits} splits")
        else:
            row.append("-")
        rows.append(row)
    columns = ["set", "default, NLL", "best engine, NLL", "best published one-layer NLL"]
    columns += ["best engine ahead", "best engine less the well-sampled mark, same splits"]
    return "## Against the marks\n\n" + table(columns, rows)


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--sets", default=",".join(SETS))
    made.add_argument("--engines", default=",".join(ENGINES), help="engines of ours, or 'none'")
    made.add_argument("--splits", default="20", help="a number, or a range such as 3-7")
    made.add_argument("--peers", action="store_true", help="requirements-peers.txt needed")
    made.add_argument("--only", help="comma-separated row names, of ours or peers")
    made.add_argument("--fresh", action="store_true", help="run the chosen ones anew")
    made.add_argument("--table", action="store_true", help="only print the table")
    args = made.parse_args()
    limit_threads(args.threads)
    sets = args.sets.split(",")
    engines = [] if args.engines == "none" else args.engines.split(",")
    chosen = models(engines, args.peers)
    if args.only:
        chosen = {name: chosen[name] for name in args.only.split(",")}
    if not args.table:
        if args.fresh and not args.quick:
            drop(sets, list(chosen))
        run(sets, chosen, "1" if args.quick else args.splits, keep=not args.quick)
    if args.quick:
        return
    found = collect()
    sections = [set_table(name, found) for name in SETS if any(of == name for of, _ in found)]
    note = (
        "Raw columns, one hidden layer of 50 units; mean over splits and its standard error; "
        "CPU seconds of one thread. GaussianProcess sees 2,000 random rows where there are "
        "more. Published rows: see benchmarks/studies/uci.py for sources."
    )
    extra = ("ngboost", "sklearn-contrib-bde") if args.peers else ()
    sections = [goals(found), *sections, note]
    write("uci", "UCI regression, standard splits", sections, args, extra)


if __name__ == "__main__":
    main()
