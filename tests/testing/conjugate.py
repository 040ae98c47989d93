"""Conjugate Bayesian linear regression on NumPy alone: an outsider that keeps the contract."""

import numpy as np
from scipy.special import ndtri
from scipy.stats import multivariate_normal, norm
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import Bunch, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

NOISE = 0.6
LOG_2PI_E = np.log(2 * np.pi) + 1


class ConjugateRegression(RegressorMixin, BaseEstimator):
    """Standardised targets with noise of known size and a standard normal prior."""

    def __init__(self, random_state=None):
        self.random_state = random_state

    def fit(self, X, y, sample_weight=None):
        X, y = validate_data(self, X, y, y_numeric=True)
        weight = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight, float)
        self.centre_ = np.average(y, weights=weight)
        self.scale_ = np.sqrt(np.average((y - self.centre_) ** 2, weights=weight))
        design, z = self._design(X), (y - self.centre_) / self.scale_
        precision = np.eye(design.shape[1]) + design.T @ (design * weight[:, None]) / NOISE**2
        self.covariance_ = np.linalg.inv(precision)
        self.mean_ = self.covariance_ @ design.T @ (z * weight) / NOISE**2
        self.evidence_kind_ = "exact"
        self.log_evidence_ = 0.5 * (self.mean_ @ precision @ self.mean_) - 0.5 * (
            np.linalg.slogdet(precision)[1] + weight @ z**2 / NOISE**2
        )
        constant = 0.5 * np.log(2 * np.pi) + np.log(NOISE * self.scale_)
        self.log_evidence_ -= weight.sum() * constant
        return self

    @staticmethod
    def _design(X):
        return np.column_stack([np.ones(len(X)), X])

    def _rows(self, X):
        check_is_fitted(self)
        return self._design(validate_data(self, X, reset=False))

    def predict(self, X, return_std=False):
        mean = self._rows(X) @ self.mean_ * self.scale_ + self.centre_
        return (mean, self.predict_std(X)) if return_std else mean

    def predict_std(self, X, kind="total"):
        rows = self._rows(X)
        epistemic = np.einsum("ni,ij,nj->n", rows, self.covariance_, rows)
        noise = np.full(len(rows), NOISE**2)
        variances = {"epistemic": epistemic, "aleatoric": noise, "total": epistemic + noise}
        if kind not in variances:
            raise ValueError(f"kind={kind!r} is not known")
        return np.sqrt(variances[kind]) * self.scale_

    def predict_uncertainty(self, X):
        spread = {k: self.predict_std(X, k) for k in ("total", "epistemic", "aleatoric")}
        entropy = 0.5 * LOG_2PI_E + np.log(spread["total"])
        information = np.log(spread["total"] / spread["aleatoric"])
        return Bunch(**spread, entropy=entropy, mutual_information=information)

    def predict_interval(self, X, coverage=0.9):
        if not np.all((np.asarray(coverage) > 0) & (np.asarray(coverage) < 1)):
            raise ValueError(f"coverage must lie between 0 and 1, got {coverage!r}")
        ends = np.stack([1 - np.asarray(coverage), 1 + np.asarray(coverage)], axis=-1) / 2
        found = self.predict_quantiles(X, ends.ravel())
        return found.reshape(len(found), *ends.shape)

    def predict_quantiles(self, X, quantiles=(0.05, 0.5, 0.95)):
        z = ndtri(np.asarray(quantiles))
        return np.add.outer(self.predict(X), 0 * z) + np.multiply.outer(self.predict_std(X), z)

    def log_predictive(self, X, y):
        return norm.logpdf(y, self.predict(X), self.predict_std(X))

    def sample_posterior(self, X=None, n_samples=1, random_state=None):
        check_is_fitted(self)
        check_positive(n_samples)
        rng = check_random_state(random_state)
        coef = rng.multivariate_normal(self.mean_, self.covariance_, size=n_samples)
        if X is None:
            return {"coef": coef}
        return ((coef @ self._rows(X).T) * self.scale_ + self.centre_)[..., None]

    def sample_y(self, X, n_samples=1, random_state=0):
        rng = check_random_state(random_state)
        values = self.sample_posterior(X, n_samples, rng)[..., 0]
        return values + NOISE * self.scale_ * rng.normal(size=values.shape)

    def score_evidence(self, X=None, y=None, return_std=False):
        check_is_fitted(self)
        if (X is None) != (y is None):
            raise ValueError("score_evidence takes both X and y, or neither")
        value = self.log_evidence_ if X is None else self._joint(self._rows(X), self.predict(X), y)
        return (value, 0.0) if return_std else value

    def _joint(self, rows, mean, y):
        covariance = rows @ self.covariance_ @ rows.T + NOISE**2 * np.eye(len(rows))
        return float(multivariate_normal(mean, covariance * self.scale_**2).logpdf(y))


def check_positive(n_samples):
    if not isinstance(n_samples, int) or n_samples < 1:
        raise ValueError(f"n_samples must be a positive integer, got {n_samples!r}")
