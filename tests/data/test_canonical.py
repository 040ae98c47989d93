"""The canonical form of the data."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skbayes.data import _canonical as _rows
from skbayes.data._canonical import canonical_rows, row_hash


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    return rng.integers(0, 3, (40, 2)).astype(float), rng.integers(0, 2, (40, 1)).astype(float)


def as_table(X, y, weight):
    return {(*a, *b): w for a, b, w in zip(X.tolist(), y.tolist(), weight, strict=True)}


def brute_force(X, y, weight):
    table = {}
    for a, b, w in zip(X.tolist(), y.tolist(), weight, strict=True):
        table[(*a, *b)] = table.get((*a, *b), 0) + w
    return {row: w for row, w in table.items() if w > 0}


def test_equal_rows_are_merged_and_weights_summed(rows):
    weight = np.arange(40.0)
    assert as_table(*canonical_rows(*rows, weight)) == brute_force(*rows, weight)


def test_order_does_not_depend_on_the_input(rows):
    X, y = rows
    expected = canonical_rows(X, y, np.ones(40))
    order = np.random.default_rng(1).permutation(40)
    for a, b in zip(canonical_rows(X[order], y[order], np.ones(40)), expected, strict=True):
        assert_array_equal(a, b)


def test_order_does_not_depend_on_the_units_of_y(rows):
    X, y = rows
    first, second = canonical_rows(X, y, np.ones(40)), canonical_rows(X, 7.3 * y, np.ones(40))
    assert_array_equal(first[0], second[0])
    assert_array_equal(7.3 * first[1], second[1])


def test_colliding_hashes_do_not_merge_rows(rows, monkeypatch):
    """Were every hash the same, rows would still be told apart, in one order."""
    monkeypatch.setattr(_rows, "row_hash", lambda table: np.zeros(len(table), np.uint64))
    X, y = rows
    merged = canonical_rows(X, y, np.ones(40))
    assert as_table(*merged) == brute_force(X, y, np.ones(40))
    assert len(merged[0]) == len(brute_force(X, y, np.ones(40)))
    shuffled = canonical_rows(X[::-1], y[::-1], np.ones(40))
    assert_array_equal(merged[0], shuffled[0])


def test_zero_weights_are_dropped_and_zeros_have_no_sign():
    X = np.array([[0.0], [-0.0], [1.0]])
    merged = canonical_rows(X, np.zeros((3, 1)), np.array([1.0, 2.0, 0.0]))
    assert as_table(*merged) == {(0.0, 0.0): 3.0}


def test_missing_values_equal_one_another(monkeypatch):
    """Whatever the bits of NaN, and where hashes collide too."""
    X = np.array([[np.nan, 1.0], [2.0, np.nan], [-np.nan, 1.0], [np.nan, 2.0]])
    for hasher in (row_hash, lambda table: np.zeros(len(table), np.uint64)):
        monkeypatch.setattr(_rows, "row_hash", hasher)
        merged, _, weight = canonical_rows(X, np.zeros((4, 1)), np.array([1.0, 1, 2, 1]))
        assert_array_equal(weight[merged[:, 1] == 1.0], [3.0])
        assert len(merged) == 3
        assert np.isnan(merged).sum() == 3


def test_hash_looks_at_every_bit():
    """Rows that differ in one last place, or in the order of columns, differ in hash."""
    base = np.array([[1.0, 2.0, 3.0]])
    others = [np.nextafter(base, 9), base[:, ::-1]]
    others += [base + np.eye(3)[[i]] * np.spacing(base) for i in range(3)]
    hashes = {int(row_hash(other)[0]) for other in [base, *others]}
    assert len(hashes) == 1 + len(others)
    table = np.random.default_rng(0).normal(size=(20000, 3))
    assert len(np.unique(row_hash(table))) == 20000


def test_hashed_order_is_as_good_as_shuffled():
    """Sorted columns come out uncorrelated with their place."""
    X = np.arange(5000.0)[:, None]
    merged, _, _ = canonical_rows(X, X, np.ones(5000))
    correlation = np.corrcoef(merged[:, 0], np.arange(5000))[0, 1]
    assert abs(correlation) < 4 / np.sqrt(5000)
