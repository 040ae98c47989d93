"""Streams know their rows and the order of these, but not how they were cut into chunks."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skbayes import VariationalGMM
from skbayes.io import load, save
from skbayes.mixture import _stream
from skbayes.mixture._rows import Units, measured, n_that_fit
from skbayes.mixture._stream import last_due
from tests.mixture.checks import check_moved_statistics
from tests.mixture.models import TYPES, make_rows, model
from tests.mixture.test_bound import allocated, blobs
from tests.mixture.test_missing import holes

#: What a fit says in numbers.
ANSWERS = ("weights_", "means_", "precisions_", "counts_", "lower_bound_", "n_iter_", "n_moves_")

#: Few moves, for streams of few rows are fitted often.
PARAMS = {"n_components": 3, "n_moves": 2, "random_state": 0}


@pytest.fixture
def short(monkeypatch):
    """Whole fits of 8, 10, ... 20 rows, then blocks of 8: all of a stream within few rows."""
    monkeypatch.setattr(_stream, "START_ROWS", 20)
    monkeypatch.setattr(_stream, "START_ROWS_EACH", 1)
    monkeypatch.setattr(_stream, "BLOCK_ROWS", 8)
    monkeypatch.setattr(_stream, "DUE_DIGITS", 3)


def streamed(X, cuts, weight=None, **params):
    gmm = VariationalGMM(**{**PARAMS, **params})
    weight = np.ones(len(X)) if weight is None else weight
    for at in np.split(np.arange(len(X)), cuts):
        if len(at):
            gmm.partial_fit(X[at], sample_weight=weight[at])
    return gmm


def assert_same_bits(one, two):
    for name in ANSWERS:
        assert_array_equal(getattr(one, name), getattr(two, name), err_msg=name)


def random_cuts(n_rows, n_times, seed=0):
    rng = np.random.default_rng(seed)
    for _ in range(n_times):
        yield np.sort(rng.choice(n_rows, size=rng.integers(1, 8)))


def stream_rows(kind):
    """Forty-five rows: plain, with holes (the first row empty), or with equal rows."""
    X = blobs(45, 2, seed=1)
    if kind == "holes":
        X = holes(X, 0.3)
        X[0], X[1] = np.nan, [np.nan, 1.0]
    elif kind == "equal":
        X = np.round(X)
    return X


@pytest.mark.parametrize("kind", ["plain", "holes", "equal"])
@pytest.mark.parametrize("type_", TYPES)
def test_any_cut_gives_the_same_bits(type_, kind, short):
    X, params = stream_rows(kind), {"covariance_type": type_}
    whole = streamed(X, [], **params)
    for cuts in random_cuts(len(X), 3):
        assert_same_bits(streamed(X, cuts, **params), whole)
    chunks = iter(np.split(X, [1, 2, 17]))
    assert_same_bits(VariationalGMM(**PARAMS, **params).fit(chunks), whole)


@pytest.mark.parametrize("params", [{}, {"weight_prior": "dirichlet_process"}])
def test_one_row_at_a_time_is_the_stream_at_once(params, short):
    X = stream_rows("plain")
    assert_same_bits(streamed(X, np.arange(len(X)), **params), streamed(X, [], **params))


@pytest.mark.parametrize("type_", TYPES)
def test_few_rows_one_at_a_time_are_the_fit_to_all(type_):
    """A first row has no spread, which must not stay behind as a spike."""
    X = np.random.default_rng(0).normal(size=(50, 3))
    assert last_due(50) == 50
    whole = VariationalGMM(covariance_type=type_, **PARAMS).fit(X)
    for cuts in ([1], [2, 30], np.arange(50))[: 3 if type_ == "full" else 2]:
        assert_same_bits(streamed(X, cuts, covariance_type=type_), whole)


def test_latest_rows_join_a_whole_fit():
    """Three of 303, whose coming moves no other row: less than a tenth of a nat is lost."""
    X = blobs(303, 2)
    assert last_due(303) == 300
    whole = VariationalGMM(3, tol=1e-7, random_state=0).fit(X)
    gmm = streamed(X, [1, 100], tol=1e-7)
    assert whole.lower_bound_ - 0.1 < gmm.lower_bound_ <= whole.lower_bound_ + 1e-3


def test_whole_fits_are_due_at_few_more_rows():
    due = [last_due(n) for n in range(1, 10_001)]
    assert due[:127] == list(range(1, 128))
    assert all(0 <= n - at <= n / 64 for n, at in enumerate(due, 1))
    assert len(set(due)) < 600


@pytest.mark.parametrize("type_", TYPES)
def test_weights_are_rows_that_follow_one_another(type_, short):
    X, weight = blobs(40, 2), np.random.default_rng(1).integers(0, 4, 40)
    rows = np.repeat(X, weight, axis=0)
    params = {"covariance_type": type_}
    weighted = streamed(X, [3, 21], weight, **params)
    assert_same_bits(streamed(rows, [5, 6, 7, 50], **params), weighted)


def test_no_more_rows_than_fit():
    held = np.array([[0.0, 1.0], [np.nan, 2.0]])
    rows = np.array([[np.nan, 2.0], [-0.0, 1.0], [5.0, 5.0], [0.0, 1.0], [5.0, np.nan]])
    assert [n_that_fit(held, rows, size) for size in (1, 2, 3, 4, 9)] == [0, 2, 4, 5, 5]
    many = np.repeat(np.arange(50.0)[:, None], 20, axis=0)
    assert n_that_fit(many[:0], many, 7) == 140


# --- units and default priors ------------------------------------------------------------


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("type_", TYPES)
def test_units_and_default_prior_are_those_of_all_rows(type_, missing, short):
    """Rows in order: the first have one value in a column, and another place than all."""
    X = blobs(60, 3, seed=2) * [1.0, 50.0, 0.01] + [0.0, 7.0, 300.0]
    X = X[np.argsort(X[:, 0])]
    X[:25, 2] = 300.0
    if missing:
        X = holes(X, 0.2)
    whole = VariationalGMM(covariance_type=type_, **PARAMS).fit(X)
    gmm = streamed(X, [1, 2, 3, 24, 25, 40, 41], covariance_type=type_)
    for name in ("centre", "scale", "scatter", "counts", "n_rows"):
        scale = np.abs(whole._state[name]).max()
        assert_allclose(gmm._state[name], whole._state[name], rtol=1e-9, atol=1e-12 * scale)
    assert_allclose(gmm._state["mean"], 0)
    settings = {"covariance_type": type_, "random_state": 0, "max_iter": 1000}
    passes = VariationalGMM(3, **settings).fit(lambda: np.array_split(X, 7))
    assert_allclose(passes._state["scatter"], whole._state["scatter"], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("type_", TYPES)
def test_other_units_move_statistics_and_leave_the_bound(type_):
    check_moved_statistics(type_)
    data, _ = measured(3 * blobs(40, 3) + 1, np.ones(40), type_)
    factor, shift = data.units.within(Units(np.zeros(3), np.ones(3)))
    X, labels = make_rows(15, 3), np.arange(15) % 2
    mixture = model(type_, n_columns=3)
    assert_allclose(
        mixture.components.moved(allocated(mixture, X, labels).moments, factor, shift),
        allocated(mixture, X * factor + shift, labels).moments,
        atol=1e-9,
    )


@pytest.mark.parametrize("factor", [1e200, 1e-200])
def test_extreme_units_stream(factor, short):
    X = blobs(45, 2)
    X[:22] *= 1e-3
    before, after = streamed(X, [1, 30]), streamed(X * factor, [1, 30])
    shift = np.log(factor) * X.size
    assert_allclose(after.lower_bound_, before.lower_bound_ - shift, rtol=1e-7)


@pytest.mark.parametrize("type_", TYPES)
def test_columns_without_a_value_so_far_wait(type_, short):
    X = blobs(45, 2)
    X[:30, 1] = np.nan
    gmm = VariationalGMM(covariance_type=type_, **PARAMS)
    for chunk in np.split(X[:30], [1, 2, 3, 9, 21, 22]):
        gmm.partial_fit(chunk)
        assert np.isfinite(gmm.score_samples(blobs(3))).all()
    gmm.partial_fit(X[30:])
    whole = VariationalGMM(covariance_type=type_, **PARAMS).fit(X)
    assert_allclose(gmm._state["scatter"], whole._state["scatter"], rtol=1e-9, atol=1e-12)
    assert np.isfinite(gmm.score_evidence())
    with pytest.raises(ValueError, match="no observed value in column 1"):
        VariationalGMM(3, covariance_type=type_).fit(iter([X[:5], X[5:30]]))


# --- what is kept ------------------------------------------------------------------------


@pytest.mark.parametrize("n_rows", [15, 17, 33])
def test_streams_go_on_from_files(n_rows, short, tmp_path):
    X = stream_rows("holes")
    gmm = streamed(X[:n_rows], [4])
    save(gmm, tmp_path / "gmm.skbayes")
    whole = streamed(X, [])
    for again in (load(tmp_path / "gmm.skbayes"), pickle.loads(pickle.dumps(gmm)), gmm):
        assert_same_bits(again.partial_fit(X[n_rows:]), whole)


def test_held_rows_are_bounded(short):
    gmm = streamed(np.random.default_rng(0).normal(size=(90, 2)), np.arange(0, 90, 7))
    held = gmm._state["stream"]
    assert len(held["early"]["X"]) == 0
    assert len(held["latest"]["X"]) <= 8
    assert gmm.counts_.sum() == pytest.approx(90)


def test_a_stream_keeps_its_seed(short):
    """None is drawn once, and a generator is not used up by later chunks."""
    X, generator = blobs(45, 2), np.random.RandomState(0)
    gmm = streamed(X[:15], [], random_state=generator)
    place = generator.get_state()[2]
    gmm.partial_fit(X[15:])
    assert generator.get_state()[2] == place
    assert_same_bits(gmm, streamed(X, [], random_state=np.random.RandomState(0)))


def test_a_chunk_that_fails_leaves_the_stream_as_it_was(short):
    X = blobs(45, 2)
    gmm = streamed(X[:30], [])
    before = gmm.score_samples(X)
    with pytest.raises(ValueError, match="inf"):
        gmm.partial_fit([[np.inf, 1.0]])

    def broken():
        yield X[:10]
        raise OSError("no more")

    assert_array_equal(gmm.score_samples(X), before)
    with pytest.raises(OSError, match="no more"):
        gmm.fit(broken())
    assert_array_equal(gmm.score_samples(X), before)
