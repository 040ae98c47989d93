"""Streams of random numbers: one a purpose, and none shared by a fit and a later draw."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.datasets import load_diabetes

from skbayes.utils._draws import PURPOSES, seed_streams
from tests.engine_configs import quick_regressor

X, Y = (a[:40] for a in load_diabetes(return_X_y=True))
FIT, DRAWS = PURPOSES[:4], PURPOSES[4:]


@pytest.mark.parametrize("seed", range(20))
def test_every_purpose_has_a_seed_of_its_own(seed):
    seeds = seed_streams(seed)
    assert tuple(seeds) == PURPOSES
    assert len(set(seeds.values())) == len(PURPOSES)


@pytest.mark.parametrize("seed", range(5))
def test_purposes_that_were_added_last_move_no_other(seed):
    """Fits keep the bits they had before the verbs drew from streams of their own."""
    first = np.random.RandomState(seed).randint(np.iinfo(np.int32).max, size=4)
    assert [seed_streams(seed)[name] for name in FIT] == list(first)


@pytest.fixture
def asked(monkeypatch):
    """Seeds of the generators that are made."""
    from skbayes.neural_network import _base
    from skbayes.posteriors import _functions

    made, make = [], _base.make_generator

    def watched(seed, *args):
        made.append(seed)
        return make(seed, *args)

    for module in (_base, _functions):
        monkeypatch.setattr(module, "make_generator", watched)
    return made


def test_draws_use_no_stream_of_a_fit_with_the_same_seed(asked):
    seeds = seed_streams(0)
    reg = quick_regressor("laplace").fit(X, Y)
    of_fit = set(asked)
    assert of_fit == {seeds[name] for name in ("init", "training", "evidence")}
    asked.clear()
    reg.sample_posterior(n_samples=5, random_state=0)
    reg.sample_posterior(X, 5, random_state=0)
    reg.sample_y(X, 5, random_state=0)
    assert set(asked) == {seeds[name] for name in DRAWS}
    reg = quick_regressor("mean_field_vi").fit(X, Y)
    asked.clear()
    reg.predict(X)
    assert set(asked) == {seeds["prediction"]}


def test_new_draws_are_not_those_behind_predictions():
    reg = quick_regressor("laplace", n_predictive_samples=50).fit(X, Y)
    behind = reg._predictive(X).predictive_draws().params
    fresh = reg.sample_posterior(n_samples=50, random_state=0)["layer0.bias"]
    shared = reg._model().named(behind)["layer0.bias"].numpy()
    correlation = np.corrcoef(fresh[:, 0], shared[:, 0])[0, 1]
    assert abs(correlation) < 4 / 50**0.5
    assert_array_equal(fresh, reg.sample_posterior(n_samples=50, random_state=0)["layer0.bias"])
