"""Made data and priors shared by the tests of linear models."""

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, log_expit, logsumexp
from scipy.stats import norm

from skbayes import BayesianLogisticRegression
from skbayes.linear_model._softmax import LabelledRows

#: Fixed precisions, and one weight of variance 2.
FIXED = {"hyperparameters": "fixed", "random_state": 0}
ONE_WEIGHT = {**FIXED, "alpha": 0.5, "fit_intercept": False}


def make_data(n_rows=50, n_features=4, n_targets=None, seed=0):
    """Rows with unequal columns, and targets with noise 0.3."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, n_features)) * np.geomspace(0.3, 3, n_features) + 0.5
    shape = (n_features,) if n_targets is None else (n_features, n_targets)
    signal = X @ rng.normal(size=shape) + 2.0
    return X, signal + 0.3 * rng.normal(size=signal.shape)


def with_ones(X):
    return np.column_stack([np.ones(len(X)), X])


def random_prior(n_features, seed=1):
    """A prior mean and a full covariance."""
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(n_features, n_features))
    return rng.normal(size=n_features), root @ root.T + 0.1 * np.eye(n_features)


def block(intercept_variance, covariance):
    """Covariance of intercept and weights."""
    whole = np.zeros((len(covariance) + 1,) * 2)
    whole[0, 0], whole[1:, 1:] = intercept_variance, covariance
    return whole


def logistic(*args, inference="laplace", **params):
    return BayesianLogisticRegression(*args, inference=inference, **params)


def make_labels(n_rows=40, n_features=1, n_classes=2, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, n_features)) + 0.3
    weights = 1.5 * rng.normal(size=(n_features, n_classes))
    return X, (X @ weights + rng.gumbel(size=(n_rows, n_classes))).argmax(axis=1)


class OneWeight:
    """Posterior of one weight, two classes, by the trapezoid rule.

    It converges exponentially: the integrand is analytic and falls to nothing.
    """

    def __init__(self, X, y, alpha=0.5, repeat=1):
        sign = 2 * y - 1
        self.w, step = np.linspace(-12, 12, 4001, retstep=True)
        log_joint = repeat * log_expit(np.outer(self.w, sign * X[:, 0])).sum(axis=1)
        log_joint += norm(0, alpha**-0.5).logpdf(self.w)
        self.log_z = logsumexp(log_joint) + np.log(step)
        self.mass = np.exp(log_joint - logsumexp(log_joint))
        self.mean = self.mass @ self.w
        self.sd = np.sqrt(self.mass @ (self.w - self.mean) ** 2)

    def probability(self, x):
        return self.mass @ expit(self.w * x)


def best_normal_bound(x, sign):
    """Largest evidence bound over normals, of one weight with a N(0, 2) prior."""
    nodes, mass = np.polynomial.hermite_e.hermegauss(80)
    mass = mass / mass.sum()

    def bound(mean, sd):
        divergence = 0.5 * (0.5 * (mean**2 + sd**2) - 1 - np.log(0.5 * sd**2))
        return (log_expit(np.outer(sign * x, mean + sd * nodes)) @ mass).sum() - divergence

    found = minimize(lambda v: -bound(v[0], np.exp(v[1])), [0.5, -0.5], options={"gtol": 1e-8})
    return -found.fun


def tilted_bound(X, y, mean, covariance, alpha):
    """Evidence bound of a normal over weights (K, P), tilts by SciPy's optimiser."""
    n_outputs, n_columns = mean.shape
    blocks = covariance.reshape(n_outputs, n_columns, n_outputs, n_columns)
    size = (mean**2).sum() + np.trace(covariance)
    value = 0.5 * (np.linalg.slogdet(alpha * covariance)[1] - alpha * size + mean.size)
    for row, label in zip(X, y, strict=True):
        m, v = mean @ row, np.einsum("i,kilj,j->kl", row, blocks, row)

        def partition(a, m=m, v=v):
            return 0.5 * a @ v @ a + logsumexp(m + 0.5 * np.diag(v) - v @ a)

        value += m[label] - minimize(partition, np.full(n_outputs, 1 / n_outputs)).fun
    return value


def whitened(X, y, n_classes):
    """Rows of a standard normal prior, of uneven weights where there are few columns."""
    weight = np.ones(len(y)) if X.shape[1] > 2 else np.linspace(0.5, 2.0, len(y))
    return LabelledRows(X, y, weight, 1 if n_classes == 2 else n_classes)
