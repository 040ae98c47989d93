"""Starts, moves, parameters, precision, and input that is hard or bad."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_digits, load_iris
from sklearn.decomposition import PCA

from skbayes import VariationalGMM
from skbayes.exceptions import ConvergenceWarning
from skbayes.mixture import _mixture
from skbayes.mixture._ascent import climb, improve, propose
from skbayes.mixture._rows import Rows, canonical
from tests.mixture.models import TYPES, make_rows, model, rows_of
from tests.mixture.test_bound import allocated, blobs


def many_clusters(n_clusters=12, n=1500, seed=0):
    """Clusters on a grid in the plane, eight standard deviations apart."""
    rng = np.random.default_rng(seed)
    centres = np.stack(np.meshgrid(np.arange(4), np.arange(3)), -1).reshape(-1, 2) * 5.0
    return centres[np.arange(n) % n_clusters] + 0.6 * rng.normal(size=(n, 2))


def crowded(n=3000, n_clusters=12, n_columns=4):
    """Clusters of unlike shapes whose k-means starts are poor."""
    rng = np.random.default_rng(0)
    centres = 3 * rng.normal(size=(n_clusters, n_columns))
    roots = 0.4 * rng.normal(size=(n_clusters, n_columns, n_columns)) + 0.4 * np.eye(n_columns)
    labels = np.arange(n) % n_clusters
    noise = rng.normal(size=(n, n_columns))
    return centres[labels] + np.einsum("nij,nj->ni", roots[labels], noise)


def test_moves_find_every_cluster_where_ascent_alone_loses_some():
    X = crowded()
    alone, moved = (
        [VariationalGMM(12, n_moves=n, random_state=seed).fit(X) for seed in range(8)]
        for n in (0, 10)
    )
    assert [gmm.n_live_ for gmm in moved] == [12] * 8
    assert min(gmm.n_live_ for gmm in alone) < 12
    assert_allclose([gmm.lower_bound_ for gmm in moved], moved[0].lower_bound_, atol=0.5)
    assert all(gmm.n_moves_ == 0 for gmm in alone)
    assert max(gmm.n_moves_ for gmm in moved) > 0


@pytest.mark.parametrize("type_", TYPES)
def test_needless_components_are_merged(type_):
    X = many_clusters(3)
    gmm = VariationalGMM(15, covariance_type=type_, random_state=0).fit(X)
    assert gmm.n_live_ == 3


def test_many_merges_are_one_move():
    """Each of three clusters shared by four components at random: a first proposal mends all."""
    X = many_clusters(3, 600)
    mixture = model("full", 12)
    labels = np.arange(600) % 3 + 3 * np.random.default_rng(0).integers(4, size=600)
    statistics = allocated(mixture, X, labels)
    proposal = next(propose(mixture, rows_of(X), statistics))
    assert (statistics.counts > 1).sum() == 12
    assert (proposal.counts > 1).sum() <= 6
    assert proposal.counts.sum() == pytest.approx(600)
    better, kept = improve(mixture, rows_of(X), statistics, 1e-4, 3)
    assert (better.counts > 1).sum() == 3
    assert kept <= 3


@pytest.mark.parametrize("type_", TYPES)
def test_a_move_is_kept_only_if_the_bound_rises(type_):
    X = many_clusters(4, 300)
    mixture = model(type_, 5)
    statistics = allocated(mixture, X, np.random.default_rng(0).integers(5, size=300))
    better, kept = improve(mixture, rows_of(X), statistics, 1e-4, 10)
    assert kept > 0
    assert mixture.bound(mixture.m_step(better)) > mixture.bound(mixture.m_step(statistics)) + 1
    _, kept = improve(mixture, rows_of(X), better, np.inf, 10)
    assert kept == 0


def test_starts_are_chosen_by_their_bound():
    X = crowded()
    params = {"n_components": 12, "n_moves": 0, "random_state": 0}
    one, best = (VariationalGMM(n_init=n, **params).fit(X).lower_bound_ for n in (1, 8))
    assert best > one + 1


def test_large_data_start_from_a_part_of_the_rows(monkeypatch):
    X = crowded()
    whole = VariationalGMM(12, random_state=0).fit(X)
    monkeypatch.setattr("skbayes.mixture._ascent.START_ROWS", 1000)
    monkeypatch.setattr("skbayes.mixture._ascent.START_ROWS_EACH", 1)
    part = VariationalGMM(12, random_state=0).fit(X)
    assert part.n_live_ == 12
    assert_allclose(part.lower_bound_, whole.lower_bound_, atol=0.5)


@pytest.mark.parametrize("type_", TYPES)
def test_chunks_of_rows_leave_the_statistics_alone(type_, monkeypatch):
    X, mixture = blobs(200), model(type_, 3)
    start = allocated(mixture, X, np.arange(len(X)) % 3)
    ascents = []
    for n_bytes in (2**22, 1):
        monkeypatch.setattr(_mixture, "CHUNK_BYTES", n_bytes)
        ascents.append(climb(mixture, rows_of(X), start, 0.0, 10))
    assert_allclose(ascents[0].bounds, ascents[1].bounds, rtol=1e-12)
    assert_allclose(ascents[0].statistics.moments, ascents[1].statistics.moments, atol=1e-9)


@pytest.mark.parametrize("type_", TYPES)
def test_starts_in_single_precision_end_where_double_ones_do(type_, monkeypatch):
    X = crowded(600)
    single = VariationalGMM(12, covariance_type=type_, tol=1e-6, random_state=0).fit(X)
    monkeypatch.setattr(Rows, "in_single_precision", lambda rows: rows)
    double = VariationalGMM(12, covariance_type=type_, tol=1e-6, random_state=0).fit(X)
    assert_allclose(single.lower_bound_, double.lower_bound_, atol=1e-2)


CHANGES = {
    "n_components": 2,
    "covariance_type": "diag",
    "weight_prior": "dirichlet_process",
    "weight_concentration": 5.0,
    "mean_prior": [5.0, 5.0],
    "mean_precision_prior": 10.0,
    "degrees_of_freedom_prior": 9.0,
    "covariance_prior": np.eye(2),
    "tol": 0.1,
    "n_moves": 0,
    "random_state": 1,
}


@pytest.mark.parametrize("name", CHANGES)
def test_every_parameter_of_the_model_changes_the_fit(name):
    X = many_clusters(6, 300)
    params = {"n_components": 8, "random_state": 0}
    before = VariationalGMM(**params).fit(X)
    after = VariationalGMM(**{**params, name: CHANGES[name]}).fit(X)
    assert before.lower_bound_ != after.lower_bound_


def test_iterations_are_limited():
    with pytest.warns(ConvergenceWarning, match="Raise max_iter"):
        gmm = VariationalGMM(4, max_iter=1, random_state=0).fit(many_clusters())
    assert gmm.n_iter_ == 1
    assert not gmm.converged_


@pytest.mark.parametrize("type_", TYPES)
def test_single_precision_is_kept_and_close(type_):
    X = PCA(6, random_state=0).fit_transform(load_digits().data).astype(np.float32)
    double = VariationalGMM(4, covariance_type=type_, random_state=0).fit(X.astype(float))
    single = VariationalGMM(4, covariance_type=type_, random_state=0).fit(X)
    assert_allclose(single.score(X), double.score(X), atol=1e-3)
    assert_allclose(single.lower_bound_ / len(X), double.lower_bound_ / len(X), atol=1e-3)
    for answer in (single.score_samples(X), single.predict_proba(X), single.sample(3)[0]):
        assert answer.dtype == np.float32


def test_single_precision_gives_way_where_digits_cancel():
    """Two needles far from the centre: their widths drown in single precision's products."""
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(c, 1e-4, (200, 2)) for c in (-3, 3)]).astype(np.float32)
    double = VariationalGMM(2, random_state=0).fit(X.astype(float))
    single = VariationalGMM(2, random_state=0).fit(X)
    # Rounding to single precision happens in other units, a thousandth of the width.
    assert_allclose(single.score(X), double.score(X), atol=0.02)


