"""Estimators of the density of rows, without targets."""

from __future__ import annotations

from typing import Any

import numpy as np

from skbayes.base._estimator import BayesianEstimator
from skbayes.base._predictive import Estimate, RowDensity


class DensityEstimator(BayesianEstimator):
    """Verbs over a `RowDensity`, which a subclass makes of rows in `_density`."""

    _few_draws_remedies = (
        "fit with more draws",
        "score fewer rows at a time, or use score_samples(X)",
    )

    def _density(self, X: Any, y: Any) -> RowDensity:
        """Check that this is fitted, and rows; return their density, given any targets."""
        raise NotImplementedError(f"{type(self).__name__} must define _density")

    def score_samples(self, X: Any, y: Any = None) -> np.ndarray:
        """Compute the log density of each row.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows. Where values may be missing (NaN), the density is that of those observed.
        y : array-like of shape (n_rows,) or (n_rows, n_targets), optional
            Targets, which a model conditioned on them needs; otherwise ignored.

        Returns
        -------
        log_density : ndarray of shape (n_rows,)
            In nats and in the units of X, with every constant; log probabilities of
            discrete columns.
        """
        return self._density(X, y).log_prob()

    def score(self, X: Any, y: Any = None) -> float:
        """Compute the mean log density of rows.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows.
        y : array-like of shape (n_rows,) or (n_rows, n_targets), optional
            Targets, which a model conditioned on them needs; otherwise ignored.

        Returns
        -------
        score : float
            Mean of `score_samples`, in nats a row.
        """
        return float(self._density(X, y).log_prob().mean())

    def _new_evidence(self, X: Any, y: Any) -> Estimate:
        return self._density(X, y).log_prob_joint()
