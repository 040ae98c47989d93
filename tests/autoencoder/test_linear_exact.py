"""A linear decoder with normal noise against probabilistic PCA and exact normals."""

import numpy as np
import pytest
from scipy.linalg import subspace_angles

from skbayes import PPCA
from skbayes.autoencoder import Matched
from tests.autoencoder.linear import Exact, fitted, rows

X = rows()
#: Standard errors that chance alone hardly ever exceeds over these few hundred rows.
LARGEST_Z = 4.0


@pytest.fixture(scope="module", params=["diag", "full"])
def vae(request):
    return fitted(X, bottleneck=request.param, n_score_samples=512)


@pytest.fixture(scope="module")
def ppca():
    return PPCA(2, solver="closed_form", evidence="plugin").fit(X)


def test_the_optimum_is_ppca(vae, ppca):
    exact = Exact(vae)
    gap = ppca.score(X) - exact.log_density(X).mean()
    assert 0 <= gap < 0.01 * X.shape[1]
    assert exact.noise[0] == pytest.approx(ppca.noise_variance_, rel=0.05)
    assert np.degrees(subspace_angles(exact.loadings, ppca.components_.T)).max() < 3


def test_evidence_is_that_of_ppca(vae, ppca):
    evidence, error = vae.score_evidence(return_std=True)
    assert vae.evidence_kind_ == "plugin"
    assert abs(evidence - ppca.score_evidence()) < 0.01 * X.size + LARGEST_Z * error
    on_rows, other_error = vae.score_evidence(X, return_std=True)
    assert abs(on_rows - evidence) < LARGEST_Z * np.hypot(error, other_error) + 1e-6 * abs(evidence)


def test_densities_are_exact_within_their_errors(vae):
    new = rows(200, seed=7) + np.random.default_rng(1).normal(size=(200, 6))
    density, error = vae.score_samples(new, return_std=True)
    z = (density - Exact(vae).log_density(new)) / error
    assert np.abs(z).max() < LARGEST_Z
    assert abs(z.mean()) < LARGEST_Z / np.sqrt(len(z)) + error.max()


def test_errors_are_honest(vae):
    """Standard errors are the spread over other draws."""
    exact = Exact(vae).log_density(X[:100])
    z = []
    for seed in range(20):
        vae._seed, before = seed, vae._seed
        density, error = vae.score_samples(X[:100], n_importance_samples=64, return_std=True)
        z.append((density - exact) / error)
        vae._seed = before
    spread = np.std(z)
    # Over 2000 nearly normal numbers a standard deviation is within 5%, but for heavier tails.
    assert 0.85 < spread < 1.15


def test_the_bound_lies_a_divergence_below_the_density(vae):
    """elbo = log p(x) - KL(q, p(z | x)), all of it known here."""
    exact = Exact(vae)
    mean, covariance = exact.codes(X)
    latents = vae._encode(vae._rows(X)[1])
    q_mean, q_root = latents.mean.numpy(), latents.root.numpy()
    q_root = q_root if q_root.ndim == 3 else np.einsum("nq,qr->nqr", q_root, np.eye(2))
    precision = np.linalg.inv(covariance)
    trace = np.einsum("ij,njk,nik->n", precision, q_root, q_root)
    gap = q_mean - mean
    log_det = 2 * np.log(np.abs(np.einsum("nii->ni", q_root))).sum(1)
    kl = 0.5 * (trace + np.einsum("ni,ij,nj->n", gap, precision, gap) - 2)
    kl += 0.5 * (np.linalg.slogdet(covariance)[1] - log_det)
    bound = vae.elbo(X, n_samples=2000)
    expected = exact.log_density(X) - kl
    # The misfit is quadratic in codes of one or two dimensions: its spread over draws is
    # about the square root of half of them.
    assert np.abs(bound - expected).max() < 5 * np.sqrt(trace.max() / 2000)


def test_codes_and_reconstructions_are_the_posterior_means(vae):
    exact = Exact(vae)
    mean, covariance = exact.codes(X)
    scale = np.sqrt(covariance.diagonal())
    assert np.abs(vae.transform(X) - mean).max() < 0.3 * scale.max()
    np.testing.assert_allclose(vae.predict_std(X).mean(0), scale, rtol=0.15)
    rebuilt = vae.transform(X) @ exact.loadings.T + exact.mean
    np.testing.assert_allclose(vae.reconstruct(X), rebuilt, rtol=1e-6)


def test_widths_without_a_divergence_are_laplaces():
    vae = fitted(
        X, objective=Matched("energy", weight=0.1), training__max_iter=300, training__batch_size=64
    )
    exact = Exact(vae)
    _, covariance = exact.codes(X)
    np.testing.assert_allclose(
        vae.predict_std(X[:5]), np.tile(np.sqrt(covariance.diagonal()), (5, 1)), rtol=1e-5
    )
    density, error = vae.score_samples(X, return_std=True)
    assert (np.abs(density - exact.log_density(X)) < LARGEST_Z * error + 1e-4).all()


@pytest.fixture(scope="module")
def with_holes():
    holes = X.copy()
    holes[np.random.default_rng(3).uniform(size=X.shape) < 0.3] = np.nan
    holes[:2] = [np.nan, 3, 3, 3, np.nan, 3], [np.nan] * 6
    return holes, fitted(holes, allow_missing=True, training__max_iter=1500, n_score_samples=2000)


def test_missing_values_are_integrated_out(with_holes):
    holes, vae = with_holes
    density, error = vae.score_samples(holes[1:60], return_std=True)
    exact = [0.0, *Exact(vae).log_density(holes[2:60])]
    assert (np.abs(density - exact) < LARGEST_Z * error + 1e-4).all()


def test_missing_values_are_filled_with_their_mean(with_holes):
    holes, vae = with_holes
    mean, variance = Exact(vae).imputed(holes[0])
    draws = vae.impute(holes[:60], n_samples=2000, random_state=0)
    filled = vae.impute(holes[:60])
    at = np.isnan(holes[0])
    # 2000 weighted draws, of which some two thirds count.
    allowed = 5 * np.sqrt(variance / 1000)
    assert (np.abs(filled[0, at] - mean) < allowed).all()
    assert (np.abs(draws[:, 0, at].mean(0) - mean) < 2 * allowed).all()
    np.testing.assert_allclose(draws[:, 0, at].var(0), variance, rtol=5 * np.sqrt(2 / 1000))
    seen = ~np.isnan(holes[:60])
    np.testing.assert_array_equal(filled[seen], holes[:60][seen])


def test_filling_in_beats_the_mean(with_holes):
    holes, vae = with_holes
    at = np.isnan(holes)
    error = (vae.impute(holes) - X)[at]
    assert (error**2).mean() < 0.5 * ((np.nanmean(holes, axis=0) - X)[at] ** 2).mean()
