"""
Networks beside what you would use today
========================================

Bayesian networks on raw, real data, beside what you would use today.

Breast cancer (classes) and diabetes (numbers), both bundled with scikit-learn. Every row
is scored by a model that did not see it (two folds, the same for all models). Run it
with ``python examples/quickstart.py``; it takes under a minute on one core.
"""

from time import perf_counter

import numpy as np
from _svg import save_error_bars
from scipy.stats import norm
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.linear_model import BayesianRidge, LogisticRegression
from sklearn.metrics import accuracy_score, log_loss, root_mean_squared_error
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skbayes
from skbayes import BayesianMLPClassifier, BayesianMLPRegressor
from skbayes.exceptions import EvidenceUnavailableError
from skbayes.metrics import expected_calibration_error, interval_coverage

PICTURE = "quickstart.svg"
COLUMNS = ("", "score", "NLL", "calib. error", "90% coverage", "log evidence", "fit seconds")


class HeldOut:
    """What one model says of rows it did not see, over the folds of a cross-validation."""

    def __init__(self, model, X, y, folds, predict):
        parts, self.models, seconds = [], [], []
        for train, test in folds.split(X, y):
            start = perf_counter()
            self.models.append(clone(model).fit(X[train], y[train]))
            seconds.append(perf_counter() - start)
            parts.append(predict(self.models[-1], X[test], y[test]))
        self.columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
        self.seconds = f"{np.mean(seconds):.2f}"

    def evidence(self):
        """Mean log evidence of the training rows in nats, where the model has one."""
        try:
            return f"{np.mean([skbayes.score_evidence(model) for model in self.models]):.1f}"
        except (EvidenceUnavailableError, TypeError):
            return "-"


def classify(model, X, y):
    """Targets, labels, probabilities, and the share of doubt that more data would remove."""
    doubt = np.full(len(y), np.nan)
    if isinstance(model[-1], BayesianMLPClassifier):
        doubt = skbayes.predict_std(model, X, kind="epistemic")[:, 1]
    return y, model.predict(X), model.predict_proba(X), doubt


def classification():
    """Breast cancer: a Pipeline, a grid search, error bars on probabilities."""
    X, y = load_breast_cancer(return_X_y=True)
    grid = {
        "prior": ["normal", "student_t"],
        "inference": ["laplace", "map"],
        "inference__max_iter": [200],
    }
    small = BayesianMLPClassifier((10,), random_state=0)
    models = {
        "LogisticRegression": LogisticRegression(),
        "MLPClassifier": MLPClassifier((50,), max_iter=1000, random_state=0),
        "BayesianMLPClassifier": BayesianMLPClassifier(random_state=0),
        "  inference='laplace'": BayesianMLPClassifier(inference="laplace", random_state=0),
        "  GridSearchCV": GridSearchCV(small, grid, scoring="neg_log_loss", cv=2),
    }
    folds = StratifiedKFold(2, shuffle=True, random_state=0)
    results = {
        name: HeldOut(make_pipeline(StandardScaler(), model), X, y, folds, classify)
        for name, model in models.items()
    }
    rows = [classifier_row(name, result) for name, result in results.items()]
    chosen = results["  GridSearchCV"].models[0][-1].best_params_
    _, labels, _, doubt = results["BayesianMLPClassifier"].columns
    wrong = labels != results["BayesianMLPClassifier"].columns[0]
    notes = [
        f"GridSearchCV, first fold: {chosen}",
        "skbayes.predict_std(pipe, X, kind='epistemic'): median "
        f"{np.median(doubt[~wrong]):.3f} where the pipeline is right, "
        f"{np.median(doubt[wrong]):.3f} on the {wrong.sum()} rows where it is wrong",
    ]
    return rows, notes


def classifier_row(name, result):
    """A line of the table."""
    y, labels, proba, _ = result.columns
    return (
        name,
        f"accuracy {accuracy_score(y, labels):.3f}",
        f"{log_loss(y, proba):.4f}",
        f"{expected_calibration_error(y, proba):.3f}",
        "-",
        result.evidence(),
        result.seconds,
    )


def regress(model, X, y):
    """Targets, means, 90% intervals, log densities."""
    if isinstance(model, BayesianRidge):
        mean, std = model.predict(X, return_std=True)
        half = norm.ppf(0.95) * std
        interval = np.column_stack([mean - half, mean + half])
        return y, mean, interval, norm.logpdf(y, mean, std)
    interval = model.predict_interval(X, coverage=0.9)
    return y, model.predict(X), interval, model.log_predictive(X, y)


def regression():
    """Diabetes: error bars that hold what they promise, and a picture of them."""
    X, y = load_diabetes(return_X_y=True)
    models = {
        "BayesianRidge": BayesianRidge(),
        "BayesianMLPRegressor": BayesianMLPRegressor(random_state=0),
        "  inference='laplace'": BayesianMLPRegressor(inference="laplace", random_state=0),
    }
    folds = KFold(2, shuffle=True, random_state=0)
    results = {name: HeldOut(model, X, y, folds, regress) for name, model in models.items()}
    y, mean, interval, _ = results["BayesianMLPRegressor"].columns
    every = slice(None, None, 4)
    title = "Diabetes: predictions, 90% intervals, and targets (red: outside), every fourth row"
    save_error_bars(PICTURE, mean[every], interval[every], y[every], title, "disease progression")
    return [regressor_row(name, result) for name, result in results.items()]


def regressor_row(name, result):
    """A line of the table."""
    y, mean, interval, density = result.columns
    return (
        name,
        f"RMSE {root_mean_squared_error(y, mean):.2f}",
        f"{-density.mean():.4f}",
        "-",
        f"{interval_coverage(y, interval):.3f}",
        result.evidence(),
        result.seconds,
    )


def show(rows):
    """Print rows in aligned columns."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(COLUMNS))]
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        print("  ".join(cells).rstrip())


def main():
    """Fit, score, print, draw."""
    cancer, notes = classification()
    diabetes = regression()
    blank = ("",) * (len(COLUMNS) - 1)
    show([COLUMNS, ("BREAST CANCER", *blank), *cancer, ("DIABETES", *blank), *diabetes])
    print("\nNLL in nats a row, lower is better; log evidence of the training rows in nats")
    print(*notes, f"picture: {PICTURE}", sep="\n")


if __name__ == "__main__":
    main()
