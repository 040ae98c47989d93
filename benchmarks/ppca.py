"""PPCA with missing values: subspaces, imputation beside scikit-learn's, a pipeline.

Goals: angles of at most 1 / 1.2 / 2.5 degrees at 20 / 50 / 80% missing in at most 30 steps
of EM; breast cancer with 30% missing, 5 codes into logistic regression, at most .094 of log
loss in under a second.
"""

from __future__ import annotations

import time
import warnings

import numpy as np
from scipy.linalg import subspace_angles
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.decomposition import PCA
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks import _common
from skbayes import PPCA

ANGLE_GOALS = {0.2: 1.0, 0.5: 1.2, 0.8: 2.5}
MOST_STEPS = 30
LOSS_GOAL, TIME_GOAL = 0.094, 1.0


def holes(X, share, seed):
    """Rows of which a share of the values is missing, completely at random."""
    X = X.copy()
    X[np.random.RandomState(seed).uniform(size=X.shape) < share] = np.nan
    return X


def timed(call):
    """Result and CPU seconds."""
    start = time.process_time()
    result = call()
    return result, time.process_time() - start


def subspaces(quick):
    """Angles to the true subspace, 5000 x 50 rows of 5 codes."""
    rng = np.random.default_rng(0)
    loadings = rng.normal(size=(50, 5))
    X = rng.normal(size=(500 if quick else 5000, 5)) @ loadings.T
    X = X + 0.5 * rng.normal(size=X.shape) + rng.normal(size=50)
    rows = []
    for share, goal in ANGLE_GOALS.items():
        Y = holes(X, share, 1)
        ppca, seconds = timed(lambda Y=Y: PPCA(5).fit(Y))
        filled = SimpleImputer().fit_transform(Y)
        angles = [
            np.degrees(subspace_angles(axes.T, loadings).max())
            for axes in (ppca.components_, PCA(5).fit(filled).components_)
        ]
        verdicts = [
            _common.verdict(angles[0], goal, at_most=True),
            _common.verdict(ppca.n_iter_, MOST_STEPS, at_most=True),
        ]
        measured = [*angles, ppca.noise_variance_, ppca.n_iter_, seconds]
        rows.append([f"{share:.0%}", *measured, *verdicts])
    columns = ["missing", "PPCA degrees", "mean + PCA degrees", "noise (true .25)"]
    columns += ["EM steps", "CPU s", "angle", "steps"]
    return "## Subspace through missing values\n\n" + _common.table(columns, rows)


def imputers(name):
    """Ways to fill a table."""
    wide = 20 if name == "digits" else 10
    ways = {
        "mean": SimpleImputer(),
        "KNNImputer": KNNImputer(),
        "IterativeImputer": IterativeImputer(random_state=0),
    }
    for label, n in (("5", 5), (str(wide), wide), ("ard", "ard")):
        ways[f"PPCA({label})"] = PPCA(n, max_iter=2000)
    ways["PPCA(evidence)"] = PPCA(max_iter=2000)
    return ways


def imputation(quick):
    """Root mean squared error of hidden values, and CPU seconds."""
    tables = {"breast cancer": StandardScaler().fit_transform(load_breast_cancer().data)}
    digits = load_digits().data
    tables["digits"] = digits[:, digits.std(axis=0) > 1]
    rows = []
    for name, X in tables.items():
        X = X[:600] if quick else X
        Y = holes(X, 0.2, 0)
        hidden = np.isnan(Y)
        for label, way in imputers(name).items():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                filled, seconds = timed(lambda way=way, Y=Y: fill(way, Y))
            error = np.sqrt(np.mean((filled - X)[hidden] ** 2))
            rows.append([name, label, error, seconds, getattr(way, "n_components_", "")])
    columns = ["table, 20% missing", "imputer", "RMSE of hidden values", "CPU s", "components"]
    return "## Imputation\n\n" + _common.table(columns, rows)


def fill(way, Y):
    """The table with its missing values filled."""
    return way.fit(Y).impute(Y) if isinstance(way, PPCA) else way.fit_transform(Y)


def pipeline(quick):
    """Log loss of logistic regression on 5 codes, breast cancer with 30% missing."""
    X, y = load_breast_cancer(return_X_y=True)
    ways = {
        "PPCA": [PPCA(5)],
        "PPCA, whitened": [PPCA(5, whiten=True)],
        "PPCA, 10 codes": [PPCA(10)],
        "KNNImputer + PCA": [KNNImputer(), PCA(5)],
        "KNNImputer + PCA, 10 codes": [KNNImputer(), PCA(10)],
        "mean + PCA": [SimpleImputer(), PCA(5)],
        "IterativeImputer + PCA": [IterativeImputer(random_state=0), PCA(5)],
        "IterativeImputer + PCA, 10 codes": [IterativeImputer(random_state=0), PCA(10)],
    }
    masks = range(2 if quick else 10)
    rows = []
    for label, steps in ways.items():
        losses, taken, n_warnings = [], [], 0
        for seed in masks:
            Y = holes(X, 0.3, seed)
            pipe = make_pipeline(StandardScaler(), *steps, LogisticRegression())
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                scores, seconds = timed(
                    lambda pipe=pipe, Y=Y: cross_val_score(pipe, Y, y, scoring="neg_log_loss")
                )
            n_warnings += len(caught)
            losses.append(-scores.mean())
            taken.append(seconds)
        rows.append([label, losses[0], np.mean(losses), np.mean(taken), n_warnings])
    first = rows[0]
    goals = (
        f"PPCA on the first mask: log loss {_common.verdict(first[1], LOSS_GOAL, at_most=True)}; "
        f"seconds {_common.verdict(first[3], TIME_GOAL, at_most=True)}; warnings "
        f"{_common.verdict(first[4], 0, at_most=True)}."
    )
    columns = ["before LogisticRegression", "log loss, first mask", "mean of ten masks"]
    columns += ["CPU s for 5 folds", "warnings"]
    return "## Codes for a classifier\n\n" + _common.table(columns, rows) + "\n\n" + goals


def main():
    args = _common.parser(__doc__).parse_args()
    _common.limit_threads(args.threads)
    sections = [part(args.quick) for part in (subspaces, imputation, pipeline)]
    _common.write("ppca", "PPCA with missing values", sections, args)


if __name__ == "__main__":
    main()
