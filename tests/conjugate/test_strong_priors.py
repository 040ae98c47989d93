"""Priors worth many more rows than there are: evidence and predictive keep their digits."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import gammaln
from scipy.stats import multivariate_normal, norm, poisson

from skbayes import ConjugateDensity
from skbayes.conjugate import (
    FAMILIES,
    BetaBernoulli,
    DirichletCategorical,
    GammaPoisson,
    NormalGamma,
    NormalInverseWishart,
)
from skbayes.conjugate._growth import log_det_growth, log_growth, log_rising

RNG = np.random.default_rng(0)
COVARIANCE = np.array([[2.0, 0.5], [0.5, 1.0]])
BITS, CODES = RNG.integers(0, 2, size=(300, 1)), RNG.integers(0, 4, size=(300, 1))
COUNTS, NUMBERS = RNG.poisson(1.0, size=(300, 1)), RNG.normal(size=(300, 1))
PAIRS = RNG.normal(size=(300, 2)) @ np.linalg.cholesky(COVARIANCE).T

#: Families that are worth ``a`` rows, rows, and what they are worth under the prior's mean.
STRONG = {
    "beta_bernoulli": (lambda a: BetaBernoulli(a, a), BITS, np.full(300, -np.log(2))),
    "dirichlet_categorical": (
        lambda a: DirichletCategorical(a, n_categories=4),
        CODES,
        np.full(300, -np.log(4)),
    ),
    "gamma_poisson": (lambda a: GammaPoisson(a, a), COUNTS, poisson(1).logpmf(COUNTS[:, 0])),
    "normal_gamma": (lambda a: NormalGamma(0, a, a, a), NUMBERS, norm.logpdf(NUMBERS[:, 0])),
    "normal_inverse_wishart": (
        lambda a: NormalInverseWishart(0, a, a, a * COVARIANCE),
        PAIRS,
        multivariate_normal(np.zeros(2), COVARIANCE).logpdf(PAIRS),
    ),
}
#: 300 rows move parameters by 300 / a of themselves: nats of the order of 300² / a.
WORTH = pytest.mark.parametrize("a", [1e11, 1e13, 1e15, 1e17, 1e100])


@WORTH
@pytest.mark.parametrize("name", FAMILIES)
def test_strong_priors_are_known_parameters(name, a):
    make, rows, expected = STRONG[name]
    density = ConjugateDensity(make(a)).fit(rows)
    assert density.score_evidence() == pytest.approx(expected.sum(), abs=1e-10 + 1e5 / a)
    assert_allclose(density.score_samples(rows), expected, rtol=0, atol=1e-12 + 1e4 / a)
    assert density.score_evidence(rows) == pytest.approx(expected.sum(), abs=1e-10 + 5e5 / a)


@WORTH
@pytest.mark.parametrize("name", FAMILIES)
def test_streams_under_strong_priors(name, a):
    make, rows, _ = STRONG[name]
    whole, stream = ConjugateDensity(make(a)).fit(rows), ConjugateDensity(make(a))
    for part in np.array_split(rows, 7):
        stream.partial_fit(part)
    assert stream.score_evidence() == pytest.approx(whole.score_evidence(), abs=1e-10)


@pytest.mark.parametrize("a", [0.5, 3.0, 99.7, 100.0, 1e4, 1e8, 1e12])
def test_bernoulli_evidence_is_the_product_of_predictives(a):
    n_ones = int(BITS.sum())
    ones, every = np.arange(n_ones), np.arange(300)
    zeros = np.arange(300 - n_ones)
    # Terms a + i over 2 a + j, in units of their first.
    log_terms = (
        np.log1p(ones / a).sum() + np.log1p(zeros / a).sum() - np.log1p(every / (2 * a)).sum()
    )
    density = ConjugateDensity(BetaBernoulli(a, a)).fit(BITS)
    assert density.score_evidence() == pytest.approx(log_terms - 300 * np.log(2), abs=1e-10)


@pytest.mark.parametrize("a", [1e-300, 1e-3, 2.0, 99.99, 100.0, 1e3])
@pytest.mark.parametrize("n", [0.0, 0.3, 7.0, 1e4])
def test_log_rising_is_a_difference_of_log_gammas(a, n):
    assert_allclose(log_rising(np.array(a), n), gammaln(a + n) - gammaln(a), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("a", [50.0, 99.5, 1e3, 1e9, 1e15])
def test_log_rising_is_a_product(a):
    expected = np.log(a) * 40 + np.log1p(np.arange(40) / a).sum()
    assert_allclose(log_rising(np.array(a), 40.0), expected, rtol=1e-14)


def test_growth_of_a_next_to_nothing():
    """A ratio may overflow where its log does not."""
    assert_allclose(log_growth(np.array(1e-300), 1e20), 320 * np.log(10))
    assert log_growth(np.array(1e20), 1e-3) == pytest.approx(1e-23, rel=1e-12)


@pytest.mark.parametrize("size", [1e-30, 1e-8, 1.0, 1e8])
def test_growth_of_a_determinant(size):
    """Of unequal columns; both matrices diagonal in the same basis."""
    units = np.array([1.0, 1e6, 1e-6])
    root = np.array([[1.0, 0.0, 0.0], [0.3, 1.0, 0.0], [0.2, -0.4, 1.0]]) * units[:, None]
    base = root @ root.T
    added = root @ np.diag([size, 2 * size, 0.0]) @ root.T
    expected = np.log1p(size) + np.log1p(2 * size)
    assert_allclose(log_det_growth(base, added), expected, rtol=1e-6 if size > 1e6 else 1e-12)


def test_rows_too_large_for_an_evidence_are_refused():
    for name in ("normal_gamma", "normal_inverse_wishart"):
        density = ConjugateDensity(name).fit(NUMBERS)
        with pytest.raises(ValueError, match="overflows double precision"):
            density.score_evidence([[1e200]])
