"""Mixtures with exact answers, written without the package's formulas."""

import numpy as np
from scipy.special import logsumexp, multigammaln
from scipy.stats import multivariate_t
from scipy.stats import t as student_t

from skbayes.mixture._components import Prior
from skbayes.mixture._mixture import make_mixture
from skbayes.mixture._rows import Rows

TYPES = ("full", "tied", "diag", "spherical")
WEIGHTS = ("dirichlet", "dirichlet_process")


def make_rows(n=12, n_columns=2, seed=0):
    return np.random.default_rng(seed).normal([1.0, -2.0, 0.5][:n_columns], 1.5, (n, n_columns))


def make_prior(type_, n_columns=2):
    rng = np.random.default_rng(5)
    root = rng.normal(size=(n_columns, n_columns))
    matrix = root @ root.T + np.eye(n_columns)
    scatter = {"diag": np.arange(1.0, n_columns + 1), "spherical": np.array([1.7])}
    dof = n_columns + 1.3 if type_ in ("full", "tied") else 2.3
    return Prior(rng.normal(size=n_columns), 0.7, dof, scatter.get(type_, matrix))


def model(type_, n_components=2, weight_prior="dirichlet", concentration=0.8, n_columns=2):
    prior = make_prior(type_, n_columns)
    return make_mixture(weight_prior, n_components, concentration, type_, prior)


def rows_of(X, weight=None):
    return Rows.of(np.asarray(X), np.ones(len(X)) if weight is None else weight)


def one_hot(labels, n_components):
    return (np.asarray(labels)[:, None] == np.arange(n_components)).astype(float)


def log_density_of_allocated(X, labels, n_components, type_, prior):
    """log p(X | z): rows one by one, each given those before it in its component."""
    if type_ == "tied":
        return _matrix_t(X, one_hot(labels, n_components), prior)
    step = {"full": _next_full, "diag": _next_diag, "spherical": _next_spherical}[type_]
    parts = [X[np.asarray(labels) == k] for k in range(n_components)]
    return sum(step(part[:i], part[i], prior) for part in parts for i in range(len(part)))


def summary(before, prior):
    n = len(before)
    precision = prior.precision + n
    mean = (prior.precision * prior.mean + before.sum(0)) / precision
    away, shift = before - before.mean(0) if n else before, 0.0
    shift = before.mean(0) - prior.mean if n else np.zeros_like(prior.mean)
    scatter = away.T @ away + prior.precision * n / precision * np.outer(shift, shift)
    return n, precision, mean, scatter


def _next_full(before, x, prior):
    n, precision, mean, scatter = summary(before, prior)
    dof = prior.dof + n + 1 - len(x)
    shape = (prior.scatter + scatter) * (1 + 1 / precision) / dof
    return float(multivariate_t(mean, shape, df=dof).logpdf(x))


def _next_diag(before, x, prior):
    n, precision, mean, scatter = summary(before, prior)
    dof = prior.dof + n
    scale = np.sqrt((prior.scatter + np.diag(scatter)) * (1 + 1 / precision) / dof)
    return float(student_t(dof, mean, scale).logpdf(x).sum())


def _next_spherical(before, x, prior):
    n, precision, mean, scatter = summary(before, prior)
    dof = prior.dof + n * len(x)
    scale = (prior.scatter[0] + np.trace(scatter)) * (1 + 1 / precision) / dof
    return float(multivariate_t(mean, scale * np.eye(len(x)), df=dof).logpdf(x))


def _matrix_t(X, Z, prior):
    """Components' means as regression weights on indicators Z, one noise precision."""
    n, d = X.shape
    away = X - prior.mean
    spread = np.eye(n) + Z @ Z.T / prior.precision
    scatter = prior.scatter + away.T @ np.linalg.solve(spread, away)
    dof = prior.dof + n
    value = multigammaln(dof / 2, d) - multigammaln(prior.dof / 2, d) - n * d / 2 * np.log(np.pi)
    value += prior.dof / 2 * np.linalg.slogdet(prior.scatter)[1]
    return value - dof / 2 * np.linalg.slogdet(scatter)[1] - d / 2 * np.linalg.slogdet(spread)[1]


def log_prob_of_labels(labels, n_components, weight_prior, concentration):
    """log p(z): labels one by one, each given those before it."""
    counts, total = np.zeros(n_components), 0.0
    for label in labels:
        if weight_prior == "dirichlet":
            p = (concentration + counts) / (n_components * concentration + counts.sum())
        else:
            after = counts[::-1].cumsum()[::-1]
            stick = (1 + counts[:-1]) / (1 + concentration + after[:-1])
            p = np.append(stick, 1.0) * np.append(1.0, np.cumprod(1 - stick))
        total += np.log(p[label])
        counts[label] += 1
    return total


def log_evidence(X, n_components, type_, prior, weight_prior, concentration):
    """log p(X): the sum over all allocations."""
    allocations = np.stack(
        np.meshgrid(*[np.arange(n_components)] * len(X), indexing="ij"), axis=-1
    ).reshape(-1, len(X))
    return logsumexp(
        [
            log_prob_of_labels(z, n_components, weight_prior, concentration)
            + log_density_of_allocated(X, z, n_components, type_, prior)
            for z in allocations
        ]
    )
