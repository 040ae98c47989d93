"""Missing values against loops over rows, quadrature, and complete data."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.integrate import quad
from scipy.special import logsumexp

from skbayes import VariationalGMM
from skbayes.mixture._ascent import climb
from skbayes.mixture._rows import Rows
from tests.mixture.models import (
    TYPES,
    log_density_of_allocated,
    make_prior,
    make_rows,
    model,
    rows_of,
)
from tests.mixture.test_bound import allocated, blobs, raw_prior


def holes(X, share, seed=0):
    return np.where(np.random.default_rng(seed).uniform(size=X.shape) < share, np.nan, X)


def started(type_, X):
    mixture = model(type_, 2, n_columns=X.shape[1])
    statistics = allocated(mixture, np.nan_to_num(X), np.arange(len(X)) % 2)
    posterior = mixture.m_step(statistics)
    return mixture, posterior


@pytest.mark.parametrize("type_", TYPES)
def test_rows_that_miss_nothing_are_complete_rows(type_, monkeypatch):
    X = make_rows(9, 3)
    mixture, posterior = started(type_, X)
    rows = rows_of(X)
    whole = mixture.e_step(posterior, rows)
    marked = Rows(rows.values, rows.weight, np.ones((3, 9), dtype=bool))
    monkeypatch.setattr(Rows, "parts", lambda rows: [rows])
    found = mixture.e_step(posterior, marked)
    assert_allclose(found.moments, whole.moments, atol=1e-11)
    assert_allclose(found.entropy, whole.entropy, atol=1e-10)


def dense_precision(mixture, q, k):
    precision = np.broadcast_to(
        mixture.components.expected_precision(q),
        (2, 3, 3) if mixture.components.expected_precision(q).ndim == 3 else (2, 3),
    )[k]
    return precision if precision.ndim == 2 else np.diag(precision)


@pytest.mark.parametrize("type_", TYPES)
def test_statistics_are_conditional_moments(type_):
    X = holes(make_rows(15, 3), 0.4)
    X[3] = np.nan
    mixture, posterior = started(type_, X)
    factors, q = posterior.coefficients, posterior.q
    result = mixture.e_step(posterior, rows_of(X))
    moments, entropy = np.zeros_like(factors), 0.0
    for x in X:
        mis, joint, first, second = np.isnan(x), [], [], []
        for k in range(2):
            P, m = dense_precision(mixture, q, k), q.mean[k]
            cov = np.zeros((3, 3))
            cov[np.ix_(mis, mis)] = np.linalg.inv(P[np.ix_(mis, mis)])
            filled = np.where(mis, m, x)
            filled = filled - cov @ P @ (filled - m)
            feature = mixture.components.features(filled[:, None])[:, 0]
            log_norm = mis.sum() / 2 * np.log(2 * np.pi)
            log_norm += 0.5 * np.linalg.slogdet(cov[np.ix_(mis, mis)])[1] if mis.any() else 0
            joint.append(factors[k] @ feature + log_norm)
            first.append(filled)
            second.append(np.outer(filled, filled) + cov)
        r = np.exp(joint - logsumexp(joint))
        entropy += logsumexp(joint)
        for k in range(2):
            packed = mixture.components.pack_moments(second[k])
            moments[k] += r[k] * np.concatenate([packed, first[k], [1]])
    assert_allclose(result.moments, moments, atol=1e-10)
    assert_allclose(result.entropy, entropy - np.vdot(moments, factors), atol=1e-9)


@pytest.mark.parametrize("type_", TYPES)
def test_bound_with_a_missing_value_lies_below_the_evidence(type_):
    X = make_rows(6)
    prior = make_prior(type_)

    def density(value):
        filled = X.copy()
        filled[2, 1] = value
        return np.exp(log_density_of_allocated(filled, np.zeros(6, int), 1, type_, prior))

    exact = np.log(quad(density, -200, 200, points=[-5, 0, 5], limit=500)[0])
    X[2, 1] = np.nan
    mixture = model(type_, 1)
    start = allocated(mixture, np.nan_to_num(X), np.zeros(6, int))
    bound = climb(mixture, rows_of(X), start, 1e-13, 500).bounds[-1]
    # What is lost is the dependence of one value and the parameters: little of six rows.
    assert exact - 0.5 < bound < exact


@pytest.mark.parametrize("type_", TYPES)
def test_densities_of_incomplete_rows_are_integrals(type_):
    gmm = VariationalGMM(3, covariance_type=type_, random_state=0).fit(blobs(60, 2))
    for x in (-1.0, 4.0):
        u = (np.arange(8000) + 0.5) / 8000 * np.pi - np.pi / 2
        rows = np.column_stack([np.full(8000, x), 4 * np.tan(u)])
        weight = 4 * np.pi / 8000 / np.cos(u) ** 2
        density = np.exp(gmm.score_samples(rows))
        incomplete = np.array([[x, np.nan]])
        assert_allclose(np.exp(gmm.score_samples(incomplete)), density @ weight, rtol=1e-3)
        shares = (density[:, None] * gmm.predict_proba(rows) * weight[:, None]).sum(0)
        assert_allclose(gmm.predict_proba(incomplete)[0], shares / shares.sum(), atol=1e-3)


@pytest.mark.parametrize("type_", ["full", "tied", "diag", "spherical"])
def test_a_row_without_values_says_nothing(type_):
    gmm = VariationalGMM(3, covariance_type=type_, random_state=0).fit(blobs(60, 2))
    nothing = np.full((1, 2), np.nan)
    assert_allclose(gmm.score_samples(nothing), 0, atol=1e-12)
    assert_allclose(gmm.predict_proba(nothing)[0], gmm.weights_)
    assert np.isfinite(gmm.predict_std(nothing, "epistemic")).all()


def test_clusters_are_found_in_spite_of_missing_values():
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=400)
    X = np.array([[0, 0, 0], [6, 6, 0], [0, 6, 6]])[labels] + rng.normal(size=(400, 3))
    gmm = VariationalGMM(6, random_state=0).fit(holes(X, 0.2))
    assert gmm.n_live_ == 3
    found = gmm.predict(X)
    matched = sum(np.bincount(found[labels == k]).max() for k in range(3))
    assert matched > 0.99 * len(X)


@pytest.mark.parametrize("type_", TYPES)
def test_units_move_the_bound_by_the_jacobian_of_what_is_observed(type_):
    X = holes(blobs(), 0.2)
    settings = {"covariance_type": type_, "random_state": 0}
    before = VariationalGMM(3, **settings).fit(X).score_evidence()
    after = VariationalGMM(3, **settings).fit(X * 10 + 5).score_evidence()
    assert_allclose(after, before - np.log(10) * np.isfinite(X).sum(), atol=1e-5)


def test_a_column_without_values_is_refused():
    X = make_rows()
    X[:, 1] = np.nan
    with pytest.raises(ValueError, match="no observed value in column 1"):
        VariationalGMM(2).fit(X)


def test_weights_and_repeated_rows_agree_with_missing_values():
    X = holes(blobs(50, 2), 0.2)
    X = X[np.isfinite(X).any(axis=1)]
    weight = np.random.default_rng(1).integers(0, 3, len(X))
    order = np.random.default_rng(2).permutation(weight.sum())
    params = {"random_state": 0, **raw_prior("full", X)}
    one = VariationalGMM(4, **params).fit(X, sample_weight=weight)
    two = VariationalGMM(4, **params).fit(np.repeat(X, weight, axis=0)[order])
    assert_allclose(one.score_samples(X), two.score_samples(X), rtol=1e-7)
    assert_allclose(one.score_evidence(), two.score_evidence(), rtol=1e-9)
