"""Rows of X as networks see them: kinds of columns side by side, and what was observed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skbayes.autoencoder._columns import COLUMN_KINDS, Columns
from skbayes.autoencoder._networks import Weights
from skbayes.data._canonical import check_columns_seen


@dataclass(frozen=True)
class Rows:
    """Encoded rows as tensors.

    Attributes
    ----------
    table : Tensor of shape (N, n_encoded)
        Encoded columns; missing values are zeros.
    observed : Tensor of shape (N, n_columns) or None
        Ones where a value was observed; None where all were.
    context : Tensor of shape (N, n_context) or None
        What a conditional model is given.
    weight : Tensor of shape (N,) or None
        Weights; None where all are equal.
    """

    table: Tensor
    observed: Tensor | None = None
    context: Tensor | None = None
    weight: Tensor | None = None

    def __len__(self) -> int:
        return len(self.table)

    def rows(self, index: Any) -> Rows:
        """The chosen rows."""
        return self._each(lambda part: part[index])

    def to(self, kind: torch.dtype | str) -> Rows:
        """The same rows in another precision, or on another device."""
        return self._each(lambda part: part.to(kind))

    def _each(self, function: Callable[[Tensor], Tensor]) -> Rows:
        beside = (self.observed, self.context, self.weight)
        return Rows(function(self.table), *(None if p is None else function(p) for p in beside))


#: Parameters of estimators, beside ``likelihood``, that decide how rows are encoded.
OPTIONS = ("noise_variance", "scale_inputs", "binarize")


def table_of(estimator: Any, n_features: int) -> Table:
    """The table that an estimator's parameters describe."""
    options = {name: getattr(estimator, name) for name in OPTIONS}
    names = getattr(estimator, "feature_names_in_", ())
    return Table.of(estimator.likelihood, n_features, options, names)


