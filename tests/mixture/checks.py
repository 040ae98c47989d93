"""Checks that a known bug must turn red, apart from the tests that run them."""

import numpy as np
from numpy.testing import assert_allclose
from scipy.stats import f, kstest

from skbayes import VariationalGMM
from skbayes.mixture._mixture import model_of
from skbayes.mixture._rows import Units, measured
from skbayes.mixture._stream import Summary
from tests.mixture.models import make_prior, make_rows, summary
from tests.mixture.test_bound import allocated, blobs, raw_prior
from tests.mixture.test_missing import holes


def check_sampled_rows(type_):
    """Student-t after one row, where the mean is hardly known: squares over scales are F."""
    row, prior = make_rows(1), make_prior(type_)
    gmm = VariationalGMM(1, covariance_type=type_, **raw_prior(type_, row)).fit(row)
    X, _ = gmm.sample(20_000, random_state=0)
    _, beta, mean, added = summary(row, prior)
    away, grown, n = X - mean, 1 + 1 / beta, 1
    if type_ == "diag":
        dof, squared = prior.dof + 1, away**2 / (prior.scatter + added.diagonal())
    elif type_ == "spherical":
        dof, n = prior.dof + 2, 2
        squared = (away**2).sum(1, keepdims=True) / (prior.scatter + np.trace(added))
    else:
        dof, n = prior.dof + 1 + 1 - 2, 2
        turned = np.linalg.solve(prior.scatter + added, away.T).T
        squared = (away * turned).sum(1, keepdims=True)
    for column in squared.T:
        assert kstest(column / grown * dof / n, f(n, dof).cdf).pvalue > 1e-3
    # Signs and columns are balanced: each half of space has half of the rows.
    for direction in ([1, 0], [0, 1], [1, 1], [1, -1]):
        assert abs((away @ direction > 0).mean() - 0.5) < 4 * 0.5 / np.sqrt(len(X))


def check_moved_statistics(type_):
    """The prior is the same in the rows' own units; entropies of missing values have some."""
    X = holes(blobs(40, 3), 0.3)
    common = type_ == "spherical"
    estimator = VariationalGMM(
        2,
        covariance_type=type_,
        mean_prior=[0.3, -1.0, 2.0],
        covariance_prior=2.0 if common else np.ones(3) if type_ == "diag" else np.eye(3),
    )
    data, rows = measured(X, np.ones(40), type_)
    mixture = model_of(estimator, data)
    start = allocated(mixture, np.nan_to_num(rows.values.T), np.arange(40) % 2)
    summary = Summary(mixture.e_step(mixture.m_step(start), rows), data)
    units = Units(np.array([1.0, -3.0, 0.5]), np.full(3, 2.5) if common else np.array([9, 0.2, 3]))
    moved, there = summary.moved(mixture.components, units), data.moved(units)
    other = model_of(estimator, there)
    bound = other.bound(other.m_step(moved)) + there.log_jacobian
    before = mixture.bound(mixture.m_step(summary.statistics)) + data.log_jacobian
    assert_allclose(bound, before, rtol=1e-12)
