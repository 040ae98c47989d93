"""What a logistic model says about new rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import entr
from sklearn.base import ClassifierMixin
from sklearn.utils import Bunch
from sklearn.utils.validation import check_is_fitted

from skbayes.base._estimator import BayesianEstimator
from skbayes.base._kinds import KINDS, check_kind
from skbayes.base._targets import ClassTargets
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


class LogisticPredictions(ClassTargets, ClassifierMixin, BayesianEstimator):
    """Verbs of a classifier that has a posterior over linear logits.

    `fit` sets ``posterior_``, ``_prior`` (columns of the design), ``_weight_sd`` (n_columns,),
    the prior standard deviations used, and ``_prediction_seed``.
    """

    posterior_: NormalLogits | DrawnLogits
    _prior: WeightPrior
    _weight_sd: np.ndarray
    _prediction_seed: int
    n_predictive_samples: int

    def _design(self, X: Any) -> tuple[np.dtype, np.ndarray]:
        """Dtype of the caller's rows, and the design (N, P)."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        design = self._prior.design(X)
        with np.errstate(divide="ignore"):
            range_ = (np.log(np.abs(design)) + np.log(self._weight_sd)).max(axis=1, keepdims=True)
        return X.dtype, design * np.exp(np.minimum(0.0, np.log(LARGEST_LOGIT) - range_))

    def _prediction(self, X: Any) -> tuple[np.dtype, Prediction]:
        dtype, design = self._design(X)
        n_draws = self.n_predictive_samples
        return dtype, self.posterior_.predict(design, n_draws, self._prediction_seed)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Posterior predictive class probabilities, weights integrated out.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows to predict, as `fit` takes them.

        Returns
        -------
        probabilities : ndarray of shape (n_rows, n_classes)
            Columns in the order of `classes_`.
        """
        dtype, prediction = self._prediction(X)
        return prediction.mean.astype(dtype)

    def predict_std(self, X: Any, kind: str = "total") -> np.ndarray:
        """Standard deviation of each class's indicator, or of its probability.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows to predict, as `fit` takes them.
        kind : {"total", "epistemic", "aleatoric"}, default="total"
            With p the probability under one draw and a bar the mean over draws: total² is
            p̄(1 - p̄), epistemic² the variance of p, aleatoric² the mean of p(1 - p).

        Returns
        -------
        std : ndarray of shape (n_rows, n_classes)
        """
        check_kind(kind)
        dtype, prediction = self._prediction(X)
        return np.sqrt(_variances(prediction)[kind]).astype(dtype)

    def predict_uncertainty(self, X: Any) -> Bunch:
        """Uncertainty of each row by kind.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows to predict, as `fit` takes them.

        Returns
        -------
        uncertainty : Bunch of ndarray of shape (n_rows,)
            ``total``, ``aleatoric`` and ``epistemic``: roots of the variances of
            `predict_std` summed over classes; in nats, ``entropy`` of the mean
            probabilities and ``mutual_information`` of label and weights, the share of
            the entropy that more data would remove.
        """
        _, prediction = self._prediction(X)
        variances = _variances(prediction)
        spread = {kind: np.sqrt(variances[kind].sum(axis=1)) for kind in KINDS}
        entropy = entr(prediction.mean).sum(axis=1)
        information = np.maximum(entropy - prediction.entropy, 0.0)
        return Bunch(**spread, entropy=entropy, mutual_information=information)

    def log_predictive(self, X: Any, y: Any) -> np.ndarray:
        """Log posterior predictive probability of each row's label.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows to predict, as `fit` takes them.
        y : array-like of shape (n_rows,)
            Their labels.

        Returns
        -------
        log_probability : ndarray of shape (n_rows,)
            In nats.
        """
        _, prediction = self._prediction(X)
        codes = self._codes(y, len(prediction.mean))
        with np.errstate(divide="ignore"):
            return np.log(prediction.mean[np.arange(len(codes)), codes])

    def _codes(self, y: Any, n_rows: int) -> np.ndarray:
        codes = self._encode_targets(y)
        if len(codes) != n_rows:
            raise ValueError(f"X has {n_rows} rows but y has {len(codes)}")
        return codes

    def _new_evidence(self, X: Any, y: Any) -> tuple[float, float, float]:
        _, design = self._design(X)
        codes = self._codes(y, len(design))
        rng = np.random.default_rng(self._prediction_seed)
        weights = self.posterior_.sample(N_EVIDENCE_DRAWS, rng)
        inefficiency = self.posterior_.inefficiency
        if isinstance(self.posterior_, DrawnLogits):
            # Repeated draws tell nothing new.
            inefficiency *= max(1.0, len(weights) / len(self.posterior_.draws))
        log_likelihoods = _log_likelihoods(weights, design, codes)
        return log_mean_exp(log_likelihoods, inefficiency=inefficiency)

    def sample_posterior(
        self, n_samples: int = 1, X: Any = None, random_state: Any = None
    ) -> dict[str, np.ndarray] | np.ndarray:
        """Draw from the posterior.

        Parameters
        ----------
        n_samples : int, default=1
            Number of draws.
        X : array-like of shape (n_rows, n_features), optional
            Rows at which to draw logits.
        random_state : int, RandomState instance or None, default=None
            Equal seeds give equal draws.

        Returns
        -------
        draws : dict of ndarray, or ndarray
            Without X, arrays (n_samples, n_outputs, n_features) of ``coef`` and
            (n_samples, n_outputs) of ``intercept``, in raw units. With X, logits
            (n_samples, n_rows, n_outputs). There is one output for two classes, that of
            the second, else one a class.
        """
        check_is_fitted(self)
        rng = draw_generator(random_state)
        weights = self.posterior_.sample(check_count(n_samples), rng)
        if X is not None:
            dtype, design = self._design(X)
            return function_draws(weights, design).astype(dtype)
        coef, intercept = self._prior.weights(weights)
        return (
            {"coef": coef, "intercept": intercept} if self._prior.fit_intercept else {"coef": coef}
        )

    def sample_y(self, X: Any, n_samples: int = 1, random_state: Any = 0) -> np.ndarray:
        """Draw new labels.

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
        labels : ndarray of shape (n_rows, n_samples)
        """
        check_is_fitted(self)
        check_count(n_samples)  # before X, whose place it may have taken
        _, design = self._design(X)
        rng = draw_generator(random_state)
        weights = self.posterior_.sample(check_count(n_samples), rng)
        cumulative = class_probabilities(function_draws(weights, design)).cumsum(axis=2)
        u = rng.random(cumulative.shape[:2])[..., None]
        return self.classes_[(u > cumulative[..., :-1]).sum(axis=2).T]


def _variances(prediction: Prediction) -> dict[str, np.ndarray]:
    total, within = prediction.mean * (1 - prediction.mean), prediction.within
    # The mean of p (1 - p) is at most p̄ (1 - p̄), up to rounding.
    aleatoric = np.minimum(within, total)
    return {"total": total, "aleatoric": aleatoric, "epistemic": total - aleatoric}


def _log_likelihoods(weights: np.ndarray, design: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Log likelihood (n,) of labels under each draw, summed over rows block by block."""
    total = np.zeros(len(weights))
    size = max(1, 2**21 // (len(weights) * weights.shape[1]))
    for start in range(0, len(design), size):
        at = slice(start, start + size)
        logits = function_draws(weights, design[at])
        total += label_log_probability(logits, codes[at]).sum(axis=1)
    return total
