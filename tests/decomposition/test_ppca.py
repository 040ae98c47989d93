"""PPCA against the normal density, PCA, quadrature and its own two ways to fit."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.integrate import simpson
from scipy.linalg import subspace_angles
from scipy.stats import multivariate_normal
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA

from skbayes import PPCA
from skbayes.decomposition._closed_form import relevant_components
from skbayes.decomposition._codes import Patterns
from skbayes.decomposition._em import expect, fit_em
from skbayes.decomposition._fits import peak
from skbayes.decomposition._laplace import complete_evidence
from skbayes.decomposition._loadings import Factors
from skbayes.decomposition._moments import Moments
from tests.decomposition.problems import WINE, factor_data, normal_logpdf, with_holes

# --- densities and codes -----------------------------------------------------------------


@pytest.mark.parametrize("n_components", [1, 5, 12])
def test_density_is_the_normal(n_components):
    ppca = PPCA(n_components).fit(WINE)
    desired = multivariate_normal(ppca.mean_, ppca.get_covariance()).logpdf(WINE)
    assert_allclose(ppca.score_samples(WINE), desired, rtol=0, atol=1e-9)
    assert_allclose(ppca.get_covariance() @ ppca.get_precision(), np.eye(13), atol=1e-10)


def test_density_of_rows_with_missing_values_is_the_marginal_normal():
    X = with_holes(WINE, 0.4)
    X[3] = np.nan
    ppca = PPCA(4).fit(X)
    assert_allclose(ppca.score_samples(X), normal_logpdf(ppca, X), rtol=0, atol=1e-9)


def test_density_keeps_its_digits_when_noise_is_tiny():
    X, _ = factor_data(200, 6, 2, noise=1e-6)
    ppca = PPCA(2).fit(X)
    centred = (X - ppca.mean_).astype(np.longdouble)
    along = centred @ ppca.components_.T
    across = centred - along @ ppca.components_
    distance = (along**2 / ppca.explained_variance_).sum(axis=1)
    distance += (across**2).sum(axis=1) / ppca.noise_variance_
    desired = -0.5 * (distance + 6 * np.log(2 * np.pi) + ppca._factors.log_det)
    # Rows are known to 1e-16 of their size, which is 1e6 noise deviations.
    assert_allclose(ppca.score_samples(X), desired.astype(float), rtol=0, atol=1e-8)


def test_parity_with_pca():
    ppca, pca = PPCA(5).fit(WINE), PCA(5).fit(WINE)
    n = len(WINE)
    assert_allclose(ppca.components_, pca.components_, atol=1e-10)
    assert_allclose(ppca.explained_variance_, pca.explained_variance_ * (n - 1) / n)
    assert_allclose(ppca.explained_variance_ratio_, pca.explained_variance_ratio_)
    assert_allclose(ppca.noise_variance_, pca.noise_variance_ * (n - 1) / n)
    # Maximum likelihood beats the divisor n - 1.
    assert 0 < ppca.score(WINE) - pca.score(WINE) < 1e-3


def test_codes_are_the_conditional_normal():
    X = with_holes(WINE, 0.3)[:20]
    ppca = PPCA(3, whiten=True).fit(WINE)
    W = ppca._factors.loadings
    mean, std = ppca.transform(X), ppca.predict_std(X)
    for row, m, s in zip(X, mean, std, strict=True):
        at = ~np.isnan(row)
        gain = W[at].T @ np.linalg.inv(ppca.get_covariance()[np.ix_(at, at)])
        assert_allclose(m, gain @ (row[at] - ppca.mean_[at]), atol=1e-9)
        assert_allclose(s**2, np.diagonal(np.eye(3) - gain @ W[at]), atol=1e-9)


def test_blocks_do_not_show(monkeypatch):
    X = with_holes(WINE, 0.3)
    whole = PPCA(3).fit(X)
    monkeypatch.setattr("skbayes.decomposition._codes.BLOCK_SIZE", 300)
    blocked = PPCA(3).fit(X)
    assert_allclose(blocked.components_, whole.components_, atol=1e-9)
    assert_allclose(blocked.transform(X), whole.transform(X), atol=1e-9)
    assert_allclose(blocked.score_evidence(), whole.score_evidence(), rtol=1e-10)


def test_a_row_without_values_has_the_prior():
    ppca = PPCA(2).fit(WINE)
    empty = np.full((1, 13), np.nan)
    assert_array_equal(ppca.transform(empty), np.zeros((1, 2)))
    unit = np.sqrt(ppca.explained_variance_ - ppca.noise_variance_)
    assert_allclose(ppca.predict_std(empty)[0], unit)
    assert_allclose(ppca.score_samples(empty), 0, atol=1e-12)
    assert_allclose(ppca.impute(empty)[0], ppca.mean_)


def test_codes_are_in_the_units_of_pca():
    X = with_holes(WINE, 0.2)
    plain, white = PPCA(4).fit(X), PPCA(4, whiten=True).fit(X)
    unit = np.sqrt(plain.explained_variance_ - plain.noise_variance_)
    for verb in ("transform", "predict_std"):
        assert_allclose(getattr(plain, verb)(X), getattr(white, verb)(X) * unit)
    Z = plain.transform(X)
    assert_allclose(plain.inverse_transform(Z), plain.mean_ + Z @ plain.components_)
    assert_allclose(plain.inverse_transform(Z), white.inverse_transform(white.transform(X)))
    assert_allclose(plain.impute(X)[np.isnan(X)], plain.inverse_transform(Z)[np.isnan(X)])
    draws = [p.sample_posterior(X, 3, random_state=0) for p in (plain, white)]
    assert_allclose(draws[0], draws[1] * unit)
    # Without noise to speak of, codes are PCA's.
    Y, _ = factor_data(200, 6, 2, noise=1e-4)
    assert_allclose(PPCA(2).fit_transform(Y), PCA(2).fit_transform(Y), atol=1e-6)


def test_new_rows_have_the_moments_of_the_model():
    ppca = PPCA(2).fit(load_iris().data)
    X = ppca.sample(20000, random_state=0)
    assert_allclose(X.mean(axis=0), ppca.mean_, atol=5 * X.std() / np.sqrt(20000))
    error = np.abs(np.cov(X.T) - ppca.get_covariance())
    scale = np.sqrt(np.outer(*2 * [np.diagonal(ppca.get_covariance())]))
    assert (error < 5 * scale * np.sqrt(2 / 20000)).all()


def test_imputation_is_the_conditional_normal():
    X = with_holes(load_iris().data, 0.3)[:10]
    ppca = PPCA(2).fit(load_iris().data)
    filled, draws = ppca.impute(X), ppca.impute(X, n_samples=4000, random_state=0)
    assert_array_equal(filled[~np.isnan(X)], X[~np.isnan(X)])
    covariance = ppca.get_covariance()
    for i, row in enumerate(X):
        at, off = ~np.isnan(row), np.isnan(row)
        gain = covariance[np.ix_(off, at)] @ np.linalg.inv(covariance[np.ix_(at, at)])
        mean = ppca.mean_[off] + gain @ (row[at] - ppca.mean_[at])
        spread = covariance[np.ix_(off, off)] - gain @ covariance[np.ix_(at, off)]
        assert_allclose(filled[i, off], mean, atol=1e-9)
        std = np.sqrt(np.diagonal(spread))
        got = draws[:, i][:, off]
        assert (np.abs(got.mean(axis=0) - mean) <= 5 * std / np.sqrt(4000)).all()
        allowed = 5 * np.outer(std, std) * np.sqrt(2 / 4000)
        assert (np.abs(np.atleast_2d(np.cov(got.T, ddof=0)) - spread) <= allowed).all()


# --- EM --------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_components", [1, 4, "evidence", "ard"])
def test_em_reaches_the_closed_form(n_components):
    closed = PPCA(n_components, solver="closed_form").fit(WINE)
    climbed = PPCA(n_components, solver="em", tol=1e-12).fit(WINE)
    assert climbed.n_components_ == closed.n_components_
    assert_allclose(climbed.get_covariance(), closed.get_covariance(), atol=1e-5)
    assert_allclose(climbed.score(WINE), closed.score(WINE), atol=1e-9)
    assert_allclose(climbed.mean_, closed.mean_, atol=1e-9)


def plain_start(X, n_components):
    """A poor start: random loadings."""
    rng = np.random.default_rng(5)
    loadings = rng.normal(size=(X.shape[1], n_components))
    return Factors.from_loadings(np.zeros(X.shape[1]), loadings, 1.0)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6])
def test_em_never_loses(share):
    X = with_holes(WINE, share)
    weight = np.random.default_rng(2).uniform(0.5, 3, size=len(X))
    start = plain_start(X, 4)
    _, trace = fit_em(start, X, Patterns.of_rows(X), weight, 60, 0.0)
    assert len(trace) > 5
    assert (np.diff(trace) > -1e-9 * np.abs(trace[0])).all()
    assert trace[-1] > trace[0] + 100


def test_em_stops_where_the_likelihood_is_flat():
    """At the optimum no loading, mean or noise raises the likelihood of observed values."""
    X = with_holes(WINE, 0.3)
    ppca = PPCA(2, tol=1e-12, max_iter=2000).fit(X)
    best = normal_logpdf(ppca, X).sum()
    rng = np.random.default_rng(3)
    for _ in range(20):
        other = PPCA(2).fit(X)
        other.mean_ = ppca.mean_ + 1e-3 * rng.normal(size=13)
        loadings = ppca._factors.loadings + 1e-3 * rng.normal(size=(13, 2))
        factors = Factors.from_loadings(other.mean_, loadings, ppca.noise_variance_)
        other.components_, other.explained_variance_ = factors.components, factors.variances
        other.noise_variance_ = ppca.noise_variance_ * np.exp(1e-3 * rng.normal())
        # Steps of 1e-3 lose by curvature; a slope would win in half of the directions.
        assert normal_logpdf(other, X).sum() < best


def test_expected_sums_are_those_of_draws():
    X = with_holes(WINE, 0.4)
    ppca = PPCA(2).fit(X)
    weight = np.ones(len(X))
    sums = expect(ppca._factors, X, Patterns.of_rows(X), weight)
    codes = ppca.set_params(whiten=True).sample_posterior(X, 4000, random_state=0)
    extended = np.concatenate([codes, np.ones((*codes.shape[:2], 1))], axis=2)
    outer = np.einsum("snj,snk->njk", extended, extended) / 4000
    seen = ~np.isnan(X)
    error = 5 * np.sqrt(len(X) / 4000) * 4
    assert_allclose(sums.codes, outer.sum(axis=0), atol=error)
    assert_allclose(sums.codes_at, np.einsum("nd,njk->djk", seen, outer), atol=error)
    assert sums.n_observed == seen.sum()


@pytest.mark.parametrize(("share", "degrees"), [(0.2, 1.0), (0.5, 1.2), (0.8, 2.5)])
def test_subspace_through_missing_values(share, degrees):
    X, loadings = factor_data(5000, 50, 5)
    ppca = PPCA(5).fit(with_holes(X, share))
    angles = subspace_angles(ppca.components_.T, loadings)
    assert np.degrees(angles.max()) <= degrees
    assert ppca.n_iter_ <= 30
    assert_allclose(ppca.noise_variance_, 0.25, rtol=5 * np.sqrt(2 / (5000 * 50 * (1 - share))))


def test_relevance_is_a_fixed_point_of_bishops_updates():
    X, _ = factor_data(150, 8, 3)
    moments = Moments.of_rows(X, np.ones(len(X)))
    values, axes = moments.spectrum()
    variances, noise = relevant_components(values, moments.weight, 7)
    assert len(variances) == 3
    W, S = axes[:3].T * np.sqrt(variances - noise), moments.covariance
    # Bishop (1999): W = S_xz (S_zz + v A)^-1 / n with A = D / |w|², then v.
    M = np.linalg.inv(W.T @ W + noise * np.eye(3))
    cross, codes = S @ W @ M, noise * M + M @ W.T @ S @ W @ M
    alpha = np.diag(8 / (W**2).sum(axis=0))
    assert_allclose(cross @ np.linalg.inv(codes + noise * alpha / len(X)), W, atol=1e-9)
    updated = np.trace(S - 2 * cross @ W.T + W @ codes @ W.T) / 8
    assert_allclose(updated, noise, rtol=1e-9)


# --- the number of components ------------------------------------------------------------------


@pytest.mark.parametrize("n_components", ["evidence", "ard"])
@pytest.mark.parametrize("share", [0.0, 0.3])
@pytest.mark.parametrize("n_codes", [1, 3, 6])
def test_the_true_number_is_found(n_components, share, n_codes):
    X, _ = factor_data(400, 10, n_codes, seed=n_codes)
    ppca = PPCA(n_components).fit(with_holes(X, share))
    assert ppca.n_components_ == n_codes
    assert hasattr(ppca, "log_evidences_") == (n_components == "evidence")


@pytest.mark.parametrize("most", [1, 2, 3, 7, 20])
def test_the_peak_is_found_in_few_evaluations(most):
    for at in range(1, most + 1):
        seen = set()

        def height(n, at=at, seen=seen):
            seen.add(n)
            assert 1 <= n <= most
            return -abs(n - at)

        assert peak(height, most) == at
        assert len(seen) <= 2 * np.log2(most) + 3


@pytest.mark.parametrize("noise", [1e-4, 0.05, 1.0])
def test_evidence_agrees_with_quadrature(noise):
    """Two features, one component: angle and two variances by a grid, the mean exactly."""
    n = 200
    X = np.random.default_rng(0).normal(size=(n, 2)) * [2.0, noise]
    values, _ = Moments.of_rows(X, np.ones(n)).spectrum()
    spread = values.mean()
    steps = np.linspace(-7, 7, 141)
    first = np.log(values[0]) + steps * np.sqrt(2 / n)
    second = np.log(values[1]) + steps * np.sqrt(2 / n)
    width = 8 / np.sqrt(n * (values[0] / values[1] + values[1] / values[0] - 2))
    angle = np.linspace(-1, 1, 201) * min(width, np.pi / 2)
    log_l, log_v, turn = np.meshgrid(first, second, angle, indexing="ij", sparse=True)

    def prior(log_variance):
        ratio = np.exp(log_variance) / spread
        return 0.5 * np.log(ratio) - np.log(np.pi * (1 + ratio))

    away = (values[0] - values[1]) * np.sin(turn) ** 2
    distance = (values[0] - away) / np.exp(log_l) + (values[1] + away) / np.exp(log_v)
    log_joint = prior(log_l) + prior(log_v) - n / 2 * (log_l + log_v + distance)
    for log_variance in (log_l, log_v):
        log_joint = log_joint - 0.5 * np.log1p(n * spread / np.exp(log_variance))
    # Only the larger variance is a component's: twice as dense there.
    density = np.where(log_l > log_v, 2 * np.exp(log_joint - log_joint.max()), 0.0)
    mass = simpson(simpson(simpson(density, angle), second), first) / np.pi
    exact = np.log(mass) + log_joint.max() - n * np.log(2 * np.pi)
    # Beyond the powers that are integrated, an error of order 1 / n a parameter is left.
    assert_allclose(complete_evidence(values, 1, n), exact, rtol=0, atol=5 / n)
    ppca = PPCA(1).fit(X)
    assert_allclose(ppca.score_evidence(), exact, rtol=0, atol=5 / n)


def test_equal_eigenvalues_leave_the_evidence_finite():
    values = np.ones(6)
    assert np.isfinite([complete_evidence(values, n, 100) for n in range(1, 6)]).all()


def test_plugin_evidence_rises_with_components_and_laplace_does_not():
    X, _ = factor_data(300, 10, 3)
    plugin = [PPCA(n, evidence="plugin").fit(X).score_evidence() for n in range(1, 10)]
    laplace = [PPCA(n).fit(X).score_evidence() for n in range(1, 10)]
    assert (np.diff(plugin) > 0).all()
    assert np.argmax(laplace) == 2
    assert_allclose(PPCA().fit(X).log_evidences_, laplace)
    assert_allclose(plugin[2], PPCA(3).fit(X).score_samples(X).sum())


def test_plugin_evidence_with_missing_values():
    X = with_holes(WINE, 0.3)
    ppca = PPCA(3, evidence="plugin").fit(X)
    assert ppca.evidence_kind_ == "plugin"
    assert_allclose(ppca.score_evidence(), ppca.score_samples(X).sum())
    assert PPCA(3).fit(X).score_evidence() < ppca.score_evidence()


# --- draws of the parameters -----------------------------------------------------------------


def test_parameter_draws_spread_as_estimates_do():
    """The posterior's spread is that of estimates over repeated data, for many rows."""
    rng = np.random.default_rng(0)
    truth = PPCA(2).fit(factor_data(4000, 5, 2)[0])
    estimates = []
    for _ in range(300):
        fit = PPCA(2).fit(truth.sample(4000, random_state=int(rng.integers(2**31))))
        estimates.append([*fit.mean_, *fit.components_.ravel(), *fit.explained_variance_])
    draws = truth.sample_posterior(n_samples=3000, random_state=0)
    parts = [draws["mean"], draws["components"].reshape(3000, -1), draws["explained_variance"]]
    spread, expected = np.hstack(parts).std(axis=0), np.std(estimates, axis=0)
    # A standard deviation of 300 estimates is known to 4%; five of these.
    assert_allclose(spread, expected, rtol=0.2)
    frames = draws["components"]
    assert_allclose(frames @ frames.swapaxes(1, 2), np.tile(np.eye(2), (3000, 1, 1)), atol=1e-9)


def test_missing_values_widen_parameter_draws():
    X, _ = factor_data(2000, 6, 2)
    full = PPCA(2).fit(X).sample_posterior(n_samples=4000, random_state=0)
    half = PPCA(2).fit(with_holes(X, 0.5)).sample_posterior(n_samples=4000, random_state=0)
    for name in full:
        ratio = half[name].std(axis=0) / full[name].std(axis=0)
        assert 1.1 < np.median(ratio) < 2.5, name
