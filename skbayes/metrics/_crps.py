"""Continuous ranked probability score."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_array

from skbayes.metrics._intervals import check_targets


def crps(y_true: Any, y_draws: Any, *, fair: bool = True, sample_weight: Any = None) -> float:
    """Continuous ranked probability score of predictive draws; lower is better.

    ``E|Y - y| - E|Y - Y'| / 2`` with Y and Y' independent predictive draws: a proper score
    that is the absolute error for a single draw or a point prediction.

    Parameters
    ----------
    y_true : array-like of shape (n_rows,) or (n_rows, n_targets)
        Targets.
    y_draws : array-like of shape (n_draws, n_rows) or (n_draws, n_rows, n_targets)
        Draws of the targets, as `sample_y` returns them.
    fair : bool, default=True
        Unbiased for the distribution that the draws came from. False scores the draws as
        if they were the whole distribution, right for an ensemble of fixed members.
    sample_weight : array-like of shape (n_rows,), optional
        Weights of the rows.

    Returns
    -------
    score : float
        In the units of the target, averaged over rows and targets.

    References
    ----------
    Gneiting and Raftery (2007), Strictly proper scoring rules, eq. 21; Ferro (2014), Fair
    scores for ensemble forecasts, eq. 4.

    Examples
    --------
    >>> from skbayes.metrics import crps
    >>> crps([0.0], [[-1.0], [1.0]], fair=False)
    0.5
    """
    if np.ndim(y_draws) == 1:
        raise ValueError(
            f"y_draws has shape {np.shape(y_draws)}, one number a row, and must be (n_draws, "
            "n_rows) as sample_y(X, n_samples) returns it; the score of means is "
            "sklearn.metrics.mean_absolute_error"
        )
    draws = check_array(y_draws, allow_nd=True, dtype=np.float64, input_name="y_draws")
    y = check_targets(y_true)
    if y.shape != draws.shape[1:]:
        raise ValueError(
            f"y_true has shape {y.shape} but y_draws has shape {draws.shape}; the draws stand "
            "on the first axis, as sample_y returns them"
        )
    draws = np.moveaxis(draws, 0, -1)
    n_draws = draws.shape[-1]
    error = np.abs(draws - y[..., None]).mean(axis=-1)
    if n_draws > 1:
        # Sum of |x_i - x_j| over pairs i < j, from the order statistics.
        order = 2 * np.arange(n_draws) - (n_draws - 1)
        pairs = (np.sort(draws, axis=-1) * order).sum(axis=-1)
        error = error - pairs / (n_draws * (n_draws - 1 if fair else n_draws))
    rows = error.reshape(len(error), -1).mean(axis=1)
    return float(np.average(rows, weights=sample_weight))
