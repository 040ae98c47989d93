"""Fits from chunks: exact where they can be, a bound that never falls, errors that say why."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skbayes import VariationalGMM
from skbayes.exceptions import ConvergenceWarning, EvidenceUnavailableError
from skbayes.mixture._stream import Reservoir
from tests.mixture.models import TYPES, make_rows
from tests.mixture.test_bound import raw_prior

CENTRES = np.array([[0.0, 0.0], [6.0, 6.0], [0.0, 6.0]])


def clusters(n=900, seed=0):
    rng = np.random.default_rng(seed)
    return CENTRES[rng.integers(3, size=n)] + rng.normal(size=(n, 2))


def thirds(X):
    return np.array_split(X, 3)


@pytest.mark.parametrize("type_", TYPES)
def test_chunks_of_one_component_are_exact(type_):
    X = make_rows(90)
    gmm = VariationalGMM(1, covariance_type=type_, **raw_prior(type_, X)).fit(X)
    streamed = VariationalGMM(1, covariance_type=type_, **raw_prior(type_, X))
    for chunk in np.split(X, [20, 50]):
        streamed.partial_fit(chunk)
    for name in ("means_", "covariances_", "degrees_of_freedom_", "lower_bound_"):
        assert_allclose(getattr(streamed, name), getattr(gmm, name), rtol=1e-10)
    assert streamed.evidence_kind_ == "elbo"


@pytest.mark.parametrize("weight_prior", ["dirichlet", "dirichlet_process"])
def test_chunks_find_the_clusters(weight_prior):
    X = clusters()
    params = {"weight_prior": weight_prior, "random_state": 0}
    whole = VariationalGMM(5, **params).fit(X)
    streamed = VariationalGMM(5, **params).fit(iter(thirds(X)))
    assert streamed.n_live_ == whole.n_live_ == 3
    assert_allclose(streamed.counts_.sum(), 900)
    new = clusters(500, seed=1)
    assert streamed.score(new) == pytest.approx(whole.score(new), abs=0.02)
    # Old assignments are not revised, so the bound lies below, for a fit to the same rows.
    params = {**params, **raw_prior("full", X), "n_components": 3}
    bounds = [VariationalGMM(**params).fit(rows).lower_bound_ for rows in (iter(thirds(X)), X)]
    assert bounds[1] - 20 < bounds[0] <= bounds[1] + 0.01


@pytest.mark.parametrize("type_", TYPES)
def test_repeated_passes_reach_the_fit_to_all_rows(type_):
    X = clusters()
    params = {"covariance_type": type_, "random_state": 0, "tol": 1e-9, **raw_prior(type_, X)}
    whole = VariationalGMM(4, **params).fit(X)
    passes = VariationalGMM(4, **params).fit(lambda: thirds(X))
    assert_allclose(passes.lower_bound_, whole.lower_bound_, rtol=1e-6)
    assert_allclose(passes.score_samples(X), whole.score_samples(X), rtol=1e-3)
    assert np.diff(passes.lower_bounds_).min() > -1e-8


def test_a_chunk_may_come_with_weights():
    X, weight = clusters(), np.random.default_rng(1).integers(0, 3, 900)
    params = {"random_state": 0, **raw_prior("full", X)}
    pairs = [(x, w) for x, w in zip(thirds(X), thirds(weight), strict=True)]
    weighted = VariationalGMM(3, **params).fit(lambda: iter(pairs))
    rows = [np.repeat(x, w, axis=0) for x, w in pairs]
    repeated = VariationalGMM(3, **params).fit(lambda: iter(rows))
    assert_allclose(weighted.lower_bound_, repeated.lower_bound_, rtol=1e-5)
    once = VariationalGMM(3, **params).fit(iter(pairs))
    assert_allclose(once.counts_.sum(), weight.sum())


def test_missing_values_stream_too():
    X = clusters()
    X[np.random.default_rng(2).uniform(size=X.shape) < 0.1] = np.nan
    gmm = VariationalGMM(5, random_state=0).fit(lambda: thirds(X))
    assert gmm.n_live_ == 3
    assert gmm.partial_fit(X[:100]).counts_.sum() == pytest.approx(1000)


def test_decay_forgets_early_rows_and_has_no_evidence():
    far = make_rows(200) + 50
    kept, decayed = (
        VariationalGMM(1, learning_decay=decay).partial_fit(make_rows(200)) for decay in (1, 0.6)
    )
    for _ in range(3):
        kept.partial_fit(far)
        decayed.partial_fit(far)
    assert_allclose(kept.counts_, decayed.counts_)
    assert decayed.means_[0, 0] > kept.means_[0, 0] + 1
    assert np.isfinite(kept.score_evidence())
    with pytest.raises(EvidenceUnavailableError, match=r"use learning_decay=1\.0"):
        decayed.score_evidence()
    assert decayed.evidence_kind_ is None


def test_reservoir_is_a_uniform_sample():
    reservoir = Reservoir(200, np.random.RandomState(0))
    for chunk in np.split(np.arange(10_000.0)[:, None], [100, 4000]):
        reservoir.add(chunk, np.ones(len(chunk)))
    assert reservoir.X.shape == (200, 1)
    assert reservoir.total == 10_000
    # Standard error of the mean of 200 uniform draws: 204.
    assert abs(reservoir.X.mean() - 5000) < 5 * 204


def test_what_is_no_stream_is_refused():
    with pytest.raises(ValueError, match="gave no chunk"):
        VariationalGMM(2).fit(iter([]))
    with pytest.raises(ValueError, match="gave no chunk"):
        VariationalGMM(2).fit(lambda: [])
    with pytest.raises(ValueError, match="let chunks be pairs"):
        VariationalGMM(2).fit(lambda: thirds(clusters()), sample_weight=np.ones(900))
    calls = []

    def shrinking():
        calls.append(1)
        return thirds(clusters())[: 4 - len(calls)]

    with pytest.raises(ValueError, match="must return the same chunks"):
        VariationalGMM(2, tol=0).fit(shrinking)


def test_a_changed_model_does_not_go_on():
    gmm = VariationalGMM(2, random_state=0).partial_fit(clusters())
    with pytest.raises(ValueError, match="call fit to start anew"):
        gmm.set_params(n_components=3).partial_fit(clusters())


def test_a_pass_that_stops_early_warns():
    with pytest.warns(ConvergenceWarning, match="Raise max_iter"):
        VariationalGMM(4, max_iter=1, random_state=0).fit(lambda: thirds(clusters()))