@pytest.mark.parametrize("type_", TYPES)
@pytest.mark.parametrize("thickness", [1e-3, 1e-4])
def test_single_precision_gives_way_where_components_are_flat(type_, thickness):
    """Columns that almost depend on one another: large terms with small sums."""
    rng = np.random.default_rng(2)
    X = rng.normal(size=(60, 1)) * rng.normal(size=4) + thickness * rng.normal(size=(60, 4))
    X = X.astype(np.float32)
    double = VariationalGMM(3, covariance_type=type_, random_state=0).fit(X.astype(float))
    single = VariationalGMM(3, covariance_type=type_, random_state=0).fit(X)
    assert_allclose(single.score(X), double.score(X), atol=1e-3)


@pytest.mark.parametrize("factor", [1e200, 1e-200, 1e-3])
def test_extreme_units(factor):
    X = load_iris().data
    before = VariationalGMM(3, random_state=0).fit(X)
    after = VariationalGMM(3, random_state=0).fit(X * factor)
    shift = X.shape[1] * np.log(factor)
    assert_allclose(after.score_samples(X * factor), before.score_samples(X) - shift, rtol=1e-6)
    assert_allclose(after.predict_proba(X * factor), before.predict_proba(X), atol=1e-8)


@pytest.mark.parametrize("type_", TYPES)
def test_rows_far_away_are_assigned(type_):
    """Where densities underflow under every component."""
    gmm = VariationalGMM(3, covariance_type=type_, random_state=0).fit(load_iris().data)
    far = np.array([[1e300, 0, 0, np.nan], [-1e200, 1e300, 0, 1], [1e160] * 4])
    assert_allclose(gmm.predict_proba(far).sum(axis=1), 1)
    for kind in ("total", "epistemic", "aleatoric"):
        assert np.isfinite(gmm.predict_std(far, kind)).all()


