"""The bound against exact evidences, its ascent, and its invariances."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.mixture import BayesianGaussianMixture

from skbayes import VariationalGMM
from skbayes.mixture._ascent import climb
from skbayes.mixture._mixture import Statistics
from tests.mixture.models import (
    TYPES,
    WEIGHTS,
    log_density_of_allocated,
    log_evidence,
    log_prob_of_labels,
    make_prior,
    make_rows,
    model,
    one_hot,
    rows_of,
)


def allocated(mixture, X, labels):
    """Statistics of rows that surely belong to their labels."""
    shares = one_hot(labels, mixture.weights.n_components)
    return Statistics(shares.T @ mixture.components.features(X.T).T, 0.0)


def blobs(n=60, n_columns=2, seed=0):
    rng = np.random.default_rng(seed)
    centres = 3 * rng.normal(size=(3, n_columns))
    return centres[rng.integers(3, size=n)] + rng.normal(size=(n, n_columns))


def raw_prior(type_, X):
    """A prior in the units of X, as parameters of the estimator."""
    prior = make_prior(type_, X.shape[1])
    scatter = prior.scatter[0] if type_ == "spherical" else prior.scatter
    return {
        "mean_prior": prior.mean,
        "mean_precision_prior": prior.precision,
        "degrees_of_freedom_prior": prior.dof,
        "covariance_prior": scatter,
    }


@pytest.mark.parametrize("type_", TYPES)
def test_gain_of_a_merge_is_that_of_its_log_evidence(type_):
    X = make_rows(30, 2)
    labels = np.random.default_rng(1).integers(4, size=len(X))
    mixture, prior = model(type_, 4), make_prior(type_)
    pairs = np.array([[0, 1], [3, 2], [1, 3]])
    gains = mixture.components.merge_gains(allocated(mixture, X, labels).moments, pairs)
    apart = log_density_of_allocated(X, labels, 4, type_, prior)
    for (kept, emptied), gain in zip(pairs, gains, strict=True):
        merged = np.where(labels == emptied, kept, labels)
        assert_allclose(gain, log_density_of_allocated(X, merged, 4, type_, prior) - apart)


@pytest.mark.parametrize("n_columns", [1, 3])
@pytest.mark.parametrize("type_", TYPES)
def test_one_component_gives_the_exact_evidence(type_, n_columns):
    X = make_rows(40, n_columns)
    gmm = VariationalGMM(1, covariance_type=type_, **raw_prior(type_, X)).fit(X)
    prior = make_prior(type_, n_columns)
    exact = log_density_of_allocated(X, np.zeros(len(X), int), 1, type_, prior)
    assert_allclose(gmm.score_evidence(), exact, rtol=0, atol=1e-8)


@pytest.mark.parametrize("weight_prior", WEIGHTS)
@pytest.mark.parametrize("type_", TYPES)
def test_bound_of_sure_assignments_is_their_joint_density(type_, weight_prior):
    X, labels = make_rows(), np.arange(12) % 3
    mixture = model(type_, 3, weight_prior)
    exact = log_density_of_allocated(X, labels, 3, type_, mixture.components.prior)
    exact += log_prob_of_labels(labels, 3, weight_prior, 0.8)
    posterior = mixture.m_step(allocated(mixture, X, labels))
    assert_allclose(mixture.bound(posterior), exact, rtol=0, atol=1e-9)


@pytest.mark.parametrize("weight_prior", WEIGHTS)
@pytest.mark.parametrize("type_", TYPES)
def test_bound_lies_between_one_allocation_and_the_evidence(type_, weight_prior):
    X = np.concatenate([make_rows(3) * 0.1, make_rows(3) * 0.1 + 20])
    mixture = model(type_, 2, weight_prior)
    start = allocated(mixture, X, np.arange(6) // 3)
    bound = climb(mixture, rows_of(X), start, 1e-12, 500).bounds[-1]
    exact = log_evidence(X, 2, type_, mixture.components.prior, weight_prior, 0.8)
    assert mixture.bound(mixture.m_step(start)) < bound <= exact + 1e-9


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("weight_prior", WEIGHTS)
@pytest.mark.parametrize("type_", TYPES)
def test_no_update_lowers_the_bound(type_, weight_prior, missing):
    X = blobs(80, 3)
    if missing:
        X[np.random.default_rng(1).uniform(size=X.shape) < 0.3] = np.nan
    mixture = model(type_, 5, weight_prior, n_columns=3)
    labels = np.random.default_rng(2).integers(5, size=80)
    start = allocated(mixture, np.nan_to_num(X), labels)
    bounds = climb(mixture, rows_of(X), start, -np.inf, 60).bounds
    assert np.diff(bounds).min() > -1e-9
    assert bounds[-1] > bounds[0] + 1


@pytest.mark.parametrize("type_", TYPES)
def test_long_updates_end_where_plain_ones_do(type_, monkeypatch):
    """In fewer, half as many where a matrix makes the way long."""
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(c, 1.0, (150, 2)) for c in (-1.2, 1.2)])
    mixture = model(type_, 2)
    start = allocated(mixture, X, rng.integers(2, size=300))
    long = climb(mixture, rows_of(X), start, 1e-12, 5000)
    monkeypatch.setattr("skbayes.mixture._ascent.LONGEST", 1.0)
    plain = climb(mixture, rows_of(X), start, 1e-12, 5000)
    assert long.converged
    assert plain.converged
    times = 2 if type_ in ("full", "tied") else 1
    assert times * len(long.bounds) < len(plain.bounds)
    assert long.bounds[-1] == pytest.approx(plain.bounds[-1], abs=1e-6)
    # Nothing is left to gain by a plain update.
    assert climb(mixture, rows_of(X), long.statistics, 0, 2).bounds[-1] < long.bounds[-1] + 1e-9


@pytest.mark.parametrize("type_", TYPES)
def test_order_of_components_does_not_matter(type_):
    X = blobs()
    mixture, order = model(type_, 3), [2, 0, 1]
    start = allocated(mixture, X, np.arange(60) % 3)
    swapped = start._replace(moments=start.moments[order])
    one = climb(mixture, rows_of(X), start, 0, 30)
    two = climb(mixture, rows_of(X), swapped, 0, 30)
    assert_allclose(one.bounds, two.bounds, rtol=1e-12)
    assert_allclose(one.statistics.moments[order], two.statistics.moments, rtol=1e-9, atol=1e-9)


def test_sticks_are_put_in_the_order_that_the_bound_prefers():
    mixture = model("full", 3, "dirichlet_process")
    statistics = allocated(mixture, make_rows(), np.array([0, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2]))
    arranged = mixture.arranged(statistics)
    assert_allclose(arranged.counts, [7, 4, 1])
    assert mixture.bound(mixture.m_step(arranged)) > mixture.bound(mixture.m_step(statistics))


@pytest.mark.parametrize("weight_prior", WEIGHTS)
@pytest.mark.parametrize("type_", TYPES)
def test_units_move_the_bound_by_the_jacobian(type_, weight_prior):
    X = blobs()
    scale = np.array([10.0, 10.0]) if type_ == "spherical" else np.array([10.0, 0.02])
    params = raw_prior(type_, X)
    other = {**params, "mean_prior": params["mean_prior"] * scale + 5}
    scatter = params["covariance_prior"]
    square = {"diag": scale**2, "spherical": scale[0] ** 2}
    other["covariance_prior"] = scatter * square.get(type_, np.outer(scale, scale))
    settings = {"covariance_type": type_, "weight_prior": weight_prior, "random_state": 0}
    before = VariationalGMM(4, **settings, **params).fit(X)
    after = VariationalGMM(4, **settings, **other).fit(X * scale + 5)
    shift = len(X) * np.log(scale).sum()
    assert_allclose(after.score_evidence(), before.score_evidence() - shift, atol=1e-6)
    default = VariationalGMM(4, **settings).fit(X).score_evidence()
    moved = VariationalGMM(4, **settings).fit(X * scale + 5).score_evidence()
    assert_allclose(moved, default - shift, atol=1e-6)


@pytest.mark.parametrize("type_", TYPES)
def test_default_prior_has_the_place_and_the_spread_of_the_rows(type_):
    """But for a millionth of the variances, which keeps constant columns apart from zero."""
    X = blobs() * (1.0 if type_ == "spherical" else np.array([7.0, 0.3])) + 4
    covariance = np.cov(X.T, bias=True)
    given = {"diag": covariance.diagonal(), "spherical": np.trace(covariance) / 2}
    stated = {
        "mean_prior": X.mean(axis=0),
        "covariance_prior": given.get(type_, covariance),
        "degrees_of_freedom_prior": 2 if type_ in ("full", "tied") else 1,
        "mean_precision_prior": 1.0,
        "weight_concentration": 1 / 3,
    }
    settings = {"covariance_type": type_, "tol": 1e-9, "max_iter": 2000, "random_state": 0}
    default = VariationalGMM(3, **settings).fit(X)
    assert default.lower_bound_ == pytest.approx(
        VariationalGMM(3, **settings, **stated).fit(X).lower_bound_, abs=1e-3
    )


def test_two_true_clusters_win():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(-3, 1, (150, 1)), rng.normal(3, 1, (150, 1))])
    candidates = (1, 2, 3, 4, 6)
    bounds = [VariationalGMM(k, random_state=0).fit(X).score_evidence() for k in candidates]
    assert candidates[int(np.argmax(bounds))] == 2
    # scikit-learn's number drops the priors' normalisers and prefers six.
    peers = [BayesianGaussianMixture(n_components=k, max_iter=1000) for k in candidates]
    theirs = [peer.set_params(random_state=0).fit(X).lower_bound_ for peer in peers]
    assert candidates[int(np.argmax(np.ravel(theirs)))] == 6
