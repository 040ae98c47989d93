"""Which answers are frames: rows in the columns of X, where `set_output` asks for them."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_iris

from skbayes import (
    PPCA,
    AutoencoderTransformer,
    BayesianLinearRegression,
    BayesianLogisticRegression,
    VAETransformer,
)

SMALL = {"encoder__hidden_layer_sizes": (2,), "training__max_iter": 5, "random_state": 0}
CODERS = {
    "ppca": PPCA(1),
    "vae": VAETransformer(1, allow_missing=True, n_score_samples=4).set_params(**SMALL),
    "autoencoder": AutoencoderTransformer(1, allow_missing=True).set_params(**SMALL),
}
VALUES = load_iris().data[:40].copy()
VALUES[::5, 1] = np.nan
FRAME = pd.DataFrame(VALUES, columns=list("abcd"), index=[f"flower {i}" for i in range(40)])
#: Verbs that answer with rows in the columns of X.
ROWS = [
    ("ppca", "impute"),
    ("vae", "impute"),
    ("vae", "reconstruct"),
    ("autoencoder", "reconstruct"),
]


@pytest.mark.parametrize(("name", "verb"), ROWS)
def test_rows_obey_set_output(name, verb):
    plain = clone(CODERS[name]).fit(FRAME)
    expected = getattr(plain, verb)(FRAME)
    assert type(expected) is np.ndarray
    for container in ("pandas", "polars"):
        told = clone(CODERS[name]).set_output(transform=container).fit(FRAME)
        found = getattr(told, verb)(FRAME)
        assert type(found) is {"pandas": pd.DataFrame, "polars": pl.DataFrame}[container]
        assert list(found.columns) == list("abcd")
        np.testing.assert_array_equal(found.to_numpy(), expected)
        if container == "pandas":
            assert found.index.equals(FRAME.index)
    with config_context(transform_output="pandas"):
        assert getattr(plain, verb)(FRAME).index.equals(FRAME.index)


def test_columns_without_names_are_numbered():
    told = clone(CODERS["ppca"]).set_output(transform="pandas").fit(VALUES)
    assert list(told.impute(VALUES).columns) == ["x0", "x1", "x2", "x3"]


@pytest.mark.parametrize("name", ["ppca", "vae"])
def test_draws_stay_arrays(name):
    told = clone(CODERS[name]).set_output(transform="pandas").fit(FRAME)
    draws = told.impute(FRAME, n_samples=2, random_state=0)
    assert type(draws) is np.ndarray
    assert draws.shape == (2, 40, 4)


def test_scores_do_not_depend_on_the_container():
    plain = clone(CODERS["autoencoder"]).fit(FRAME)
    told = clone(CODERS["autoencoder"]).set_output(transform="polars").fit(FRAME)
    assert told.score(FRAME) == plain.score(FRAME)


def test_predictions_stay_arrays_as_scikit_learns_do():
    rows, y = FRAME[["a", "c", "d"]], FRAME.a * 2
    with config_context(transform_output="pandas"):
        reg = BayesianLinearRegression().fit(rows, y)
        clf = BayesianLogisticRegression().fit(rows, FRAME.c > FRAME.c.median())
        answers = [reg.predict(rows), reg.predict_interval(rows), clf.predict_std(rows)]
        answers += [*reg.predict_uncertainty(rows).values(), reg.sample_y(rows, 3)]
    assert {type(answer) for answer in answers} == {np.ndarray}
