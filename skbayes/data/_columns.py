"""Columns of X as the numbers that networks see, one class a kind of encoding."""

from __future__ import annotations

import numpy as np

from skbayes.data._scaling import ColumnMoments, Standardizer

#: Standardised values beyond this are cut off: their squares overflow single precision.
LARGEST = 1e14


class ColumnsOfOneKind:
    """Base of the encodings: numbers as they are.

    `fit` sets `n_columns`, and `numbers`, how many encoded numbers each column has.
    """

    n_columns: int
    numbers: list[int]

    def fit(self, X: np.ndarray, weight: np.ndarray) -> ColumnsOfOneKind:
        """Learn the encoding from columns (N, n_columns) of X; NaN is missing."""
        self.n_columns, self.numbers = X.shape[1], [1] * X.shape[1]
        return self

    @property
    def n_encoded(self) -> int:
        """Encoded numbers of a row."""
        return sum(self.numbers)

    def encode(self, X: np.ndarray) -> np.ndarray:
        """Encoded columns (N, n_encoded) in float64."""
        return X

    def decode(self, encoded: np.ndarray) -> np.ndarray:
        """Columns (..., n_columns) of X."""
        return encoded

    def log_scale(self, observed: np.ndarray) -> np.ndarray:
        """Log units of a row (N,): what its log density in units of X is smaller by."""
        return np.zeros(len(observed))


class NumberColumns(ColumnsOfOneKind):
    """Standardised numbers.

    Parameters
    ----------
    scale_inputs : {"column", "global"} or None
        Units that networks see, as `Standardizer` takes them.
    """

    def __init__(self, scale_inputs: str | None) -> None:
        self.scale_inputs = scale_inputs

    def fit(self, X: np.ndarray, weight: np.ndarray) -> NumberColumns:
        """Learn mean and scale of what is observed of each column."""
        super().fit(X, weight)
        observed = ~np.isnan(X)
        share = weight @ observed / weight.sum()
        found = ColumnMoments.of(X.astype(np.float64), weight)
        filled = np.where(observed, X, found.mean * found.unit)
        self.scaler = Standardizer(self.scale_inputs).fit(filled, weight)
        if self.scale_inputs is not None and not observed.all():
            # Filled-in means vary less than the values that they stand for.
            shortfall = share if self.scale_inputs == "column" else share.mean()
            self.scaler.scale = self.scaler.scale * np.sqrt(shortfall) ** -1.0
        return self

    def encode(self, X: np.ndarray) -> np.ndarray:
        """Standardised columns."""
        return np.clip(np.nan_to_num(self.scaler.transform(X), nan=0.0), -LARGEST, LARGEST)

    def decode(self, encoded: np.ndarray) -> np.ndarray:
        """Columns in units of X."""
        return self.scaler.inverse_transform(encoded)

    def log_scale(self, observed: np.ndarray) -> np.ndarray:
        """Sum of the log scales of a row's observed columns."""
        return observed @ np.log(self.scaler.scale)


class BinaryColumns(ColumnsOfOneKind):
    """Zeros and ones, and numbers between them.

    Parameters
    ----------
    binarize : {"threshold", "sample"} or None
        What is done to values between: rounded, or drawn afresh each time that training
        sees them, with themselves as probabilities.
    """

    def __init__(self, binarize: str | None) -> None:
        self.binarize = binarize

    def encode(self, X: np.ndarray) -> np.ndarray:
        """Columns as they are, or rounded."""
        filled = np.nan_to_num(X, nan=0.0)
        if ((filled < 0) | (filled > 1)).any():
            raise ValueError(
                f"likelihood='bernoulli' takes values in [0, 1], but X holds "
                f"{filled.min():.6g} to {filled.max():.6g}; scale X with MinMaxScaler, or use "
                "likelihood='gaussian'"
            )
        return (filled >= 0.5).astype(np.float64) if self.binarize == "threshold" else filled


class LevelColumns(ColumnsOfOneKind):
    """Columns of a few levels each, encoded as indicators."""

    def fit(self, X: np.ndarray, weight: np.ndarray) -> LevelColumns:
        """Learn the levels of each column."""
        super().fit(X, weight)
        columns = (column[~np.isnan(column)] for column in X.T)
        self.levels = [np.unique(column) if len(column) else np.zeros(1) for column in columns]
        self.numbers = [len(levels) for levels in self.levels]
        return self

    def encode(self, X: np.ndarray) -> np.ndarray:
        """Indicators of levels; all zero where the value is missing."""
        parts = []
        for column, levels in zip(X.T, self.levels, strict=True):
            unknown = ~np.isnan(column) & ~np.isin(column, levels)
            if unknown.any():
                raise ValueError(
                    f"a categorical column holds {column[unknown][0]:g}, which was not among "
                    f"the levels seen by fit: {levels[:10]}; map rare levels to one of them, "
                    "or to NaN"
                )
            parts.append(column[:, None] == levels)
        return np.concatenate(parts, axis=1).astype(np.float64)

    def decode(self, encoded: np.ndarray) -> np.ndarray:
        """The level with the largest indicator."""
        starts = np.cumsum([0, *self.numbers])
        parts = [
            levels[encoded[..., start : start + len(levels)].argmax(axis=-1)]
            for levels, start in zip(self.levels, starts, strict=False)
        ]
        return np.stack(parts, axis=-1)
