"""Scorers are the metrics' negatives, through wrappers too, and tune a regressor."""

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skbayes import BayesianLinearRegression, BayesianLogisticRegression
from skbayes.metrics import (
    crps,
    interval_score,
    neg_crps_scorer,
    neg_interval_score_scorer,
    neg_log_predictive_scorer,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 2))
Y = X @ [1.0, -1.0] + 0.3 * RNG.normal(size=120)
SCORERS = [neg_log_predictive_scorer, neg_crps_scorer, neg_interval_score_scorer]


def test_scorers_are_the_negatives_of_the_metrics():
    reg = BayesianLinearRegression().fit(X, Y)
    weight = RNG.integers(1, 4, size=120)
    assert neg_log_predictive_scorer(reg, X, Y) == reg.log_predictive(X, Y).mean()
    drawn = crps(Y, reg.sample_y(X, 200, random_state=0), sample_weight=weight)
    assert neg_crps_scorer(reg, X, Y, weight) == -drawn
    scored = interval_score(Y, reg.predict_interval(X, 0.9), coverage=0.9)
    assert neg_interval_score_scorer(reg, X, Y) == -scored
    clf = BayesianLogisticRegression().fit(X, Y > 0)
    expected = np.average(clf.log_predictive(X, Y > 0), weights=weight)
    assert neg_log_predictive_scorer(clf, X, Y > 0, weight) == expected


@pytest.mark.parametrize("scorer", SCORERS)
def test_a_search_finds_the_noise(scorer):
    """R2 cannot tell noise precisions apart; each of the scorers can."""
    reg = BayesianLinearRegression(hyperparameters="fixed", alpha=1.0)
    search = GridSearchCV(reg, {"beta": [0.01, 1 / 0.3**2, 1e4]}, scoring=scorer, cv=3)
    assert search.fit(X, Y).best_params_["beta"] == 1 / 0.3**2
    pipe = make_pipeline(StandardScaler(), reg)
    assert np.isfinite(cross_val_score(pipe, X, Y, scoring=scorer, cv=3)).all()
