"""Defaults on raw columns: breast cancer and diabetes, 5-fold, beside linear models.

python -m benchmarks.defaults            # --peers adds sklearn-contrib-bde
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.model_selection import KFold, StratifiedKFold

from benchmarks._common import limit_threads, parser, table, verdict, write
from benchmarks._models import (
    PEER_REGRESSORS,
    BdePeer,
    Ours,
    bayesian_ridge,
    make_classifiers,
    mean_scores,
    score_classifier,
    score_regressor,
)
from skbayes import BayesianMLPClassifier

FOLDS = 5


def masks(splitter: Any, X: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
    """Row masks of the test folds."""
    return [np.isin(np.arange(len(y)), test) for _, test in splitter.split(X, y)]


def report(diagnostics: list[dict[str, float]]) -> list[str]:
    """Largest over folds of the median R-hat of function values and that of hyperparameters."""
    largest = [max(d.get(key, np.nan) for d in diagnostics) for key in ("r_hat", "r_hat_hyper")]
    return [f"{value:.3f}" if np.isfinite(value) else "-" for value in largest]


def classification(n_folds: int, inference: str, peers: bool) -> tuple[list, dict]:
    X, y = load_breast_cancer(return_X_y=True)
    folds = masks(StratifiedKFold(FOLDS, shuffle=True, random_state=0), X, y)[:n_folds]
    models = {"skbayes": BayesianMLPClassifier(inference=inference, random_state=0)}
    models |= make_classifiers() | ({"bde, defaults": BdePeer()} if peers else {})
    rows, found = [], {}
    for name, model in models.items():
        scores, diagnostics = [], []
        for test in folds:
            scores.append(score_classifier(model, X, y, test))
            diagnostics.append(getattr(model, "diagnostics_", {}))
        mean = found[name] = mean_scores(scores)
        row = [name, f"{mean['accuracy']:.3f}", f"{mean['nll']:.4f}", *report(diagnostics)]
        rows.append([*row, mean["seconds"], int(mean["warned"] * len(folds))])
    return rows, found


def regression(n_folds: int, inference: str, peers: bool) -> tuple[list, dict]:
    X, y = load_diabetes(return_X_y=True)
    folds = masks(KFold(FOLDS, shuffle=True, random_state=0), X, y)[:n_folds]
    models: dict[str, Any] = {"skbayes": Ours(inference=inference)}
    models["BayesianRidge"] = bayesian_ridge
    if peers:
        models |= PEER_REGRESSORS
    rows, found = [], {}
    for name, model in models.items():
        scores, diagnostics = [], []
        for seed, test in enumerate(folds):
            scores.append(score_regressor(model, X, y, test, seed))
            fitted = getattr(model, "fitted", None)
            diagnostics.append(getattr(fitted, "diagnostics_", {}))
        mean = found[name] = mean_scores(scores)
        row = [name, mean["rmse"], f"{mean['nll']:.3f}", f"{mean['coverage']:.3f}", mean["width"]]
        row += [*report(diagnostics), mean["seconds"], int(mean["warned"] * len(folds))]
        rows.append(row)
    return rows, found


def goals(classes: dict, numbers: dict) -> list[list]:
    ours, linear = classes["skbayes"], classes["LogisticRegression C=1"]
    rows = [
        ["breast cancer NLL over LogisticRegression's", ours["nll"] / linear["nll"], 1.0],
        ["breast cancer NLL (aim)", ours["nll"], 0.076],
        ["breast cancer fit, CPU s", ours["seconds"], 5.0],
    ]
    ours, linear = numbers["skbayes"], numbers["BayesianRidge"]
    rows += [
        ["diabetes NLL over BayesianRidge's", ours["nll"] / linear["nll"], 1.0],
        ["diabetes NLL (aim)", ours["nll"], 5.41],
        ["diabetes |coverage - 0.9|", abs(ours["coverage"] - 0.9), 0.03],
        ["diabetes fit, CPU s", ours["seconds"], 5.0],
    ]
    return [[name, f"{value:.4g}", verdict(value, goal, True)] for name, value, goal in rows]


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--inference", default="auto")
    made.add_argument("--peers", action="store_true", help="requirements-peers.txt needed")
    args = made.parse_args()
    limit_threads(args.threads)
    n_folds = 1 if args.quick else FOLDS
    class_rows, classes = classification(n_folds, args.inference, args.peers)
    number_rows, numbers = regression(n_folds, args.inference, args.peers)
    shared = ["R-hat, functions", "R-hat, hyper", "fit, CPU s", "warned folds"]
    sections = [
        "## Breast cancer\n\n" + table(["model", "accuracy", "NLL", *shared], class_rows),
        "## Diabetes\n\n"
        + table(["model", "RMSE", "NLL", "coverage of 90%", "width", *shared], number_rows),
        "## Goals\n\n" + table(["what", "measured", "goal"], goals(classes, numbers)),
        "Raw columns for ours, StandardScaler pipelines for the linear models, columns (and y "
        "for bde) scaled by hand for the peers. R-hats are the largest over folds.",
    ]
    extra = ("sklearn-contrib-bde", "ngboost") if args.peers else ()
    write("defaults", "Defaults, 5-fold", sections, args, extra)


if __name__ == "__main__":
    main()
