"""Classifiers: labels of any one type, and every verb that speaks of them."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from scipy.special import entr
from sklearn.base import ClassifierMixin
from sklearn.utils import Bunch
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from skbayes.base._estimator import BayesianEstimator
from skbayes.base._kinds import KINDS
from skbayes.base._predictive import ClassPredictive
from skbayes.base._predictor import Predictor
from skbayes.data._tables import validate_data


class Classifier(Predictor, ClassifierMixin, BayesianEstimator):
    """Verbs of classifiers over a `ClassPredictive`, which a subclass makes of rows.

    Labels are coded by their place in ``classes_``, which `fit` sets.
    """

    _target = "classes"
    _instead: ClassVar[dict[str, str]] = {
        "predict_interval": (
            "labels have no interval; use predict_std(X), predict_uncertainty(X) or "
            "predict_proba(X)"
        ),
        "predict_quantiles": "labels have no quantiles; use predict_proba(X)",
        "decision_function": "use predict_log_proba(X)",
    }

    classes_: np.ndarray

    def _predictive(self, X: Any) -> ClassPredictive:
        raise NotImplementedError(f"{type(self).__name__} must define _predictive")

    def _validate_training(self, X: Any, y: Any, reset: bool) -> tuple[np.ndarray, np.ndarray, int]:
        """Check rows and labels; return rows, codes (N,), and the number of classes."""
        X, y = validate_data(self, X, y, dtype=[np.float64, np.float32], reset=reset)
        y = column_or_1d(y, warn=True)
        check_labels(y)
        check_classification_targets(y)
        classes, codes = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            raise ValueError(
                f"{type(self).__name__} needs at least 2 classes, but y holds one class: "
                f"{classes.tolist()[0]!r}"
            )
        if not reset and not np.array_equal(classes, self.classes_):
            raise ValueError(
                f"warm_start=True needs the classes of the first fit, {self.classes_.tolist()}, "
                f"but y holds {classes.tolist()}; set warm_start=False to start anew"
            )
        if reset:
            self.classes_ = classes
        return X, codes, len(classes)

    def _encode_targets(self, y: Any, n_rows: int | None = None) -> np.ndarray:
        y = column_or_1d(y)
        check_labels(y)
        unknown = np.setdiff1d(y, self.classes_)
        if len(unknown):
            raise ValueError(f"y holds labels that fit did not see: {unknown[:5].tolist()}")
        if n_rows is not None and len(y) != n_rows:
            raise ValueError(f"X has {n_rows} rows but y has {len(y)}")
        return np.searchsorted(self.classes_, y)

    def _decode_targets(self, draws: np.ndarray, dtype: np.dtype) -> np.ndarray:
        return self.classes_[draws]

    def predict(self, X: Any, **refused: Any) -> np.ndarray:
        """Find the most probable class of each row.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows to predict, as `fit` takes them.
        **refused : dict
            Options of regressors, refused by a message that says what to call instead.

        Returns
        -------
        labels : ndarray of shape (n_rows,)
        """
        if refused:
            raise TypeError(
                f"{type(self).__name__}.predict takes X alone, got {sorted(refused)}: a label has "
                "no standard deviation; use predict_std(X), which has one for each class"
            )
        predictive = self._predictive(X)  # which says so where nothing is fitted
        return self._decode_targets(predictive.most_probable(), predictive.dtype)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Compute posterior predictive class probabilities.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows to predict, as `fit` takes them.

        Returns
        -------
        probabilities : ndarray of shape (n_rows, n_classes)
            Columns in the order of `classes_`.
        """
        predictive = self._predictive(X)
        return predictive.moments()[0].astype(predictive.dtype, copy=False)

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Compute logarithms of `predict_proba`.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows to predict, as `fit` takes them.

        Returns
        -------
        log_proba : ndarray of shape (n_rows, n_classes)
            In nats; minus infinity where a probability rounds to zero.
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def predict_std(self, X: Any, kind: str = "total") -> np.ndarray:
        """Compute the standard deviation of each class's indicator, or of its probability.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows to predict, as `fit` takes them.
        kind : {"total", "epistemic", "aleatoric"}, default="total"
            With p the probability under one draw and a bar the mean over draws: total² is
            p̄(1 - p̄), epistemic² the variance of p, aleatoric² the mean of p(1 - p).

        Returns
        -------
        std : ndarray of shape (n_rows, n_classes)
        """
        self._check_kind(kind)
        predictive = self._predictive(X)
        return predictive.std(kind).astype(predictive.dtype, copy=False)

    def predict_uncertainty(self, X: Any) -> Bunch:
        """Compute the uncertainty of each row by kind.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows to predict, as `fit` takes them.

        Returns
        -------
        uncertainty : Bunch of ndarray of shape (n_rows,)
            ``total``, ``aleatoric`` and ``epistemic``: roots of the variances of
            `predict_std` summed over classes; in nats, ``entropy`` of the mean
            probabilities and ``mutual_information`` of label and weights, the share of
            the entropy that more data would remove.
        """
        return Bunch(**self._predictive(X).uncertainty())


def class_uncertainty(
    mean: np.ndarray, variances: dict[str, np.ndarray], label_entropy: np.ndarray
) -> dict[str, np.ndarray]:
    """Compute what `predict_uncertainty` reports, of mean probabilities (N, n_classes).

    ``variances`` (N, n_classes) are those of `predict_std` by kind, ``label_entropy`` (N,)
    the average over the posterior of the label's entropy.
    """
    spread = {kind: np.sqrt(variances[kind].sum(axis=1)) for kind in KINDS}
    entropy = entr(mean).sum(axis=1)
    # Rounding alone makes the average more than the whole.
    information = np.maximum(entropy - label_entropy, 0.0)
    return {**spread, "entropy": entropy, "mutual_information": information}


def check_labels(y: np.ndarray) -> None:
    """Refuse labels of mixed types, which have no order, by a readable message."""
    if y.dtype == object:
        kinds = sorted({"str" if isinstance(label, str) else type(label).__name__ for label in y})
        if len(kinds) > 1:
            raise ValueError(
                f"y mixes labels of types {kinds}; convert them to one type, for example "
                "y.astype(str)"
            )
