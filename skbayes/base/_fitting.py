"""Methods that fit: parameters are checked, and attributes are set in one step."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from skbayes.utils._sklearn import fit_context

Method = TypeVar("Method", bound=Callable)


def all_or_nothing(method: Method) -> Method:
    """Let a method change its estimator wholly or, where it raises anything, not at all.

    It works on a copy, whose attributes the estimator takes by one assignment in the end:
    Ctrl-C at any line leaves what was fitted before, and another thread that predicts
    meanwhile never meets a half of each. What the attributes hold must not be changed in
    place.

    Parameters
    ----------
    method : callable
        A method that returns its estimator.

    Examples
    --------
    >>> from skbayes.base._fitting import all_or_nothing
    >>> class Mean:
    ...     @all_or_nothing
    ...     def fit(self, values):
    ...         self.n_ = len(values)
    ...         self.mean_ = sum(values) / self.n_
    ...         return self
    >>> mean = Mean().fit([1, 3])
    >>> try:
    ...     mean.fit([])
    ... except ZeroDivisionError:
    ...     print(vars(mean))
    {'n_': 2, 'mean_': 2.0}
    """

    @wraps(method)
    def whole(self: Any, *args: Any, **kwargs: Any) -> Any:
        trial = object.__new__(type(self))
        vars(trial).update(vars(self))
        method(trial, *args, **kwargs)
        self.__dict__ = vars(trial)
        return self

    return whole  # type: ignore[return-value]


def fit_method(method: Method) -> Method:
    """Decorator of `fit` and `partial_fit`: parameters are checked first, and `all_or_nothing`."""
    return all_or_nothing(fit_context(prefer_skip_nested_validation=True)(method))
