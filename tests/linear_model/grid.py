"""Linear regression by brute force: a grid over ratio, noise and the intercept's width."""

import numpy as np
from scipy.special import gammaln, logsumexp
from scipy.stats import norm

#: Nodes of the trapezoid rules; the integrands are smooth bells, wider than the steps.
LOG_RATIO = np.arange(-24, 34, 0.5)
FINE_RATIO = np.arange(-4, 24, 0.25)
LOG_BETA = np.arange(-14, 40, 0.125)
WIDTHS = 2.0 ** np.arange(34)
#: Laws of less mass tell nothing of predictions.
NEGLIGIBLE = 1e-11
#: The weak prior of a precision is even over those of all doubles' squares.
WEAK_NOISE = -np.log(4 * np.log(np.finfo(float).max))


def log_gamma(log_x, shape, rate):
    """Density of a Gamma variable's logarithm."""
    return shape * (log_x + np.log(rate)) - rate * np.exp(log_x) - gammaln(shape)


class GridRegression:
    """Joint density of targets and predictions, on a grid of (ratio, width) x noise.

    Each row of ``log_joint`` is one normal law of the weights in units of the noise.
    """

    def __init__(self, X, y, intercept=True, mean=0.0, intercept_mean=0.0, covariance=None,
                 alpha_prior=None, beta_prior=None, log_ratio=LOG_RATIO):  # fmt: skip
        self.X, self.y, self.intercept = X, y, intercept
        self.prior = np.broadcast_to(mean, X.shape[1]), intercept_mean
        covariance = np.eye(X.shape[1]) if covariance is None else np.asarray(covariance)
        self.root = np.linalg.cholesky(covariance)
        self.centre = X.mean(axis=0) if intercept else np.zeros(X.shape[1])
        size = (((X - self.centre) @ self.root) ** 2).sum() / len(X)
        log_noise = WEAK_NOISE if beta_prior is None else log_gamma(LOG_BETA, *beta_prior)
        self.laws, log_joint = [], []
        for t in log_ratio:
            alpha = size * np.exp(-t)
            flat = t - 2 * np.logaddexp(0, t)
            prior = flat if alpha_prior is None else log_gamma(np.log(alpha), *alpha_prior)
            for width in WIDTHS if intercept else [None]:
                share = 0.0 if width is None else np.log(1024)
                value, law = self._given(alpha, width)
                log_joint.append(value + log_noise + prior - share)
                self.laws.append(law)
        steps = (log_ratio[1] - log_ratio[0]) * (LOG_BETA[1] - LOG_BETA[0])
        log_joint = np.array(log_joint) + np.log(steps)
        self.log_evidence = logsumexp(log_joint)
        mass = np.exp(log_joint - self.log_evidence)
        kept = np.flatnonzero(mass.sum(axis=1) > NEGLIGIBLE)
        self.laws, self.mass = [self.laws[i] for i in kept], mass[kept]

    def design(self, X, alpha, width):
        """Columns whose weights are independent, of unit variance in units of the noise."""
        columns = (X - self.centre) @ self.root / np.sqrt(alpha)
        return columns if width is None else np.column_stack([np.full(len(X), width), columns])

    def expected(self, X):
        """Mean before any row; the intercept's holds where the columns are zero."""
        weights, own = self.prior
        return X @ weights + (own if self.intercept else 0.0)

    def _given(self, alpha, width):
        """Log density of the targets at each noise, and the law of the weights."""
        error = self.y - self.expected(self.X)
        left, s, right = np.linalg.svd(self.design(self.X, alpha, width), full_matrices=False)
        along = left.T @ error
        beyond = error - left @ along
        square = beyond @ beyond + (along**2 / (1 + s**2)).sum()
        value = 0.5 * len(error) * (LOG_BETA - np.log(2 * np.pi)) - np.log(np.hypot(1, s)).sum()
        law = alpha, width, (right.T * (s / (1 + s**2))) @ along, s, right
        return value - 0.5 * np.exp(LOG_BETA) * square, law

    def function(self, X):
        """Means (laws, rows) and relative covariances (laws, rows, rows) of the function."""
        means, covariances = [], []
        for alpha, width, mean, s, right in self.laws:
            design = self.design(X, alpha, width)
            along = design @ right.T
            across = design - along @ right
            covariances.append((along / (1 + s**2)) @ along.T + across @ across.T)
            means.append(self.expected(X) + design @ mean)
        return np.array(means), np.array(covariances)

    def moments(self, x):
        """Mean, and variances of function and noise, at one row."""
        means, spread = self.function(x[None])
        share, mean, spread = self.mass.sum(axis=1), means[:, 0], spread[:, 0, 0]
        centre = share @ mean
        noise = self.mass @ np.exp(-LOG_BETA)
        return centre, noise @ spread + share @ (mean - centre) ** 2, noise.sum()

    def precisions(self):
        """Geometric means, over the laws, of alpha and of the mean beta that each leaves."""
        share = self.mass.sum(axis=1)
        beta = self.mass @ np.exp(LOG_BETA) / share
        return np.exp([share @ np.log([law[0] for law in self.laws]), share @ np.log(beta)])

    def _normal(self, x):
        mean, spread = (part.reshape(len(self.laws), 1) for part in self.function(x[None]))
        return norm(mean, np.sqrt((1 + spread) * np.exp(-LOG_BETA)))

    def cumulated(self, x, y):
        """Predictive distribution function at one row."""
        return (self.mass * self._normal(x).cdf(y)).sum()

    def log_density(self, x, y):
        """Log predictive density at one row."""
        return np.log((self.mass * self._normal(x).pdf(y)).sum())

    def log_joint(self, X, y):
        """Log predictive density of several rows together."""
        means, spread = self.function(X)
        factors = np.linalg.cholesky(np.eye(len(X)) + spread)
        white = np.linalg.solve(factors, (y - means)[..., None])[..., 0]
        volume = np.log(np.diagonal(factors, axis1=1, axis2=2)).sum(axis=1)[:, None]
        each = 0.5 * len(X) * (LOG_BETA - np.log(2 * np.pi)) - volume
        each = each - 0.5 * np.exp(LOG_BETA) * (white**2).sum(axis=1)[:, None]
        return logsumexp(each, b=self.mass)
