"""Targets of predictors: numbers of one or several columns, and class labels."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar

import numpy as np
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array, column_or_1d

from skbayes.base._estimator import as_float
from skbayes.data._tables import validate_data
from skbayes.utils._threads import LimitsThreads


def check_coverage(coverage: float) -> None:
    """Refuse what is not a probability inside (0, 1)."""
    if not (isinstance(coverage, Real) and 0 < coverage < 1):
        percent = isinstance(coverage, Real) and 1 < coverage < 100
        meant = f"; did you mean {coverage / 100:g}?" if percent else ""
        raise ValueError(f"coverage must lie between 0 and 1, got {coverage!r}{meant}")


class NumericTargets:
    """Mixin of regressors: one or several columns of numbers."""

    _instead: ClassVar[dict[str, str]] = {
        "predict_proba": "numbers have a density, log_predictive(X, y), and predict_interval(X)",
        "predict_quantiles": "predict_interval(X, coverage=0.8) has the quantiles .1 and .9",
    }

    _n_targets: int
    _y_ndim: int

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()  # type: ignore[misc]
        tags.target_tags.multi_output = True
        return tags

    def _validate_training(self, X: Any, y: Any, reset: bool) -> tuple[np.ndarray, np.ndarray, int]:
        """Rows, float64 targets (N, T), and T."""
        X, y = validate_data(
            self,
            X,
            y,
            dtype=[np.float64, np.float32],
            y_numeric=True,
            multi_output=True,
            reset=reset,
        )
        if reset:
            self._y_ndim = y.ndim
        else:
            self._check_shape(y)
        y = y.reshape(len(y), -1).astype(np.float64)
        return X, y, y.shape[1]

    def _check_shape(self, y: np.ndarray) -> None:
        """Refuse targets shaped otherwise than those that fit saw, before anything changes."""
        n_targets = y.shape[1] if y.ndim == 2 else 1
        if (y.ndim, n_targets) != (self._y_ndim, self._n_targets):
            raise ValueError(
                f"y has {n_targets} targets but fit saw {self._n_targets} (y of {y.ndim} "
                f"dimensions after {self._y_ndim}); give y the shape it had, or start anew by "
                "fit, with warm_start=False where there is one"
            )

    def _encode_targets(self, y: Any) -> np.ndarray:
        y = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
        y = y.reshape(len(y), -1)
        if y.shape[1] != self._n_targets:
            raise ValueError(f"y has {y.shape[1]} targets but fit saw {self._n_targets}")
        return y

    def _shape(self, values: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """Targets on axis 1; dropped where fit saw a one-dimensional y."""
        return as_float(values[:, 0] if self._y_ndim == 1 else values, dtype)


class ClassTargets(LimitsThreads):
    """Mixin of classifiers: labels of any one type, coded by their place in `classes_`."""

    _instead: ClassVar[dict[str, str]] = {
        "predict_interval": (
            "labels have no interval; use predict_std(X), predict_uncertainty(X) or "
            "predict_proba(X)"
        ),
        "decision_function": "use predict_log_proba(X)",
    }

    classes_: np.ndarray

    def _validate_training(self, X: Any, y: Any, reset: bool) -> tuple[np.ndarray, np.ndarray, int]:
        """Rows, codes (N,) of the labels, and the number of classes."""
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

    def _encode_targets(self, y: Any) -> np.ndarray:
        y = column_or_1d(y)
        check_labels(y)
        unknown = np.setdiff1d(y, self.classes_)
        if len(unknown):
            raise ValueError(f"y holds labels that fit did not see: {unknown[:5].tolist()}")
        return np.searchsorted(self.classes_, y)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Posterior predictive class probabilities."""
        raise NotImplementedError(f"{type(self).__name__} must define predict_proba")

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Logarithms of `predict_proba`.

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

    def predict(self, X: Any, **refused: Any) -> np.ndarray:
        """The most probable class of each row.

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
        codes = self._most_probable(X)  # which says so first where nothing is fitted
        return self.classes_[codes]

    def _most_probable(self, X: Any) -> np.ndarray:
        """Codes (n_rows,) of the most probable classes."""
        return self.predict_proba(X).argmax(axis=1)


def check_labels(y: np.ndarray) -> None:
    """Refuse labels of mixed types, which have no order, by a readable message."""
    if y.dtype == object:
        kinds = sorted({"str" if isinstance(label, str) else type(label).__name__ for label in y})
        if len(kinds) > 1:
            raise ValueError(
                f"y mixes labels of types {kinds}; convert them to one type, for example "
                "y.astype(str)"
            )
