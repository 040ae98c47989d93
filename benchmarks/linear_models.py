"""Linear models beside scikit-learn's, held out: bundled sets, five folds.

    python -m benchmarks.linear_models

Columns are standardised for all. Evidences are those of the training rows of a fold, in
nats, averaged; times are process-CPU seconds a fit. Where ``SKBAYES_DATA`` names a folder,
vehicle and German credit join in: no choice in the engines was made with them in sight.
HMC is left out of digits, whose 650 weights take it minutes.
"""

from __future__ import annotations

import os
import time
import warnings
from typing import Any

import numpy as np
from scipy.stats import norm
from sklearn.base import clone
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_iris,
    load_wine,
)
from sklearn.linear_model import ARDRegression, BayesianRidge, LogisticRegression
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.preprocessing import StandardScaler

from benchmarks._common import interleaved, limit_threads, load, parser, table, write
from skbayes import BayesianLinearRegression, BayesianLogisticRegression
from skbayes.exceptions import EvidenceUnavailableError

CLASSES = {
    "breast cancer": load_breast_cancer,
    "iris": load_iris,
    "wine": load_wine,
    "digits": load_digits,
}
ENGINES = ("laplace", "variational", "hmc")


def classifiers() -> dict[str, Any]:
    """The classifiers by the name of their row."""
    ours = {e: BayesianLogisticRegression(inference=e, random_state=0) for e in ENGINES}
    return {"LogisticRegression": LogisticRegression(max_iter=5000), **ours}


def regressors() -> dict[str, Any]:
    """The regressors by the name of their row."""
    return {
        "BayesianRidge": BayesianRidge(),
        "ARDRegression": ARDRegression(),
        "bayes": BayesianLinearRegression(),
        "bayes, ard": BayesianLinearRegression(ard=True),
        "evidence": BayesianLinearRegression(hyperparameters="evidence"),
        "evidence, ard": BayesianLinearRegression(hyperparameters="evidence", ard=True),
    }


def tables(quick: bool) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Rows and labels by name."""
    if quick:
        return {"breast cancer": load_breast_cancer(return_X_y=True)}
    found = {name: loader(return_X_y=True) for name, loader in CLASSES.items()}
    if "SKBAYES_DATA" in os.environ:
        for name in ("uci_vehicle", "german_credit"):
            data = load(name)
            found[name.removeprefix("uci_").replace("_", " ")] = data["X"].astype(float), data["y"]
    return found


def held_out(model: Any, X: np.ndarray, y: np.ndarray, folds: Any) -> list[float]:
    """Mean negative log likelihood of unseen rows, log evidence of those seen, CPU seconds."""
    losses, evidences, seconds = [], [], 0.0
    for train, test in folds.split(X, y):
        scaler = StandardScaler().fit(X[train])
        begun = time.process_time()
        fitted = clone(model).fit(scaler.transform(X[train]), y[train])
        seconds += (time.process_time() - begun) / folds.get_n_splits()
        losses.append(-log_density(fitted, scaler.transform(X[test]), y[test]))
        evidences.append(evidence(fitted))
    return [float(np.concatenate(losses).mean()), float(np.mean(evidences)), seconds]


def log_density(model: Any, X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Log predictive of each row."""
    if hasattr(model, "log_predictive"):
        return model.log_predictive(X, y)
    if hasattr(model, "predict_proba"):
        codes = np.searchsorted(model.classes_, y)
        return np.log(model.predict_proba(X)[np.arange(len(y)), codes])
    return norm(*model.predict(X, return_std=True)).logpdf(y)


def evidence(model: Any) -> float:
    """Log evidence of the training rows; nan where a model has none."""
    try:
        return model.score_evidence()
    except (AttributeError, EvidenceUnavailableError):
        return float("nan")


def large_fit(n_rows: int) -> list[list[Any]]:
    """Seconds to fit a tall table."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_rows, 50))
    y = X @ rng.normal(size=50) + rng.normal(size=n_rows)
    models = (BayesianRidge(), BayesianLinearRegression())
    calls = {type(model).__name__: lambda m=model: clone(m).fit(X, y) for model in models}
    return [[name, seconds] for name, seconds in interleaved(calls, rounds=3).items()]


def main() -> None:
    args = parser(__doc__).parse_args()
    limit_threads(args.threads)
    # Short HMC runs on few rows may say that their chains disagree.
    warnings.simplefilter("ignore")
    columns = ["", "NLL held out", "log evidence", "fit, CPU s"]
    sections = []
    for name, (X, y) in tables(args.quick).items():
        folds = StratifiedKFold(5, shuffle=True, random_state=0)
        models = {k: m for k, m in classifiers().items() if (name, k) != ("digits", "hmc")}
        rows = [[label, *held_out(m, X, y, folds)] for label, m in models.items()]
        sections.append(f"## {name}\n\n{table(columns, rows)}")
    X, y = load_diabetes(return_X_y=True)
    folds = KFold(5, shuffle=True, random_state=0)
    rows = [[label, *held_out(m, X, y, folds)] for label, m in regressors().items()]
    sections.append(f"## diabetes\n\n{table(columns, rows)}")
    seconds = large_fit(1000 if args.quick else 100_000)
    sections.append(f"## 100,000 x 50 rows\n\n{table(['', 'fit, CPU s'], seconds)}")
    write("linear_models", "Linear models", sections, args)


if __name__ == "__main__":
    main()
