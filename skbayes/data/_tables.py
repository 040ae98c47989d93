"""Rows and targets as users have them: frames, missing markers, and text where numbers belong."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import validate_data as _validate_data


def validate_data(estimator: Any, X: Any, y: Any = "no_validation", **options: Any) -> Any:
    """What scikit-learn's function gives, with columns named in what it refuses.

    Markers of missing values in columns of objects (None, pandas' NA) count as NaN.
    """
    X = _with_nan(X)
    if not (y is None or isinstance(y, str)):
        _check_no_missing(y, getattr(estimator, "_unknown_labels", "leave these rows out"))
    try:
        found = _validate_data(estimator, X, y, **options)
        if options.get("y_numeric"):
            found[1].astype(np.float64)  # text passes until then
        return found
    except (TypeError, ValueError) as error:
        message = _in_full(estimator, X, y, str(error))
        if message is None:
            raise
        raise ValueError(message) from error


def _in_full(estimator: Any, X: Any, y: Any, message: str) -> str | None:
    """What scikit-learn or NumPy says of a table, and what to do; None where that is said."""
    first = message.splitlines()[0]
    if "could not convert" in first:
        return f"{first}; {_where_text(X, y)}"
    if "could not be promoted" in first:  # a list of types follows
        return _where_text(X, y)
    if first.startswith("Input X contains NaN"):
        takes_nan = "allow_missing" in estimator.get_params(deep=False)
        return f"{first} {_ALLOW if takes_nan else _IMPUTE}"
    if first.startswith("Expected 2D array") and np.ndim(X) == 1 and np.ndim(y) == 2:
        return f"X has one dimension and y has two; X comes first, fit(X, y). {message}"
    return None


_ALLOW = "Set allow_missing=True, and these values are left out of the likelihood."
_IMPUTE = (
    "Put an imputer before it, make_pipeline(SimpleImputer(), ...); PPCA, VariationalGMM and "
    "VAETransformer(allow_missing=True) take missing values as they are."
)


def is_missing(value: Any) -> bool:
    """Whether a Python object marks a missing value: None, NaN or pandas' NA and NaT."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float | np.floating) and bool(np.isnan(value))


def _missing(values: Any) -> np.ndarray:
    """Where an array of objects holds markers."""
    values = np.asarray(values, dtype=object)
    return np.frompyfunc(is_missing, 1, 1)(values).astype(bool)


def _with_nan(X: Any) -> Any:
    """X, with NaN for the markers that columns of objects hold."""
    if isinstance(X, np.ndarray) and X.dtype == object:
        missing = _missing(X)
        return np.where(missing, np.nan, X) if missing.any() else X
    if not hasattr(X, "isetitem"):  # no pandas frame
        return X
    filled = X
    for number, dtype in enumerate(X.dtypes):
        if str(dtype) == "object" and (missing := _missing(X.iloc[:, number])).any():
            filled = X.copy() if filled is X else filled
            filled.isetitem(number, np.where(missing, np.nan, X.iloc[:, number]))
    return filled


def _check_no_missing(y: Any, remedy: str) -> None:
    """Refuse targets of objects, or of a pandas type, that hold a marker."""
    dtype = getattr(y, "dtype", None)
    numpy_numbers = isinstance(dtype, np.dtype) and dtype.kind != "O"
    if numpy_numbers or not (hasattr(y, "__array__") or isinstance(y, list | tuple)):
        return
    values = np.asarray(y, dtype=object) if dtype is not None else np.asarray(y)
    if values.dtype != object:
        return
    rows = np.flatnonzero(_missing(values).reshape(len(values), -1).any(axis=1))
    if len(rows):
        raise ValueError(
            f"Input y contains NaN, None or NA in {len(rows)} of {len(values)} rows, the first of "
            f"them row {rows[0]}; {remedy}"
        )


def _where_text(X: Any, y: Any) -> str:
    """Where text stands among numbers, and what to do."""
    names = getattr(X, "columns", range(np.ndim(X) and np.shape(X)[-1]))
    for name, values in zip(names, np.asarray(X, dtype=object).T, strict=False):
        if not _is_numeric(values):
            return (
                f"column {name!r} of X holds text or dates: make numbers of it first, by "
                "scikit-learn's OrdinalEncoder where columns may be categorical, else OneHotEncoder"
            )
    return "y holds text where numbers are needed; for labels take a classifier"


def _is_numeric(values: Any) -> bool:
    try:
        np.asarray(values, dtype=object).astype(np.float64)
    except (TypeError, ValueError):
        return False
    return True
