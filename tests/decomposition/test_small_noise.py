"""PPCA where noise is small, or columns depend on one another exactly."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.spatial.transform import Rotation
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from scipy.stats import t as student

from skbayes import PPCA
from tests.decomposition.problems import factor_data, with_holes


def uneven_data(n_rows, strengths, noise, seed=0, n_features=8):
    """Rows of components of these standard deviations along orthonormal axes."""
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.normal(size=(n_features, len(strengths))))[0]
    X = rng.normal(size=(n_rows, len(strengths))) * strengths @ axes.T
    return X + noise * rng.normal(size=X.shape) + rng.normal(size=n_features)


# --- the evidence and the draws ------------------------------------------------------------


def by_importance(X, ppca, n_draws=20_000):
    """Log evidence of two components in three features; mean and deviation of log noise.

    Variances and the rotation vector are proposed from Student laws around the estimator's
    own; the uniform law of rotations has the density (1 - cos |w|) / (2 pi |w|)².
    """
    rng, n = np.random.default_rng(1), len(X)
    values = np.linalg.eigvalsh(np.cov(X.T, ddof=0))[::-1]
    spread = values.mean()
    known = ppca._information
    scales = np.sqrt(1 / known["shape"])
    turns = 1 / np.sqrt(np.maximum(known["rotation"][[1, 0, 0], [2, 2, 1]], 2))
    scale = 1.2 * np.append(scales, turns)
    centre = np.append(np.log(known["variances"]), np.zeros(3))
    z = rng.standard_t(5, size=(n_draws, 6))
    proposed = (student(5).logpdf(z) - np.log(scale)).sum(axis=1)
    logs, vector = np.split(centre + scale * z, 2, axis=1)
    angle = np.linalg.norm(vector, axis=1)
    uniform = np.log((1 - np.cos(angle)) / (2 * np.pi * angle) ** 2)
    along = np.einsum("njk,j->nk", Rotation.from_rotvec(vector).as_matrix() ** 2, values)
    variances = np.exp(logs)
    root = np.sqrt(variances / spread) / ppca.prior_scale
    log_joint = -n / 2 * (logs + along / variances + np.log(2 * np.pi))
    log_joint += np.log(root / (np.pi * (1 + root**2)))
    log_joint = (log_joint - 0.5 * np.log1p(n * spread / variances)).sum(axis=1)
    # Four frames by the signs of two components; falling variances are one order of six.
    allowed = (np.diff(logs, axis=1) < 0).all(axis=1) & (angle < np.pi)
    weight = np.where(allowed, log_joint + uniform - proposed + np.log(4 * 6), -np.inf)
    total = logsumexp(weight)
    share = np.exp(weight - total)
    assert 1 / (share**2).sum() > n_draws / 4
    mean = share @ logs[:, -1]
    return total - np.log(n_draws), mean, np.sqrt(share @ (logs[:, -1] - mean) ** 2)


@pytest.mark.parametrize("prior_scale", [1.0, 0.01])
@pytest.mark.parametrize("noise", [0.3, 1e-4])
@pytest.mark.parametrize("n_rows", [20, 100])
def test_evidence_and_draws_of_two_components_by_importance(n_rows, noise, prior_scale):
    X = np.random.default_rng(2).normal(size=(n_rows, 3)) * [3, 1, noise]
    ppca = PPCA(2, prior_scale=prior_scale).fit(X)
    exact, mean, deviation = by_importance(X, ppca)
    # Importance sampling knows it to .01, Laplace's method to a part of 1 / n.
    assert_allclose(ppca.score_evidence(), exact, rtol=0, atol=0.03 + 1 / n_rows)
    draws = np.log(ppca.sample_posterior(n_samples=4000, random_state=0)["noise_variance"])
    assert abs(draws.mean() - mean) < 0.1 * deviation
    assert_allclose(draws.std(), deviation, rtol=0.1)


def test_draws_of_the_noise_cover_it():
    """Few rows, so that rotations and the mean take a tenth of the degrees of freedom."""
    rng, covered = np.random.default_rng(0), []
    for seed in range(400):
        noise = 10 ** rng.uniform(-4, -0.5)
        X = uneven_data(30, [2.0, 1.0, 1.0], noise, seed)
        draws = PPCA(3).fit(X).sample_posterior(n_samples=199, random_state=seed)["noise_variance"]
        # Ranks among 199 draws are alike likely, and 180 of the 200 are these.
        covered.append(10 <= (draws < noise**2).sum() < 190)
    assert abs(np.mean(covered) - 0.9) < 0.04


@pytest.mark.parametrize("noise", [1e-4, 1e-3, 1e-2, 0.1])
@pytest.mark.parametrize("share", [0.0, 0.05])
def test_weak_components_are_found_above_weaker_noise(noise, share):
    strengths = [100.0, 10.0, 1.0]
    X = uneven_data(150, strengths, noise)
    ppca = PPCA(max_iter=5000).fit(with_holes(X[:100], share))
    assert ppca.n_components_ == 3
    draws = ppca.sample_posterior(n_samples=1000, random_state=0)["noise_variance"]
    assert_allclose(np.median(draws), noise**2, rtol=0.3)
    # Held-out rows: one component less would cost log(1 / noise) nats a row at least.
    assert ppca.score(X[100:]) > PPCA(2).fit(X[:100]).score(X[100:]) + np.log(0.2 / noise)


@pytest.mark.parametrize("seed", range(6))
def test_as_many_rows_as_columns_do_not_crowd_out_the_noise(seed):
    """Variances like one another must fall: n! times the prior is not n! times the mass."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(20, 2)) @ rng.normal(size=(2, 20)) + 1.5 * rng.normal(size=(20, 20))
    assert PPCA().fit(X).n_components_ <= 3


