"""Densities and transformers on NumPy alone: outsiders that keep the contract."""

import numpy as np
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from tests.testing.conjugate import check_positive

FLOATS = [np.float64, np.float32]


class Rows(BaseEstimator):
    """A density whose parameters are fitted; its rows are then independent."""

    evidence_kind = "plugin"

    def __init__(self, random_state=None):
        self.random_state = random_state

    def fit(self, X, y=None, sample_weight=None):
        X = validate_data(self, X, dtype=FLOATS)
        weight = np.ones(len(X)) if sample_weight is None else np.asarray(sample_weight, float)
        self._learn(X.astype(float), weight)
        self.dtype_, self.evidence_kind_ = str(X.dtype), self.evidence_kind
        self.log_evidence_ = float(weight @ self.score_samples(X))
        return self

    def _rows(self, X):
        check_is_fitted(self)
        return validate_data(self, X, dtype=FLOATS, reset=False)

    def score(self, X, y=None):
        return self.score_samples(X).mean()

    def score_evidence(self, X=None, y=None, return_std=False):
        check_is_fitted(self)
        value = self.log_evidence_ if X is None else float(self.score_samples(X).sum())
        return (value, 0.0) if return_std else value


class OneFactor(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Rows):
    """A normal, and the posterior of the one code that its first direction holds."""

    def _learn(self, X, weight):
        self.mean_ = np.average(X, axis=0, weights=weight)
        self.covariance_ = np.cov(X.T, aweights=weight, ddof=0)
        self.error_ = self.covariance_ / weight.sum()
        variances, directions = np.linalg.eigh(self.covariance_)
        self.noise_, self.signal_ = variances[:-1].mean(), variances[-1]
        self.direction_ = directions[:, -1] * np.sign(directions[0, -1])

    @property
    def _n_features_out(self):
        return 1

    def score_samples(self, X):
        X = self._rows(X)
        return np.atleast_1d(multivariate_normal(self.mean_, self.covariance_).logpdf(X))

    def sample(self, n_samples=1, random_state=None):
        check_is_fitted(self)
        check_positive(n_samples)
        rng = check_random_state(random_state)
        draws = rng.multivariate_normal(self.mean_, self.covariance_, size=n_samples)
        return draws.astype(self.dtype_)

    def transform(self, X):
        X = self._rows(X)
        slope = np.sqrt(self.signal_ - self.noise_) / self.signal_
        # Row by row, so that a code does not depend on the shape of the product.
        codes = slope * ((X - self.mean_) * self.direction_).sum(axis=1, keepdims=True)
        return codes.astype(X.dtype)

    def predict_std(self, X):
        X = self._rows(X)
        return np.full((len(X), 1), np.sqrt(self.noise_ / self.signal_), dtype=X.dtype)

    def inverse_transform(self, Z):
        return self.mean_ + np.sqrt(self.signal_ - self.noise_) * Z * self.direction_

    def sample_posterior(self, X=None, n_samples=1, random_state=None):
        check_is_fitted(self)
        check_positive(n_samples)
        rng = check_random_state(random_state)
        if X is None:
            return {"mean": rng.multivariate_normal(self.mean_, self.error_, size=n_samples)}
        codes = self.transform(X)
        return codes + self.predict_std(X) * rng.normal(size=(n_samples, *codes.shape))


class Mixture(Rows):
    """Two normals of one covariance, halved at the mean of the first column."""

    def _learn(self, X, weight):
        left = X[:, 0] < np.average(X[:, 0], weights=weight)
        parts = [(X[at], weight[at]) for at in (left, ~left)]
        self.means_ = np.stack([np.average(x, axis=0, weights=w) for x, w in parts])
        self.covariance_ = np.cov(X.T, aweights=weight, ddof=0)
        self.shares_ = np.array([w.sum() for _, w in parts]) / weight.sum()
        self.n_ = weight.sum()

    def _log_joint(self, X):
        X = self._rows(X)
        parts = [multivariate_normal(m, self.covariance_).logpdf(X) for m in self.means_]
        return np.log(self.shares_) + np.stack(parts, axis=-1).reshape(len(X), 2)

    def score_samples(self, X):
        return logsumexp(self._log_joint(X), axis=1)

    def predict_proba(self, X):
        joint = self._log_joint(X)
        p = np.exp(joint - logsumexp(joint, axis=1, keepdims=True))
        return p.astype(self._rows(X).dtype)

    def predict(self, X):
        return self.predict_proba(X).argmax(axis=1)

    def predict_std(self, X):
        p = self.predict_proba(X)
        return np.sqrt(p * (1 - p) / self.n_).astype(p.dtype)

    def sample(self, n_samples=1, random_state=None):
        check_is_fitted(self)
        check_positive(n_samples)
        rng = check_random_state(random_state)
        labels = rng.choice(2, p=self.shares_, size=n_samples)
        noise = rng.multivariate_normal(np.zeros(3), self.covariance_, size=n_samples)
        return (self.means_[labels] + noise).astype(self.dtype_), labels

    def sample_posterior(self, X=None, n_samples=1, random_state=None):
        check_is_fitted(self)
        check_positive(n_samples)
        rng = check_random_state(random_state)
        if X is None:
            return {"weights": rng.dirichlet(self.n_ * self.shares_, size=n_samples)}
        p = self.predict_proba(X)
        return (rng.uniform(size=(n_samples, len(p))) > p[:, 0]).astype(int)


class Coins(Rows):
    """Independent coins with uniform priors: whether each count is positive."""

    evidence_kind = "exact"

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = tags.input_tags.positive_only = True
        return tags

    def _learn(self, X, weight):
        self.heads_, self.n_ = weight @ (X > 0), weight.sum()

    def score_samples(self, X):
        X = self._rows(X)
        p = (self.heads_ + 1) / (self.n_ + 2)
        return np.log(np.where(X > 0, p, 1 - p)).sum(axis=1)

    def sample(self, n_samples=1, random_state=None):
        check_is_fitted(self)
        check_positive(n_samples)
        rng = check_random_state(random_state)
        p = (self.heads_ + 1) / (self.n_ + 2)
        return (rng.uniform(size=(n_samples, len(p))) < p).astype(self.dtype_)

    def sample_posterior(self, X=None, n_samples=1, random_state=None):
        check_is_fitted(self)
        check_positive(n_samples)
        rng = check_random_state(random_state)
        shape = (n_samples, len(self.heads_))
        return {"p": rng.beta(self.heads_ + 1, self.n_ - self.heads_ + 1, size=shape)}
