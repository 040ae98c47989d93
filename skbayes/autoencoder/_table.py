"""Rows of X as networks see them: kinds of columns side by side, and what was observed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import clone
from torch import Tensor

from skbayes.data._canonical import check_columns_seen
from skbayes.data._columns import BinaryColumns, ColumnsOfOneKind, LevelColumns, NumberColumns
from skbayes.data._tensors import Data
from skbayes.exceptions import IncompatiblePartsError
from skbayes.likelihoods import (
    COLUMN_LIKELIHOODS,
    BernoulliColumns,
    CategoricalColumns,
    Likelihood,
    StudentTColumns,
)
from skbayes.likelihoods._column_kinds import SampledBernoulliColumns
from skbayes.likelihoods._mixed import Columns, Mixed
from skbayes.utils._parameters import validate_params_of

#: Least noise that is learned, in standard deviations of a column: one without noise would
#: make the density infinite.
LEAST_NOISE = 1e-2


def table_of(estimator: Any, n_features: int) -> Table:
    """The table that an estimator's parameters describe."""
    names = getattr(estimator, "feature_names_in_", ())
    return Table.of(estimator.likelihood, n_features, estimator.scale_inputs, names)


class Table:
    """An encoding of columns of several kinds, side by side.

    Parameters
    ----------
    likelihoods : list of Likelihood
        Of each kind of columns.
    columns : list of ndarray of int
        Which columns of X each of them has.
    scale_inputs : {"column", "global"} or None
        Units of numbers.
    """

    def __init__(
        self, likelihoods: list[Likelihood], columns: list[np.ndarray], scale_inputs: str | None
    ) -> None:
        self.likelihoods, self.columns, self.scale_inputs = likelihoods, columns, scale_inputs
        self.parts = [_encoding(likelihood, scale_inputs) for likelihood in likelihoods]

    @classmethod
    def of(
        cls,
        likelihood: Any,
        n_features: int,
        scale_inputs: str | None,
        names: Sequence[str] = (),
    ) -> Table:
        """The table of a ``likelihood`` parameter: one for all columns, or a dict of columns."""
        chosen = _columns_by_kind(_by_number(likelihood, list(names)), n_features)
        return cls([_resolved(kind) for kind in chosen], list(chosen.values()), scale_inputs)

    @property
    def options(self) -> dict[str, Any]:
        """What decides how rows are encoded, as plain values by parameter."""
        each = zip(self.likelihoods, self.columns, strict=True)
        by_kind = {repr(likelihood): own.tolist() for likelihood, own in each}
        return {"likelihood": by_kind, "scale_inputs": self.scale_inputs}

    def fit(self, X: np.ndarray, weight: np.ndarray) -> Table:
        """Learn the encodings from rows (N, n_features)."""
        check_columns_seen(X)
        for part, own in zip(self.parts, self.columns, strict=True):
            part.fit(X[:, own], weight)
        return self

    @property
    def n_columns(self) -> int:
        """Columns of X."""
        return sum(part.n_columns for part in self.parts)

    @property
    def n_encoded(self) -> int:
        """Numbers that an encoder sees of a row."""
        return sum(part.n_encoded for part in self.parts)

    def encode(self, X: np.ndarray) -> np.ndarray:
        """Encoded rows (N, n_encoded), parts in their own order."""
        each = zip(self.parts, self.columns, strict=True)
        return np.concatenate([part.encode(X[:, own]) for part, own in each], axis=1)

    def observed(self, X: np.ndarray) -> np.ndarray:
        """Where values are not missing (N, n_columns), parts in their own order."""
        return ~np.isnan(X[:, np.concatenate(self.columns)])

    def decode(self, encoded: np.ndarray) -> np.ndarray:
        """Rows (..., n_features) in the units of X."""
        X = np.empty((*encoded.shape[:-1], self.n_columns))
        start = 0
        for part, own in zip(self.parts, self.columns, strict=True):
            X[..., own] = part.decode(encoded[..., start : start + part.n_encoded])
            start += part.n_encoded
        return X

    def log_scale(self, rows: Data) -> np.ndarray:
        """Log units (N,) of the observed values of rows."""
        complete = np.ones((1, self.n_columns))
        observed = complete if rows.observed is None else rows.observed.numpy()
        pieces = np.split(observed, np.cumsum([p.n_columns for p in self.parts]), axis=1)
        each = zip(self.parts, pieces, strict=False)
        return np.broadcast_to(sum(part.log_scale(own) for part, own in each), len(rows))

    @property
    def likelihood(self) -> Mixed:
        """The likelihood of encoded rows."""
        each = zip(self.likelihoods, self.parts, strict=True)
        return Mixed([Columns(_of_fitted(kind, part), tuple(part.numbers)) for kind, part in each])

    def holds_shares(self, y: Tensor) -> bool:
        """Whether binary columns of encoded rows hold other numbers than zeros and ones."""
        pieces = y.split([part.n_encoded for part in self.parts], dim=-1)
        each = zip(self.parts, pieces, strict=True)
        return any(bool(y.frac().any()) for part, y in each if isinstance(part, BinaryColumns))


