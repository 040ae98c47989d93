"""What a linear regression says about new rows, in closed form."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skbayes.base._arviz import N_DRAWS, ArvizExport, JointDraws
from skbayes.base._kinds import KINDS
from skbayes.base._predictive import Estimate, NumericPredictive
from skbayes.base._regressor import Regressor
from skbayes.data._tables import validate_data
from skbayes.linear_model._conjugate import LinearPosterior
from skbayes.linear_model._prior import WeightPrior
from skbayes.utils._draws import check_count, draw_generator
from skbayes.utils._logs import LOG_2PI, LOG_2PI_E


class LinearPredictive(NumericPredictive):
    """Normals, Student-ts or their mixtures at the rows of a design.

    Parameters
    ----------
    posterior : LinearPosterior
        In units of its own.
    design : ndarray of shape (N, P)
    unit : ndarray of shape (T,)
        Size by which targets were divided.
    dtype : dtype
        Precision of the caller's rows.
    """

    def __init__(
        self, posterior: LinearPosterior, design: np.ndarray, unit: np.ndarray, dtype: np.dtype
    ) -> None:
        self.posterior, self.design, self.unit, self.dtype = posterior, design, unit, dtype

    def moments(self, *kinds: str) -> list[np.ndarray]:
        """Compute the mean, then standard deviations of some kinds, (N, T) each."""
        mean = self.posterior.locations(self.design) * self.unit
        if not kinds:
            return [mean]
        function, noise = self.posterior.variances(self.design), self.posterior.noise_variance()
        variances = {
            "total": function + noise,
            "epistemic": function,
            "aleatoric": np.broadcast_to(noise, function.shape),
        }
        return [mean, *(np.sqrt(variances[kind]) * self.unit for kind in kinds)]

    def quantiles(self, levels: np.ndarray) -> np.ndarray:
        """Compute quantiles (N, T, n_levels)."""
        laws = self.posterior.predictives(self.design)
        return np.concatenate([law.quantiles(levels) for _, law in laws]) * self.unit[:, None]

    def uncertainty(self) -> dict[str, np.ndarray]:
        """Compute standard deviations by kind, entropy and mutual information."""
        posterior = self.posterior
        _, *spread = self.moments(*KINDS)
        laws = posterior.predictives(self.design)
        entropy = np.concatenate([law.entropy() for _, law in laws])
        given = 0.5 * LOG_2PI_E + (posterior.mass * posterior.noise.mean_log_scale()).sum(axis=1)
        information = (entropy - given).sum(axis=1)
        entropy = (entropy + np.log(self.unit)).sum(axis=1)
        report = dict(zip(KINDS, spread, strict=True))
        return {**report, "entropy": entropy, "mutual_information": information}

    def log_prob(self, y: np.ndarray) -> np.ndarray:
        """Compute the log density (N,) of each row's targets (N, T)."""
        targets = y / self.unit
        laws = self.posterior.predictives(self.design)
        each = np.concatenate([law.log_density(targets[at]) for at, law in laws])
        return (each - np.log(self.unit)).sum(axis=1)

    def log_prob_joint(self, y: np.ndarray) -> Estimate:
        """Compute the log density of all targets together: exact."""
        value = self.posterior.log_joint(self.design, y / self.unit)
        return float((value - len(self.design) * np.log(self.unit)).sum()), 0.0, np.inf

    def sample(self, n_samples: int, random_state: Any) -> np.ndarray:
        """Draw targets (n_samples, N, T)."""
        rng = draw_generator(random_state)
        weights, precision, _ = self.posterior.sample(n_samples, rng)
        return self.targets(weights, precision, rng)

    def sample_functions(self, n_samples: int, random_state: Any) -> np.ndarray:
        """Draw function values (n_samples, N, T)."""
        weights, _, _ = self.posterior.sample(n_samples, draw_generator(random_state))
        return self.functions(weights)

    def functions(self, weights: np.ndarray) -> np.ndarray:
        """Function values (n, N, T) of weights (n, T, P)."""
        return (weights @ self.design.T).swapaxes(1, 2) * self.unit

    def targets(
        self, weights: np.ndarray, precision: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """A new target (n, N, T) for each draw of weights and noise precisions (n, T)."""
        functions = self.functions(weights)
        return functions + rng.standard_normal(functions.shape) * self._noise(precision)

    def log_prob_by_draw(
        self, weights: np.ndarray, precision: np.ndarray, y: np.ndarray
    ) -> np.ndarray:
        """Log density (n, N) of each row's targets (N, T) under each draw."""
        sd = self._noise(precision)
        z = (y - self.functions(weights)) / sd
        return (-0.5 * (z**2 + LOG_2PI) - np.log(sd)).sum(axis=2)

    def _noise(self, precision: np.ndarray) -> np.ndarray:
        """Standard deviations (n, 1, T) of the noise, in the units of y."""
        return (self.unit / np.sqrt(precision))[:, None]


class LinearPredictions(Regressor, ArvizExport):
    """A regressor that has a `LinearPosterior` in units of its own.

    `fit` sets ``posterior_``, ``_prior`` (columns of the design) and ``_unit``, the size
    (n_targets,) by which targets were divided.
    """

    posterior_: LinearPosterior
    _prior: WeightPrior
    _unit: np.ndarray

    def _predictive(self, X: Any) -> LinearPredictive:
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        return LinearPredictive(self.posterior_, self._prior.design(X), self._unit, X.dtype)

    def covariance(self) -> np.ndarray:
        """Compute the posterior covariance of the intercept, if there is one, and the weights.

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

    def _sample_parameters(self, n_samples: int, random_state: Any) -> dict[str, np.ndarray]:
        """Draw weights in raw units, shaped as ``coef_`` and ``intercept_``, and precisions."""
        rng = draw_generator(random_state)
        return self._named(*self.posterior_.sample(n_samples, rng), rng)

    def _named(
        self,
        weights: np.ndarray,
        precision: np.ndarray,
        component: np.ndarray,
        rng: np.random.Generator,
    ) -> dict[str, np.ndarray]:
        coef, intercept = self._prior.weights(weights * self._unit[:, None])
        named = {"coef": coef}
        if self._prior.fit_intercept:
            named["intercept"] = intercept
        named |= self._sample_precisions(precision, component, rng)
        return {k: v[:, 0] if self._y_ndim == 1 else v for k, v in named.items()}

    def _joint_draws(self, X: Any, n_samples: int | None, random_state: Any) -> JointDraws:
        n_samples = N_DRAWS if n_samples is None else check_count(n_samples)
        rng = draw_generator(random_state)
        weights, precision, component = self.posterior_.sample(n_samples, rng)
        joint = JointDraws(self._named(weights, precision, component, rng))
        if X is not None:
            predictive = self._predictive(X)
            joint.functions = {"f": predictive.functions(weights)}
            joint.targets = predictive.targets(weights, precision, rng)
            joint.log_prob = lambda y: predictive.log_prob_by_draw(weights, precision, y)
        return joint

    def _sample_precisions(
        self, precision: np.ndarray, component: np.ndarray, rng: np.random.Generator
    ) -> dict[str, np.ndarray]:
        raise NotImplementedError(f"{type(self).__name__} must define _sample_precisions")
