"""What a linear regression says about new rows, in closed form."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils import Bunch
from sklearn.utils.validation import check_is_fitted

from skbayes.base._estimator import BayesianEstimator, as_float
from skbayes.base._kinds import KINDS, check_kind
from skbayes.base._targets import NumericTargets, check_coverage
from skbayes.data._tables import validate_data
from skbayes.linear_model._conjugate import LinearPosterior
from skbayes.linear_model._prior import WeightPrior
from skbayes.utils._draws import check_count, draw_generator
from skbayes.utils._logs import LOG_2PI_E


class LinearPredictions(NumericTargets, RegressorMixin, BayesianEstimator):
    """Verbs of a regressor that has a `LinearPosterior` in units of its own.

    `fit` sets ``posterior_``, ``_prior`` (columns of the design) and ``_unit``, the size
    (n_targets,) by which targets were divided.
    """

    posterior_: LinearPosterior
    _prior: WeightPrior
    _unit: np.ndarray

    def _design(self, X: Any) -> tuple[np.dtype, np.ndarray]:
        """Dtype of the caller's rows, and the design (N, P)."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        return X.dtype, self._prior.design(X)

    def _mean(self, design: np.ndarray) -> np.ndarray:
        return self.posterior_.locations(design) * self._unit

    def _std(self, design: np.ndarray, kind: str) -> np.ndarray:
        noise = self.posterior_.noise_variance()
        if kind == "aleatoric":
            return np.tile(np.sqrt(noise) * self._unit, (len(design), 1))
        variance = self.posterior_.variances(design) + (noise if kind == "total" else 0)
        return np.sqrt(variance) * self._unit

    def predict(self, X: Any, return_std: bool = False) -> np.ndarray | tuple:
        """Posterior predictive mean.

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
        dtype, design = self._design(X)
        mean = self._shape(self._mean(design), dtype)
        if not return_std:
            return mean
        return mean, self._shape(self._std(design, "total"), dtype)

    def predict_std(self, X: Any, kind: str = "total") -> np.ndarray:
        """Posterior predictive standard deviation, in the units of y.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows to predict, as `fit` takes them.
        kind : {"total", "epistemic", "aleatoric"}, default="total"
            Of a new observation, of its mean (what more data would shrink), or of the
            noise; their squares add up.

        Returns
        -------
        std : ndarray of shape (n_rows,) or (n_rows, n_targets)

        Raises
        ------
        ValueError
            If the predictive is a Student-t of at most two degrees of freedom, which has
            no variance.
        """
        check_kind(kind)
        dtype, design = self._design(X)
        return self._shape(self._std(design, kind), dtype)

    def predict_interval(self, X: Any, coverage: float = 0.9) -> np.ndarray:
        """Central predictive interval: exact quantiles of the normal, Student-t, or mixture.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows to predict, as `fit` takes them.
        coverage : float, default=0.9
            Probability that the interval holds the target.

        Returns
        -------
        interval : ndarray of shape (n_rows, 2), or (n_rows, n_targets, 2) for several targets
        """
        check_coverage(coverage)
        dtype, design = self._design(X)
        laws = self.posterior_.predictives(design)
        interval = np.concatenate([law.interval(coverage) for _, law in laws])
        return self._shape(interval * self._unit[:, None], dtype)

    def predict_uncertainty(self, X: Any) -> Bunch:
        """Uncertainty of each row by kind.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows to predict, as `fit` takes them.

        Returns
        -------
        uncertainty : Bunch
            ``total``, ``aleatoric`` and ``epistemic`` standard deviations (in the units of
            y, shaped as `predict`), and per row, in nats, ``entropy`` of the predictive
            and ``mutual_information`` of target and unknowns, summed over targets: exact, or
            by a rule with an error below 1e-6 where precisions are integrated.
        """
        dtype, design = self._design(X)
        posterior = self.posterior_
        std = {kind: self._shape(self._std(design, kind), dtype) for kind in KINDS}
        entropy = np.concatenate([law.entropy() for _, law in posterior.predictives(design)])
        given = 0.5 * LOG_2PI_E + (posterior.mass * posterior.noise.mean_log_scale()).sum(axis=1)
        information = (entropy - given).sum(axis=1)
        entropy += np.log(self._unit)
        return Bunch(**std, entropy=entropy.sum(axis=1), mutual_information=information)

    def log_predictive(self, X: Any, y: Any) -> np.ndarray:
        """Log posterior predictive density of each row's targets.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows to predict, as `fit` takes them.
        y : array-like of shape (n_rows,) or (n_rows, n_targets)
            Their targets.

        Returns
        -------
        log_density : ndarray of shape (n_rows,)
            In nats and in the units of y, jointly over several targets.
        """
        _, design = self._design(X)
        targets = self._targets(y, len(design)) / self._unit
        laws = self.posterior_.predictives(design)
        each = np.concatenate([law.log_density(targets[at]) for at, law in laws])
        return (each - np.log(self._unit)).sum(axis=1)

    def _targets(self, y: Any, n_rows: int) -> np.ndarray:
        y = self._encode_targets(y)
        if len(y) != n_rows:
            raise ValueError(f"X has {n_rows} rows but y has {len(y)}")
        return y

    def covariance(self) -> np.ndarray:
        """Posterior covariance of the intercept, if there is one, and the weights.

        Returns
        -------
        covariance : ndarray of shape (n_weights, n_weights) or (n_targets, n_weights, n_weights)
            The intercept first; an array a target where y has two axes.

        Raises
        ------
        ValueError
            If weights are Student-t of at most two degrees of freedom.
        """
        check_is_fitted(self)
        unit = self._unit[:, None, None]
        covariance = self._prior.raw_covariance(self.posterior_.covariance()) * unit * unit
        return covariance[0] if self._y_ndim == 1 else covariance

    def _new_evidence(self, X: Any, y: Any) -> tuple[float, float, float]:
        _, design = self._design(X)
        targets = self._targets(y, len(design)) / self._unit
        value = self.posterior_.log_joint(design, targets) - len(design) * np.log(self._unit)
        return float(value.sum()), 0.0, np.inf

    def sample_posterior(
        self, n_samples: int = 1, X: Any = None, random_state: Any = None
    ) -> dict[str, np.ndarray] | np.ndarray:
        """Draw from the posterior.

        Parameters
        ----------
        n_samples : int, default=1
            Number of draws.
        X : array-like of shape (n_rows, n_features), optional
            Rows at which to draw function values.
        random_state : int, RandomState instance or None, default=None
            Equal seeds give equal draws.

        Returns
        -------
        draws : dict of ndarray, or ndarray
            Without X, arrays (n_samples, ...) of ``coef`` and ``intercept`` in raw units,
            shaped as ``coef_`` and ``intercept_``, and of the precisions that are unknown.
            With X, function values (n_samples, n_rows, n_targets).
        """
        check_is_fitted(self)
        rng = draw_generator(random_state)
        weights, precision, component = self.posterior_.sample(check_count(n_samples), rng)
        if X is not None:
            dtype, design = self._design(X)
            values = (weights @ design.T * self._unit[:, None]).swapaxes(1, 2)
            return as_float(values, dtype)
        coef, intercept = self._prior.weights(weights * self._unit[:, None])
        named = {"coef": coef}
        if self._prior.fit_intercept:
            named["intercept"] = intercept
        named |= self._sample_precisions(precision, component, rng)
        return {k: v[:, 0] if self._y_ndim == 1 else v for k, v in named.items()}

    def _sample_precisions(
        self, precision: np.ndarray, component: np.ndarray, rng: np.random.Generator
    ) -> dict[str, np.ndarray]:
        raise NotImplementedError(f"{type(self).__name__} must define _sample_precisions")

    def sample_y(self, X: Any, n_samples: int = 1, random_state: Any = 0) -> np.ndarray:
        """Draw new targets.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows to predict, as `fit` takes them.
        n_samples : int, default=1
            Number of draws.
        random_state : int, RandomState instance or None, default=0
            Equal seeds give equal draws.

        Returns
        -------
        y : ndarray of shape (n_rows, n_samples) or (n_rows, n_targets, n_samples)
        """
        check_is_fitted(self)
        check_count(n_samples)  # before X, whose place it may have taken
        dtype, design = self._design(X)
        rng = draw_generator(random_state)
        weights, precision, _ = self.posterior_.sample(check_count(n_samples), rng)
        values = (weights @ design.T).transpose(2, 1, 0)
        noise = rng.standard_normal(values.shape) / np.sqrt(precision.T)
        return self._shape((values + noise) * self._unit[:, None], dtype)
