"""Ours and its natural peers behind one face: fit on a split, score what is held out.

A peer is imported when it is asked for, so that only its own rows need its package.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy.special import ndtri
from sklearn.base import BaseEstimator
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, WhiteKernel
from sklearn.linear_model import BayesianRidge, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skbayes import BayesianMLPRegressor
from skbayes.exceptions import ConvergenceWarning

COVERAGE = 0.9
#: Rows beyond which the Gaussian process is given a random part, for time's sake.
GP_ROWS = 2000


class Predicted(NamedTuple):
    """Mean (n,), central 90% interval (n, 2) and log density (n,) of held-out targets."""

    mean: np.ndarray
    interval: np.ndarray
    log_density: np.ndarray | None


Regressor = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray, int], Predicted]


def normal(mean: np.ndarray, std: np.ndarray, y: np.ndarray) -> Predicted:
    """A normal predictive from its moments."""
    reach = ndtri((1 + COVERAGE) / 2) * std
    density = -0.5 * ((y - mean) / std) ** 2 - np.log(std) - 0.5 * np.log(2 * np.pi)
    return Predicted(mean, np.stack([mean - reach, mean + reach], 1), density)


class Ours:
    """Our regressor as a scored model; `fitted` is the last fit, ended at `fitted_at`."""

    def __init__(self, **parameters: Any) -> None:
        self.parameters = parameters

    def __call__(self, X, y, X_test, y_test, seed) -> Predicted:
        model = BayesianMLPRegressor(**self.parameters, random_state=seed).fit(X, y)
        self.fitted, self.fitted_at = model, time.process_time()
        interval = model.predict_interval(X_test, COVERAGE)
        return Predicted(model.predict(X_test), interval, model.log_predictive(X_test, y_test))


def bayesian_ridge(X, y, X_test, y_test, seed) -> Predicted:
    model = make_pipeline(StandardScaler(), BayesianRidge()).fit(X, y)
    mean, std = model.predict(X_test, return_std=True)
    return normal(mean, std, y_test)


def gaussian_process(X, y, X_test, y_test, seed) -> Predicted:
    if len(X) > GP_ROWS:
        index = np.random.default_rng(seed).choice(len(X), GP_ROWS, replace=False)
        X, y = X[index], y[index]
    kernel = RBF(np.sqrt(X.shape[1])) + WhiteKernel()
    process = GaussianProcessRegressor(kernel, normalize_y=True, random_state=seed)
    model = make_pipeline(StandardScaler(), process).fit(X, y)
    mean, std = model.predict(X_test, return_std=True)
    return normal(mean, std, y_test)


def mapie_cv_plus(X, y, X_test, y_test, seed) -> Predicted:
    from mapie.regression import CrossConformalRegressor

    inner = make_pipeline(StandardScaler(), BayesianRidge())
    model = CrossConformalRegressor(
        inner, confidence_level=COVERAGE, method="plus", cv=10, random_state=seed
    )
    model.fit_conformalize(X, y)
    mean, interval = model.predict_interval(X_test)
    return Predicted(mean, interval[:, :, 0], None)


def ngboost(X, y, X_test, y_test, seed) -> Predicted:
    from ngboost import NGBRegressor

    found = NGBRegressor(verbose=False, random_state=seed).fit(X, y).pred_dist(X_test)
    return normal(found.loc, found.scale, y_test)


def boosted_quantiles(X, y, X_test, y_test, seed) -> Predicted:
    def fit(**loss: Any) -> np.ndarray:
        return HistGradientBoostingRegressor(**loss, random_state=seed).fit(X, y).predict(X_test)

    tails = (1 - COVERAGE) / 2, (1 + COVERAGE) / 2
    interval = np.stack([fit(loss="quantile", quantile=q) for q in tails], 1)
    return Predicted(fit(), interval, None)


def bde(X, y, X_test, y_test, seed, **parameters: Any) -> Predicted:
    from bde import BdeRegressor

    x_scaler, centre, scale = StandardScaler().fit(X), y.mean(), y.std()
    model = BdeRegressor(**parameters, seed=seed)
    model.fit(x_scaler.transform(X), (y - centre) / scale)
    mean, std = model.predict(x_scaler.transform(X_test), mean_and_std=True)
    return normal(centre + scale * np.asarray(mean), scale * np.asarray(std), y_test)


def bde_long(X, y, X_test, y_test, seed) -> Predicted:
    """Longer chains than its defaults, as its README advises."""
    longer = {"n_members": 4, "hidden_layers": [16, 16], "warmup_steps": 1000, "n_samples": 400}
    return bde(X, y, X_test, y_test, seed, **longer, epochs=200)


REGRESSORS: dict[str, Regressor] = {
    "BayesianRidge": bayesian_ridge,
    "GaussianProcess": gaussian_process,
    "HistGB quantiles": boosted_quantiles,
}
PEER_REGRESSORS: dict[str, Regressor] = {
    "NGBoost": ngboost,
    "bde (y scaled)": bde,
    "bde, 4 x 400 draws (y scaled)": bde_long,
}


def score_regressor(model: Regressor, X, y, test: np.ndarray, seed: int = 0) -> dict[str, float]:
    """RMSE, NLL, coverage and width of 90% intervals, CPU seconds; test is a row mask."""
    start = time.process_time()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = model(X[~test], y[~test], X[test], y[test], seed)
    seconds = getattr(model, "fitted_at", time.process_time()) - start
    low, high = found.interval.T
    density = found.log_density
    return {
        "rmse": float(np.sqrt(np.mean((found.mean - y[test]) ** 2))),
        "nll": float("nan") if density is None else float(-density.mean()),
        "coverage": float(np.mean((low <= y[test]) & (y[test] <= high))),
        "width": float(np.mean(high - low)),
        "seconds": seconds,
        "warned": sum(issubclass(w.category, ConvergenceWarning) for w in caught),
    }


# --- classifiers ------------------------------------------------------------------------


def make_classifiers() -> dict[str, BaseEstimator]:
    """Natural peers for class labels."""
    forest = RandomForestClassifier(300, random_state=0)
    return {
        "LogisticRegression C=1": make_pipeline(
            StandardScaler(), LogisticRegression(max_iter=2000)
        ),
        "LogisticRegression C=0.1": make_pipeline(
            StandardScaler(), LogisticRegression(C=0.1, max_iter=2000)
        ),
        "forest, isotonic": CalibratedClassifierCV(forest, method="isotonic"),
    }


class BdePeer(BaseEstimator):
    """sklearn-contrib-bde's classifier at its defaults, columns scaled for it."""

    def fit(self, X, y) -> BdePeer:
        from bde import BdeClassifier

        self.scaler_ = StandardScaler().fit(X)
        self.model_ = BdeClassifier().fit(self.scaler_.transform(X), y)
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X) -> np.ndarray:
        return np.asarray(self.model_.predict_proba(self.scaler_.transform(X)), dtype=float)


