"""What a logistic model of many classes takes, known before the first step."""

from __future__ import annotations

from skbayes.exceptions import InsufficientMemoryError
from skbayes.utils._memory import GIB, available_bytes
from skbayes.utils._warnings import warn

#: Multiply-adds of one of the hundred or more steps to the weights and their precisions, from
#: which on a fit says what it takes: minutes of a core.
MUCH = 1e10
#: Arrays (N, K, K) held at once, of the logits' curvatures and, under the bound, covariances
#: besides; and matrices (K r, K r).
CURVATURES, COVARIANCES, MATRICES = 3, 3, 6


def operations(n_rows: int, n_outputs: int, rank: int, bound: bool) -> float:
    """Multiply-adds of a step: the information, its factor, and for a bound the rows' tilts."""
    tilts = float(n_rows) * n_outputs**3 if bound and n_outputs > 1 else 0.0
    return 0.5 * n_rows * (n_outputs * rank) ** 2 + (n_outputs * rank) ** 3 / 3 + tilts


def bytes_needed(n_rows: int, n_outputs: int, rank: int, bound: bool) -> int:
    """Bytes that a fit holds at its peak."""
    arrays = CURVATURES + (COVARIANCES if bound else 0)
    return 8 * (arrays * n_rows * n_outputs**2 + MATRICES * (n_outputs * rank) ** 2)


def check_cost(n_rows: int, n_outputs: int, n_columns: int, bound: bool) -> None:
    """Raise if a fit would not find its memory; warn if its steps take long.

    Parameters
    ----------
    n_rows, n_outputs, n_columns : int
        Distinct rows N, logits K, columns of the design.
    bound : bool
        Whether the evidence lower bound is climbed.
    """
    size = n_rows, n_outputs, min(n_rows, n_columns), bound
    work, needed, free = operations(*size), bytes_needed(*size), available_bytes()
    fits = free is None or needed <= free
    if fits and work <= MUCH:
        return
    what = f"{n_outputs} classes" if n_outputs > 1 else "two classes"
    text = (
        f"y of {what} and X of {n_rows} distinct rows and {n_columns} columns (the intercept's "
        f"counted) take about {needed / GIB:.2g} GiB and {work:.1g} operations in each of a "
        "hundred or more steps, for all weights covary here; "
    )
    text += (
        "use BayesianMLPClassifier(hidden_layer_sizes=(), inference='laplace'), the same model "
        "with covariances of classes times columns, or fewer columns, by PPCA"
    )
    if not fits:
        raise InsufficientMemoryError(f"{text}: {free / GIB:.2g} GiB are free")  # type: ignore[operator]
    warn(text)
