"""PPCA's evidence where values are missing: against the closed form and against a grid."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.integrate import simpson
from sklearn.datasets import load_iris, load_wine

from skbayes import PPCA
from tests.decomposition.problems import factor_data, with_holes

#: Noise far below the variance of a feature, so that the prior pulls hard.
CLEAR, _ = factor_data(100, 10, 3, noise=np.sqrt(3) / 100)
TABLES = {"wine": load_wine().data, "iris": load_iris().data, "clear": CLEAR}


def hide_first(X):
    X = X.copy()
    X[0, 0] = np.nan
    return X


# --- the closed form -------------------------------------------------------------------------


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("n_components", [1, 2, 3])
def test_complete_rows_by_em_have_the_evidence_of_the_closed_form(table, n_components):
    X = TABLES[table]
    closed, climbed = PPCA(n_components).fit(X), PPCA(n_components, solver="em").fit(X)
    assert_allclose(climbed.score_evidence(), closed.score_evidence(), rtol=0, atol=1e-6)
    desired, actual = (
        p.sample_posterior(n_samples=4000, random_state=0) for p in (closed, climbed)
    )
    for name in ("mean", "explained_variance", "noise_variance"):
        assert_allclose(actual[name], desired[name], rtol=1e-5, err_msg=name)
    # Of frames the law alone is the same: directions of noise have no order.
    spread = [d["components"].std(axis=0) for d in (actual, desired)]
    assert_allclose(*spread, rtol=0.1)


def hidden_log_density(ppca, X):
    """Log density of the value at (0, 0) given the rest of its row, mean over draws."""
    draws = ppca.sample_posterior(n_samples=2000, random_state=0)
    W, noise = draws["components"], draws["noise_variance"]
    strength = draws["explained_variance"] - noise[:, None]
    C = np.einsum("sqi,sq,sqj->sij", W, strength, W)
    precision = np.linalg.inv(C + noise[:, None, None] * np.eye(X.shape[1]))
    centred = X[0] - draws["mean"]
    own = precision[:, 0, 0]
    error = np.einsum("sj,sj->s", precision[:, 0], centred)
    density = np.sqrt(own / (2 * np.pi)) * np.exp(-0.5 * error**2 / own)
    return np.log(density.mean())


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("n_components", [1, 2, 3])
def test_a_hidden_value_takes_its_own_density_from_the_evidence(table, n_components):
    X = TABLES[table]
    whole = PPCA(n_components).fit(X)
    hidden = PPCA(n_components, tol=1e-9, max_iter=5000).fit(hide_first(X))
    lost = whole.score_evidence() - hidden.score_evidence()
    assert_allclose(lost, hidden_log_density(hidden, X), rtol=0, atol=0.1)


@pytest.mark.parametrize("table", TABLES)
def test_a_hidden_value_leaves_the_number_of_components(table):
    X = TABLES[table]
    assert PPCA().fit(hide_first(X)).n_components_ == PPCA().fit(X).n_components_


@pytest.mark.parametrize("seed", range(3))
def test_clear_components_are_found_through_missing_values(seed):
    X, _ = factor_data(100, 10, 3, noise=np.sqrt(3) / 100, seed=seed)
    assert PPCA().fit(with_holes(X, 0.05)).n_components_ == 3


# --- a grid ------------------------------------------------------------------------------------


def plane_data(n_rows, ratio, share, seed):
    """Rows of two features, standard deviations 1 and ``ratio`` along turned axes."""
    rng = np.random.default_rng(seed)
    turn = np.array([[np.cos(0.6), np.sin(0.6)], [-np.sin(0.6), np.cos(0.6)]])
    X = rng.normal(size=(n_rows, 2)) * [ratio, 1] @ turn
    lacking = np.flatnonzero(rng.random(n_rows) < share)
    X[lacking, rng.integers(0, 2, size=len(lacking))] = np.nan
    return X


def log_likelihood_over_means(X, spread, xx, yy, xy):
    """Log density of observed values under covariances, the mean integrated.

    The mean is normal around 0, its variance ``spread`` in both directions.
    """
    x_only, y_only = X[np.isnan(X[:, 1]), 0], X[np.isnan(X[:, 0]), 1]
    rows = X[~np.isnan(X).any(axis=1)]
    n, det = len(rows), xx * yy - xy**2
    a, b, c = yy / det, xx / det, -xy / det
    P, Q, R = n * a + len(x_only) / xx, n * b + len(y_only) / yy, n * c
    P, Q = P + 1 / spread, Q + 1 / spread
    (sx, sy), S = rows.sum(axis=0), rows.T @ rows
    g, h = a * sx + c * sy + x_only.sum() / xx, c * sx + b * sy + y_only.sum() / yy
    distance = a * S[0, 0] + 2 * c * S[0, 1] + b * S[1, 1]
    distance = distance + (x_only**2).sum() / xx + (y_only**2).sum() / yy
    distance = distance - (Q * g**2 - 2 * R * g * h + P * h**2) / (P * Q - R**2)
    log_det = n * np.log(det) + len(x_only) * np.log(xx) + len(y_only) * np.log(yy)
    log_det = log_det + 2 * np.log(spread) + np.log(P * Q - R**2)
    return -0.5 * ((~np.isnan(X)).sum() * np.log(2 * np.pi) + log_det + distance)


def log_half_cauchy(log_variance, scale):
    """Log density of the log variance whose root is half-Cauchy."""
    root = np.exp(log_variance / 2) / scale
    return np.log(root / (np.pi * (1 + root**2)))


def spread_of_angle(draws, centre):
    """Root mean square of its sine: a half-turn gives the same component."""
    return np.sqrt(((draws["components"][:, 0] @ [-np.sin(centre), np.cos(centre)]) ** 2).mean())


def grid(X, ppca):
    """Log noise, angle, their joint density and the log evidence."""
    draws = ppca.sample_posterior(n_samples=500, random_state=0)
    centre = np.arctan2(*ppca.components_[0, ::-1])
    width = min(12 * spread_of_angle(draws, centre), np.pi / 2)
    logs = [np.log(draws[name]) for name in ("explained_variance", "noise_variance")]
    axes = [np.linspace(x.mean() - 7 * x.std(), x.mean() + 7 * x.std(), 121) for x in logs]
    axes.append(np.linspace(centre - width, centre + width, 181))
    log_l, log_v, angle = np.meshgrid(*axes, indexing="ij", sparse=True)
    u, v, c, s = np.exp(log_l), np.exp(log_v), np.cos(angle), np.sin(angle)
    own = X - ppca._information["mean"]
    spread = np.nanvar(X, axis=0).mean()
    likelihood = log_likelihood_over_means(
        own, spread, u * c**2 + v * s**2, u * s**2 + v * c**2, (u - v) * c * s
    )
    scale = ppca.prior_scale * np.sqrt(spread)
    log_joint = likelihood + log_half_cauchy(log_l, scale) + log_half_cauchy(log_v, scale)
    # Only the larger variance is a component's: twice as dense there, over half a turn.
    density = np.where(u > v, 2 / np.pi * np.exp(log_joint - log_joint.max()), 0.0)
    mass = simpson(simpson(simpson(density, x=axes[2]), x=axes[1]), x=axes[0])
    return axes[1], axes[2], density.sum(axis=0), np.log(mass) + log_joint.max()


@pytest.mark.parametrize(
    ("n_rows", "ratio", "share", "prior_scale", "allowed"),
    [
        (20, 4, 0.0, 1.0, 0.03),
        (20, 4, 0.0, 0.01, 0.03),
        (20, 4, 0.2, 1.0, 0.1),
        (60, 100, 0.2, 1.0, 0.15),
        (60, 100, 0.6, 1.0, 0.15),
        (60, 1e4, 0.0, 1.0, 0.03),
        (60, 1e4, 0.2, 1.0, 0.15),
    ],
)
def test_evidence_and_draws_are_those_of_a_grid(n_rows, ratio, share, prior_scale, allowed):
    """One component in the plane: angle and two variances by a grid, the mean exactly."""
    X = plane_data(n_rows, ratio, share, seed=0)
    ppca = PPCA(1, solver="em", prior_scale=prior_scale, tol=1e-10, max_iter=5000).fit(X)
    log_noise, angle, density, exact = grid(X, ppca)
    assert_allclose(ppca.score_evidence(), exact, rtol=0, atol=allowed)
    draws = ppca.sample_posterior(n_samples=4000, random_state=1)
    weight = density.sum(axis=1) / density.sum()
    mean = weight @ log_noise
    spread = np.sqrt(weight @ (log_noise - mean) ** 2)
    drawn = np.log(draws["noise_variance"])
    assert abs(drawn.mean() - mean) < 0.3 * spread
    assert_allclose(drawn.std(), spread, rtol=0.15)
    weight, centre = density.sum(axis=0) / density.sum(), angle.mean()
    spread = np.sqrt(weight @ np.sin(angle - centre) ** 2)
    assert_allclose(spread_of_angle(draws, centre), spread, rtol=0.15)
