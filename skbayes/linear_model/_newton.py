"""Newton's method for a maximum, damped where the function is not concave."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_factor, cho_solve

#: Rounding of a sum of a thousand nats: a fall of less is none.
ROUNDING = 1e-12
#: Longest step in any coordinate.
LONGEST = 4.0

Derivatives = tuple[float, np.ndarray, np.ndarray]


class Maximum(NamedTuple):
    """Where the search ended."""

    x: np.ndarray
    n_iter: int
    converged: bool


def maximise(
    function: Callable[[np.ndarray], Derivatives],
    start: np.ndarray,
    tol: float,
    max_iter: int,
) -> Maximum:
    """Climb from ``start`` by steps that never lower the function.

    Parameters
    ----------
    function : callable
        Value, gradient (n,) and Hessian (n, n) at x (n,).
    start : ndarray of shape (n,)
        Where the climb begins.
    tol : float
        Stop when a step promises less than this; that last step is taken, so that the
        error left is of the order of its square.
    max_iter : int
        Most evaluations.
    """
    x, (value, grad, hessian) = start, function(start)
    damping = 0.0
    for n_iter in range(1, max_iter + 1):
        step, damping = _ascent(grad, hessian, damping)
        step *= min(1.0, LONGEST / max(np.abs(step).max(initial=0), 1e-300))
        promised = float(grad @ step)
        trial = function(x + step)
        if trial[0] >= value - ROUNDING * (1 + abs(value)):
            x, (value, grad, hessian) = x + step, trial
            damping = damping / 10 if damping > 1e-8 else 0.0
            if promised <= tol:
                return Maximum(x, n_iter, True)
        elif promised <= tol:
            return Maximum(x, n_iter, True)
        else:
            damping = max(10 * damping, 1e-3 * np.abs(np.diagonal(hessian)).max())
    return Maximum(x, max_iter, False)


def _ascent(grad: np.ndarray, hessian: np.ndarray, damping: float) -> tuple[np.ndarray, float]:
    """A step uphill, and the damping that made the negative Hessian positive definite."""
    if not (np.isfinite(grad).all() and np.isfinite(hessian).all()):
        raise np.linalg.LinAlgError("derivatives leave double precision")
    diagonal = np.eye(len(grad))
    size = max(np.abs(np.diagonal(hessian)).max(), 1e-300)
    while True:
        try:
            factor = cho_factor(damping * diagonal - hessian)
        except np.linalg.LinAlgError:
            damping = max(10 * damping, 1e-3 * size)
        else:
            return cho_solve(factor, grad), damping
