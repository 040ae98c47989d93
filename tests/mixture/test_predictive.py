"""Densities, assignments, draws and the evidence of new rows against exact answers."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import logsumexp
from scipy.stats import chisquare, kstest, t

from skbayes import VariationalGMM
from skbayes.mixture._parameter_draws import draw, shares_variance
from tests.mixture.checks import check_sampled_rows
from tests.mixture.models import TYPES, WEIGHTS, make_rows, rows_of
from tests.mixture.test_bound import blobs, raw_prior


def fitted(type_="full", weight_prior="dirichlet", n_columns=2, **params):
    params = {"random_state": 0, "covariance_type": type_, "weight_prior": weight_prior, **params}
    return VariationalGMM(3, **params).fit(blobs(60, n_columns))


def grid(n_columns, n_points):
    """Points over all of space and their weights: tails are as heavy as Cauchy's."""
    u = (np.arange(n_points) + 0.5) / n_points * np.pi - np.pi / 2
    x, weight = 4 * np.tan(u), 4 * np.pi / n_points / np.cos(u) ** 2
    axes = np.meshgrid(*[x] * n_columns, indexing="ij")
    weights = np.meshgrid(*[weight] * n_columns, indexing="ij")
    return np.stack([a.ravel() for a in axes], axis=1), np.prod(weights, axis=0).ravel()


@pytest.mark.parametrize(("n_columns", "n_points"), [(1, 4000), (2, 700)])
@pytest.mark.parametrize("weight_prior", WEIGHTS)
@pytest.mark.parametrize("type_", TYPES)
def test_predictive_density_integrates_to_one(type_, weight_prior, n_columns, n_points):
    X, weight = grid(n_columns, n_points)
    density = np.exp(fitted(type_, weight_prior, n_columns).score_samples(X))
    assert_allclose(density @ weight, 1, atol=2e-3)


@pytest.mark.parametrize("type_", TYPES)
def test_density_of_one_component_is_the_ratio_of_evidences(type_):
    X = make_rows(20)
    gmm = VariationalGMM(1, covariance_type=type_, **raw_prior(type_, X))
    before, after = gmm.fit(X[:19]).score_evidence(), gmm.fit(X).score_evidence()
    density = gmm.fit(X[:19]).score_samples(X[19:])
    assert_allclose(density, after - before, atol=1e-9)


@pytest.mark.parametrize("type_", TYPES)
def test_evidence_of_new_rows_is_exact_for_one_component(type_):
    X = make_rows(20)
    gmm = VariationalGMM(1, covariance_type=type_, **raw_prior(type_, X))
    after = gmm.fit(X).score_evidence()
    before = gmm.fit(X[:12]).score_evidence()
    value, error = gmm.score_evidence(X[12:], return_std=True)
    assert_allclose(value, after - before, atol=1e-8)
    assert error < 1e-8


@pytest.mark.parametrize("weight_prior", WEIGHTS)
@pytest.mark.parametrize("type_", TYPES)
def test_evidence_of_new_rows_is_an_average_over_the_posterior(type_, weight_prior):
    gmm = fitted(type_, weight_prior)
    new = blobs(63, 2)[60:]
    draws = gmm.sample_posterior(n_samples=20_000, random_state=1)
    log_density = draw_log_densities(draws, new, type_)
    product = np.exp(log_density.sum(1) - log_density.sum(1).max())
    expected = np.log(product.mean()) + log_density.sum(1).max()
    value, error = gmm.score_evidence(new, return_std=True)
    spread = product.std() / product.mean() / np.sqrt(len(product))
    assert abs(value - expected) < 5 * np.hypot(error, spread)
    assert value != pytest.approx(gmm.score_samples(new).sum(), abs=1e-6)


def covariances(draws, type_, n_columns):
    """Inverses (S, K, D, D) of drawn precisions of any type."""
    precision, eye = draws["Lambda"], np.eye(n_columns)
    if type_ == "diag":
        precision = precision[..., None] * eye
    elif type_ == "spherical":
        precision = precision[..., None, None] * eye
    elif type_ == "tied":
        precision = np.broadcast_to(precision[:, None], (*draws["mu"].shape, n_columns))
    return np.linalg.inv(precision)


def draw_log_densities(draws, X, type_):
    """log p(x | parameters) (S, N) by plain formulas."""
    covariance = covariances(draws, type_, X.shape[1])
    away = X - draws["mu"][:, :, None]
    squared = np.einsum("sknd,skde,skne->skn", away, np.linalg.inv(covariance), away)
    log_det = np.linalg.slogdet(2 * np.pi * covariance)[1][..., None]
    return logsumexp(np.log(draws["pi"])[..., None] - (squared + log_det) / 2, axis=1)


def within_error(draws, expected):
    error = draws.std(0) / np.sqrt(len(draws))
    assert (np.abs(draws.mean(0) - expected) < 5 * error + 1e-12).all()


