"""Scorers for searches: a regressor tuned by its density, its draws or its intervals.

Each is a function of a fitted estimator, rows and targets, larger is better, as
``scoring=`` takes it. They reach through pipelines and other wrappers as the verbs do.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from skbayes.metrics._crps import crps
from skbayes.metrics._intervals import interval_score
from skbayes.verbs import log_predictive, predict_interval, sample_y

#: Draws behind a score of draws, and coverage of the intervals that are scored.
N_DRAWS, COVERAGE = 200, 0.9


def neg_log_predictive_scorer(estimator: Any, X: Any, y: Any, sample_weight: Any = None) -> float:
    """Compute minus the log loss: the mean log predictive density, or probability.

    Parameters
    ----------
    estimator : estimator
        Fitted regressor or classifier, bare or in a wrapper.
    X : array-like of shape (n_rows, n_features)
        Held-out rows.
    y : array-like of shape (n_rows,) or (n_rows, n_targets)
        Their targets.
    sample_weight : array-like of shape (n_rows,), optional
        Weights of the rows.

    Returns
    -------
    score : float
        In nats a row and in the units of y; larger is better.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.model_selection import cross_val_score
    >>> from skbayes import BayesianLinearRegression
    >>> from skbayes.metrics import neg_log_predictive_scorer
    >>> X, y = load_diabetes(return_X_y=True)
    >>> reg = BayesianLinearRegression()
    >>> cross_val_score(reg, X, y, scoring=neg_log_predictive_scorer, cv=3).round(2)
    array([-5.43, -5.46, -5.39])
    """
    return float(np.average(log_predictive(estimator, X, y), weights=sample_weight))


def neg_crps_scorer(estimator: Any, X: Any, y: Any, sample_weight: Any = None) -> float:
    """Compute minus the continuous ranked probability score of 200 predictive draws.

    Parameters
    ----------
    estimator : estimator
        Fitted regressor, bare or in a wrapper.
    X : array-like of shape (n_rows, n_features)
        Held-out rows.
    y : array-like of shape (n_rows,) or (n_rows, n_targets)
        Their targets.
    sample_weight : array-like of shape (n_rows,), optional
        Weights of the rows.

    Returns
    -------
    score : float
        In the units of y; larger is better.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skbayes import BayesianLinearRegression
    >>> from skbayes.metrics import neg_crps_scorer
    >>> X, y = load_diabetes(return_X_y=True)
    >>> reg = BayesianLinearRegression().fit(X[:300], y[:300])
    >>> bool(-35 < neg_crps_scorer(reg, X[300:], y[300:]) < -25)
    True
    """
    draws = sample_y(estimator, X, N_DRAWS, random_state=0)
    return -crps(y, draws, sample_weight=sample_weight)


def neg_interval_score_scorer(estimator: Any, X: Any, y: Any, sample_weight: Any = None) -> float:
    """Compute minus the interval score of 90% predictive intervals.

    Parameters
    ----------
    estimator : estimator
        Fitted regressor, bare or in a wrapper.
    X : array-like of shape (n_rows, n_features)
        Held-out rows.
    y : array-like of shape (n_rows,) or (n_rows, n_targets)
        Their targets.
    sample_weight : array-like of shape (n_rows,), optional
        Weights of the rows.

    Returns
    -------
    score : float
        In the units of y; larger is better.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skbayes import BayesianLinearRegression
    >>> from skbayes.metrics import neg_interval_score_scorer
    >>> X, y = load_diabetes(return_X_y=True)
    >>> reg = BayesianLinearRegression().fit(X[:300], y[:300])
    >>> bool(-300 < neg_interval_score_scorer(reg, X[300:], y[300:]) < -200)
    True
    """
    interval = predict_interval(estimator, X, coverage=COVERAGE)
    return -interval_score(y, interval, coverage=COVERAGE, sample_weight=sample_weight)