def row_log_loss(model: Any, X, y) -> np.ndarray:
    """Log loss (n,) of each row; ours by its own density, peers clipped at 1e-15."""
    if hasattr(model, "log_predictive"):
        return -model.log_predictive(X, y)
    proba = model.predict_proba(X)
    proba = proba / proba.sum(1, keepdims=True)
    picked = proba[np.arange(len(y)), np.searchsorted(model.classes_, y)]
    return -np.log(np.clip(picked, 1e-15, 1.0))


def score_classifier(model: Any, X, y, test: np.ndarray) -> dict[str, Any]:
    """Accuracy, log loss and CPU seconds of the fit; test is a row mask."""
    start = time.process_time()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X[~test], y[~test])
    seconds = time.process_time() - start
    losses = row_log_loss(model, X[test], y[test])
    predicted = model.classes_[model.predict_proba(X[test]).argmax(1)]
    return {
        "accuracy": float(np.mean(predicted == y[test])),
        "nll": float(losses.mean()),
        "seconds": seconds,
        "warned": sum(issubclass(w.category, ConvergenceWarning) for w in caught),
    }


def mean_scores(scores: list[dict[str, Any]]) -> dict[str, float]:
    """Average over splits."""
    return {key: float(np.mean([score[key] for score in scores])) for key in scores[0]}