@pytest.mark.parametrize("weight_prior", WEIGHTS)
@pytest.mark.parametrize("type_", TYPES)
def test_draws_have_the_posterior_means(type_, weight_prior):
    gmm = fitted(type_, weight_prior, degrees_of_freedom_prior=9.0)
    draws = gmm.sample_posterior(n_samples=4000, random_state=0)
    within_error(draws["pi"], gmm.weights_)
    within_error(draws["mu"], gmm.means_)
    within_error(draws["Lambda"], gmm.precisions_)
    inverse = covariances({"Lambda": gmm.precisions_[None], "mu": gmm.means_[None]}, type_, 2)
    shown = covariances({"Lambda": gmm.covariances_[None], "mu": gmm.means_[None]}, type_, 2)
    assert_allclose(np.linalg.inv(shown), inverse, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("weight_prior", WEIGHTS)
@pytest.mark.parametrize("type_", TYPES)
def test_draws_have_the_posterior_spread(type_, weight_prior):
    """E[log pi], and E[(mu - m)' Lambda (mu - m)] = D / beta."""
    gmm = fitted(type_, weight_prior, degrees_of_freedom_prior=9.0)
    mixture, statistics, _ = gmm._fitted()
    draws = gmm.sample_posterior(n_samples=4000, random_state=0)
    within_error(np.log(draws["pi"]), mixture.weights.expected_log(statistics.counts))
    away = draws["mu"] - gmm.means_
    precision = np.linalg.inv(covariances(draws, type_, 2))
    squared = np.einsum("skd,skde,ske->sk", away, precision, away)
    within_error(squared, 2 / mixture.m_step(statistics).q.precision)


@pytest.mark.parametrize("type_", TYPES)
def test_sampled_rows_follow_the_predictive_law(type_):
    check_sampled_rows(type_)


@pytest.mark.parametrize("weight_prior", WEIGHTS)
@pytest.mark.parametrize("type_", TYPES)
def test_sampled_components_have_their_weights_and_laws(type_, weight_prior):
    """In one column every type's component is a Student-t of the attributes' numbers."""
    params = {"covariance_type": type_, "weight_prior": weight_prior, "random_state": 0}
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(-4, 1, (12, 1)), rng.normal(4, 0.5, (5, 1))])
    gmm = VariationalGMM(2, weight_concentration=1.0, **params).fit(rows)
    X, labels = gmm.sample(20_000, random_state=0)
    assert gmm.n_live_ == 2
    expected = len(X) * gmm.weights_
    assert chisquare(np.bincount(labels, minlength=2), expected).pvalue > 1e-3
    variances = np.broadcast_to(np.ravel(gmm.covariances_), 2)
    dofs = np.broadcast_to(gmm.degrees_of_freedom_, 2)
    for k in range(2):
        scale = np.sqrt(variances[k] * (1 + 1 / gmm.mean_precision_[k]))
        assert kstest(X[labels == k, 0], t(dofs[k], gmm.means_[k, 0], scale).cdf).pvalue > 1e-3


def test_std_of_assignments_splits():
    gmm = fitted()
    X = np.random.default_rng(3).normal(size=(50, 2)) * 3
    p = gmm.predict_proba(X)
    total, epistemic, aleatoric = (
        gmm.predict_std(X, kind) for kind in ("total", "epistemic", "aleatoric")
    )
    assert_allclose(total**2, p * (1 - p), atol=1e-12)
    assert_allclose(total**2, epistemic**2 + aleatoric**2, atol=1e-12)
    assert (epistemic.max(axis=0)[:3] > 0.01).any()
    with pytest.raises(ValueError, match="kind='doubt' is not known"):
        gmm.predict_std(X, "doubt")


def test_epistemic_std_is_that_of_responsibilities_given_the_row():
    gmm, x = fitted(), np.array([[0.5, 0.5], [2.0, -3.0]])
    draws = gmm.sample_posterior(n_samples=40_000, random_state=0)
    joint = np.stack(
        [
            draw_log_densities(
                {
                    "pi": draws["pi"][:, [k]],
                    "mu": draws["mu"][:, [k]],
                    "Lambda": draws["Lambda"][:, [k]],
                },
                x,
                "full",
            )
            for k in range(3)
        ],
        axis=-1,
    )
    weight = np.exp(logsumexp(joint, axis=-1))
    weight /= weight.sum(axis=0)
    share = np.exp(joint - logsumexp(joint, axis=-1, keepdims=True))
    mean = np.einsum("sn,snk->nk", weight, share)
    assert_allclose(mean, gmm.predict_proba(x), atol=0.02)
    few = VariationalGMM(3, random_state=0, n_predictive_samples=5).fit(blobs(60, 2))
    assert not np.array_equal(few.predict_std(x, "epistemic"), gmm.predict_std(x, "epistemic"))


@pytest.mark.parametrize("type_", TYPES)
def test_variance_of_responsibilities_is_over_draws_by_their_density(type_):
    gmm, x = fitted(type_), np.array([[0.5, 0.5], [2.0, -3.0], [9.0, 9.0]])
    mixture, statistics, units = gmm._fitted()
    own = draw(mixture, statistics, 400, np.random.default_rng(0))
    rows = (x - units.centre) / units.scale
    precision = mixture.components.precision(own.components)
    joint = np.empty((400, 3, 3))
    for k in range(3):
        one = precision if type_ == "tied" else precision[:, [k]]
        draws = {"pi": own.weights[:, [k]], "mu": own.components.mean[:, [k]], "Lambda": one}
        joint[..., k] = draw_log_densities(draws, rows, type_)
    density = logsumexp(joint, axis=-1)
    weight = np.exp(density - logsumexp(density, axis=0))
    share = np.exp(joint - density[..., None])
    mean = np.einsum("sn,snk->nk", weight, share)
    variance = np.einsum("sn,snk->nk", weight, (share - mean) ** 2)
    assert_allclose(shares_variance(mixture, own, rows_of(rows)), variance, rtol=1e-6, atol=1e-12)


def test_more_rows_make_assignments_surer():
    X = blobs(40, 2)
    x = np.random.default_rng(3).normal(size=(50, 2)) * 3
    few = VariationalGMM(3, random_state=0).fit(X).predict_std(x, "epistemic")
    many = VariationalGMM(3, random_state=0).fit(np.repeat(X, 30, axis=0))
    assert many.predict_std(x, "epistemic").mean() < 0.5 * few.mean()