@pytest.mark.parametrize("type_", TYPES)
@pytest.mark.parametrize(
    "X",
    [
        np.ones((1, 1)),
        np.zeros((5, 3)),
        np.column_stack([np.arange(9.0), np.full(9, 7.0)]),
        np.random.default_rng(0).normal(size=(4, 12)),
        np.repeat(np.arange(3.0)[:, None], 20, axis=0),
        1e9 + np.arange(20.0)[:, None],
        np.column_stack([np.arange(30.0), 2 * np.arange(30.0)]),
    ],
    ids=["one row", "zeros", "constant column", "few rows", "repeats", "far", "collinear"],
)
def test_hard_rows_give_finite_answers(X, type_):
    gmm = VariationalGMM(4, covariance_type=type_, random_state=0).fit(X)
    for kind in ("total", "epistemic", "aleatoric"):
        assert np.isfinite(gmm.predict_std(X, kind)).all()
    assert np.isfinite(gmm.score_samples(X)).all()
    assert np.isfinite(gmm.score_evidence())
    assert np.isfinite(gmm.score_evidence(X[:2]))
    assert np.isfinite(gmm.sample(5, random_state=0)[0]).all()
    assert_allclose(gmm.predict_proba(X).sum(axis=1), 1)
    assert all(
        np.isfinite(v).all() for v in gmm.sample_posterior(n_samples=5, random_state=0).values()
    )


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"mean_prior": [0.0]}, r"mean_prior has shape \(1,\)"),
        ({"covariance_prior": 1.0}, r"covariance_prior has shape \(\)"),
        ({"covariance_prior": [[1, 2], [0, 1]]}, "must be symmetric"),
        ({"covariance_prior": [[1, 2], [2, 1]]}, "must be positive definite"),
        ({"covariance_prior": [1, -1], "covariance_type": "diag"}, "must be positive definite"),
        ({"mean_prior": [np.nan, 0]}, "mean_prior must be finite"),
        ({"degrees_of_freedom_prior": 1.0}, "it must exceed 1"),
        ({"covariance_type": "banded"}, "covariance_type"),
    ],
)
def test_bad_parameters_are_named(params, message):
    with pytest.raises(ValueError, match=message):
        VariationalGMM(2, **params).fit(make_rows())


@pytest.mark.parametrize(
    ("weight", "message"), [(-1.0, "egative"), (0.0, "zero")], ids=["negative", "zero"]
)
def test_bad_weights_are_named(weight, message):
    with pytest.raises(ValueError, match=message):
        VariationalGMM(2).fit(make_rows(), sample_weight=np.full(12, weight))


def test_a_failed_fit_leaves_the_old_posterior():
    gmm = VariationalGMM(2, random_state=0).fit(make_rows())
    before = gmm.score_samples(make_rows())
    with pytest.raises(ValueError, match="inf"):
        gmm.fit(np.full((3, 2), np.inf))
    assert_array_equal(gmm.score_samples(make_rows()), before)


def test_canonical_rows_know_neither_order_nor_units():
    X = np.array([[1.0, 2.0], [0.0, -0.0], [1.0, 2.0], [1.0, 1.0], [0.0, 0.0], [3.0, 0.0]])
    weight = np.array([1.0, 2.0, 0.5, 1.0, 1.0, 0.0])
    rows, merged = canonical(X, weight)
    assert_allclose(rows, [[0, 0], [1, 1], [1, 2]])
    assert_allclose(merged, [3, 1, 1.5])
    order = np.random.default_rng(0).permutation(6)
    again, _ = canonical(X[order] * 8, weight[order])
    assert np.array_equal(again, rows * 8)


def test_concentration_decides_how_many_components_live():
    X = blobs(150)
    live = [
        VariationalGMM(6, weight_concentration=c, random_state=0).fit(X).n_live_
        for c in (1e-3, 100)
    ]
    assert live[0] < live[1]