class Table:
    """Kinds of columns side by side; the likelihood of a row given the decoder's outputs.

    Parameters
    ----------
    parts : dict of str to Columns
        Kinds by name.
    columns : dict of str to ndarray of int
        Which columns of X each of them holds.
    options : dict
        What decides how rows are encoded, as plain values by parameter.
    """

    def __init__(
        self, parts: dict[str, Columns], columns: dict[str, np.ndarray], options: dict[str, Any]
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
        numeric = (options["noise_variance"], options["scale_inputs"])
        arguments = {
            "gaussian": numeric,
            "student_t": numeric,
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

    @property
    def n_outputs(self) -> int:
        """Numbers that a decoder gives for a row."""
        return sum(part.n_outputs for part in self.parts.values())

    @property
    def weight_scales(self) -> Tensor:
        """Widths (n_outputs,) of the prior of the weights that feed each output."""
        each = [torch.full((p.n_outputs,), p.weight_scale) for p in self.parts.values()]
        return torch.cat(each)

    def encode(self, X: np.ndarray) -> np.ndarray:
        """Encoded rows (N, n_encoded), parts in their own order."""
        encoded = [part.encode(X[:, self.columns[kind]]) for kind, part in self.parts.items()]
        return np.concatenate(encoded, axis=1)

    def observed(self, X: np.ndarray) -> np.ndarray:
        """Where values are not missing (N, n_columns), parts in their own order."""
        return ~np.isnan(X[:, np.concatenate([*self.columns.values()])])

    def of_kind(self, table: Tensor, kind: type[Columns]) -> Tensor:
        """Encoded columns (N, n) of one kind."""
        pieces = table.split([part.n_encoded for part in self.parts.values()], dim=-1)
        each = zip(self.parts.values(), pieces, strict=True)
        chosen = [piece for part, piece in each if isinstance(part, kind)]
        return torch.cat(chosen, dim=-1) if chosen else table[:, :0]

    def per_number(self, values: Tensor) -> Tensor:
        """Values of columns (N, n_columns), repeated for each encoded number of a column."""
        if self.n_encoded == self.n_columns:
            return values
        counts = np.concatenate([part.numbers_per_column for part in self.parts.values()])
        return values.repeat_interleave(torch.as_tensor(counts), dim=-1)

    def decode(self, encoded: np.ndarray) -> np.ndarray:
        """Rows (..., n_features) in the units of X."""
        X = np.empty((*encoded.shape[:-1], self.n_columns))
        start = 0
        for kind, part in self.parts.items():
            X[..., self.columns[kind]] = part.decode(encoded[..., start : start + part.n_encoded])
            start += part.n_encoded
        return X

    def log_scale(self, rows: Rows) -> np.ndarray:
        """Log units (N,) of the observed values of rows."""
        complete = np.ones((1, self.n_columns))
        observed = complete if rows.observed is None else rows.observed.numpy()
        pieces = np.split(observed, np.cumsum([p.n_columns for p in self.parts.values()]), axis=1)
        each = zip(self.parts.values(), pieces, strict=False)
        return np.broadcast_to(sum(part.log_scale(own) for part, own in each), len(rows))

    def init(self) -> Weights:
        """Parameters of the noise of all parts."""
        return {
            f"{kind}.{name}": value
            for kind, part in self.parts.items()
            for name, value in part.init().items()
        }

    def refresh(self, table: Tensor, generator: torch.Generator) -> Tensor:
        """What a training step sees in place of encoded rows."""
        if len(self.parts) == 1:
            return next(iter(self.parts.values())).refresh(table, generator)
        pieces = table.split([part.n_encoded for part in self.parts.values()], dim=-1)
        fresh = zip(self.parts.values(), pieces, strict=True)
        return torch.cat([part.refresh(piece, generator) for part, piece in fresh], dim=-1)

    def log_prob(self, rows: Rows, outputs: Tensor, noise: Weights) -> Tensor:
        """Log density (..., N) of encoded rows given the decoder's outputs (..., N, n_outputs)."""
        terms = [
            part.log_prob(table, observed, output, own)
            for part, own, table, observed, output in self._split(noise, rows, outputs)
        ]
        return terms[0] if len(terms) == 1 else torch.stack(terms).sum(0)

    def mean(self, outputs: Tensor) -> Tensor:
        """Mean (..., n_encoded) of encoded rows."""
        pieces = outputs.split([part.n_outputs for part in self.parts.values()], dim=-1)
        each = zip(self.parts.values(), pieces, strict=True)
        return torch.cat([part.mean(piece) for part, piece in each], dim=-1)

    def sample(self, outputs: Tensor, noise: Weights, generator: torch.Generator) -> Tensor:
        """Draws (..., n_encoded) of encoded rows."""
        pieces = outputs.split([part.n_outputs for part in self.parts.values()], dim=-1)
        each = zip(self.parts.items(), pieces, strict=True)
        return torch.cat(
            [part.sample(piece, _own(noise, kind), generator) for (kind, part), piece in each],
            dim=-1,
        )

    def whiten(self, moves: Tensor, rows: Rows, outputs: Tensor, noise: Weights) -> Tensor:
        """Moves (q, N, n) of the outputs whose squares sum to the Fisher information."""
        pieces = moves.split([part.n_outputs for part in self.parts.values()], dim=-1)
        each = zip(self._split(noise, rows, outputs), pieces, strict=True)
        return torch.cat(
            [
                part.whiten(piece, observed, output, own)
                for (part, own, _, observed, output), piece in each
            ],
            dim=-1,
        )

    def _split(self, noise: Weights, rows: Rows, outputs: Tensor) -> list[tuple]:
        """Part, its noise, table, observed values and outputs, for each part."""
        if len(self.parts) == 1:
            ((kind, part),) = self.parts.items()
            return [(part, _own(noise, kind), rows.table, rows.observed, outputs)]
        parts = self.parts.values()
        tables = rows.table.split([part.n_encoded for part in parts], dim=-1)
        pieces = outputs.split([part.n_outputs for part in parts], dim=-1)
        observed: Any = [None] * len(pieces)
        if rows.observed is not None:
            observed = rows.observed.split([part.n_columns for part in parts], dim=-1)
        noises = [_own(noise, kind) for kind in self.parts]
        return list(zip(parts, noises, tables, observed, pieces, strict=True))


def _own(noise: Weights, kind: str) -> Weights:
    """Parameters of one part's noise."""
    head = f"{kind}."
    return {name.removeprefix(head): v for name, v in noise.items() if name.startswith(head)}


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