def test_the_scale_of_the_prior_is_in_units_of_the_data():
    X = uneven_data(12, [2.0, 1.0], 0.1)
    near, far = (PPCA(2, prior_scale=scale).fit(X) for scale in (0.3, 1e4))
    for unit in (1e-3, 1e3):
        scaled = PPCA(2, prior_scale=1e4).fit(X * unit)
        assert_allclose(scaled.score_evidence(), far.score_evidence() - 96 * np.log(unit))
    assert near.score_evidence() > far.score_evidence() + 10
    medians = [
        np.median(p.sample_posterior(n_samples=4000, random_state=0)["noise_variance"])
        for p in (near, far)
    ]
    assert medians[1] > medians[0]


# --- columns that depend on one another ------------------------------------------------------


def two_units(n_rows=60):
    """Heights in centimetres and inches, weights in kilograms and pounds, ages."""
    rng = np.random.default_rng(0)
    cm, age = rng.normal(170, 10, n_rows), rng.uniform(20, 60, n_rows)
    kg = 0.9 * (cm - 100) + rng.normal(0, 8, n_rows)
    return np.column_stack([cm, cm / 2.54, kg, kg * 2.20462, age])


@pytest.mark.parametrize("n_components", ["evidence", "ard", 3])
@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_dependent_columns_keep_the_true_rank(n_components, offset):
    X = two_units() + offset
    whole, stream = PPCA(n_components).fit(X), PPCA(n_components)
    for rows in np.array_split(X, 4):
        stream.partial_fit(rows)
    for ppca in (whole, stream, PPCA(n_components, solver="em").fit(X)):
        assert ppca.n_components_ == 3
        assert 0 < ppca.noise_variance_ < 1e-5
        assert_allclose(ppca.inverse_transform(ppca.transform(X)), X, rtol=1e-6)
        for draws in ppca.sample_posterior(n_samples=20, random_state=0).values():
            assert np.isfinite(draws).all()


@pytest.mark.parametrize("n_components", ["evidence", "ard", 3, 4])
def test_a_hidden_value_follows_from_the_column_beside_it(n_components):
    X = two_units()
    hidden = X.copy()
    hidden[::7, 1] = np.nan
    ppca = PPCA(n_components, max_iter=5000).fit(hidden)
    assert ppca.n_components_ == (4 if n_components == 4 else 3)
    assert_allclose(ppca.impute(hidden), X, rtol=0, atol=1e-3)


def test_a_row_that_lacks_a_whole_direction():
    """Of heights nothing is seen; of weights one unit says what both say."""
    X = two_units()
    ppca, row = PPCA().fit(X), X[:1].copy()
    row[0, :2] = np.nan
    S, centred = np.cov(X.T, ddof=0), X[0] - X.mean(axis=0)
    given = [2, 4]
    slope = np.linalg.solve(S[np.ix_(given, given)], S[given, 0])
    mean, std = X[:, 0].mean() + slope @ centred[given], np.sqrt(S[0, 0] - slope @ S[given, 0])
    # Rounding leaves a few hundredths of the noise where there is none.
    draws = ppca.impute(row, n_samples=4000, random_state=0)[:, 0, 0]
    assert abs(ppca.impute(row)[0, 0] - mean) < 0.1 * std
    assert_allclose(draws.std(), std, rtol=0.1)
    density = multivariate_normal(cov=S[np.ix_(given, given)]).logpdf(centred[given])
    pinned = (1 + 2.20462**2) * ppca.noise_variance_
    exact = density - 0.5 * np.log(2 * np.pi * pinned)
    assert abs(ppca.score_samples(row)[0] - exact) < 1


def test_few_rows_are_no_dependence():
    """Twelve rows vary in eleven directions, however often each of them is repeated."""
    X = np.random.default_rng(0).normal(size=(12, 20))
    for rows in (X, np.repeat(X, 5, axis=0)):
        assert PPCA().fit(rows).n_components_ < 11
        with pytest.raises(ValueError, match=r"vary in 11 direction\(s\) only"):
            PPCA(11).fit(rows)


def test_a_constant_column_is_no_dependence():
    X = np.column_stack([factor_data(80, 4, 1)[0], np.full(80, 0.1)])
    with pytest.raises(ValueError, match="n_components=4 leaves no variance"):
        PPCA(4).fit(X)


def test_columns_lost_beside_others_are_named():
    X = np.random.default_rng(0).normal(size=(60, 5)) * [1e9, 1e9, 1, 1, 1]
    with pytest.warns(UserWarning, match=r"column\(s\) \[2, 3, 4\] of X vary too little"):
        ppca = PPCA().fit(X)
    assert ppca.n_components_ == 2
