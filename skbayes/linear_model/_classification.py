"""What a logistic model says about new rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skbayes.base._arviz import N_DRAWS, ArvizExport, JointDraws
from skbayes.base._classifier import Classifier, class_uncertainty
from skbayes.base._predictive import ClassPredictive, Estimate
from skbayes.data._tables import validate_data
from skbayes.linear_model._logit_posterior import (
    DrawnLogits,
    NormalLogits,
    Prediction,
    function_draws,
)
from skbayes.linear_model._prior import WeightPrior
from skbayes.linear_model._softmax import class_probabilities, label_log_probability
from skbayes.utils._draws import check_count, draw_generator
from skbayes.utils._logs import log_mean_exp

#: Rows are shrunk until their logits range no further: they are as clear, and squares finite.
LARGEST_LOGIT = 1e100
#: Draws behind score_evidence(X, y).
N_EVIDENCE_DRAWS = 4000


class LogisticPredictive(ClassPredictive):
    """Averages over a posterior of linear logits at the rows of a design.

    Parameters
    ----------
    posterior : NormalLogits or DrawnLogits
    design : ndarray of shape (N, P)
    n_draws : int
        Draws behind averages that have no quadrature.
    seed : int
        Of these draws, and of those behind joint densities.
    dtype : dtype
        Precision of the caller's rows.
    """

    def __init__(
        self,
        posterior: NormalLogits | DrawnLogits,
        design: np.ndarray,
        n_draws: int,
        seed: int,
        dtype: np.dtype,
    ) -> None:
        self.posterior, self.design, self.dtype = posterior, design, dtype
        self.n_draws, self.seed = n_draws, seed

    def _averages(self) -> tuple[Prediction, dict[str, np.ndarray]]:
        """Averages over the posterior, and variances (N, n_classes) by kind."""
        found = self.posterior.predict(self.design, self.n_draws, self.seed)
        total = found.mean * (1 - found.mean)
        # The mean of p (1 - p) is at most p̄ (1 - p̄), up to rounding.
        aleatoric = np.minimum(found.within, total)
        variances = {"total": total, "aleatoric": aleatoric, "epistemic": total - aleatoric}
        return found, variances

    def moments(self, *kinds: str) -> list[np.ndarray]:
        """Compute mean probabilities, then standard deviations of some kinds."""
        found, variances = self._averages()
        return [found.mean, *(np.sqrt(variances[kind]) for kind in kinds)]

    def uncertainty(self) -> dict[str, np.ndarray]:
        """Compute spread by kind, entropy and mutual information (N,)."""
        found, variances = self._averages()
        return class_uncertainty(found.mean, variances, found.entropy)

    def log_prob(self, y: np.ndarray) -> np.ndarray:
        """Compute the log probability (N,) of each row's label, coded (N,)."""
        p = self._averages()[0].mean
        with np.errstate(divide="ignore"):
            return np.log(p[np.arange(len(y)), y])

    def log_prob_joint(self, y: np.ndarray) -> Estimate:
        """Estimate the log probability of all labels together from draws."""
        weights = self.posterior.sample(N_EVIDENCE_DRAWS, np.random.default_rng(self.seed))
        inefficiency = self.posterior.inefficiency
        if isinstance(self.posterior, DrawnLogits):
            # Repeated draws tell nothing new.
            inefficiency *= max(1.0, len(weights) / len(self.posterior.draws))
        return log_mean_exp(_log_likelihoods(weights, self.design, y), inefficiency=inefficiency)

    def sample(self, n_samples: int, random_state: Any) -> np.ndarray:
        """Draw codes (n_samples, N) of labels."""
        rng = draw_generator(random_state)
        return self.labels(self.probabilities(self.posterior.sample(n_samples, rng)), rng)

    def probabilities(self, weights: np.ndarray) -> np.ndarray:
        """Class probabilities (n, N, n_classes) of weights (n, K, P)."""
        return class_probabilities(function_draws(weights, self.design))

    @staticmethod
    def labels(p: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Codes (n, N) drawn with probabilities (n, N, n_classes)."""
        uniform = rng.random(p.shape[:2])[..., None]
        return (uniform > p.cumsum(axis=2)[..., :-1]).sum(axis=2)

    def sample_functions(self, n_samples: int, random_state: Any) -> np.ndarray:
        """Draw logits (n_samples, N, K), one for two classes: that of the second."""
        weights = self.posterior.sample(n_samples, draw_generator(random_state))
        return function_draws(weights, self.design)


class LogisticPredictions(Classifier, ArvizExport):
    """A classifier that has a posterior over linear logits.

    `fit` sets ``posterior_``, ``_prior`` (columns of the design), ``_weight_sd`` (n_columns,),
    the prior standard deviations used, and ``_prediction_seed``.
    """

    posterior_: NormalLogits | DrawnLogits
    _prior: WeightPrior
    _weight_sd: np.ndarray
    _prediction_seed: int
    n_predictive_samples: int

    def _predictive(self, X: Any) -> LogisticPredictive:
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        design = self._prior.design(X)
        with np.errstate(divide="ignore"):
            range_ = (np.log(np.abs(design)) + np.log(self._weight_sd)).max(axis=1, keepdims=True)
        design = design * np.exp(np.minimum(0.0, np.log(LARGEST_LOGIT) - range_))
        draws = self.n_predictive_samples, self._prediction_seed
        return LogisticPredictive(self.posterior_, design, *draws, X.dtype)

    def _sample_parameters(self, n_samples: int, random_state: Any) -> dict[str, np.ndarray]:
        """Draw weights (n_samples, n_outputs, n_features) and intercepts, in raw units."""
        return self._named(self.posterior_.sample(n_samples, draw_generator(random_state)))

    def _named(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        coef, intercept = self._prior.weights(weights)
        named = {"coef": coef, "intercept": intercept}
        return named if self._prior.fit_intercept else {"coef": coef}

    def _joint_draws(self, X: Any, n_samples: int | None, random_state: Any) -> JointDraws:
        n_samples = N_DRAWS if n_samples is None else check_count(n_samples)
        rng = draw_generator(random_state)
        weights = self.posterior_.sample(n_samples, rng)
        joint = JointDraws(self._named(weights))
        if X is not None:
            predictive = self._predictive(X)
            p = predictive.probabilities(weights)
            joint.functions, joint.targets = {"p": p}, predictive.labels(p, rng)
            logits = function_draws(weights, predictive.design)
            joint.log_prob = lambda y: label_log_probability(logits, y)
        return joint


def _log_likelihoods(weights: np.ndarray, design: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Log likelihood (n,) of labels under each draw, summed over rows block by block."""
    total = np.zeros(len(weights))
    size = max(1, 2**21 // (len(weights) * weights.shape[1]))
    for start in range(0, len(design), size):
        at = slice(start, start + size)
        logits = function_draws(weights, design[at])
        total += label_log_probability(logits, codes[at]).sum(axis=1)
    return total
