"""The one file that imports scikit-learn's private and experimental names."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, _fit_context
from sklearn.callback import CallbackSupportMixin
from sklearn.utils._param_validation import (
    Interval,
    StrOptions,
    validate_parameter_constraints,
)
from sklearn.utils.validation import _check_sample_weight

__all__ = [
    "BaseEstimator",
    "CallbackSupportMixin",
    "Interval",
    "StrOptions",
    "check_sample_weight",
    "fit_context",
    "has_callbacks",
    "validate_parameter_constraints",
    "validate_params_of",
]

fit_context = _fit_context
#: Weights of rows: beyond, their products with squares leave double precision.
LEAST_WEIGHT, MOST_WEIGHT = 1e-20, 1e20


def check_sample_weight(sample_weight: Any, X: Any, **options: Any) -> np.ndarray:
    """Weights of rows (N,), as scikit-learn checks them, zero or of a usable size."""
    weight = _check_sample_weight(sample_weight, X, **options)
    positive = weight[weight > 0]
    if len(positive) and not (positive.min() >= LEAST_WEIGHT and positive.max() <= MOST_WEIGHT):
        raise ValueError(
            f"sample_weight reaches from {positive.min():.3g} to {positive.max():.3g}; a row's "
            f"weight says how many rows it counts for: give zeros, or numbers from "
            f"{LEAST_WEIGHT:g} to {MOST_WEIGHT:g}"
        )
    return weight


def has_callbacks(context: Any) -> bool:
    """Whether anybody hears what is told to a callback context."""
    return bool(context._callbacks)


def validate_params_of(estimator: BaseEstimator) -> None:
    """Check an engine's, prior's or likelihood's parameters against its constraints."""
    validate_parameter_constraints(
        estimator._parameter_constraints,
        estimator.get_params(deep=False),
        caller_name=type(estimator).__name__,
    )
