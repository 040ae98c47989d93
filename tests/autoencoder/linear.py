"""A linear decoder with normal noise: rows are jointly normal, so everything has an answer."""

import numpy as np
import torch
from scipy.stats import multivariate_normal

from skbayes import VAETransformer
from skbayes.data._tensors import Data

#: Settings under which the optimum is that of probabilistic PCA.
LINEAR = {
    "encoder__hidden_layer_sizes": (),
    "likelihood": "shared_gaussian",
    "scale_inputs": "global",
    "prior_scale": None,
    "training__learning_rate": 0.01,
    "training__batch_size": 400,
    "training__max_iter": 2500,
    "random_state": 0,
}


def rows(n_rows=400, n_features=6, n_codes=2, seed=0):
    """Rows of a linear factor model."""
    rng = np.random.default_rng(seed)
    loadings = rng.normal(size=(n_features, n_codes)) * [2.0, 1.0]
    noise = 0.6 * rng.normal(size=(n_rows, n_features))
    return 3 + rng.normal(size=(n_rows, n_codes)) @ loadings.T + noise


def fitted(X, **params):
    return VAETransformer(2).set_params(**{**LINEAR, **params}).fit(X)


def encoded(rows, weight=None, **more):
    """Encoded rows (N, D), as models of rows by latents take them."""
    weight = torch.ones(len(rows), dtype=rows.dtype) if weight is None else weight
    return Data(rows, rows, weight, **more)


def named(network, weights):
    """Weights (1, P) of one particle by the names of their blocks."""
    blocks = zip(network.layout, network.blocks(torch.as_tensor(weights)), strict=True)
    return {block.name: value[0].numpy().astype(float) for block, value in blocks}


class Exact:
    """The joint normal of rows and codes that a fitted linear model stands for."""

    def __init__(self, vae):
        scaler = vae._table.parts[0].scaler
        weights = named(vae._model().network, vae._parameters["weights"])
        log_noise = vae._parameters["noise"][0].astype(float)
        self.loadings = weights["decoder0.weight"] * scaler.scale[:, None]
        self.mean = weights["decoder0.bias"] * scaler.scale + scaler.mean
        n_features = len(self.mean)
        self.noise = (np.exp(log_noise) + 1e-2) ** 2 * scaler.scale**2 * np.ones(n_features)
        self.covariance = self.loadings @ self.loadings.T + np.diag(self.noise)

    def log_density(self, X):
        """Of rows, their missing values integrated out."""
        return np.array([self._of_row(x) for x in X])

    def _of_row(self, x):
        at = ~np.isnan(x)
        return multivariate_normal(self.mean[at], self.covariance[np.ix_(at, at)]).logpdf(x[at])

    def codes(self, X):
        """Mean (N, q) and covariance (q, q) of the posterior of complete rows."""
        precision = np.eye(self.loadings.shape[1])
        precision = precision + self.loadings.T @ (self.loadings / self.noise[:, None])
        covariance = np.linalg.inv(precision)
        return (X - self.mean) / self.noise @ self.loadings @ covariance, covariance

    def imputed(self, x):
        """Conditional mean and variance of a row's missing values."""
        at = ~np.isnan(x)
        gain = self.covariance[np.ix_(~at, at)] @ np.linalg.inv(self.covariance[np.ix_(at, at)])
        mean = self.mean[~at] + gain @ (x[at] - self.mean[at])
        rest = self.covariance[np.ix_(~at, ~at)] - gain @ self.covariance[np.ix_(at, ~at)]
        return mean, rest.diagonal()
