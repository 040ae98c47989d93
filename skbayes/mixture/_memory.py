"""The memory that matrices of covariances take, known before the first step."""

from __future__ import annotations

from typing import Any

from skbayes.exceptions import InsufficientMemoryError
from skbayes.utils._memory import GIB, available_bytes
from skbayes.utils._warnings import warn

#: Matrices (D, D) of doubles that a fit holds at its peak: for each component (scatters, their
#: factors and inverses, precisions, moments of the best state and of a trial), and beside them
#: (a block of rows' products). Measured at 400 and 1,000 columns.
OF_COMPONENT, BESIDE = 20, 56
#: Bytes from which on a fit says what it takes.
MUCH = 2 * GIB


def bytes_needed(n_columns: int, n_components: int) -> int:
    """Bytes of all components' matrices at the peak of a fit."""
    return 8 * n_columns**2 * (OF_COMPONENT * n_components + BESIDE)


def check_memory(gmm: Any, n_columns: int) -> None:
    """Raise `InsufficientMemoryError` if the matrices would not fit; warn of very large ones."""
    if gmm.covariance_type not in ("full", "tied"):
        return
    needed, free = bytes_needed(n_columns, gmm.n_components), available_bytes()
    if needed <= min(MUCH, needed if free is None else free):
        return
    text = (
        f"covariance_type={gmm.covariance_type!r} takes about {needed / GIB:.2g} GiB for "
        f"n_components={gmm.n_components} matrices of {n_columns} x {n_columns} columns, and time "
        "as their cube; use covariance_type='diag', fewer components, or fewer columns, by "
        "make_pipeline(PPCA(50), VariationalGMM())"
    )
    if free is not None and needed > free:
        raise InsufficientMemoryError(f"{text}: {free / GIB:.2g} GiB are free")
    warn(text)