def _encoding(likelihood: Likelihood, scale_inputs: str | None) -> ColumnsOfOneKind:
    """How the columns of a likelihood are encoded."""
    if isinstance(likelihood, BernoulliColumns):
        return BinaryColumns(likelihood.binarize)
    if isinstance(likelihood, CategoricalColumns):
        return LevelColumns()
    return NumberColumns(scale_inputs)


def _of_fitted(likelihood: Likelihood, part: ColumnsOfOneKind) -> Likelihood:
    """The likelihood of encoded columns."""
    if isinstance(part, LevelColumns):
        return CategoricalColumns(part.numbers)
    if isinstance(part, BinaryColumns):
        return SampledBernoulliColumns() if part.binarize == "sample" else BernoulliColumns()
    assert isinstance(part, NumberColumns)
    prepared: Any = likelihood.prepare(part.scaler.scale)
    normal = prepared.noise if isinstance(prepared, StudentTColumns) else prepared
    normal.floor = LEAST_NOISE
    return prepared


def _resolved(kind: str | Likelihood) -> Likelihood:
    """A copy of a likelihood of columns given by name or object, its parameters checked."""
    if isinstance(kind, str):
        return COLUMN_LIKELIHOODS[kind]()
    if kind.target == "classes" and not isinstance(kind, CategoricalColumns):
        raise IncompatiblePartsError(
            f"likelihood={kind!r} is one of labels; columns take one of "
            f"{sorted(COLUMN_LIKELIHOODS)} or a likelihood of numbers"
        )
    validate_params_of(kind)
    return clone(kind)


def _by_number(likelihood: Any, names: list[str]) -> Any:
    """The ``likelihood`` parameter with names of columns replaced by their numbers."""
    if not isinstance(likelihood, dict):
        return likelihood

    def number(column: Any) -> int:
        if not isinstance(column, str):
            return column
        if column not in names:
            raise ValueError(f"likelihood names the column {column!r}, which X does not have")
        return names.index(column)

    return {
        kind: [number(column) for column in np.atleast_1d(np.asarray(columns, dtype=object))]
        for kind, columns in likelihood.items()
    }


def _columns_by_kind(likelihood: Any, n_features: int) -> dict[Any, np.ndarray]:
    """Columns of each likelihood; every column of X has one."""
    if not isinstance(likelihood, dict):
        return {likelihood: np.arange(n_features)}
    unknown = [
        kind
        for kind in likelihood
        if not isinstance(kind, Likelihood) and kind not in COLUMN_LIKELIHOODS
    ]
    if unknown:
        raise ValueError(
            f"likelihood={likelihood!r} names {unknown}; use {sorted(COLUMN_LIKELIHOODS)}, or "
            "objects of skbayes.likelihoods"
        )
    columns = {kind: np.asarray(own, dtype=np.intp).ravel() for kind, own in likelihood.items()}
    columns = {kind: own for kind, own in columns.items() if len(own)}
    found = np.sort(np.concatenate([*columns.values()])) if columns else np.empty(0)
    if not np.array_equal(found, np.arange(n_features)):
        raise ValueError(
            f"likelihood={likelihood!r} must name each of the {n_features} columns of X once, "
            "by number from 0"
        )
    return columns
