"""Problems with exact answers, shared by the tests.

Each answer is computed here by NumPy and SciPy, by another road than the package takes:
evidences as marginal densities of the repeated targets, integrals by the trapezoid rule.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from scipy.special import log_expit, logsumexp
from scipy.stats import multivariate_normal, norm

from skbayes import BayesianMLPClassifier, BayesianMLPRegressor
from skbayes._model import Model
from skbayes.base._monitor import Monitor
from skbayes.data._tensors import Data
from skbayes.inference import Inference, Run
from skbayes.likelihoods import Bernoulli, Gaussian, Likelihood
from skbayes.likelihoods._base import NOISE_FLOOR
from skbayes.networks import MLPNetwork
from skbayes.posteriors import Posterior
from skbayes.priors import Normal, Prior
from skbayes.utils._draws import seed_streams
from skbayes.utils._random import make_generator

LIKE = torch.empty(0, dtype=torch.float64)


def make_run(seed: int = 0, start: Posterior | None = None) -> Run:
    """What an engine needs beside model and data, seeded as the estimators do it."""
    seeds = seed_streams(seed)
    generators = make_generator(seeds["training"]), make_generator(seeds["evidence"])
    return Run(*generators, Monitor(), start)


def run_engine(
    engine: Inference, problem, seed: int = 0, start: Posterior | None = None, **model_params
) -> tuple[Model, Posterior]:
    """Run an engine on a problem's model, in double precision."""
    model = problem.model(**model_params)
    engine.check(model)
    return model, engine.run(model, problem.data(), make_run(seed, start))


def to_data(X: np.ndarray, y: np.ndarray, weight: np.ndarray) -> Data:
    """Double-precision tensors."""
    return Data(*(torch.from_numpy(np.ascontiguousarray(a)) for a in (X, y, weight)))


def with_bias(X: np.ndarray) -> np.ndarray:
    """Append the column of ones that a bias multiplies."""
    return np.column_stack([X, np.ones(len(X))])


