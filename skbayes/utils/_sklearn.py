"""The one file that imports scikit-learn's private and experimental names."""

from __future__ import annotations

from typing import Any

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
check_sample_weight = _check_sample_weight


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
