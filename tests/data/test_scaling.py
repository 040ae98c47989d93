"""Standardisation of weighted columns of any finite size."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skbayes.data._scaling import ColumnMoments, Standardizer


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    return rng.normal(size=(200, 3)) * [1, 10, 0.1] + [5, -7, 0], rng.uniform(0.5, 2, 200)


def test_weighted_moments(table):
    X, weight = table
    Z = Standardizer().fit(X, weight).transform(X)
    assert_allclose(np.average(Z, axis=0, weights=weight), 0, atol=1e-12)
    assert_allclose(np.average(Z**2, axis=0, weights=weight), 1)


def test_weights_are_repetitions(table):
    X, _ = table
    times = np.random.default_rng(1).integers(1, 4, 200)
    weighted = Standardizer().fit(X, times.astype(float))
    repeated = Standardizer().fit(np.repeat(X, times, axis=0), np.ones(times.sum()))
    assert_allclose(weighted.mean, repeated.mean)
    assert_allclose(weighted.scale, repeated.scale)


def test_global_scale_is_the_root_mean_square(table):
    X, weight = table
    columns, one = Standardizer().fit(X, weight), Standardizer("global").fit(X, weight)
    assert_allclose(one.scale, np.sqrt(np.mean(columns.scale**2)))
    assert_allclose(one.mean, columns.mean)


def test_none_leaves_columns_alone(table):
    X, weight = table
    assert_array_equal(Standardizer(None).fit(X, weight).transform(X), X)


@pytest.mark.parametrize("mode", ["column", "global"])
@pytest.mark.parametrize("factor", [2.0**660, 2.0**-660, -1.0])
def test_any_size(table, mode, factor):
    X, weight = table
    base = Standardizer(mode).fit(X, weight)
    scaled = Standardizer(mode).fit(X * factor, weight)
    assert_allclose(scaled.scale, base.scale * abs(factor))
    assert_allclose(scaled.transform(X * factor), base.transform(X) * np.sign(factor), atol=1e-12)


@pytest.mark.parametrize("value", [0.0, 0.1, -3.0, 1e200, 1e-200, 1e300])
def test_constant_columns(value):
    X = np.full((30, 1), value)
    scaler = Standardizer().fit(X, np.linspace(0.1, 1, 30))
    assert_allclose(scaler.transform(X), 0, atol=1e-12)
    assert_allclose(scaler.inverse_transform(scaler.transform(X)), X)
    assert scaler.scale > 0


def test_what_rounding_makes_of_a_constant_column_is_not_blown_up():
    X = 1e8 * (1 + np.finfo(float).eps * (np.arange(30.0) % 3))[:, None]
    assert np.abs(Standardizer().fit(X, np.ones(30)).transform(X)).max() < 1e-10


@pytest.mark.parametrize("offset", [1e4, 1e8, 1e12, 1e15])
def test_columns_far_from_zero(table, offset):
    """They vary as they did, up to what is left of them."""
    X, weight = table
    far = X[:, :1] + offset
    expected = Standardizer().fit(far - offset, weight).transform(far - offset)
    last_place = np.spacing(offset)
    assert_allclose(Standardizer().fit(far, weight).transform(far), expected, atol=2 * last_place)


def test_missing_values_do_not_count():
    X = np.array([[np.nan, 1.0], [2.0, np.nan], [4.0, np.nan]])
    found = ColumnMoments.of(X, np.ones(3))
    assert_array_equal(found.mean * found.unit, [3, 1])
    assert_array_equal(found.spread * found.unit, [1, 0])


def test_rows_too_far_out_are_infinite_in_silence():
    scaler = Standardizer().fit(np.array([[1e-300], [3e-300]]), np.ones(2))
    assert_array_equal(scaler.transform(np.array([[1e300]])), np.inf)


def test_all_columns_constant_under_one_scale():
    scaler = Standardizer("global").fit(np.ones((5, 2)), np.ones(5))
    assert_array_equal(scaler.scale, 1)


def test_integers_beyond_single_precision():
    X = (2**24 + np.arange(4))[:, None]
    Z = Standardizer().fit(X, np.ones(4)).transform(X)
    assert_allclose(np.diff(Z[:, 0]), 1 / np.std(np.arange(4)))


def test_inverse(table):
    X, weight = table
    scaler = Standardizer().fit(X, weight)
    draws = np.stack([X, 2 * X])
    assert_allclose(scaler.inverse_transform(scaler.transform(draws)), draws)


def test_single_precision_rows_are_scaled_in_double():
    X = np.array([[1e30], [2e30], [3e30]], dtype=np.float32)
    Z = Standardizer().fit(X, np.ones(3)).transform(X)
    assert Z.dtype == np.float64
    assert_allclose(Z[:, 0], np.array([-1, 0, 1]) * np.sqrt(1.5), atol=1e-6)
