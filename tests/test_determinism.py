"""Equal seeds give equal bits, and nobody else's random state or threads are touched."""

import numpy as np
import pytest
import torch
from joblib import parallel_config
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.model_selection import GridSearchCV, cross_val_predict

from skbayes import BayesianMLPClassifier, BayesianMLPRegressor
from skbayes.inference import INFERENCES
from skbayes.posteriors._function_draws import TILE_ROWS
from tests.engine_configs import cheap_engines

X, Y = load_diabetes(return_X_y=True)
TRAIN, TARGETS = X[:60], Y[:60]
IRIS = tuple(a[::3] for a in load_iris(return_X_y=True))
CHEAP = cheap_engines(
    max_iter=20, hmc={"n_samples": 10, "warmup": 10}, nuts={"n_samples": 10, "warmup": 10}
)
ENGINES = pytest.mark.parametrize("engine", INFERENCES)


def regressor(engine="laplace", **params):
    params = {"n_predictive_samples": 50, "random_state": 0} | params
    return BayesianMLPRegressor((4,), inference=clone(CHEAP[engine]), **params)


def classifier(engine="laplace", **params):
    params = {"n_predictive_samples": 50, "random_state": 0} | params
    return BayesianMLPClassifier((4,), inference=clone(CHEAP[engine]), **params)


def bits(reg):
    """All that a fitted regressor says, as one array."""
    parts = [
        *reg.predict(TRAIN, return_std=True),
        reg.predict_interval(TRAIN),
        reg.log_predictive(TRAIN, TARGETS),
        reg.sample_y(TRAIN, 2),
        reg.sample_posterior(TRAIN, 2, random_state=1),
    ]
    return np.concatenate([part.ravel() for part in parts])


# --- seeds --------------------------------------------------------------------------


@ENGINES
def test_equal_seeds_give_equal_bits(engine):
    first = regressor(engine).fit(TRAIN, TARGETS)
    second = regressor(engine).fit(TRAIN, TARGETS)
    assert_array_equal(bits(first), bits(second))
    for name, draws in first.sample_posterior(n_samples=2, random_state=3).items():
        assert_array_equal(draws, second.sample_posterior(n_samples=2, random_state=3)[name])
    assert first._log_evidence == second._log_evidence


@ENGINES
def test_a_second_fit_gives_the_bits_of_the_first(engine):
    reg = regressor(engine).fit(TRAIN, TARGETS)
    first = bits(reg)
    assert_array_equal(bits(reg.fit(TRAIN, TARGETS)), first)


@ENGINES
def test_seeds_matter(engine):
    first = regressor(engine).fit(TRAIN, TARGETS)
    second = regressor(engine, random_state=1).fit(TRAIN, TARGETS)
    assert np.abs(first.predict(TRAIN) - second.predict(TRAIN)).max() > 1e-6 * np.std(TARGETS)


def test_draws_follow_their_own_seed():
    reg = regressor().fit(TRAIN, TARGETS)
    for draw in (reg.sample_y, lambda X, n, random_state: reg.sample_posterior(X, n, random_state)):
        first, same, other = (draw(TRAIN, 3, random_state=seed) for seed in (0, 0, 1))
        assert_array_equal(first, same)
        assert (first != other).all()


def test_no_seed_means_fresh_draws():
    first, second = (
        regressor(random_state=None).fit(TRAIN, TARGETS).predict(TRAIN) for _ in range(2)
    )
    assert (first != second).any()


def test_random_state_object_is_advanced_by_fit_alone():
    """As in scikit-learn: two fits from one RandomState differ, predictions do not use it."""
    rng = np.random.RandomState(0)
    reg = regressor(random_state=rng).fit(TRAIN, TARGETS)
    state = rng.get_state()[1].copy()
    first = bits(reg)
    assert_array_equal(bits(reg), first)
    assert_array_equal(rng.get_state()[1], state)
    assert (bits(reg.fit(TRAIN, TARGETS)) != first).any()


# --- order and company of rows ------------------------------------------------------


@ENGINES
def test_fit_does_not_depend_on_the_order_of_rows(engine):
    order = np.random.default_rng(0).permutation(len(TRAIN))
    first = regressor(engine).fit(TRAIN, TARGETS)
    assert_array_equal(bits(regressor(engine).fit(TRAIN[order], TARGETS[order])), bits(first))


@ENGINES
def test_weights_are_repetitions(engine):
    times = np.random.default_rng(0).integers(0, 3, len(TRAIN))
    rows = np.random.default_rng(1).permutation(np.repeat(np.arange(len(TRAIN)), times))
    weighted = regressor(engine).fit(TRAIN, TARGETS, sample_weight=times)
    repeated = regressor(engine).fit(TRAIN[rows], TARGETS[rows])
    assert_array_equal(bits(weighted), bits(repeated))


@ENGINES
def test_mini_batches_do_not_depend_on_the_order_of_rows(engine):
    if "batch_size" not in CHEAP[engine].get_params():
        assert engine in ("hmc", "nuts", "mclmc")
        return
    order = np.random.default_rng(0).permutation(len(TRAIN))
    first, second = (
        regressor(engine).set_params(inference__batch_size=16).fit(TRAIN[rows], TARGETS[rows])
        for rows in (slice(None), order)
    )
    assert_array_equal(bits(first), bits(second))


