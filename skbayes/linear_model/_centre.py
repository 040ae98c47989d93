"""Where a search for prior precisions begins: at what the columns tell about their weights.

A weight is measured against how its column varies, and the intercept against what it has
to balance. Were a column far from zero, such as a year, measured by its size, the search
would begin at weights that cannot matter, and end there.
"""

from __future__ import annotations

import numpy as np

from skbayes.data._scaling import ROUNDING


def log_centres(
    design: np.ndarray, sd: np.ndarray, groups: np.ndarray, fit_intercept: bool
) -> np.ndarray:
    """Log precisions at which every group's part of the targets has about unit size.

    Parameters
    ----------
    design : ndarray of shape (r, P)
        Triangular factor of the rows, or what its rows were turned into column by column.
    sd : ndarray of shape (P,)
        Prior standard deviations at precision 1.
    groups : ndarray of int of shape (P,)
        Weights of one group share a precision.
    fit_intercept : bool
        Whether the first column is constant, and a group of its own.

    Returns
    -------
    log_precision : ndarray of shape (n_groups,)
    """
    columns = design * sd
    size, varies = column_sizes(columns, fit_intercept)
    centre = _of_groups(size, varies, groups)
    if not fit_intercept:
        return centre
    balanced = (columns[0] * np.exp(-0.5 * centre[groups]))[varies]
    centre[0] -= np.log1p(balanced @ balanced)
    return centre


def column_sizes(columns: np.ndarray, fit_intercept: bool) -> tuple[np.ndarray, np.ndarray]:
    """Norms (P,) of a factor's columns about their means, and which vary at all (P,).

    Those that do not count by their size, and so do all where there is no intercept.
    """
    size = _norms(columns)
    if not fit_intercept:
        return size, size > 0
    # Below the first row, which belongs to the intercept, a factor holds centred columns.
    about = _norms(columns[1:])
    varies = about > ROUNDING * size
    return np.where(varies, about, size), varies


def _norms(columns: np.ndarray) -> np.ndarray:
    """Sizes (P,) of columns, whose squares may overflow."""
    return np.asarray(np.hypot.reduce(columns, axis=0, initial=0.0))


def _of_groups(size: np.ndarray, varies: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Twice the logs of the largest sizes, of columns that vary if any of the group does.

    Columns of zeros count as of size one.
    """
    largest, varying = np.zeros((2, groups.max() + 1))
    np.maximum.at(largest, groups, size)
    np.maximum.at(varying, groups, np.where(varies, size, 0.0))
    largest = np.where(varying > 0, varying, largest)
    return 2 * np.log(np.where(largest > 0, largest, 1.0))
