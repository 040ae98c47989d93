"""The way through scikit-learn's wrappers to the estimator inside, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skbayes.base._estimator import as_float

#: Transformed targets at which a transformer is held against a straight line.
PROBES = np.array([-1000.0, -30.0, -3.0, -1.0, 0.0, 1.0, 3.0, 30.0, 1000.0])
#: Largest departure from the line, relative to the largest value on it.
LINEAR_RTOL = 1e-8

_WRAPPERS = "a Pipeline, search object, FrozenEstimator or TransformedTargetRegressor"
_INSTEAD = {
    "predict_interval": "for class labels use skbayes.predict_std or skbayes.predict_uncertainty",
}


@dataclass(frozen=True)
class Affine:
    """y = slope * z + offset, column by column."""

    slope: np.ndarray
    offset: np.ndarray

    def after(self, inner: Affine | None) -> Affine:
        """The map of ``inner`` followed by this one."""
        if inner is None:
            return self
        return Affine(self.slope * inner.slope, self.slope * inner.offset + self.offset)

    @property
    def log_slope(self) -> float:
        """Log of the volume that a unit volume of z takes in y."""
        return float(np.log(np.abs(self.slope)).sum())

    def locations(self, z: np.ndarray, axis: int = 1) -> np.ndarray:
        """Map locations whose targets lie along ``axis``, or that have one target."""
        return as_float(_along(self.slope, z, axis) * z + _along(self.offset, z, axis), z.dtype)

    def spreads(self, z: np.ndarray) -> np.ndarray:
        """Map standard deviations (n_rows,) or (n_rows, n_targets)."""
        return as_float(_along(np.abs(self.slope), z, 1) * z, z.dtype)

    def targets(self, y: Any) -> np.ndarray:
        """Map targets back: z of y."""
        y = np.asarray(y, dtype=np.float64)
        return (y - _along(self.offset, y, 1)) / _along(self.slope, y, 1)


def _along(values: np.ndarray, like: np.ndarray, axis: int) -> np.ndarray:
    """Put one value a target along ``axis`` of ``like``; a single target fits any shape."""
    if len(values) == 1:
        return values[0]
    return np.expand_dims(values, tuple(i for i in range(like.ndim) if i != axis % like.ndim))


@dataclass(frozen=True)
class Reached:
    """The estimator inside wrappers, rows as it sees them, and the ways back to y and to rows."""

    estimator: Any
    X: Any
    affine: Affine | None = None
    #: What transforms rows before the estimator sees them, outermost first.
    transformers: tuple[Any, ...] = ()
    #: The same for targets.
    target_transformers: tuple[Any, ...] = ()
    #: Whether a FrozenEstimator holds it.
    frozen: bool = False

    def inner_targets(self, y: Any) -> Any:
        """Targets to the bit as the estimator was fitted to them."""
        for transformer in self.target_transformers:
            y = np.asarray(y)
            moved = transformer.transform(y.reshape(len(y), -1))
            y = moved[:, 0] if y.ndim == 1 else moved
        return y


def reach(estimator: Any, verb: str, X: Any = None) -> Reached:
    """Go through wrappers until an estimator with the verb is met."""
    affine: Affine | None = None
    transformers: list[Any] = []
    target_transformers: list[Any] = []
    frozen = isinstance(estimator, FrozenEstimator)
    while not hasattr(estimator, verb):
        if isinstance(estimator, Pipeline):
            check_is_fitted(estimator)
            if len(estimator.steps) > 1:
                transformers.append(estimator[:-1])
                X = X if X is None else transformers[-1].transform(X)
            estimator = estimator.steps[-1][1]
        elif hasattr(estimator, "best_estimator_") or hasattr(estimator, "refit"):
            estimator = _best(estimator)
        elif isinstance(estimator, FrozenEstimator):
            estimator = estimator.estimator
        elif isinstance(estimator, TransformedTargetRegressor):
            check_is_fitted(estimator)
            line = _straight_line(estimator.transformer_, verb)
            affine = line if affine is None else affine.after(line)
            target_transformers.append(estimator.transformer_)
            estimator = estimator.regressor_
        else:
            raise TypeError(_no_verb(estimator, verb))
        frozen |= isinstance(estimator, FrozenEstimator)
    ways = tuple(transformers), tuple(target_transformers)
    return Reached(estimator, X, affine, *ways, frozen)


def _no_verb(estimator: Any, verb: str) -> str:
    remedy = _INSTEAD.get(verb)
    if remedy is None or not hasattr(estimator, "predict_std"):
        remedy = f"give a fitted skbayes estimator, bare or last inside {_WRAPPERS}"
    return f"skbayes.{verb} met {type(estimator).__name__}, which has no {verb} method; {remedy}"


def _best(search: Any) -> Any:
    check_is_fitted(search)
    if not hasattr(search, "best_estimator_"):
        raise TypeError(
            f"{type(search).__name__}(refit={search.refit!r}) keeps no best_estimator_; "
            "set refit=True and fit again"
        )
    return search.best_estimator_


def _straight_line(transformer: Any, verb: str) -> Affine:
    """The line that a fitted target transformer's inverse follows, or a TypeError."""
    n_targets = getattr(transformer, "n_features_in_", 1)
    probes = np.zeros((n_targets, len(PROBES), n_targets))
    for target in range(n_targets):
        probes[target, :, target] = PROBES
    probes = probes.reshape(-1, n_targets)
    with np.errstate(all="ignore"):
        values = np.asarray(transformer.inverse_transform(probes), dtype=np.float64)
    if values.shape == probes.shape and np.isfinite(values).all():
        offset = values[len(PROBES) // 2]
        ends = values.reshape(n_targets, len(PROBES), n_targets)[:, [0, -1]]
        slope = np.diagonal(ends[:, 1] - ends[:, 0]) / (PROBES[-1] - PROBES[0])
        error = np.abs(values - (slope * probes + offset)).max(axis=0)
        if (slope != 0).all() and (error <= LINEAR_RTOL * np.abs(values).max(axis=0)).all():
            return Affine(slope, offset)
    raise TypeError(
        f"skbayes.{verb} cannot reach through a TransformedTargetRegressor whose transformer "
        f"{type(transformer).__name__} is not linear in each target: standard deviations and "
        "densities do not carry over. Use a linear transformer such as StandardScaler, or ask "
        "its regressor_ and keep in mind that the answer is in transformed units"
    )
