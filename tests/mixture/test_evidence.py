"""Evidence of new rows against sums over all allocations of them."""

import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.integrate import cumulative_trapezoid
from scipy.special import logsumexp
from scipy.stats import kstest

from skbayes import VariationalGMM
from skbayes.exceptions import EvidenceUnavailableError
from skbayes.mixture import _evidence
from skbayes.mixture._evidence import log_evidence_of_new_rows, make_particles
from skbayes.mixture._mixture import Statistics, make_mixture
from skbayes.mixture._parameter_draws import draw, draw_joint
from tests.mixture.models import (
    TYPES,
    WEIGHTS,
    log_density_of_allocated,
    log_evidence,
    log_prob_of_labels,
    make_prior,
    make_rows,
    model,
    rows_of,
)
from tests.mixture.test_bound import allocated, blobs, raw_prior

#: Largest error in standard errors, of 16 filters: t with 15 degrees of freedom.
LARGEST_Z = 4.5


@pytest.fixture
def few_particles(monkeypatch):
    """So few that hardly an allocation is enumerated."""
    monkeypatch.setattr(_evidence, "N_PARTICLES", 8, raising=False)


def exact(X, labels, new, type_, weight_prior, n_components):
    """Log p(new | X and its labels), by the plain formulas of one row after another."""
    prior = make_prior(type_)

    def log_joint(rows, z):
        allocation = log_prob_of_labels(z, n_components, weight_prior, 0.8)
        return allocation + log_density_of_allocated(rows, z, n_components, type_, prior)

    ways = itertools.product(range(n_components), repeat=len(new))
    both = np.concatenate([X, new])
    after = logsumexp([log_joint(both, np.concatenate([labels, z])) for z in ways])
    return after - log_joint(X, labels)


def exact_of(gmm, new):
    """The same given a fitted estimator, by its closed forms given an allocation."""
    mixture, statistics, units = gmm._fitted()
    features = mixture.components.features(units.apply(new, np.ones(len(new))).values)

    def closed_form(moments):
        counts = moments[:, -1]
        q = mixture.components.posterior(moments)
        allocated = mixture.components.log_evidences(q, counts).sum()
        return mixture.weights.log_evidence(counts) + allocated

    ways = itertools.product(np.eye(len(statistics.moments)), repeat=len(new))
    after = [closed_form(statistics.moments + np.transpose(z) @ features.T) for z in ways]
    jacobian = -len(new) * np.log(units.scale).sum()
    return logsumexp(after) - closed_form(statistics.moments) + jacobian


def heavy_tailed(scale=1.0, shift=0.0):
    """An outlier may belong to either component, and takes it along."""
    rng = np.random.default_rng(6)
    X, new = (rng.standard_t(3, size=(n, 2)) * scale + shift for n in (100, 8))
    return VariationalGMM(2, random_state=0).fit(X), new


@pytest.mark.parametrize("type_", TYPES)
def test_repeated_rows_count_each(type_):
    X, new = make_rows(12), make_rows(4, seed=1)[[0, 1, 0, 2, 0, 3, 1]]
    gmm = VariationalGMM(1, covariance_type=type_, **raw_prior(type_, X))
    both = gmm.fit(np.concatenate([X, new])).score_evidence()
    before = gmm.fit(X).score_evidence()
    value, error = gmm.score_evidence(new, return_std=True)
    assert_allclose(before + value, both, atol=1e-8)
    assert error < 1e-8
    assert_allclose(
        before + gmm.score_evidence(new[[0, 0]]),
        gmm.fit(np.concatenate([X, new[[0, 0]]])).score_evidence(),
        atol=1e-8,
    )


