"""The canonical form of the data: equal rows merged, in an order of their own."""

from __future__ import annotations

import numpy as np


def canonical_rows(
    X: np.ndarray, y: np.ndarray, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Merge equal (X, y) rows, sum their weights, and put them in a fixed order.

    The order does not depend on the order of the input, so weighted and repeated data
    become the same bits, whichever engine reads them. Rows are ordered by an integer
    hash of X, which is also as good as shuffled, then by y, so that the order does not
    depend on the units of y either; equal hashes of unequal rows fall back to a
    lexicographic sort.
    """
    keep = weight > 0
    X, y, weight = X[keep], y[keep], weight[keep].astype(np.float64)
    table = np.column_stack([X, y]).astype(np.float64) + 0.0  # -0.0 becomes 0.0
    table[np.isnan(table)] = -np.inf  # NaN, where allowed, equals itself
    inputs, targets = table[:, : X.shape[1]], table[:, X.shape[1] :]
    hashed = row_hash(inputs)
    order = np.lexsort((*targets.T, hashed))
    if _starts(hashed[order, None]).sum() != _starts(inputs[order]).sum():
        order = np.lexsort(table.T)
    first = np.flatnonzero(_starts(table[order]))
    return X[order[first]], y[order[first]], np.add.reduceat(weight[order], first)


def check_columns_seen(X: np.ndarray) -> None:
    """Refuse rows (N, D), all of positive weight, of which a column has no value."""
    unseen = np.flatnonzero(np.isnan(X).all(axis=0))
    if len(unseen):
        raise ValueError(
            f"X has no value in column(s) {unseen.tolist()}, in rows of positive weight; drop "
            "these columns"
        )


def row_hash(table: np.ndarray) -> np.ndarray:
    """A 64-bit integer hash of each row of a float64 table."""
    multipliers = np.random.default_rng(0).integers(
        1, 2**63, size=table.shape[1], dtype=np.uint64
    ) | np.uint64(1)
    bits = np.ascontiguousarray(table).view(np.uint64)
    bits = (bits ^ (bits >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    bits ^= bits >> np.uint64(32)
    hashed = bits @ multipliers
    return hashed ^ (hashed >> np.uint64(31))


def _starts(table: np.ndarray) -> np.ndarray:
    """True where a row differs from the one before it."""
    new = np.ones(len(table), dtype=bool)
    new[1:] = (table[1:] != table[:-1]).any(axis=1)
    return new
