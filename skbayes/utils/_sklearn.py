"""The one file that imports scikit-learn's private and experimental names."""

from __future__ import annotations

from sklearn.base import BaseEstimator, _fit_context
from sklearn.callback import CallbackSupportMixin
from sklearn.utils._param_validation import (
    HasMethods,
    InvalidParameterError,
    Interval,
    StrOptions,
    validate_parameter_constraints,
)
from sklearn.utils.validation import _check_sample_weight

__all__ = [
    "BaseEstimator",
    "CallbackSupportMixin",
    "HasMethods",
    "Interval",
    "InvalidParameterError",
    "StrOptions",
    "check_sample_weight",
    "fit_context",
    "validate_parameter_constraints",
]

fit_context = _fit_context
check_sample_weight = _check_sample_weight