@pytest.mark.parametrize(("n_components", "n_new"), [(2, 5), (3, 3)])
@pytest.mark.parametrize("weight_prior", WEIGHTS)
@pytest.mark.parametrize("type_", TYPES)
def test_few_rows_are_exact(type_, weight_prior, n_components, n_new, monkeypatch):
    X, new = make_rows(9), make_rows(n_new, seed=1) * 1.5
    new[1] = new[0]
    labels = np.arange(9) % n_components
    mixture = model(type_, n_components, weight_prior)
    statistics = allocated(mixture, X, labels)
    expected = exact(X, labels, new, type_, weight_prior, n_components)
    rows = rows_of(new[1:], np.r_[2.0, np.ones(n_new - 2)])
    value, error, _ = log_evidence_of_new_rows(mixture, statistics, rows, 0)
    assert_allclose(value, expected, atol=1e-8)
    assert error == 0
    monkeypatch.setattr(_evidence, "N_PARTICLES", 4)
    value, error, _ = log_evidence_of_new_rows(mixture, statistics, rows, 0)
    assert 0 < error < 0.1
    assert abs(value - expected) < LARGEST_Z * error


def test_rows_with_heavy_tails_are_within_the_standard_error(few_particles):
    gmm, new = heavy_tailed()
    value, error = gmm.score_evidence(new, return_std=True)
    assert abs(value - exact_of(gmm, new)) < LARGEST_Z * error
    assert 0 < error < 0.1
    assert_allclose(gmm.score_evidence(new[[3, 0]]), exact_of(gmm, new[[3, 0]]), atol=1e-8)


def test_standard_error_is_calibrated(few_particles):
    gmm, new = heavy_tailed()
    mixture, statistics, units = gmm._fitted()
    new = new[:6]
    rows = units.apply(new, np.ones(len(new)))
    expected = exact_of(gmm, new) - units.log_jacobian(rows).sum()
    found = [log_evidence_of_new_rows(mixture, statistics, rows, seed)[:2] for seed in range(40)]
    z = np.array([(value - expected) / error for value, error in found])
    assert abs(z.mean()) < 0.6
    assert 0.7 < z.std() < 1.5
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("type_", TYPES)
def test_resampled_filters_are_exact_on_average(type_, few_particles, monkeypatch):
    """At every row, under the prior alone, where the first rows decide what others add."""
    X, mixture = blobs(7), model(type_, 2)
    nothing = Statistics(np.zeros((2, mixture.components.n_features)), 0.0)
    expected = log_evidence(X, 2, type_, make_prior(type_), "dirichlet", 0.8)
    plain = log_evidence_of_new_rows(mixture, nothing, rows_of(X), 0)[0]
    monkeypatch.setattr(_evidence, "_n_effective", lambda log_weight: np.zeros(len(log_weight)))
    assert log_evidence_of_new_rows(mixture, nothing, rows_of(X), 0)[0] != plain
    monkeypatch.setattr(_evidence, "N_FILTERS", 400)
    value, error, _ = log_evidence_of_new_rows(mixture, nothing, rows_of(X), 0)
    assert abs(value - expected) < LARGEST_Z * error
    assert 0 < error < 0.1


@pytest.mark.parametrize("type_", TYPES)
def test_a_column_that_no_row_has_drops_out(type_, few_particles):
    """Under the prior alone, whose marginal over the other columns is of the same family."""
    prior, kept, matrix = make_prior(type_, 3), np.array([0, 2]), type_ in ("full", "tied")
    scatter = prior.scatter
    if type_ != "spherical":
        scatter = scatter[np.ix_(kept, kept)] if matrix else scatter[kept]
    marginal = prior._replace(mean=prior.mean[kept], dof=prior.dof - matrix, scatter=scatter)
    X = make_rows(5, 3) * 2
    values = []
    for own, columns in ((prior, np.array([0, np.nan, 2])), (marginal, kept)):
        mixture = make_mixture("dirichlet", 2, 0.8, type_, own)
        nothing = Statistics(np.zeros((2, mixture.components.n_features)), 0.0)
        new = X[:, kept] if own is marginal else X + 0 * columns
        values.append(log_evidence_of_new_rows(mixture, nothing, rows_of(new), 0))
    (value, error, _), (expected, expected_error, _) = values
    assert abs(value - expected) < LARGEST_Z * np.hypot(error, expected_error)
    assert error < 0.2