@dataclass(frozen=True)
class LinearProblem:
    """Bayesian linear regression with known noise: a network without hidden layers.

    Rows X (N, D), targets y (N, T), integer weights (N,), independent normal weights.
    """

    X: np.ndarray
    y: np.ndarray
    weight: np.ndarray
    noise: float = 0.5
    scale: float = 1.3
    fan_in_scaling: bool = True

    @property
    def n_targets(self) -> int:
        return self.y.shape[1]

    @property
    def prior_sd(self) -> np.ndarray:
        """Of the weights and the bias of one target: (D + 1,)."""
        n_features = self.X.shape[1]
        sd = np.full(n_features + 1, self.scale)
        if self.fan_in_scaling:
            sd[:-1] /= np.sqrt(n_features)
        return sd

    @property
    def repeated(self) -> tuple[np.ndarray, np.ndarray]:
        """Design (sum of weights, D + 1) and targets with each row as often as it counts."""
        counts = self.weight.astype(int)
        return np.repeat(with_bias(self.X), counts, axis=0), np.repeat(self.y, counts, axis=0)

    @cached_property
    def precision(self) -> np.ndarray:
        """Posterior precision (D + 1, D + 1), the same for every target."""
        A, _ = self.repeated
        return A.T @ A / self.noise**2 + np.diag(self.prior_sd**-2.0)

    @cached_property
    def mean(self) -> np.ndarray:
        """Posterior mean (D + 1, T)."""
        A, y = self.repeated
        return np.linalg.solve(self.precision, A.T @ y / self.noise**2)

    def pack(self, by_target: np.ndarray) -> np.ndarray:
        """Coefficients (D + 1, T) in the network's order: all weights, then all biases."""
        return np.concatenate([by_target[:-1].T.ravel(), by_target[-1]])

    @property
    def packed_mean(self) -> np.ndarray:
        return self.pack(self.mean)

    @property
    def packed_precision(self) -> np.ndarray:
        """Posterior precision (P, P) of the network's flat weights."""
        n_rows, n_targets = self.mean.shape
        order = self.pack(np.arange(n_rows * n_targets).reshape(n_rows, n_targets))
        dense = np.kron(self.precision, np.eye(n_targets))
        return dense[np.ix_(order, order)]

    @property
    def packed_covariance(self) -> np.ndarray:
        return np.linalg.inv(self.packed_precision)

    @property
    def log_evidence(self) -> float:
        """Marginal density of the repeated targets."""
        A, y = self.repeated
        covariance = (A * self.prior_sd**2) @ A.T + self.noise**2 * np.eye(len(A))
        return float(multivariate_normal(cov=covariance).logpdf(y.T).sum())

    @property
    def mean_field_bound(self) -> float:
        """Largest bound of independent normals: variances 1 / P_ii, gap by Hadamard."""
        P = self.packed_precision
        gap = 0.5 * (np.log(np.diag(P)).sum() - np.linalg.slogdet(P)[1])
        return self.log_evidence - float(gap)

    def dropout_mean(self, rate: float) -> np.ndarray:
        """Ridge solution (D + 1, T) that input dropout converges to.

        The masks' variance adds rate / (1 - rate) x_j² w_j² to every squared residual;
        the bias is never dropped.
        """
        A, y = self.repeated
        extra = np.diag(np.r_[(A[:, :-1] ** 2).sum(0), 0.0]) * rate / (1 - rate)
        return np.linalg.solve(self.precision + extra / self.noise**2, A.T @ y / self.noise**2)

    def predictive(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean (N, T) and total standard deviation (N, 1) of new targets."""
        A = with_bias(X)
        variance = np.einsum("ni,ij,nj->n", A, np.linalg.inv(self.precision), A)
        return A @ self.mean, np.sqrt(variance + self.noise**2)[:, None]

    def rows(self, index) -> LinearProblem:
        """The same problem with the chosen rows only."""
        return replace(self, X=self.X[index], y=self.y[index], weight=self.weight[index])

    def prior(self) -> Prior:
        return Normal(scale=self.scale, fan_in_scaling=self.fan_in_scaling)

    def data(self) -> Data:
        return to_data(self.X, self.y, self.weight)

    def model(self, prior: Prior | None = None, likelihood: Likelihood | None = None) -> Model:
        network = MLPNetwork(self.X.shape[1], self.n_targets, ())
        likelihood = likelihood or Gaussian(noise=self.noise)
        return Model(network, prior or self.prior(), likelihood, self.n_targets, LIKE)

    def estimator(self, inference: Inference, **params) -> BayesianMLPRegressor:
        """An unfitted estimator whose model is this problem, without any scaling."""
        chosen = {"prior": self.prior(), "likelihood": Gaussian(noise=self.noise), **params}
        return BayesianMLPRegressor(
            (),
            inference=inference,
            scale_inputs=None,
            scale_targets=False,
            dtype="float64",
            random_state=0,
            **chosen,
        )


def linear_problem(
    n_rows: int = 50, n_features: int = 4, n_targets: int = 1, weighted: bool = False, **fields
) -> LinearProblem:
    """Correlated columns off centre, so that no coefficient is independent of another."""
    rng = np.random.default_rng(7)
    X = rng.normal(size=(n_rows, n_features)) + 0.7 * rng.normal(size=(n_rows, 1)) + 0.3
    truth = rng.normal(size=(n_features + 1, n_targets))
    y = with_bias(X) @ truth + 0.5 * rng.normal(size=(n_rows, n_targets))
    weight = rng.integers(1, 4, n_rows) if weighted else np.ones(n_rows)
    return LinearProblem(X, y, weight.astype(float), **fields)


def correlated_problem() -> LinearProblem:
    """Four columns that are almost one: weights trade off along three directions."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 1)) + 0.1 * rng.normal(size=(60, 4))
    return LinearProblem(X, X.sum(1, keepdims=True), np.ones(60))


@dataclass(frozen=True)
class Grid:
    """Posterior on a fine grid: points (G, n), log weights (G,) of point and cell."""

    points: np.ndarray
    log_mass: np.ndarray

    @property
    def log_evidence(self) -> float:
        return float(logsumexp(self.log_mass))

    @property
    def probabilities(self) -> np.ndarray:
        return np.exp(self.log_mass - self.log_evidence)

    def expect(self, values: np.ndarray) -> np.ndarray:
        """Posterior mean of values (G, ...)."""
        return np.tensordot(self.probabilities, values, axes=1)

    @property
    def mean(self) -> np.ndarray:
        return self.expect(self.points)

    @property
    def covariance(self) -> np.ndarray:
        centred = self.points - self.mean
        return self.expect(centred[:, :, None] * centred[:, None, :])


def grid_posterior(log_joint, box, n_points: int = 401) -> Grid:
    """Trapezoid rule on a box: spectrally exact where the density dies before the edge."""
    axes = [np.linspace(low, high, n_points) for low, high in box]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))
    cell = sum(np.log(axis[1] - axis[0]) for axis in axes)
    return Grid(points, log_joint(points) + cell)


