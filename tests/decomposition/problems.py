"""Rows of factor models, and their density by another road."""

import numpy as np
from scipy.stats import multivariate_normal
from sklearn.datasets import load_wine
from sklearn.preprocessing import StandardScaler

WINE = StandardScaler().fit_transform(load_wine().data)


def factor_data(n_rows, n_features, n_codes, noise=0.5, seed=0):
    """Rows of a true factor model, and its loadings."""
    rng = np.random.default_rng(seed)
    loadings = rng.normal(size=(n_features, n_codes))
    X = rng.normal(size=(n_rows, n_codes)) @ loadings.T + rng.normal(size=n_features)
    return X + noise * rng.normal(size=X.shape), loadings


def with_holes(X, share, seed=1):
    X = X.copy()
    X[np.random.default_rng(seed).uniform(size=X.shape) < share] = np.nan
    return X


def normal_logpdf(ppca, X):
    """Log density of the observed values of each row, by the marginal normal."""
    mean, covariance = ppca.mean_, ppca.get_covariance()
    out = []
    for row in X:
        at = ~np.isnan(row)
        part = covariance[np.ix_(at, at)]
        out.append(multivariate_normal(mean[at], part).logpdf(row[at]) if at.any() else 0.0)
    return np.array(out)