def test_a_row_of_several_targets_in_double_precision_does_not_depend_on_its_company():
    targets = np.column_stack([TARGETS, TRAIN[:, :6]])
    reg = regressor("laplace", dtype="float64").fit(TRAIN, targets)
    order = np.random.default_rng(0).permutation(len(X))
    for verb in (reg.predict, reg.predict_std, lambda rows: reg.sample_posterior(rows, 3, 0)[0]):
        assert_array_equal(verb(X[order]), verb(X)[order])


@ENGINES
@pytest.mark.parametrize("make", [regressor, classifier])
def test_a_row_does_not_depend_on_its_company(engine, make):
    """Alone, in a subset, in another order, in chunks across tiles: the same bits."""
    data = (TRAIN, TARGETS) if make is regressor else IRIS
    estimator = make(engine).fit(*data)
    table = X if make is regressor else np.tile(IRIS[0], (6, 1)) + 0.01 * np.arange(300)[:, None]
    assert len(table) > TILE_ROWS
    order = np.random.default_rng(0).permutation(len(table))
    for verb in (estimator.predict_std, getattr(estimator, "predict_proba", estimator.predict)):
        whole = verb(table)
        assert_array_equal(verb(table[order]), whole[order])
        assert_array_equal(verb(table[5:6]), whole[5:6])
        assert_array_equal(verb(table[::7]), whole[::7])
        chunks = [verb(table[start : start + 100]) for start in range(0, len(table), 100)]
        assert_array_equal(np.concatenate(chunks), whole)


def test_other_verbs_do_not_depend_on_company():
    reg = regressor().fit(TRAIN, TARGETS)
    part = slice(250, 270)
    density, interval = reg.log_predictive(X, Y), reg.predict_interval(X)
    # A sum over draws rounds otherwise where a tile is cut.
    np.testing.assert_allclose(reg.log_predictive(X[part], Y[part]), density[part], rtol=1e-12)
    # The root finder stops all rows of a tile at once, each within its tolerance.
    np.testing.assert_allclose(reg.predict_interval(X[part]), interval[part], rtol=1e-5)
    draws = reg.sample_posterior(X, 3, random_state=0)
    assert_array_equal(reg.sample_posterior(X[part], 3, random_state=0), draws[:, part])


def test_predictions_leave_the_estimator_alone():
    reg = regressor().fit(TRAIN, TARGETS)
    before = {name: repr(value) for name, value in vars(reg).items()}
    posterior = {name: repr(value) for name, value in vars(reg.posterior_).items()}
    bits(reg)
    assert {name: repr(value) for name, value in vars(reg).items()} == before
    assert {name: repr(value) for name, value in vars(reg.posterior_).items()} == posterior


# --- processes and threads ----------------------------------------------------------


@pytest.mark.parametrize("engine", ["laplace", "hmc"])
def test_backends_and_jobs(engine):
    """The same bits from one job, two processes and two threads."""
    results = {"one": cross_val_predict(regressor(engine), TRAIN, TARGETS, cv=2, n_jobs=1)}
    for backend in ("threading", "loky"):
        with parallel_config(backend, n_jobs=2):
            results[backend] = cross_val_predict(regressor(engine), TRAIN, TARGETS, cv=2)
    assert_array_equal(results["threading"], results["one"])
    assert_array_equal(results["loky"], results["one"])


def test_search_over_jobs():
    grid = {"inference": list(CHEAP.values()), "prior__scale": [0.3]}
    search = GridSearchCV(regressor(), grid, cv=2)
    one = search.fit(TRAIN, TARGETS).cv_results_["mean_test_score"]
    with parallel_config("threading", n_jobs=2):
        assert_array_equal(search.fit(TRAIN, TARGETS).cv_results_["mean_test_score"], one)


# --- global state -------------------------------------------------------------------


def global_state():
    name, keys, *rest = np.random.get_state()  # noqa: NPY002
    return name, keys.tobytes(), rest, torch.get_rng_state().numpy().tobytes()


# A cheap engine warns at some seeds, and None takes any.
@pytest.mark.filterwarnings("ignore::skbayes.exceptions.ConvergenceWarning")
@ENGINES
@pytest.mark.parametrize("random_state", [0, None])
def test_global_random_state_is_untouched(engine, random_state):
    before = global_state()
    reg = regressor(engine, random_state=random_state).fit(TRAIN, TARGETS)
    assert global_state() == before
    bits(reg)
    reg.sample_y(TRAIN, random_state=None)
    reg.sample_posterior(random_state=None)
    reg.predict_uncertainty(TRAIN)
    assert global_state() == before


@ENGINES
def test_thread_count_and_grad_mode_are_put_back(engine):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        bits(regressor(engine).fit(TRAIN, TARGETS))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert torch.is_grad_enabled()
    assert torch.get_default_dtype() == torch.float32


def test_thread_count_is_put_back_after_divergence():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with pytest.raises(ValueError, match="non-finite"):
            regressor("map").set_params(inference__learning_rate=1e30).fit(TRAIN, TARGETS)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
