"""Small networks whose evidence is known: the last layer by hand, those below by many draws."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from scipy.special import logsumexp
from scipy.stats import norm

from skbayes._model import Model
from skbayes.data._tensors import Data
from skbayes.evidence import importance_evidence
from skbayes.likelihoods import Gaussian
from skbayes.networks import MLPNetwork
from skbayes.posteriors import ParticlePosterior
from skbayes.priors import Normal
from skbayes.utils._random import make_generator
from tests.scenarios import LIKE

N_PRIOR = 100_000


@dataclass(frozen=True)
class SmallNet:
    """y = sin(2 x) + noise on a few rows, under a network of known scale and noise.

    Given the layers below, targets are normal; the mean of their density over prior draws of
    those layers is the evidence, and such draws weighted by it are the posterior.
    """

    hidden: tuple[int, ...]
    activation: str = "tanh"
    n_rows: int = 8
    noise: float = 0.3

    @property
    def model(self) -> Model:
        likelihood = Gaussian(noise=self.noise)
        return Model(
            MLPNetwork(1, 1, self.hidden, self.activation), Normal(1.5), likelihood, 1, LIKE
        )

    @property
    def data(self) -> Data:
        X = np.linspace(-2, 2, self.n_rows)
        y = np.sin(2 * X) + 0.2 * np.random.default_rng(0).normal(size=self.n_rows)
        return Data(*(torch.from_numpy(a) for a in (X[:, None], y[:, None], np.ones(len(X)))))

    @cached_property
    def _below(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Whitened draws (S, P), designs of the last layer (S, N, H + 1), log densities (S,)."""
        model, data = self.model, self.data
        z = np.random.default_rng(1).normal(size=(N_PRIOR, model.n_weights))
        value = data.X.numpy().T[None]
        layers = model.network.unpack(model.weights(torch.from_numpy(z)))
        act = {"tanh": np.tanh, "relu": lambda x: np.maximum(x, 0)}[self.activation]
        for W, b in layers[:-1]:
            value = act(W.numpy() @ value + b.numpy()[:, :, None])
        n_hidden = self.hidden[-1]
        design = np.concatenate([value / np.sqrt(n_hidden), np.ones_like(value[:, :1])], axis=1)
        design = 1.5 * design.swapaxes(1, 2)
        covariance = design @ design.swapaxes(1, 2) + self.noise**2 * np.eye(self.n_rows)
        y = np.broadcast_to(data.y.numpy(), (len(z), self.n_rows, 1))
        white = np.linalg.solve(np.linalg.cholesky(covariance), y)
        log_det = np.linalg.slogdet(covariance)[1]
        log_density = norm.logpdf(white[..., 0]).sum(1) - 0.5 * log_det
        return z, design, log_density

    @cached_property
    def log_evidence(self) -> tuple[float, float]:
        """Of the targets, with its standard error."""
        log_density = self._below[2]
        value = logsumexp(log_density) - np.log(N_PRIOR)
        return value, np.exp(log_density - value).std() / np.sqrt(N_PRIOR)

    def posterior_draws(self, n: int) -> torch.Tensor:
        """Independent draws (n, P), in every order and sign of the units."""
        z, design, log_density = self._below
        rng = np.random.default_rng(2)
        at = rng.choice(N_PRIOR, n, p=np.exp(log_density - logsumexp(log_density)))
        z, size = z[at].copy(), self.hidden[-1] + 1
        precision = design[at].swapaxes(1, 2) @ design[at] / self.noise**2 + np.eye(size)
        linear = design[at].swapaxes(1, 2) @ self.data.y.numpy() / self.noise**2
        mean = np.linalg.solve(precision, linear)[..., 0]
        root = np.linalg.cholesky(np.linalg.inv(precision))
        z[:, -size:] = mean + (root @ rng.normal(size=(n, size, 1)))[..., 0]
        return torch.from_numpy(z)


#: Three units that the rows hardly tell from none: the posterior's parts lie in one another.
BLURRED = SmallNet((3,), n_rows=4, noise=1.0)


def check_importance_of_small_net(problem: SmallNet) -> None:
    """Importance sampling from draws in every order and sign finds the evidence."""
    posterior = ParticlePosterior(np.zeros((1, 1, 1)))
    draws = problem.posterior_draws(1000)
    importance_evidence(problem.model, problem.data, draws, make_generator(0), posterior)
    assert posterior.evidence_kind == "importance"
    check_evidence(posterior, problem)


def check_evidence(posterior, problem: SmallNet, largest_error: float = 0.06) -> None:
    """Within four standard errors, and these are small."""
    exact, of_exact = problem.log_evidence
    error = np.hypot(posterior.evidence_se, of_exact)
    assert error < largest_error, f"standard errors {posterior.evidence_se}, {of_exact}"
    off = posterior.log_evidence - exact
    assert abs(off) < 4 * error, f"off by {off}, standard error {error}"
