"""PPCA: the number of components, the noise, missing values, a pipeline.

Parts: the evidence beside cross-validation on made tables; subspaces through missing values;
imputation beside scikit-learn's; codes for a classifier.

Goals: angles of at most 1 / 1.2 / 2.5 degrees at 20 / 50 / 80% missing in at most 30 steps
of EM; breast cancer with 30% missing, 5 codes into logistic regression, at most .094 of log
loss in under a second; over noise from 1e-4 to 10 of the signal, the true number of components
as often as by cross-validation, and intervals of the noise that cover it within .04 of 90%.
"""

from __future__ import annotations

import time
import warnings
from itertools import pairwise

import numpy as np
from scipy.linalg import subspace_angles
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.decomposition import PCA
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks import _common
from skbayes import PPCA

ANGLE_GOALS = {0.2: 1.0, 0.5: 1.2, 0.8: 2.5}
MOST_STEPS = 30
LOSS_GOAL, TIME_GOAL = 0.094, 1.0
#: Bounds of the ratio of noise to signal, as standard deviations, by which tables are told.
RATIOS = (1e-4, 1e-2, 0.3, 1.0, 3.0, 10.0)
NOMINAL, COVERAGE_GAP = 0.9, 0.04


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


def made_table(seed):
    """Rows, true number of components, ratio of noise to signal, and noise variance.

    One to six components whose strengths differ by up to ten times, in 5 to 20 features.
    """
    rng = np.random.default_rng(seed)
    n_features, n_rows = int(rng.choice([5, 8, 12, 20])), int(rng.choice([50, 100, 300]))
    n_codes = int(rng.integers(1, min(n_features // 2, 6) + 1))
    loadings = rng.normal(size=(n_features, n_codes)) * 10 ** rng.uniform(-1, 0, size=n_codes)
    ratio = 10 ** rng.uniform(-4, 1)
    noise = ratio * np.sqrt((loadings**2).sum() / n_features)
    X = rng.normal(size=(n_rows, n_codes)) @ loadings.T + rng.normal(size=n_features)
    return X + noise * rng.normal(size=X.shape), n_codes, ratio, noise**2


def by_cross_validation(X):
    """Number of components of the largest held-out log density, over five folds."""
    folds = KFold(5, shuffle=True, random_state=0)
    numbers = range(1, X.shape[1])
    scores = [cross_val_score(PPCA(n), X, cv=folds).mean() for n in numbers]
    return 1 + int(np.argmax(scores))


def coverage(ppca, noise):
    """Whether the central interval of posterior draws holds the noise variance."""
    draws = ppca.sample_posterior(n_samples=2000, random_state=0)["noise_variance"]
    return abs((draws < noise).mean() - 0.5) <= NOMINAL / 2


def number(quick):
    """True numbers found and noise covered, over made tables."""
    found = []
    for seed in range(20 if quick else 200):
        X, n_codes, ratio, noise = made_table(seed)
        chosen = PPCA().fit(X)
        right = chosen.n_components_ == n_codes, by_cross_validation(X) == n_codes
        covered = coverage(PPCA(n_codes).fit(X), noise), coverage(chosen, noise)
        found.append([ratio, *right, *covered])
    told = np.array(found)
    rows = []
    for low, high in [*pairwise(RATIOS), (RATIOS[0], RATIOS[-1])]:
        at = told[(told[:, 0] >= low) & (told[:, 0] < high), 1:]
        rows.append([f"{low:g} to {high:g}", len(at), *at.mean(axis=0)])
    columns = ["noise / signal", "tables", "evidence right", "cross-validation right"]
    columns += ["noise covered, true number", "noise covered, chosen number"]
    evidence, folds, given, chosen = rows[-1][2:]
    detected = told[told[:, 0] < 1, 3].mean()
    goals = [
        f"Evidence right as often as cross-validation {_common.verdict(evidence, folds)}",
        f"noise covered within {COVERAGE_GAP} of {NOMINAL}: noise below the signal, true number, "
        + _common.verdict(abs(detected - NOMINAL), COVERAGE_GAP, at_most=True),
        "all tables, true number, "
        + _common.verdict(abs(given - NOMINAL), COVERAGE_GAP, at_most=True),
        "all tables, chosen number, "
        + _common.verdict(abs(chosen - NOMINAL), COVERAGE_GAP, at_most=True),
    ]
    title = "## Number of components, and the noise\n\n"
    return title + _common.table(columns, rows) + "\n\n" + "; ".join(goals) + "."


def main():
    args = _common.parser(__doc__).parse_args()
    _common.limit_threads(args.threads)
    sections = [part(args.quick) for part in (number, subspaces, imputation, pipeline)]
    _common.write("ppca", "PPCA: number of components, missing values", sections, args)


if __name__ == "__main__":
    main()
