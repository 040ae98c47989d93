"""Integrated precisions against brute force over all of them."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import digamma
from scipy.stats import norm, t

from skbayes import BayesianLinearRegression
from skbayes.linear_model._noise import GammaNoise, KnownNoise
from skbayes.linear_model._posterior_mixture import Predictive
from skbayes.linear_model._scale import gauss_rule
from tests.linear_model.grid import FINE_RATIO, GridRegression
from tests.linear_model.problems import make_data, random_prior

#: What few nodes leave of the intercept's width: of probabilities and moments, and of log
#: densities far out, where the least likely component counts.
EXACT, TAIL = 1e-5, 1e-3


def problem(name):
    """An estimator's parameters, the grid's, rows and targets."""
    if name == "few rows":
        return {}, {}, *make_data(8, 3)
    if name == "more columns than rows":
        return {}, {}, *make_data(5, 7)
    if name == "no intercept":
        return {"fit_intercept": False}, {"intercept": False}, *make_data(12, 4)
    if name == "many rows":
        return {}, {"log_ratio": FINE_RATIO}, *make_data(120, 6)
    if name == "noise for the most part":
        X, y = make_data(20, 2)
        return {}, {}, X, y + 20 * np.random.default_rng(1).normal(size=20)
    if name == "a stated prior":
        mean, covariance = random_prior(3)
        own = {"prior_mean": mean, "prior_covariance": covariance, "intercept_mean": -3.0}
        grid = {"mean": mean, "covariance": covariance, "intercept_mean": -3.0}
        return own, grid, *make_data(9, 3)
    gamma = {"alpha_prior": (2.0, 1.5), "beta_prior": (3.0, 0.7)}
    return gamma, gamma, *make_data(9, 3)


PROBLEMS = pytest.mark.parametrize("name", [
    "few rows", "more columns than rows", "no intercept", "many rows",
    "noise for the most part", "a stated prior", "Gamma priors",
])  # fmt: skip


@PROBLEMS
def test_evidence_and_predictions_are_the_integrals(name):
    params, grid_params, X, y = problem(name)
    reg = BayesianLinearRegression(**params).fit(X, y)
    grid = GridRegression(X, y, **grid_params)
    assert reg.evidence_kind_ == "exact"
    assert reg.score_evidence() == pytest.approx(grid.log_evidence, abs=1e-6)
    assert_allclose([reg.alpha_, reg.beta_], grid.precisions(), rtol=EXACT)
    new = X[:2] * np.array([[1.3], [-2.0]]) + 1
    for x in new:
        mean, epistemic, aleatoric = grid.moments(x)
        size = np.sqrt(epistemic + aleatoric)
        assert reg.predict(x[None])[0] == pytest.approx(mean, abs=EXACT * size)
        assert reg.predict_std(x[None], "epistemic")[0] ** 2 == pytest.approx(epistemic, EXACT)
        assert reg.predict_std(x[None], "aleatoric")[0] ** 2 == pytest.approx(aleatoric, EXACT)
        low, high = reg.predict_interval(x[None], 0.8)[0]
        assert grid.cumulated(x, low) == pytest.approx(0.1, abs=EXACT)
        assert grid.cumulated(x, high) == pytest.approx(0.9, abs=EXACT)
        for value in (low, mean, mean + 3 * (high - mean)):
            found = reg.log_predictive(x[None], [value])[0]
            assert found == pytest.approx(grid.log_density(x, value), abs=TAIL)
    targets = reg.predict(new) + [1.0, -0.5] * reg.predict_std(new)
    expected = grid.log_joint(new, targets)
    assert reg.score_evidence(new, targets) == pytest.approx(expected, abs=TAIL)


@pytest.mark.parametrize("shape", [(8, 3), (5, 7)])
def test_draws_are_of_the_integrated_posterior(shape):
    X, y = make_data(*shape)
    reg = BayesianLinearRegression().fit(X, y)
    n, new = 20_000, X[:3] * 1.5
    values = reg.sample_posterior(new, n, random_state=0)[..., 0]
    noisy = reg.sample_y(new, n, random_state=0)
    # Shares below exact quantiles of y, and the function's moments within a heavy-tailed error.
    interval = reg.predict_interval(new, 0.8)
    error = 4 * np.sqrt(0.1 * 0.9 / n)
    assert_allclose((noisy < interval[:, 0]).mean(axis=0), 0.1, atol=error)
    assert_allclose((noisy > interval[:, 1]).mean(axis=0), 0.1, atol=error)
    centre = values.mean(axis=0) - reg.predict(new)
    assert (np.abs(centre) < 5 * reg.predict_std(new, "epistemic") / np.sqrt(n)).all()
    draws = reg.sample_posterior(n_samples=n, random_state=0)
    assert np.log(draws["alpha"]).mean() == pytest.approx(
        np.log(reg.alpha_), abs=5 * np.log(draws["alpha"]).std() / np.sqrt(n)
    )
    # A Gamma variable's log has the mean log(mean) + digamma(shape) - log(shape).
    half, logs = shape[0] / 2, np.log(draws["beta"])
    expected = np.log(reg.beta_) + digamma(half) - np.log(half)
    assert logs.mean() == pytest.approx(expected, abs=5 * logs.std() / np.sqrt(n))
    again = draws["intercept"] + (draws["coef"] * new[0]).sum(axis=1)
    assert_allclose(again, values[:, 0], rtol=1e-9, atol=1e-9)


def test_function_draws_have_the_posterior_covariance():
    """Of 24 rows, whose posterior has the fourth moments that an error of a variance takes."""
    X, y = make_data(24, 2)
    reg = BayesianLinearRegression().fit(X, y)
    draws = reg.sample_posterior(n_samples=40_000, random_state=1)
    weights = np.column_stack([draws["intercept"], draws["coef"]])
    away = weights - np.append(reg.intercept_, reg.coef_)
    products = away[:, :, None] * away[:, None, :]
    error = products.std(axis=0) / np.sqrt(len(away))
    assert (np.abs(products.mean(axis=0) - reg.covariance()) < 5 * error).all()
    design = np.column_stack([np.ones(24), X])
    variance = np.einsum("ni,ij,nj->n", design, reg.covariance(), design)
    assert_allclose(reg.predict_std(X, "epistemic"), np.sqrt(variance), rtol=1e-9)


def test_intervals_hold_what_they_say_on_eight_rows():
    """Signal and noise from Gamma laws, five columns: plugged-in precisions cover .71 of y."""
    shares = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        beta, alpha = rng.gamma(3, 0.5), rng.gamma(2, 1.0)
        weights = rng.normal(size=5) / np.sqrt(alpha * beta)
        X = rng.normal(size=(18, 5))
        y = X @ weights + rng.normal() / np.sqrt(beta) + rng.normal(size=18) / np.sqrt(beta)
        reg = BayesianLinearRegression().fit(X[:8], y[:8])
        low, high = reg.predict_interval(X[8:], 0.9).T
        shares.append(np.mean((low <= y[8:]) & (y[8:] <= high)))
    error = np.std(shares) / np.sqrt(len(shares))
    assert np.mean(shares) == pytest.approx(0.9, abs=0.02 + 2 * error)


# --- no units, no place ------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(10, 3), (5, 7)])
def test_neither_place_nor_units_nor_axes_of_the_columns_matter(shape):
    X, y = make_data(*shape)
    rng = np.random.default_rng(0)
    turn = np.linalg.qr(rng.normal(size=(shape[1], shape[1])))[0]
    base = BayesianLinearRegression().fit(X, y)
    for move in (lambda x: x + 2025.0, lambda x: x * 1e-200, lambda x: x @ turn):
        other = BayesianLinearRegression().fit(move(X), y)
        assert other.score_evidence() == pytest.approx(base.score_evidence(), abs=1e-8)
        assert_allclose(other.predict(move(X)), base.predict(X), rtol=1e-8)
        assert_allclose(other.predict_std(move(X)), base.predict_std(X), rtol=1e-8)
        expected = base.predict_interval(X)
        assert_allclose(other.predict_interval(move(X)), expected, rtol=1e-8, atol=1e-8)


def test_a_column_of_rounding_counts_for_nothing():
    """Beside one that varies, a constant sets no scale; alone it is told apart by its size."""
    X, y = make_data(10, 2)
    base = BayesianLinearRegression().fit(X, y)
    wide = np.column_stack([X, np.full(10, 1e6 + 1 / 3)])
    other = BayesianLinearRegression().fit(wide, y)
    assert other.score_evidence() == pytest.approx(base.score_evidence(), abs=1e-6)
    alone = BayesianLinearRegression().fit(np.full((10, 1), 1e6 + 1 / 3), y)
    assert_allclose(alone.predict([[1e6 + 1 / 3]]), y.mean(), rtol=0.1)
    wide = alone.predict_interval([[1.5e6]])
    small = BayesianLinearRegression().fit(np.full((10, 1), 2.0), y)
    assert_allclose(small.predict_interval([[3.0]]), wide, rtol=1e-5)
    assert (np.diff(wide) > 1.2 * np.diff(small.predict_interval([[2.0]]))).all()


def test_columns_of_zeros():
    X, y = np.zeros((10, 2)), make_data(10, 2)[1]
    reg = BayesianLinearRegression().fit(X, y)
    assert np.isfinite(reg.score_evidence())
    assert_allclose(reg.predict(X), reg.intercept_)


def test_intercept_is_hardly_shrunk():
    """Its prior is at least as wide as the noise: by a part in n + 1 at most."""
    X, y = make_data(10, 2)
    for offset in (0.0, 30.0, 1e6):
        reg = BayesianLinearRegression().fit(X, y + offset)
        middle = reg.predict(X.mean(axis=0)[None])[0]
        shrunk = 1 - middle / (y + offset).mean()
        assert 0 <= shrunk < 1 / 11
        expected = reg.intercept_alpha_ / (10 + reg.intercept_alpha_)
        assert shrunk == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_weights_of_rows_that_hardly_count():
    """As little as nothing is known: the predictive stays proper, and never NaN."""
    X, y = make_data(10, 2)
    reg = BayesianLinearRegression().fit(X, y, sample_weight=np.full(10, 0.05))
    whole = BayesianLinearRegression().fit(X, y)
    narrow, wide = whole.predict_interval(X, 0.5), reg.predict_interval(X, 0.5)
    assert (np.diff(wide) > np.diff(narrow)).all()


# --- mixtures ------------------------------------------------------------------------------

MASS = np.array([[0.3, 0.7]])
LAWS = {
    "Student": (GammaNoise(np.array([[1.5]]), np.zeros((1, 2))), t(3)),
    "normal": (KnownNoise(np.ones((1, 2))), norm()),
}


def mixture(noise, gap):
    """A narrow component and a wide one, some way off, in two rows."""
    location = np.array([[[0.0, gap]], [[5.0, 5.0 - gap]]])
    scale = np.broadcast_to([[[0.01, 2.0]]], (2, 1, 2))
    return Predictive(location, scale, MASS, noise)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("gap", [0.0, 1.0, 30.0])
@pytest.mark.parametrize("coverage", [0.01, 0.9, 0.5, 1 - 1e-7])
def test_quantiles_of_mixtures(law, gap, coverage):
    noise, component = LAWS[law]
    found = mixture(noise, gap).quantiles(np.array([1 - coverage, 1 + coverage]) / 2)
    assert found.shape == (2, 1, 2)

    def tail(x):
        return 0.3 * component.cdf(x / 0.01) + 0.7 * component.cdf((x - gap) / 2)

    level = (1 - coverage) / 2
    low = brentq(lambda x: tail(x) - level, -1e6, 1e6, xtol=1e-13, rtol=1e-14)
    assert tail(found[0, 0, 0]) == pytest.approx(level, rel=1e-6)
    assert found[0, 0, 0] == pytest.approx(low, rel=1e-6, abs=1e-6)
    # The second row is the first one mirrored, and moved by 5.
    assert found[1, 0, 1] == pytest.approx(5 - found[0, 0, 0], rel=1e-6, abs=1e-6)
    assert found[1, 0, 0] == pytest.approx(5 - found[0, 0, 1], rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("gap", [0.0, 1.0])
def test_entropy_of_mixtures(law, gap):
    noise, component = LAWS[law]
    found = mixture(noise, gap).entropy()

    def term(u):
        x = 0.01 * np.sinh(u)
        p = 30 * component.pdf(x / 0.01) + 0.35 * component.pdf((x - gap) / 2)
        return -p * np.log(p) * 0.01 * np.cosh(u) if p > 0 else 0.0

    expected = quad(term, -16, 16, limit=500, epsabs=1e-10)[0]
    assert_allclose(found, expected, atol=1e-6)


def test_mutual_information_is_what_the_noise_leaves():
    X, y = make_data(10, 2)
    reg = BayesianLinearRegression().fit(X, y)
    report, row = reg.predict_uncertainty(X[:1]), X[:1]
    centre, size = reg.predict(row)[0], reg.predict_std(row)[0]

    def term(u):
        log_p = reg.log_predictive(row, [centre + size * np.sinh(u)])[0]
        return -np.exp(log_p) * log_p * size * np.cosh(u)

    entropy = quad(term, -6, 6, limit=200)[0]
    assert report.entropy[0] == pytest.approx(entropy, abs=1e-5)
    draws = 1 / np.sqrt(reg.sample_posterior(n_samples=100_000, random_state=0)["beta"])
    left = 0.5 * np.log(2 * np.pi * np.e) + np.log(draws)
    error = 4 * left.std() / np.sqrt(len(left))
    assert report.mutual_information[0] == pytest.approx(entropy - left.mean(), abs=error)


@pytest.mark.parametrize("n", [2, 4, 12])
def test_gauss_rule_keeps_moments(n):
    rng = np.random.default_rng(0)
    values, mass = rng.uniform(-1, 1, size=30), rng.uniform(size=(3, 30))
    nodes, share = gauss_rule(values, mass, n)
    for power in range(2 * n):
        expected = (mass * values**power).sum(axis=1)
        assert_allclose((share * nodes**power).sum(axis=1), expected, rtol=1e-9, atol=1e-10)
    assert (share >= 0).all()


def test_gauss_rule_of_fewer_points_than_nodes():
    nodes, share = gauss_rule(np.array([1.0, 1.0, 3.0]), np.array([[1.0, 1.0, 2.0]]), 4)
    assert (share @ nodes.T).item() == pytest.approx(8)
    assert (share @ (nodes**2).T).item() == pytest.approx(20)
