"""Which estimator for some rows, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_consistent_length

#: Fewer rows than this say little beyond a linear model.
FEW_ROWS = 40
#: Rows from which a variational autoencoder pays.
MANY_ROWS = 5000
#: Integers with more values than this are numbers, not labels.
MOST_LABELS = 30
#: Units of the networks' hidden layer.
UNITS = 50


@dataclass(frozen=True)
class Suggestion:
    """An unfitted estimator, and why this one.

    Attributes
    ----------
    estimator : estimator
        With what the columns need before it, as a Pipeline.
    reasons : tuple of str
    """

    estimator: Any
    reasons: tuple[str, ...]

    def __repr__(self) -> str:
        return "\n".join([repr(self.estimator), *(f"- {reason}" for reason in self.reasons)])


def suggest(X: Any, y: Any = None) -> Suggestion:
    """Suggest an estimator by the size and kind of the data, and say why.

    A rule of thumb: it looks at shapes and types, and fits nothing.

    Parameters
    ----------
    X : array-like or frame of shape (n_rows, n_features)
        Rows.
    y : array-like of shape (n_rows,) or (n_rows, n_targets), optional
        Labels or numbers; None asks for an estimator of the rows themselves.

    Returns
    -------
    suggestion : Suggestion
        Shows the estimator and the reasons; ``suggestion.estimator.fit(X, y)`` takes it.

    Raises
    ------
    ValueError
        If no estimator takes such targets; the message says what to do.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> import skbayes
    >>> skbayes.suggest(*load_iris(return_X_y=True))
    BayesianMLPClassifier()
    - 150 labelled rows of 4 columns, 3 classes
    - small enough to sample the posterior: inference="auto" takes "hmc"
    - to be quicker, set_params(inference="laplace")
    - beside it, BayesianLogisticRegression() takes a second; compare neg_log_loss on folds
    """
    frame = X if hasattr(X, "columns") else np.asarray(X)
    if len(np.shape(frame)) != 2:
        raise ValueError(f"X has shape {np.shape(frame)}; give a table (n_rows, n_features)")
    if y is None:
        model, reasons = _of_rows(frame)
    else:
        check_consistent_length(frame, y)
        model, reasons = _of_targets(frame, y)
    before, remarks = _preparation(frame, holes_are_fine=y is None)
    estimator = make_pipeline(before, model) if before is not None else model
    return Suggestion(estimator, (*remarks, *reasons))


def _of_rows(X: Any) -> tuple[Any, list[str]]:
    """An estimator of rows without targets."""
    from skbayes import PPCA, VAETransformer, VariationalGMM

    n_rows, n_columns = np.shape(X)
    size = f"{n_rows} rows of {n_columns} columns, without targets"
    groups = "for groups and a density of rows, VariationalGMM(10)"
    if n_rows >= MANY_ROWS and n_columns > 3:
        return VAETransformer(), [
            size,
            "enough rows to learn curved latents; PPCA() is the straight and exact baseline",
            groups,
        ]
    if n_columns > 3:
        return PPCA(), [
            size,
            "components with error bars, their number by the evidence, holes filled by impute(X)",
            groups,
        ]
    return VariationalGMM(10), [
        size,
        "at most 10 groups, as many as the rows support, and a density of rows",
    ]


def _of_targets(X: Any, y: Any) -> tuple[Any, list[str]]:
    """A predictor of targets."""
    n_rows, n_columns = np.shape(X)
    kind, values = type_of_target(y, input_name="y"), np.asarray(y)
    n_values = len(np.unique(values)) if values.ndim == 1 else 0
    counted = kind == "multiclass" and values.dtype.kind in "iu" and n_values > MOST_LABELS
    if kind in ("binary", "multiclass") and not counted:
        size = f"{n_rows} labelled rows of {n_columns} columns, {n_values} classes"
        return _by_size(n_rows, n_columns, n_values, size, classes=True)
    if counted or kind in ("continuous", "continuous-multioutput", "multiclass-multioutput"):
        n_targets = 1 if values.ndim == 1 else values.shape[1]
        target = "target" if n_targets == 1 else "targets"
        size = f"{n_rows} rows of {n_columns} columns, {n_targets} numeric {target}"
        size += f"; y holds {n_values} different integers, taken as numbers" if counted else ""
        return _by_size(n_rows, n_columns, n_targets, size, classes=False)
    raise ValueError(
        f"y is of kind {kind!r}, which no estimator here takes; for several labels a row use "
        "sklearn.multioutput.MultiOutputClassifier(BayesianMLPClassifier())"
    )


def _by_size(
    n_rows: int, n_columns: int, n_outputs: int, size: str, classes: bool
) -> tuple[Any, list[str]]:
    """A linear model, a sampled network or an ensemble."""
    from skbayes import (
        BayesianLinearRegression,
        BayesianLogisticRegression,
        BayesianMLPClassifier,
        BayesianMLPRegressor,
    )
    from skbayes.neural_network._base import AUTO_SAMPLING_WORK

    linear = BayesianLogisticRegression() if classes else BayesianLinearRegression()
    network = BayesianMLPClassifier() if classes else BayesianMLPRegressor()
    if n_rows < max(FEW_ROWS, n_columns):
        why = "so few rows say little beyond a linear model, whose posterior is "
        why += "normal here and its evidence accurate" if classes else "exact"
        return linear, [size, why]
    score = "neg_log_loss" if classes else "neg_log_predictive_scorer"
    takes = "a second" if classes else "milliseconds"
    beside = f"beside it, {linear!r} takes {takes}; compare {score} on folds"
    weights = UNITS * (n_columns + 1) + n_outputs * (UNITS + 1)
    if n_rows * weights <= AUTO_SAMPLING_WORK:
        return network, [
            size,
            'small enough to sample the posterior: inference="auto" takes "hmc"',
            'to be quicker, set_params(inference="laplace")',
            beside,
        ]
    return network, [
        size,
        'too large to sample by default: inference="auto" trains a deep ensemble',
        "where only accuracy counts, gradient boosting comes first",
        beside,
    ]


def _preparation(X: Any, holes_are_fine: bool) -> tuple[Any, list[str]]:
    """What the columns need first, and why; None where they need nothing."""
    if not hasattr(X, "columns"):
        if X.dtype.kind not in "fiub":
            raise ValueError(
                f"X is an array of {X.dtype}; give numbers, or a frame whose columns have types"
            )
        holes = X.dtype.kind == "f" and bool(np.isnan(X).any())
        if holes and not holes_are_fine:
            return SimpleImputer(add_indicator=True), [_holes()]
        return None, []
    names = list(X.columns)
    text = [name for name in names if not _is_numeric(X[name])]
    numbers = [name for name in names if name not in text]
    holes = any(bool(np.isnan(np.asarray(X[name], dtype=float)).any()) for name in numbers)
    fill = holes and not (holes_are_fine and not text)
    if not text and not fill:
        return None, []
    parts, remarks = [], []
    if text:
        parts.append((OneHotEncoder(handle_unknown="ignore", sparse_output=False), text))
        remarks.append(f"{text} are no numbers: one column for each level")
    if numbers:
        parts.append((SimpleImputer(add_indicator=True) if fill else "passthrough", numbers))
    if fill:
        remarks.append(_holes())
    return make_column_transformer(*parts), remarks


def _holes() -> str:
    return "X has holes: filled by means, and marked; PPCA().impute(X, n_samples) draws them"


def _is_numeric(column: Any) -> bool:
    """Whether a column of a frame, of whichever library, holds numbers or booleans."""
    dtype: Any = getattr(column, "dtype", None)
    if hasattr(dtype, "is_numeric"):  # polars
        return bool(dtype.is_numeric()) or str(dtype) == "Boolean"
    return getattr(dtype, "kind", "O") in "fiub"
