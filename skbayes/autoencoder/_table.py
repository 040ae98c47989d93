"""Rows of X as networks see them: kinds of columns side by side, and what was observed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from skbayes.data._canonical import check_columns_seen
from skbayes.data._columns import (
    COLUMN_KINDS,
    BinaryColumns,
    ColumnsOfOneKind,
    LevelColumns,
    NumberColumns,
)
from skbayes.data._tensors import Data
from skbayes.likelihoods import (
    BernoulliColumns,
    Gaussian,
    Heteroscedastic,
    Likelihood,
    SharedGaussian,
)
from skbayes.likelihoods._columns import (
    CategoricalColumns,
    SampledBernoulliColumns,
    StudentTColumns,
)
from skbayes.likelihoods._mixed import Columns, Mixed

#: Least noise that is learned, in standard deviations of a column: one without noise would
#: make the density infinite.
LEAST_NOISE = 1e-2

#: Parameters of estimators, beside ``likelihood``, that decide how rows are encoded.
OPTIONS = ("noise_variance", "scale_inputs", "binarize")


def table_of(estimator: Any, n_features: int) -> Table:
    """The table that an estimator's parameters describe."""
    options = {name: getattr(estimator, name) for name in OPTIONS}
    names = getattr(estimator, "feature_names_in_", ())
    return Table.of(estimator.likelihood, n_features, options, names)


class Table:
    """An encoding of columns of several kinds, side by side.

    Parameters
    ----------
    parts : dict of str to ColumnsOfOneKind
        Kinds by name.
    columns : dict of str to ndarray of int
        Which columns of X each of them holds.
    options : dict
        What decides how rows are encoded, as plain values by parameter.
    """

    def __init__(
        self,
        parts: dict[str, ColumnsOfOneKind],
        columns: dict[str, np.ndarray],
        options: dict[str, Any],
    ) -> None:
        self.parts, self.columns = parts, columns
        by_kind = {kind: own.tolist() for kind, own in columns.items()}
        self.options = {"likelihood": by_kind} | options

    @classmethod
    def of(
        cls, likelihood: Any, n_features: int, options: dict[str, Any], names: Sequence[str] = ()
    ) -> Table:
        """The table of a ``likelihood`` parameter, a kind or a dict of columns by kind."""
        chosen = _columns_by_kind(_by_number(likelihood, list(names)), n_features)
        arguments = {
            "gaussian": (options["scale_inputs"],),
            "student_t": (options["scale_inputs"],),
            "bernoulli": (options["binarize"],),
            "categorical": (),
        }
        parts = {kind: COLUMN_KINDS[kind](*arguments[kind]) for kind in chosen}
        return cls(parts, chosen, options)

    def fit(self, X: np.ndarray, weight: np.ndarray) -> Table:
        """Learn the encodings from rows (N, n_features)."""
        check_columns_seen(X)
        for kind, part in self.parts.items():
            part.fit(X[:, self.columns[kind]], weight)
        return self

    @property
    def n_columns(self) -> int:
        """Columns of X."""
        return sum(part.n_columns for part in self.parts.values())

    @property
    def n_encoded(self) -> int:
        """Numbers that an encoder sees of a row."""
        return sum(part.n_encoded for part in self.parts.values())

    def encode(self, X: np.ndarray) -> np.ndarray:
        """Encoded rows (N, n_encoded), parts in their own order."""
        encoded = [part.encode(X[:, self.columns[kind]]) for kind, part in self.parts.items()]
        return np.concatenate(encoded, axis=1)

    def observed(self, X: np.ndarray) -> np.ndarray:
        """Where values are not missing (N, n_columns), parts in their own order."""
        return ~np.isnan(X[:, np.concatenate([*self.columns.values()])])

    def decode(self, encoded: np.ndarray) -> np.ndarray:
        """Rows (..., n_features) in the units of X."""
        X = np.empty((*encoded.shape[:-1], self.n_columns))
        start = 0
        for kind, part in self.parts.items():
            X[..., self.columns[kind]] = part.decode(encoded[..., start : start + part.n_encoded])
            start += part.n_encoded
        return X

    def log_scale(self, rows: Data) -> np.ndarray:
        """Log units (N,) of the observed values of rows."""
        complete = np.ones((1, self.n_columns))
        observed = complete if rows.observed is None else rows.observed.numpy()
        pieces = np.split(observed, np.cumsum([p.n_columns for p in self.parts.values()]), axis=1)
        each = zip(self.parts.values(), pieces, strict=False)
        return np.broadcast_to(sum(part.log_scale(own) for part, own in each), len(rows))

    @property
    def likelihood(self) -> Mixed:
        """The likelihood of encoded rows."""
        noise = self.options["noise_variance"]
        parts = []
        for kind, part in self.parts.items():
            likelihood: Likelihood
            if isinstance(part, LevelColumns):
                likelihood = CategoricalColumns(part.numbers)
            elif isinstance(part, BinaryColumns):
                drawn = part.binarize == "sample"
                likelihood = SampledBernoulliColumns() if drawn else BernoulliColumns()
            else:
                assert isinstance(part, NumberColumns)
                normal = _normal(noise, part.scaler.scale)
                likelihood = StudentTColumns(normal) if kind == "student_t" else normal
            parts.append(Columns(likelihood, tuple(part.numbers)))
        return Mixed(parts)

    def holds_shares(self, y: Tensor) -> bool:
        """Whether binary columns of encoded rows hold other numbers than zeros and ones."""
        pieces = y.split([part.n_encoded for part in self.parts.values()], dim=-1)
        each = zip(self.parts.values(), pieces, strict=True)
        return any(bool(y.frac().any()) for part, y in each if isinstance(part, BinaryColumns))


def _normal(noise: str | float, scale: np.ndarray) -> Any:
    """Normal noise, by a ``noise_variance`` parameter."""
    if not isinstance(noise, str):
        return Gaussian(noise=float(noise) ** 0.5).prepare(scale)
    kinds: dict[str, Any]
    kinds = {"shared": SharedGaussian, "feature": Gaussian, "input": Heteroscedastic}
    normal = kinds[noise]()
    normal.floor = LEAST_NOISE
    return normal


def _by_number(likelihood: Any, names: list[str]) -> Any:
    """The ``likelihood`` parameter with names of columns replaced by their numbers."""
    if isinstance(likelihood, str):
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


def _columns_by_kind(likelihood: Any, n_features: int) -> dict[str, np.ndarray]:
    """Columns of each kind; every column of X has one kind."""
    if isinstance(likelihood, str):
        return {likelihood: np.arange(n_features)}
    if unknown := set(likelihood) - set(COLUMN_KINDS):
        raise ValueError(
            f"likelihood={likelihood!r} names {sorted(unknown)}; use the kinds "
            f"{sorted(COLUMN_KINDS)}"
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