@dataclass(frozen=True)
class LogisticProblem:
    """Logistic regression with one weight and one bias on few, one-sided rows: skewed."""

    X: np.ndarray
    y: np.ndarray
    weight: np.ndarray
    scale: float = 5.0
    box: tuple = ((-12.0, 26.0), (-32.0, 18.0))

    @cached_property
    def posterior(self) -> Grid:
        return grid_posterior(self._log_joint, self.box)

    def _log_joint(self, points: np.ndarray) -> np.ndarray:
        margins = (points @ with_bias(self.X).T) * (2 * self.y - 1)
        prior = norm(scale=self.scale).logpdf(points).sum(1)
        return log_expit(margins) @ self.weight + prior

    def predictive(self, X: np.ndarray) -> np.ndarray:
        """Probability (N,) of the second class."""
        return self.posterior.expect(np.exp(log_expit(self.posterior.points @ with_bias(X).T)))

    def data(self) -> Data:
        return to_data(self.X, self.y, self.weight)

    def model(self, prior: Prior | None = None) -> Model:
        return Model(MLPNetwork(1, 1, ()), prior or Normal(scale=self.scale), Bernoulli(), 2, LIKE)

    def estimator(self, inference: Inference, **params) -> BayesianMLPClassifier:
        return BayesianMLPClassifier(
            (),
            prior=Normal(scale=self.scale),
            likelihood="bernoulli",
            inference=inference,
            scale_inputs=None,
            dtype="float64",
            random_state=0,
            **params,
        )


def logistic_problem() -> LogisticProblem:
    X = np.array([[0.2], [0.5], [0.9], [1.1], [1.6], [2.0], [2.4]])
    return LogisticProblem(X, np.array([0, 0, 0, 1, 0, 1, 1]), np.ones(7))


@dataclass(frozen=True)
class LearnedProblem:
    """Linear regression with learned scale and noise, integrated over a grid of both.

    Given both, the model is `LinearProblem`; half-normal(1) priors on the scale and on
    the noise above its floor, as densities of the logarithms.
    """

    linear: LinearProblem

    @cached_property
    def posterior(self) -> Grid:
        """Of (log scale, log noise above the floor)."""
        return grid_posterior(self._log_joint, ((-4.0, 2.5), (-4.0, 1.5)), n_points=161)

    def _log_joint(self, points: np.ndarray) -> np.ndarray:
        log_prior = (0.5 * np.log(2 / np.pi) - 0.5 * np.exp(2 * points) + points).sum(1)
        return log_prior + self._log_evidence(np.exp(points[:, :1]), self._noise(points))

    @staticmethod
    def _noise(points: np.ndarray) -> np.ndarray:
        return NOISE_FLOOR + np.exp(points[:, 1:])

    def _log_evidence(self, scale: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Marginal density in the eigenbasis of the design: (G,)."""
        values, projected = self._eigenbasis
        variance = scale**2 * values + noise**2
        terms = np.log(2 * np.pi * variance) + projected**2 / variance
        return -0.5 * terms.sum(1)

    @cached_property
    def _eigenbasis(self) -> tuple[np.ndarray, np.ndarray]:
        A, y = self.linear.repeated
        unit = self.linear.prior_sd / self.linear.scale
        values, vectors = np.linalg.eigh((A * unit**2) @ A.T)
        return values.clip(0), vectors.T @ y[:, 0]

    @cached_property
    def weights(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean (P,) and covariance (P, P) of the weights, hyperparameters integrated out."""
        grid = self.posterior
        heavy = np.flatnonzero(grid.probabilities > 1e-9)
        share = grid.probabilities[heavy] / grid.probabilities[heavy].sum()
        scale, noise = np.exp(grid.points[heavy, 0]), self._noise(grid.points[heavy])[:, 0]
        A, y = self.linear.repeated
        unit = np.diag((self.linear.prior_sd / self.linear.scale) ** -2.0)
        precision = (A.T @ A) / noise[:, None, None] ** 2 + unit / scale[:, None, None] ** 2
        covariance = np.linalg.inv(precision)
        mean = (covariance @ (A.T @ y[:, 0])) / noise[:, None] ** 2
        average = share @ mean
        spread = (mean - average)[:, :, None] * (mean - average)[:, None, :]
        return average, np.tensordot(share, covariance + spread, axes=1)

    def data(self) -> Data:
        return self.linear.data()

    def model(self) -> Model:
        return self.linear.model(prior=Normal(), likelihood=Gaussian())


def learned_problem(n_rows: int = 30) -> LearnedProblem:
    return LearnedProblem(linear_problem(n_rows=n_rows, n_features=3))
