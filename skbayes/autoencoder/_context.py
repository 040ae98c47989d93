"""What a conditional model is given beside a row: labels as indicators, numbers as they are."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_array, check_consistent_length

from skbayes.base._classifier import check_labels
from skbayes.data._scaling import Standardizer


class Context:
    """Encodes targets as columns.

    Labels (strings, booleans, integers) become one indicator column each, other numbers
    are standardised.
    """

    classes: np.ndarray | None

    def fit(self, y: Any, weight: np.ndarray) -> Context:
        """Learn labels or scales from targets (N,) or (N, n_targets)."""
        self.classes = None
        self._check_values(np.asarray(y))
        if type_of_target(y, input_name="y") in ("binary", "multiclass"):
            self.classes = np.unique(column_or_1d(y))
        else:
            self.scaler = Standardizer().fit(self._numbers(y), weight)
        return self

    def _check_values(self, y: np.ndarray) -> None:
        """Refuse what scikit-learn's finding of the type of targets stumbles over."""
        if y.dtype.kind == "f":
            self._numbers(y)
        elif y.dtype == object and any(isinstance(value, str) for value in y.flat):
            check_labels(y.ravel())

    @property
    def n_columns(self) -> int:
        """Columns that `encode` returns."""
        return len(self.scaler.mean) if self.classes is None else len(self.classes)

    @staticmethod
    def _numbers(y: Any) -> np.ndarray:
        y = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
        return y.reshape(len(y), -1)

    def encode(self, y: Any, n_rows: int) -> np.ndarray:
        """Columns (N, n_columns) of targets."""
        if self.classes is None:
            numbers = self._numbers(y)
            check_consistent_length(numbers, np.empty(n_rows))
            if numbers.shape[1] != self.n_columns:
                raise ValueError(f"y has {numbers.shape[1]} columns, but fit saw {self.n_columns}")
            return self.scaler.transform(numbers)
        labels = column_or_1d(y)
        check_consistent_length(labels, np.empty(n_rows))
        unknown = ~np.isin(labels, self.classes)
        if unknown.any():
            raise ValueError(
                f"y holds the label {labels[unknown].tolist()[0]!r}, which fit did not see; the "
                f"labels are {self.classes[:20].tolist()}"
            )
        return (labels[:, None] == self.classes).astype(np.float64)
