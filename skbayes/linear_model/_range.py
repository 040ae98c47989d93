"""Refusals of rows and priors whose numbers leave double precision."""

from __future__ import annotations

from typing import Any

import numpy as np

from skbayes.linear_model._weighted_rows import RowFactor
from skbayes.utils._logs import SQUARABLE


def check_reach(rows: RowFactor, basis: np.ndarray | None, sd: np.ndarray, prior: str) -> None:
    """Refuse functions whose squares overflow under prior standard deviations (G, P).

    ``prior`` says in the message what the prior is.
    """
    with np.errstate(over="ignore"):
        reach = np.abs(rows.in_basis(basis).design * sd[:, None, :]).max(initial=0.0)
    if not reach <= SQUARABLE:
        size = np.abs(rows.design).max(axis=0)[int(rows.fit_intercept) :]
        raise ValueError(
            f"column {size.argmax()} of X is of a size of {size.max():.3g}, and functions of it "
            f"under the prior ({prior}) leave double precision; divide X by "
            "np.abs(X).max(axis=0), or raise alpha"
        )


def check_evidence(log_evidence: np.ndarray, rows: RowFactor, beta: Any) -> None:
    """Refuse targets whose density (T,) underflows even as a logarithm."""
    if not np.isfinite(log_evidence).all():
        raise ValueError(
            f"y is of a size of {rows.target_size.max():.3g}, so far from what prior and noise "
            f"allow (beta={beta!r}) that its density leaves double precision; divide y by "
            "np.abs(y).max(), lower beta, or set hyperparameters='bayes'"
        )


def check_weights(coef: np.ndarray, rows: RowFactor) -> None:
    """Refuse weights (T, D) that are no doubles, though what they predict may be."""
    if not np.isfinite(coef).all():
        column = np.argwhere(~np.isfinite(coef))[0, 1]
        raise ValueError(
            f"the weight of column {column} of X leaves double precision, as y is of a size of "
            f"{rows.target_size.max():.3g} beside it; divide X by np.abs(X).max(axis=0), or y by "
            "np.abs(y).max()"
        )
