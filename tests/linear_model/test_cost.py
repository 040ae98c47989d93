"""A logistic fit to many classes says what it takes, and what else to use, before it begins."""

import numpy as np
import pytest

from skbayes import BayesianLogisticRegression, BayesianMLPClassifier
from skbayes.exceptions import InsufficientMemoryError
from skbayes.linear_model import _cost
from skbayes.linear_model._cost import MUCH, bytes_needed, check_cost, operations
from skbayes.utils._memory import GIB

REMEDY = r"y of \d+ classes and X of .*BayesianMLPClassifier\(hidden_layer_sizes=\(\), inference='"


def many_classes(n_classes, n_rows, n_columns=10):
    rng = np.random.default_rng(0)
    labels = np.arange(n_rows) % n_classes
    centres = 1.5 * rng.normal(size=(n_classes, n_columns))
    return centres[labels] + rng.normal(size=(n_rows, n_columns)), labels


@pytest.fixture
def plenty(monkeypatch):
    monkeypatch.setattr(_cost, "available_bytes", lambda: 64 * GIB)


@pytest.mark.parametrize("inference", ["variational", "laplace", "hmc"])
def test_many_classes_are_warned_of_before_the_search(inference, plenty, monkeypatch):
    def nothing_started(*_):
        raise AssertionError("the search has begun")

    monkeypatch.setattr(BayesianLogisticRegression, "_fit_problem", nothing_started)
    X, y = many_classes(300, 3000)
    clf = BayesianLogisticRegression(inference=inference)
    with pytest.warns(UserWarning, match=REMEDY) as seen, pytest.raises(AssertionError):
        clf.fit(X, y)
    assert seen[0].filename == __file__


def test_what_does_not_fit_is_refused(monkeypatch):
    monkeypatch.setattr(_cost, "available_bytes", lambda: 16 * GIB)
    X, y = many_classes(1000, 3000)
    with pytest.raises(InsufficientMemoryError, match=f"{REMEDY}.*16 GiB are free"):
        BayesianLogisticRegression().fit(X, y)


def test_few_classes_are_silent(plenty):
    check_cost(1797, 10, 65, True)  # digits
    check_cost(16000, 26, 17, True)  # letters
    check_cost(100_000, 1, 100, True)
    assert operations(3000, 100, 11, True) < MUCH < operations(3000, 200, 11, True)


def test_numbers_are_counted_by_hand():
    assert operations(10, 3, 2, False) == 0.5 * 10 * 36 + 216 / 3
    assert operations(10, 3, 2, True) == 0.5 * 10 * 36 + 216 / 3 + 10 * 27
    assert bytes_needed(10, 3, 2, False) == 8 * (3 * 10 * 9 + 6 * 36)
    assert bytes_needed(10, 3, 2, True) > bytes_needed(10, 3, 2, False)


@pytest.mark.slow
def test_the_remedy_does(plenty):
    """The same model by Kronecker factors learns a hundred classes in seconds."""
    X, y = many_classes(100, 1000)
    clf = BayesianMLPClassifier((), inference="laplace", random_state=0)
    clf.fit(X[:800], y[:800])
    assert clf.score(X[800:], y[800:]) > 0.5
