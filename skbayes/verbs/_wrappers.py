"""The way through scikit-learn's wrappers to the estimator inside, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
from sklearn.pipeline import Pipeline
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.utils.validation import check_is_fitted

from skbayes.base._predictive import as_float

#: Transformed targets at which a transformer is held against a straight line.
PROBES = np.array([-1000.0, -30.0, -3.0, -1.0, 0.0, 1.0, 3.0, 30.0, 1000.0])
#: Largest departure from the line, relative to the largest value on it.
LINEAR_RTOL = 1e-8

#: Wrappers that hold one fitted classifier, in ``estimator_``.
HOLD_ONE = (FixedThresholdClassifier, TunedThresholdClassifierCV, SelfTrainingClassifier)
#: Verbs whose answers carry through any function of the target that rises or falls throughout.
ORDERED_VERBS = ("predict_interval", "predict_quantiles", "sample_y", "extend")
_WRAPPERS = (
    "a Pipeline, search object, FrozenEstimator, TransformedTargetRegressor, "
    "CalibratedClassifierCV, threshold or self-training classifier"
)
_INSTEAD = {
    "predict_quantiles": "for class labels use skbayes.predict_uncertainty",
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


class Monotone:
    """y = the inverse of a target transformer at z, which rises or falls throughout.

    Quantiles and draws carry over; standard deviations and densities do not.
    """

    def __init__(self, transformers: list[Any]) -> None:
        self.transformers = transformers

    def locations(self, z: np.ndarray, axis: int = 1) -> np.ndarray:
        """Map locations whose targets lie along ``axis``, or that have one target."""
        n_targets = getattr(self.transformers[0], "n_features_in_", 1)
        table = (np.moveaxis(z, axis, -1) if n_targets > 1 else z).reshape(-1, n_targets)
        found = table.astype(np.float64)
        for transformer in self.transformers:
            found = np.asarray(transformer.inverse_transform(found), dtype=np.float64)
        order = np.argsort(table, axis=0, kind="stable")
        steps = np.diff(np.take_along_axis(found.reshape(table.shape), order, axis=0), axis=0)
        if not ((steps >= 0).all(axis=0) | (steps <= 0).all(axis=0)).all():
            raise TypeError(
                f"the transformer {type(self.transformers[0]).__name__} of a "
                "TransformedTargetRegressor neither rises nor falls throughout, so that quantiles "
                "and draws do not carry over; use one that does, such as a logarithm, or ask its "
                "regressor_ and keep in mind that the answer is in transformed units"
            )
        if n_targets == 1:
            return as_float(found.reshape(z.shape), z.dtype)
        shape = np.moveaxis(z, axis, -1).shape
        return as_float(np.moveaxis(found.reshape(shape), -1, axis), z.dtype)


@dataclass(frozen=True)
class Reached:
    """The estimator inside wrappers, rows as it sees them, and the ways back to y and to rows."""

    estimator: Any
    X: Any
    #: An `Affine`, or a `Monotone` for `ORDERED_VERBS`; None where targets are as they were.
    affine: Any = None
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
        elif isinstance(estimator, HOLD_ONE):
            check_is_fitted(estimator)
            estimator = estimator.estimator_
        elif hasattr(estimator, "best_estimator_") or hasattr(estimator, "refit"):
            estimator = _best(estimator)
        elif isinstance(estimator, FrozenEstimator):
            estimator = estimator.estimator
        elif isinstance(estimator, TransformedTargetRegressor):
            check_is_fitted(estimator)
            target_transformers.append(estimator.transformer_)
            _way_back(target_transformers, verb)  # which refuses at once what does not carry over
            estimator = estimator.regressor_
        elif isinstance(estimator, CalibratedClassifierCV):
            estimator = _the_calibrated(estimator, verb)
        else:
            raise TypeError(_no_verb(estimator, verb))
        frozen |= isinstance(estimator, FrozenEstimator)
    return Reached(
        estimator,
        X,
        _way_back(target_transformers, verb),
        tuple(transformers),
        tuple(target_transformers),
        frozen,
    )


def _the_calibrated(wrapper: Any, verb: str) -> Any:
    """The one estimator whose probabilities are calibrated."""
    check_is_fitted(wrapper)
    inside = [each.estimator for each in wrapper.calibrated_classifiers_]
    if len(inside) > 1:
        raise TypeError(
            f"skbayes.{verb} met a CalibratedClassifierCV that holds {len(inside)} classifiers, "
            "one a fold; set ensemble=False, or ask one of them: "
            "calibrated_classifiers_[0].estimator"
        )
    return inside[0]


def _way_back(transformers: list[Any], verb: str) -> Affine | Monotone | None:
    """From targets as the estimator saw them to those that the wrappers were given."""
    lines: list[Affine] = []
    for transformer in transformers:
        line = _straight_line(transformer)
        if line is None and verb in ORDERED_VERBS and all(map(_acts_by_column, transformers)):
            return Monotone(transformers[::-1])
        if line is None:
            raise TypeError(
                f"skbayes.{verb} cannot reach through a TransformedTargetRegressor whose "
                f"transformer {type(transformer).__name__} is not linear in each target: standard "
                "deviations and densities do not carry over, quantiles do. Use predict_interval, "
                "predict_quantiles or sample_y, a linear transformer such as StandardScaler, or "
                "ask its regressor_ and keep in mind that the answer is in transformed units"
            )
        lines.append(line)
    way: Affine | None = None
    for line in lines:
        way = line if way is None else way.after(line)
    return way


def _no_verb(estimator: Any, verb: str) -> str:
    remedy, name = _INSTEAD.get(verb), type(estimator).__name__
    if remedy is None or not hasattr(estimator, "predict_std"):
        remedy = f"give a fitted skbayes estimator, bare or last inside {_WRAPPERS}"
    if hasattr(estimator, "estimators_"):
        remedy = f"{name} holds several estimators; ask one of its estimators_"
    return f"skbayes.{verb} met {name}, which has no {verb} method; {remedy}"


def _best(search: Any) -> Any:
    check_is_fitted(search)
    if not hasattr(search, "best_estimator_"):
        raise TypeError(
            f"{type(search).__name__}(refit={search.refit!r}) keeps no best_estimator_; "
            "set refit=True and fit again"
        )
    return search.best_estimator_


def _acts_by_column(transformer: Any) -> bool:
    """Whether each target is a function of one transformed target."""
    n_targets = getattr(transformer, "n_features_in_", 1)
    others = ~np.eye(n_targets, dtype=bool)
    moved = np.vstack([np.zeros(n_targets), np.eye(n_targets)])
    with np.errstate(all="ignore"):
        values = np.asarray(transformer.inverse_transform(moved), dtype=np.float64)
    return bool((values[1:] == values[0])[others].all())


def _straight_line(transformer: Any) -> Affine | None:
    """The line that a fitted target transformer's inverse follows, if it does."""
    n_targets = getattr(transformer, "n_features_in_", 1)
    probes = np.zeros((n_targets, len(PROBES), n_targets))
    for target in range(n_targets):
        probes[target, :, target] = PROBES
    probes = probes.reshape(-1, n_targets)
    with np.errstate(all="ignore"):
        values = np.asarray(transformer.inverse_transform(probes), dtype=np.float64)
    if values.shape != probes.shape or not np.isfinite(values).all():
        return None
    offset = values[len(PROBES) // 2]
    ends = values.reshape(n_targets, len(PROBES), n_targets)[:, [0, -1]]
    slope = np.diagonal(ends[:, 1] - ends[:, 0]) / (PROBES[-1] - PROBES[0])
    error = np.abs(values - (slope * probes + offset)).max(axis=0)
    straight = (slope != 0).all() and (error <= LINEAR_RTOL * np.abs(values).max(axis=0)).all()
    return Affine(slope, offset) if straight else None