@pytest.mark.parametrize("type_", TYPES)
def test_rows_with_holes_agree_with_draws_of_parameters(type_):
    X, new = blobs(60, 3), blobs(64, 3)[60:]
    new[0, 1] = new[1, :2] = new[2, 2] = np.nan
    mixture = model(type_, 2, n_columns=3)
    statistics = allocated(mixture, X, np.arange(60) % 2)
    rows = rows_of(new)
    draws = draw(mixture, statistics, 20_000, np.random.default_rng(0))
    total = sum(logsumexp(joint, axis=1).sum(-1) for _, joint in draw_joint(mixture, draws, rows))
    expected = logsumexp(total) - np.log(len(total))
    spread = np.exp(total - expected).std() / np.sqrt(len(total))
    value, error, _ = log_evidence_of_new_rows(mixture, statistics, rows, 0)
    assert abs(value - expected) < LARGEST_Z * np.hypot(error, spread)
    assert np.hypot(error, spread) < 0.05
    empty = rows_of(np.concatenate([new, np.full((2, 3), np.nan)]))
    assert_allclose(log_evidence_of_new_rows(mixture, statistics, empty, 0)[0], value, atol=0.05)


def test_rows_without_a_value_say_nothing():
    gmm, new = heavy_tailed()
    empty = np.full((3, 2), np.nan)
    value = gmm.score_evidence(new[:2], return_std=True)
    assert gmm.score_evidence(np.concatenate([empty, new[:2]]), return_std=True) == value
    assert value[1] == 0


@pytest.mark.parametrize("type_", TYPES)
def test_missing_values_are_drawn_from_their_law_given_the_others(type_):
    """Densities of complete rows along a grid, two components, each with its own law."""
    mixture = model(type_, 2, n_columns=3)
    statistics = allocated(mixture, blobs(8, 3), np.arange(8) % 2)
    one, n = make_particles(mixture.m_step(statistics).q, statistics.counts), 20_000
    row, seen = np.array([6.0, np.nan, -8.0]), np.array([True, False, True])
    labels = np.repeat([0, 1], n)
    drawn = one.take(np.zeros(2 * n, dtype=int)).complete(
        labels, row, seen, np.random.default_rng(0)
    )
    assert (drawn[:, seen] == row[seen]).all()
    grid = 60 * np.sinh(np.linspace(-8, 8, 4001)) / np.sinh(8)
    whole = np.array([6.0, 0.0, -8.0]) + grid[:, None] * ~seen
    log_density = np.stack([one.log_predictive(x, np.ones(3, dtype=bool))[0] for x in whole])
    density = np.exp(log_density - log_density.max(axis=0))
    law = cumulative_trapezoid(density, grid, axis=0, initial=0.0)
    for label, own in enumerate((law / law[-1]).T):
        values = drawn[labels == label, 1]
        assert kstest(np.interp(values, grid, own), "uniform").pvalue > 1e-3


def test_same_bits_each_time_in_any_order_and_in_any_units():
    gmm, new = heavy_tailed()
    first = gmm.score_evidence(new, return_std=True)
    assert first == gmm.score_evidence(new[::-1], return_std=True)
    scale = np.array([4.0, 0.5])
    moved, _ = heavy_tailed(scale, 16.0)
    hole = np.where(np.arange(16).reshape(8, 2) == 3, np.nan, new)
    for rows, n_values in ((new, [8, 8]), (new[[0, 0, 1]], [3, 3]), (hole, [8, 7])):
        value = moved.score_evidence(rows * scale + 16) + n_values @ np.log(scale)
        assert_allclose(value, gmm.score_evidence(rows), atol=1e-6)


def test_a_rough_estimate_is_refused(monkeypatch):
    monkeypatch.setattr(_evidence, "N_PARTICLES", 2)
    monkeypatch.setattr(_evidence, "N_FILTERS", 4)
    gmm, new = heavy_tailed()
    with pytest.raises(EvidenceUnavailableError, match=r"effective draws.*score_samples\(X\)"):
        gmm.score_evidence(new)


@pytest.mark.parametrize("type_", TYPES)
def test_rows_beyond_all_reach_have_no_evidence(type_):
    gmm = VariationalGMM(2, covariance_type=type_, random_state=0).fit(blobs(40))
    assert gmm.score_evidence([[1e200, 0.0], [1.0, 1.0], [1e200, 0.0]]) == -np.inf
