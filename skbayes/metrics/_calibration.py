"""Calibration of class probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_array, check_consistent_length, column_or_1d


def expected_calibration_error(
    y_true: Any, y_prob: Any, *, labels: Any = None, n_bins: int = 10, sample_weight: Any = None
) -> float:
    """Mean gap between how sure a classifier is and how often it is right.

    Rows are sorted by confidence into bins of equal mass (rows of equal confidence share
    a bin); the gaps between mean confidence and accuracy of the bins are averaged.

    Parameters
    ----------
    y_true : array-like of shape (n_rows,)
        Labels.
    y_prob : array-like of shape (n_rows, n_classes) or (n_rows,)
        Probabilities. Of two dimensions, the confidence is that of the most probable
        class (top-label calibration); of one, that of the second label.
    labels : array-like of shape (n_classes,), optional
        Labels in the order of the columns (`classes_`); by default the sorted labels of
        ``y_true``, which must then hold every class.
    n_bins : int, default=10
        Number of bins.
    sample_weight : array-like of shape (n_rows,), optional
        Weights of the rows.

    Returns
    -------
    error : float
        Between 0 and 1; 0 for perfect calibration. A calibrated classifier scores above 0
        on finite data, the more so the more bins there are.

    References
    ----------
    Guo et al. (2017), On calibration of modern neural networks, eq. 3; Nguyen and O'Connor
    (2015), Posterior calibration and exploratory analysis, section 3 (equal-mass bins).

    Examples
    --------
    >>> from skbayes.metrics import expected_calibration_error
    >>> expected_calibration_error([0, 1, 1, 1], [0.25, 0.25, 0.75, 0.75], n_bins=2)
    0.25
    """
    if not isinstance(n_bins, int | np.integer) or n_bins < 1:
        raise ValueError(f"n_bins must be a positive integer, got {n_bins!r}")
    y_true = column_or_1d(y_true)
    confidence, right = _top_label(y_true, y_prob, labels)
    weight = np.ones(len(y_true)) if sample_weight is None else column_or_1d(sample_weight)
    check_consistent_length(y_true, confidence, weight)
    weight = weight / weight.sum()
    bins = _equal_mass_bins(confidence, weight, n_bins)
    gaps = np.bincount(bins, weight * (confidence - right))
    return float(np.abs(gaps).sum())


def _top_label(y_true: np.ndarray, y_prob: Any, labels: Any) -> tuple[np.ndarray, np.ndarray]:
    """Confidence (n_rows,) of each row, and whether the label was the one meant."""
    y_prob = check_array(y_prob, ensure_2d=False, dtype=np.float64, input_name="y_prob")
    labels = np.unique(y_true) if labels is None else np.asarray(labels)
    if y_prob.min() < 0 or y_prob.max() > 1 + 1e-6:
        raise ValueError(
            f"y_prob must lie between 0 and 1, got values from {y_prob.min():.3g} to "
            f"{y_prob.max():.3g}; give predict_proba's output, not logits"
        )
    n_classes = 2 if y_prob.ndim == 1 else y_prob.shape[1]
    if len(labels) != n_classes:
        raise ValueError(
            f"y_prob has probabilities of {n_classes} classes but there are {len(labels)} "
            "labels; give labels=classifier.classes_"
        )
    if y_prob.ndim == 1:
        return y_prob, y_true == labels[1]
    if len(y_prob) != len(y_true):
        raise ValueError(f"y_true has {len(y_true)} rows but y_prob has {len(y_prob)}")
    return y_prob.max(axis=1), labels[y_prob.argmax(axis=1)] == y_true


def _equal_mass_bins(values: np.ndarray, weight: np.ndarray, n_bins: int) -> np.ndarray:
    """Bin (n_rows,) of each row, by the middle of its value's share of the mass."""
    _, group = np.unique(values, return_inverse=True)
    mass = np.bincount(group, weight)
    middle = np.cumsum(mass) - mass / 2
    return np.minimum((middle * n_bins).astype(int), n_bins - 1)[group]
