"""What is suggested fits what it was asked about, and says why."""

import numpy as np
import pandas
import polars
import pytest
from sklearn.base import clone
from sklearn.pipeline import Pipeline

import skbayes

RNG = np.random.default_rng(0)
X = RNG.normal(size=(80, 3))
Y = X[:, 0] + 0.1 * RNG.normal(size=80)
LABELS = np.where(Y > 0, "yes", "no")


def kind(suggestion):
    estimator = suggestion.estimator
    return type(estimator[-1] if isinstance(estimator, Pipeline) else estimator).__name__


@pytest.mark.parametrize(
    ("rows", "y", "expected", "reason"),
    [
        (X, Y, "BayesianMLPRegressor", '"hmc"'),
        (X, LABELS, "BayesianMLPClassifier", "2 classes"),
        (X[:20], Y[:20], "BayesianLinearRegression", "exact"),
        (X[:20], LABELS[:20], "BayesianLogisticRegression", "so few rows"),
        (np.zeros((60, 100)), np.arange(60) / 7, "BayesianLinearRegression", "exact"),
        (np.zeros((20_000, 3)), np.arange(20_000) / 7, "BayesianMLPRegressor", "ensemble"),
        (X, np.column_stack([Y, Y]), "BayesianMLPRegressor", "2 numeric"),
        (X, np.arange(80), "BayesianMLPRegressor", "80 different integers"),
        (X, None, "VariationalGMM", "groups"),
        (np.zeros((60, 10)), None, "PPCA", "components"),
        (np.zeros((6000, 10)), None, "VAETransformer", "curved"),
    ],
)
def test_kind_by_size(rows, y, expected, reason):
    suggestion = skbayes.suggest(rows, y)
    assert kind(suggestion) == expected
    assert reason in repr(suggestion)


def test_the_rule_is_the_estimators_own():
    """Where the text says "hmc", the default samples; where it says ensemble, it trains one."""
    from skbayes.inference import HMC, DeepEnsemble
    from skbayes.priors import Normal

    net = skbayes.BayesianMLPRegressor()
    for n_rows, engine in ((7_000, HMC), (9_000, DeepEnsemble)):
        work = n_rows * (50 * 4 + 51)
        assert type(net._make_inference(work, Normal())) is engine
        said = repr(skbayes.suggest(np.zeros((n_rows, 3)), np.arange(n_rows) / 7))
        assert ('"hmc"' in said) is (engine is HMC)


def frames():
    columns = {"a": X[:, 0], "sex": LABELS, "b": np.where(X[:, 1] > 1, np.nan, X[:, 1])}
    return [pandas.DataFrame(columns), polars.DataFrame(columns)]


@pytest.mark.parametrize("number", [0, 1])
def test_frames_with_text_and_holes_go_through(number):
    frame = frames()[number]
    suggestion = skbayes.suggest(frame, Y)
    assert "['sex'] are no numbers" in repr(suggestion)
    assert "holes" in repr(suggestion)
    model = clone(suggestion.estimator).set_params(bayesianmlpregressor__inference="map")
    assert model.fit(frame, Y).predict(frame).shape == (80,)


def test_arrays_with_holes_go_through():
    holes = np.where(X > 1, np.nan, X)
    suggestion = skbayes.suggest(holes, Y)
    model = suggestion.estimator.set_params(bayesianmlpregressor__inference="map")
    assert model.fit(holes, Y).predict(holes).shape == (80,)
    assert "Imputer" not in repr(skbayes.suggest(holes))


def test_what_no_estimator_takes_is_refused():
    with pytest.raises(ValueError, match="MultiOutputClassifier"):
        skbayes.suggest(X, RNG.integers(0, 2, (80, 3)))
    with pytest.raises(ValueError, match="give a table"):
        skbayes.suggest(X[:, 0], Y)
    with pytest.raises(ValueError, match="an array of object"):
        skbayes.suggest(X.astype(object), Y)
