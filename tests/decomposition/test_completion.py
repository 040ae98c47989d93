"""EM that completes rows, against EM that infers codes and against the normal density."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import multivariate_normal

from skbayes import PPCA
from skbayes.decomposition._closed_form import maximum_likelihood
from skbayes.decomposition._codes import Patterns
from skbayes.decomposition._completion import (
    expected_moments,
    fit_completed,
    gaps_are_small,
    group_gaps,
)
from skbayes.decomposition._em import fit_em
from skbayes.decomposition._fits import Table
from skbayes.decomposition._loadings import Factors


def make_table(n_rows=60, share=0.2, seed=0):
    """Rows of six features and two codes, some with one pattern, some weighted."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, 3)) @ rng.normal(size=(3, 6)) + 0.5 * rng.normal(size=(n_rows, 6))
    X[rng.random(X.shape) < share] = np.nan
    X[:9, 1:3] = np.nan
    X[:, 0] = rng.normal(size=n_rows)
    return X, rng.uniform(0.5, 2.0, size=n_rows)


def start_of(X, weight, n_components):
    table = Table(X, weight, Patterns.of_rows(X), 500, 1e-4)
    moments = table.filled()
    values, axes = moments.spectrum()
    variances, noise = maximum_likelihood(values, n_components)
    return table, Factors(moments.mean, axes[:n_components], variances, noise)


def test_moments_and_likelihood_row_by_row():
    X, weight = make_table()
    table, factors = start_of(X, weight, 2)
    moments, log_likelihood = expected_moments(factors, X, weight, group_gaps(table.patterns))
    filled, spread, expected = X.copy(), np.zeros((6, 6)), 0.0
    for i, (row, w) in enumerate(zip(X, weight, strict=True)):
        o, m = ~np.isnan(row), np.isnan(row)
        C = factors.covariance
        gain = C[np.ix_(m, o)] @ np.linalg.inv(C[np.ix_(o, o)])
        filled[i, m] = factors.mean[m] + gain @ (row[o] - factors.mean[o])
        spread[np.ix_(m, m)] += w * (C[np.ix_(m, m)] - gain @ C[np.ix_(o, m)])
        expected += w * multivariate_normal(factors.mean[o], C[np.ix_(o, o)]).logpdf(row[o])
    assert log_likelihood == pytest.approx(expected, abs=1e-9)
    assert_allclose(moments.mean, np.average(filled, axis=0, weights=weight), atol=1e-12)
    second = np.cov(filled.T, aweights=weight, ddof=0) + spread / weight.sum()
    assert_allclose(moments.covariance, second, atol=1e-11)


def test_the_same_maximum_as_by_codes():
    X, weight = make_table(400)
    table, start = start_of(X, weight, 2)
    fits = [
        climb(start, X, table.patterns, weight, 20_000, 1e-13) for climb in (fit_em, fit_completed)
    ]
    (codes, by_codes), (rows, by_rows) = fits
    assert by_rows[-1] == pytest.approx(by_codes[-1], abs=1e-6)
    assert_allclose(rows.covariance, codes.covariance, atol=1e-4)
    assert (np.diff(by_rows) > -1e-9).all()


def test_small_blocks_change_nothing(monkeypatch):
    X, weight = make_table()
    table, factors = start_of(X, weight, 2)
    whole, value = expected_moments(factors, X, weight, group_gaps(table.patterns))
    monkeypatch.setattr("skbayes.decomposition._codes.BLOCK_SIZE", 8)
    parts, again = expected_moments(factors, X, weight, group_gaps(table.patterns))
    assert again == pytest.approx(value, rel=1e-13)
    assert_allclose(parts.covariance, whole.covariance, rtol=1e-12)


def test_the_cheaper_road_is_taken():
    X, _ = make_table(share=0.3)
    patterns = Patterns.of_rows(X)
    assert gaps_are_small(patterns, 5)
    assert not gaps_are_small(patterns, 1)
    assert not gaps_are_small(Patterns.of_rows(np.zeros((3, 6))), 5)


@pytest.mark.parametrize("n_components", [4, "evidence", "ard"])
def test_weights_repeat_rows(n_components):
    X, _ = make_table(50, 0.1)
    weight = np.random.default_rng(1).integers(1, 4, size=50)
    weighted = PPCA(n_components).fit(X, sample_weight=weight)
    repeated = PPCA(n_components).fit(np.repeat(X, weight, axis=0))
    assert_allclose(weighted.get_covariance(), repeated.get_covariance(), rtol=1e-7)
    assert weighted.score_evidence() == pytest.approx(repeated.score_evidence(), rel=1e-9)
