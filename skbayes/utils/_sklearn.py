"""The one file that imports scikit-learn's private and experimental names."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, _fit_context
from sklearn.callback import CallbackSupportMixin
from sklearn.utils._available_if import _AvailableIfDescriptor
from sklearn.utils._param_validation import (
    Interval,
    InvalidParameterError,
    validate_parameter_constraints,
)
from sklearn.utils._param_validation import StrOptions as _StrOptions
from sklearn.utils._set_output import ADAPTERS_MANAGER, _get_output_config
from sklearn.utils.parallel import _get_threadpool_controller
from sklearn.utils.validation import _check_feature_names_in, _check_sample_weight

from skbayes.utils._warnings import warn

__all__ = [
    "AvailableIf",
    "BaseEstimator",
    "CallbackSupportMixin",
    "Interval",
    "InvalidParameterError",
    "StrOptions",
    "check_sample_weight",
    "end_step",
    "fit_context",
    "has_callbacks",
    "in_container",
    "thread_pools",
    "validate_parameter_constraints",
]

AvailableIf = _AvailableIfDescriptor
fit_context = _fit_context
thread_pools = _get_threadpool_controller
#: Weights of rows: beyond, their products with squares leave double precision.
LEAST_WEIGHT, MOST_WEIGHT = 1e-20, 1e20
#: Weights of so many rows that sum to one, nearly, were normalised by habit.
MANY_ROWS, NEAR_ONE = 5, 1e-3


class StrOptions(_StrOptions):
    """A set of strings, listed in a message in the same order every time."""

    def __str__(self) -> str:
        return f"a str among {{{', '.join(map(repr, sorted(self.options)))}}}"


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
    if len(positive) >= MANY_ROWS and abs(positive.sum() - 1) < NEAR_ONE:
        warn(
            f"sample_weight sums to {positive.sum():.6g}: all {len(positive)} rows count as one, "
            f"and the posterior stays close to the prior; give weights of mean 1, sample_weight * "
            f"{len(positive)}, if each row is an observation of its own",
        )
    return weight


def in_container(estimator: Any, rows: np.ndarray, X: Any) -> Any:
    """Rows with the columns of X, in the container that ``set_output`` asks for.

    An array by default; a frame has the names that fit saw, and the index of X.
    """
    container = _get_output_config("transform", estimator)["dense"]
    if container == "default":
        return rows
    names = _check_feature_names_in(estimator)
    return ADAPTERS_MANAGER.adapters[container].create_container(rows, X, names)


def has_callbacks(context: Any) -> bool:
    """Whether anybody hears what is told to a callback context."""
    return bool(context._callbacks)


def end_step(
    context: Any, estimator: Any, numbers: dict[str, float], fitted: dict[str, Any]
) -> bool:
    """Let the callbacks hear that a part of a fit is over; True if one asks to stop.

    One that takes ``fitted_estimator``, such as `ScoringMonitor`, gets what scikit-learn's own
    estimators tell, rows and weights among it, as its scores take no other metadata. Any other
    gets the numbers as its ``metadata``.
    """
    task = context.subcontext(task_name="step")
    task.call_on_fit_task_begin(estimator=estimator)
    stop, everyone = False, task._callbacks
    for takes, told in ((True, fitted), (False, {"metadata": numbers})):
        task._callbacks = [one for one in everyone if _takes_fitted(one) is takes]
        stop |= bool(task.call_on_fit_task_end(estimator=estimator, **told))
    task._callbacks = everyone
    return stop


def _takes_fitted(callback: Any) -> bool:
    return "fitted_estimator" in inspect.signature(callback.on_fit_task_end).parameters
