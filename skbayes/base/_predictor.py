"""The verbs of everything that predicts targets: regressors and classifiers share them."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skbayes.base._predictive import Estimate, PredictiveDistribution, as_float
from skbayes.utils._draws import check_count
from skbayes.utils._threads import LimitsThreads


class Predictor(LimitsThreads):
    """Verbs over a `PredictiveDistribution`.

    A subclass supplies `_predictive`, `_encode_targets` and `_decode_targets`.
    """

    def _predictive(self, X: Any) -> PredictiveDistribution:
        """Check that this is fitted, and rows; return the law of their targets."""
        raise NotImplementedError(f"{type(self).__name__} must define _predictive")

    def _encode_targets(self, y: Any, n_rows: int | None = None) -> np.ndarray:
        """Check targets, as many as rows; numbers (N, T), or codes (N,) of labels."""
        raise NotImplementedError(f"{type(self).__name__} must define _encode_targets")

    def _decode_targets(self, draws: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """Turn drawn targets into the form of ``y``."""
        raise NotImplementedError(f"{type(self).__name__} must define _decode_targets")

    def _check_new_data(self, X: Any, y: Any) -> None:
        if (X is None) != (y is None):
            raise ValueError(
                "score_evidence takes both X and y, or neither: score_evidence() is that of the "
                "training rows, score_evidence(X, y) that of new ones"
            )

    def log_predictive(self, X: Any, y: Any) -> np.ndarray:
        """Compute the log posterior predictive density, or probability, of each row's target.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows to predict, as `fit` takes them.
        y : array-like of shape (n_rows,) or (n_rows, n_targets)
            Their targets, or labels.

        Returns
        -------
        log_density : ndarray of shape (n_rows,)
            In nats and in the units of y, jointly over several targets.
        """
        predictive = self._predictive(X)
        return predictive.log_prob(self._encode_targets(y, len(X)))

    def sample_y(self, X: Any, n_samples: int = 1, random_state: Any = 0) -> np.ndarray:
        """Draw new targets.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows to predict, as `fit` takes them.
        n_samples : int, default=1
            Number of draws.
        random_state : int, RandomState instance or None, default=0
            Equal seeds give equal draws.

        Returns
        -------
        y : ndarray of shape (n_samples, n_rows) or (n_samples, n_rows, n_targets)
            Draws come first, as everywhere.
        """
        check_is_fitted(self)
        n_samples = check_count(n_samples)  # before X, whose place it may have taken
        predictive = self._predictive(X)
        return self._decode_targets(predictive.sample(n_samples, random_state), predictive.dtype)

    def _sample_at(self, X: Any, n_samples: int, random_state: Any) -> np.ndarray:
        predictive = self._predictive(X)
        return as_float(predictive.sample_functions(n_samples, random_state), predictive.dtype)

    def _new_evidence(self, X: Any, y: Any) -> Estimate:
        predictive = self._predictive(X)
        return predictive.log_prob_joint(self._encode_targets(y, len(X)))
