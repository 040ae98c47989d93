"""Regressors: numbers of one or several columns, and every verb that speaks of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils import Bunch
from sklearn.utils.validation import check_array

from skbayes.base._estimator import BayesianEstimator
from skbayes.base._kinds import KINDS
from skbayes.base._predictive import NumericPredictive, as_float
from skbayes.base._predictor import Predictor
from skbayes.data._tables import validate_data
from skbayes.utils._threads import LimitsThreads


class NumericVerbs(LimitsThreads):
    """The spread of numbers, whether they are targets or rebuilt rows."""

    _n_targets: int
    _y_ndim = 2
    _check_kind: Callable[..., None]

    def _predictive(self, X: Any) -> NumericPredictive:
        raise NotImplementedError(f"{type(self).__name__} must define _predictive")

    def _shape(self, values: np.ndarray, dtype: np.dtype, axis: int = 1) -> np.ndarray:
        """Drop the axis of targets where fit saw a one-dimensional y."""
        return as_float(values.take(0, axis) if self._y_ndim == 1 else values, dtype)

    def predict_std(self, X: Any, kind: str = "total") -> np.ndarray:
        """Compute the posterior predictive standard deviation, in the units of what is predicted.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows to predict, as `fit` takes them.
        kind : {"total", "epistemic", "aleatoric"}, default="total"
            Of a new observation, of its mean (what more data would shrink), or of the
            noise; their squares add up.

        Returns
        -------
        std : ndarray, shaped as `predict` returns the mean

        Raises
        ------
        ValueError
            If the predictive is a Student-t of at most two degrees of freedom, which has
            no variance.
        """
        self._check_kind(kind)
        predictive = self._predictive(X)
        return self._shape(predictive.std(kind), predictive.dtype)

    def predict_quantiles(self, X: Any, quantiles: Any = (0.05, 0.5, 0.95)) -> np.ndarray:
        """Compute quantiles of the posterior predictive distribution.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows to predict, as `fit` takes them.
        quantiles : float or array-like of shape (n_quantiles,), default=(0.05, 0.5, 0.95)
            Probabilities below, between 0 and 1.

        Returns
        -------
        quantiles : ndarray, shaped as `predict` returns the mean, (..., n_quantiles)
            Without the last axis where ``quantiles`` is one number.
        """
        levels = _probabilities("quantiles", quantiles)
        predictive = self._predictive(X)
        found = predictive.quantiles(np.atleast_1d(levels))
        return self._shape(found if levels.ndim else found[..., 0], predictive.dtype)

    def predict_interval(self, X: Any, coverage: Any = 0.9) -> np.ndarray:
        """Compute central predictive intervals: as much probability below as above.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows to predict, as `fit` takes them.
        coverage : float or array-like of shape (n_coverages,), default=0.9
            Probability that the interval holds the target.

        Returns
        -------
        interval : ndarray, shaped as `predict` returns the mean, (..., 2)
            Or (..., n_coverages, 2) for several coverages.
        """
        levels = _probabilities("coverage", coverage)
        ends = np.stack([(1 - levels) / 2, (1 + levels) / 2], axis=-1)
        predictive = self._predictive(X)
        found = predictive.quantiles(ends.ravel())
        return self._shape(found.reshape(*found.shape[:-1], *ends.shape), predictive.dtype)


class Regressor(NumericVerbs, Predictor, RegressorMixin, BayesianEstimator):
    """Verbs of regressors over a `NumericPredictive`, which a subclass makes of rows."""

    _target = "numeric"
    _instead: ClassVar[dict[str, str]] = {
        "predict_proba": "numbers have a density, log_predictive(X, y), and predict_interval(X)",
    }

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _validate_training(self, X: Any, y: Any, reset: bool) -> tuple[np.ndarray, np.ndarray, int]:
        """Check rows and targets; return rows, float64 targets (N, T), and T."""
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

    def _encode_targets(self, y: Any, n_rows: int | None = None) -> np.ndarray:
        y = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
        y = y.reshape(len(y), -1)
        if y.shape[1] != self._n_targets:
            raise ValueError(f"y has {y.shape[1]} targets but fit saw {self._n_targets}")
        if n_rows is not None and len(y) != n_rows:
            raise ValueError(f"X has {n_rows} rows but y has {len(y)}")
        return y

    def _decode_targets(self, draws: np.ndarray, dtype: np.dtype) -> np.ndarray:
        return self._shape(draws, dtype, axis=2)

    def predict(self, X: Any, return_std: bool = False) -> np.ndarray | tuple:
        """Compute the posterior predictive mean.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows to predict, as `fit` takes them.
        return_std : bool, default=False
            Return the total predictive standard deviation as well.

        Returns
        -------
        mean : ndarray of shape (n_rows,) or (n_rows, n_targets)
        std : ndarray of the same shape
            Only with ``return_std=True``.
        """
        predictive = self._predictive(X)
        found = predictive.moments(*(["total"] if return_std else []))
        found = [self._shape(values, predictive.dtype) for values in found]
        return tuple(found) if return_std else found[0]

    def predict_uncertainty(self, X: Any) -> Bunch:
        """Compute the uncertainty of each row by kind.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows to predict, as `fit` takes them.

        Returns
        -------
        uncertainty : Bunch
            ``total``, ``aleatoric`` and ``epistemic`` standard deviations (in the units of
            y, shaped as `predict`), and per row, in nats and summed over targets,
            ``entropy`` of the predictive and ``mutual_information`` of target and unknowns.
            Linear models have them exactly, or by a rule with an error below 1e-6. Networks
            give the entropy of the normal with the total spread, the largest that a
            predictive of this spread can have, and as information that entropy less the
            average one of the noise, taken as normal too: exact where noise and predictive
            are normal, an upper bound elsewhere.
        """
        predictive = self._predictive(X)
        found = predictive.uncertainty()
        spread = {kind: self._shape(found[kind], predictive.dtype) for kind in KINDS}
        return Bunch(**{**found, **spread})


def _probabilities(name: str, values: Any) -> np.ndarray:
    """Check one number or several between 0 and 1."""
    found = np.asarray(values)
    right = found.dtype.kind in "fiu" and found.ndim < 2 and found.size
    if right and ((found > 0) & (found < 1)).all():
        return found.astype(np.float64)
    percent = isinstance(values, (int, float)) and 1 < values < 100
    meant = f"; did you mean {values / 100:g}?" if percent else ""
    raise ValueError(f"{name} must lie between 0 and 1, got {_in_short(values)}{meant}")


def _in_short(values: Any) -> str:
    shape = np.shape(values)
    if isinstance(values, Sequence) or len(shape) < 2:
        return repr(values)
    return f"a table of shape {shape}"
