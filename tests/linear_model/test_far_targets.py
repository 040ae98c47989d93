"""Targets far from zero, such as times in seconds: their noise and slopes are found there too."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skbayes import BayesianLinearRegression

SETTINGS = [
    {},
    {"ard": True},
    {"hyperparameters": "evidence"},
    {"hyperparameters": "evidence", "ard": True},
    {"hyperparameters": "fixed", "intercept_alpha": 1e-30},
]
#: An intercept already so much larger than its error that a prior hardly shrinks it.
NEAR = 1e3


def noisy_rows(n_rows=40):
    """Three weights, and noise of standard deviation 1."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_rows, 3))
    return X, X @ [1.0, 2.0, 3.0] + rng.normal(size=n_rows)


def least_squares_std(X, y):
    design = np.column_stack([np.ones(len(X)), X])
    errors = np.linalg.lstsq(design, y)[1][0]
    return np.sqrt(errors / (len(y) - design.shape[1]))


@pytest.mark.parametrize("params", SETTINGS, ids=str)
@pytest.mark.parametrize("offset", [0.0, 1e8, 1.7e9, -1.7e9, 1e12])
def test_weights_and_noise_stay_as_they_are(params, offset):
    X, y = noisy_rows()
    near = BayesianLinearRegression(**params).fit(X, y + NEAR)
    far = BayesianLinearRegression(**params).fit(X, y + offset)
    # Without an offset the intercept is small, and shrinks with everything else.
    loose = 100 if offset == 0 else 1
    assert_allclose(far.coef_, near.coef_, atol=3e-3 * loose)
    assert_allclose(far.predict_std(X), near.predict_std(X), rtol=1e-3 * loose)
    assert_allclose(far.predict(X) - offset, near.predict(X) - NEAR, atol=3e-3 * loose)


@pytest.mark.parametrize("params", SETTINGS[:4], ids=str)
@pytest.mark.parametrize("offset", [1e8, 1.7e9, 1e12])
def test_an_offset_costs_the_log_of_itself(params, offset):
    """A learned prior of the intercept is as wide as the intercept is large."""
    X, y = noisy_rows()
    near = BayesianLinearRegression(**params).fit(X, y + NEAR)
    far = BayesianLinearRegression(**params).fit(X, y + offset)
    cost = near.score_evidence() - far.score_evidence()
    assert cost == pytest.approx(np.log(offset / NEAR), abs=0.05)


@pytest.mark.parametrize("params", SETTINGS[:4], ids=str)
@pytest.mark.parametrize("factor", [1e-3, 1e3, 1e100])
def test_units_of_far_targets(params, factor):
    X, y = noisy_rows()
    far = BayesianLinearRegression(**params).fit(X, y + 1.7e9)
    scaled = BayesianLinearRegression(**params).fit(X, (y + 1.7e9) * factor)
    expected = far.score_evidence() - len(y) * np.log(factor)
    assert scaled.score_evidence() == pytest.approx(expected, rel=1e-7, abs=1e-3)
    assert_allclose(scaled.coef_ / factor, far.coef_, rtol=1e-5)
    assert_allclose(scaled.predict_std(X) / factor, far.predict_std(X), rtol=1e-5)


@pytest.mark.parametrize("fit_intercept", [False, True])
def test_steep_slopes_hide_no_noise(fit_intercept):
    """Targets may be large without being far from zero."""
    X, y = noisy_rows()
    X, y = X - X.mean(axis=0), y - y.mean()
    reg = BayesianLinearRegression(fit_intercept=fit_intercept, ard=True).fit(X, y + 1e9 * X[:, 0])
    expected = least_squares_std(X, y)
    assert_allclose(1 / np.sqrt(reg.beta_), expected, rtol=0.1)


def test_far_rows_as_they_come():
    X, y = noisy_rows()
    whole = BayesianLinearRegression().fit(X, y + 1.7e9)
    parts = BayesianLinearRegression()
    for at in np.array_split(np.arange(len(y)), 8):
        parts.partial_fit(X[at], y[at] + 1.7e9)
    assert_allclose(parts.coef_, whole.coef_, rtol=1e-5)
    assert_allclose(parts.predict_std(X), whole.predict_std(X), rtol=1e-5)
    assert parts.score_evidence() == pytest.approx(whole.score_evidence(), abs=1e-3)


@pytest.mark.parametrize("params", SETTINGS[:4], ids=str)
def test_each_target_has_a_floor_of_its_own(params):
    X, y = noisy_rows()
    both = BayesianLinearRegression(**params).fit(X, np.column_stack([y, y + 1.7e9]))
    std = [BayesianLinearRegression(**params).fit(X, t).predict_std(X) for t in (y, y + 1.7e9)]
    assert_allclose(both.predict_std(X), np.column_stack(std), rtol=1e-5)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("offset", [0.0, 1e12])
@pytest.mark.parametrize("params", [{}, {"ard": True}, {"fit_intercept": False}], ids=str)
def test_exact_targets_leave_the_noise_of_rounding(params, offset, dtype):
    X, _ = noisy_rows()
    design = X if params.get("fit_intercept", True) else np.column_stack([X, np.ones(len(X))])
    y = X @ [1.0, 2.0, 3.0] + offset
    reg = BayesianLinearRegression(**params).fit(design.astype(dtype), y.astype(dtype))
    assert np.isfinite(reg.score_evidence())
    size = np.sqrt(np.mean(y**2))
    assert 0 < reg.predict_std(design.astype(dtype)).max() < 50 * np.finfo(dtype).eps * size
