"""What a warm start takes over from an earlier posterior, and what it must not."""

import pickle

import numpy as np
import pytest
from sklearn.datasets import load_diabetes

from skbayes import BayesianMLPRegressor
from skbayes.inference import HMC, MAP, DeepEnsemble, MeanFieldVI

X, y = load_diabetes(return_X_y=True)
X, y = X[:60], y[:60]


def warm(first):
    reg = BayesianMLPRegressor((4,), inference=first, warm_start=True, random_state=0)
    return reg.fit(X, y)


def test_an_ensemble_is_not_copies_of_one_mode():
    reg = warm(MAP(max_iter=50)).set_params(inference=DeepEnsemble(n_members=3, max_iter=50))
    members = reg.fit(X, y).posterior_.particles[:, 0]
    distances = np.linalg.norm(members[:, None] - members, axis=2)
    assert (distances[~np.eye(3, dtype=bool)] > 0.1).all()


def test_chains_do_not_start_as_one():
    engine = HMC(n_samples=4, warmup=0, step_size=1e-6, init_steps=0, max_extensions=0)
    reg = warm(MAP(max_iter=50)).set_params(inference=engine)
    with pytest.warns(UserWarning, match="disagree"):
        reg.fit(X, y)
    starts = reg.posterior_.particles[:, 0]
    assert np.linalg.norm(starts[:, None] - starts, axis=2)[~np.eye(4, dtype=bool)].min() > 0.1


@pytest.mark.parametrize("change", [{"prior__scale": 0.5}, {"likelihood": "heteroscedastic"}])
def test_changed_unknowns_are_refused_by_name(change):
    reg = warm(MeanFieldVI(max_iter=20)).set_params(**change)
    with pytest.raises(ValueError, match="warm_start=True needs"):
        reg.fit(X, y)


@pytest.mark.parametrize("change", [{"scale_inputs": None}, {"scale_targets": False}])
def test_a_changed_scaling_is_refused_by_name(change):
    reg = warm(MAP(max_iter=20)).set_params(**change)
    ((name, value),) = change.items()
    with pytest.raises(ValueError, match=f"first fit, which {name}={value}.*warm_start=False"):
        reg.fit(X, y)


def state(estimator):
    return {name: pickle.dumps(value) for name, value in vars(estimator).items()}


@pytest.mark.parametrize(
    ("rows", "targets", "message"),
    [
        (X, np.c_[y, y], "y has 2 targets but fit saw 1"),
        (X, y[:, None], "y of 2 dimensions after 1"),
        (X[:, :4], y, "expecting 10 features"),
        (X, np.full(60, np.nan), "NaN"),
    ],
    ids=["two targets", "a column", "fewer columns", "missing"],
)
def test_a_refused_fit_changes_nothing(rows, targets, message):
    reg = warm(MAP(max_iter=20))
    before = state(reg)
    with pytest.raises(ValueError, match=message):
        reg.fit(rows, targets)
    assert state(reg) == before
    assert reg.predict(X[:3]).shape == (3,)
