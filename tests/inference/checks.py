"""Exact checks of the engines that approximate by a normal: they raise AssertionError.

Tests run them on the package as it is; `tests/test_mutations.py` runs them on the package
with a known bug put in, and expects them to fail.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.optimize import minimize

from skbayes._model import Model
from skbayes.data._tensors import Data
from skbayes.inference import Laplace, MeanFieldVI
from skbayes.likelihoods import Categorical
from skbayes.networks import MLPNetwork, Network
from skbayes.posteriors import GaussianPosterior
from skbayes.posteriors._function_draws import Moments
from skbayes.priors import Normal
from skbayes.utils._random import make_generator, randn
from tests.scenarios import (
    LIKE,
    LearnedProblem,
    LinearProblem,
    learned_problem,
    linear_problem,
    make_run,
    run_engine,
    to_data,
)

#: z-scores beyond this are bugs: 6e-7 by chance, and a run makes some hundreds of them.
Z_LIMIT = 5.0


def assert_z(estimates: np.ndarray, exact: np.ndarray, what: str) -> None:
    """Independent estimates (C, ...) average to the exact values, by their own errors."""
    error = estimates.std(axis=0, ddof=1) / np.sqrt(len(estimates))
    z = (estimates.mean(axis=0) - exact) / error
    assert np.abs(z).max() < Z_LIMIT, f"{what}: z-scores {np.round(z, 1)}"


def assert_close(actual, exact, what: str, tol: float = 1e-6) -> None:
    """Equal up to rounding, relative to the largest exact value."""
    actual, exact = np.asarray(actual), np.asarray(exact)
    error = np.abs(actual - exact).max() / max(1.0, np.abs(exact).max())
    assert error < tol, f"{what}: off by {error:.3g}"


def weight_scale(model: Model, params: np.ndarray) -> np.ndarray:
    """Scale (P,) of the network's weights at a packed vector (n_params,)."""
    packed = torch.from_numpy(params)[None]
    return model.weight_scales(model.split(packed)[1])[0].numpy()


def normal_moments(model: Model, posterior: GaussianPosterior) -> tuple[np.ndarray, np.ndarray]:
    """Mean (P,) and covariance (P, P) of the network's weights."""
    n, scale = model.n_weights, weight_scale(model, posterior.mean)
    covariance = posterior.covariance()[:n, :n] * np.outer(scale, scale)
    return posterior.mean[:n] * scale, covariance


# --- Laplace -------------------------------------------------------------------------


def check_laplace(problem: LinearProblem, structure: str = "full") -> None:
    """A structure that can hold the posterior of a linear model holds it, with evidence."""
    model, posterior = run_engine(Laplace(structure, max_iter=50), problem)
    mean, covariance = normal_moments(model, posterior)
    assert_close(mean, problem.packed_mean, "mean")
    assert_close(covariance, problem.packed_covariance, "covariance")
    assert_close(posterior.log_evidence, problem.log_evidence, "log evidence")


def check_laplace_diagonal(problem: LinearProblem) -> None:
    """Variances 1 / P_ii, and the volume of that normal in the evidence."""
    model, posterior = run_engine(Laplace("diag", max_iter=3000), problem)
    mean, covariance = normal_moments(model, posterior)
    assert_close(mean, problem.packed_mean, "mean")
    assert_close(covariance, np.diag(1 / np.diag(problem.packed_precision)), "covariance")
    # The evidence's gap is the mean-field gap: log det of P against its diagonal.
    assert_close(posterior.log_evidence, problem.mean_field_bound, "log evidence")


def check_laplace_classes(weighted: bool) -> None:
    """On a linear softmax model the GGN is the Hessian, at a point without gradient."""
    rng = np.random.default_rng(3)
    X, y = rng.normal(size=(40, 2)), rng.integers(0, 3, 40)
    weight = rng.integers(1, 4, 40).astype(float) if weighted else np.ones(40)
    data = to_data(X, y, weight)
    model = Model(MLPNetwork(2, 3, ()), Normal(scale=1.5), Categorical(), 3, LIKE)
    posterior = Laplace("full", max_iter=100).run(model, data, make_run())
    mode = torch.from_numpy(posterior.mean)
    hessian = torch.autograd.functional.hessian(lambda z: -model.log_joint(z[None], data)[0], mode)
    gradient = torch.autograd.functional.jacobian(lambda z: model.log_joint(z[None], data)[0], mode)
    assert_close(gradient, np.zeros(len(mode)), "gradient at the mode", tol=1e-4)
    assert_close(np.linalg.inv(posterior.covariance()), hessian, "precision")


def check_evidence_maximisation(structure: str = "full") -> None:
    """Tuned scale and noise maximise exact evidence times hyperprior of the linear model."""
    problem: LearnedProblem = learned_problem()

    def loss(log_hyper: np.ndarray) -> float:
        scale, noise = np.exp(log_hyper)
        log_prior = (log_hyper - 0.5 * np.exp(2 * log_hyper)).sum()
        evidence = problem._log_evidence(np.array([[scale]]), np.array([[noise]]))
        return -float(evidence[0]) - log_prior

    best = minimize(loss, [0.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-12})
    model, posterior = run_engine(Laplace(structure, max_iter=200), problem)
    tuned = model.named(torch.from_numpy(posterior.mean)[None])
    found = [float(tuned["prior_scale"][0, 0]), float(tuned["noise_scale"][0, 0])]
    assert_close(np.log(found), best.x, "log scale and log noise", tol=1e-3)
    scale, noise = np.exp(best.x).reshape(2, 1, 1)
    assert_close(posterior.log_evidence, problem._log_evidence(scale, noise)[0], "log evidence")


def small_net(n_rows: int = 60) -> tuple[Model, Data]:
    """A two-layer tanh network on rows of two classes, one inside the other."""
    rng = np.random.default_rng(5)
    X = rng.normal(size=(n_rows, 2))
    y = ((X + 0.3) ** 2).sum(1) > 1.5
    data = to_data(X, y.astype(int), rng.integers(1, 3, n_rows).astype(float))
    return Model(MLPNetwork(2, 2, (4,)), Normal(scale=2.0), Categorical(), 2, LIKE), data


def check_linearised_draws(structure: str) -> None:
    """Function draws of a nonlinear network have the moments f, J Sigma J'."""
    model, data = small_net()
    posterior = Laplace(structure, max_iter=300).run(model, data, make_run())
    mean, covariance = normal_moments(model, posterior)
    X, n = torch.linspace(-2, 2, 10, dtype=torch.float64).view(5, 2), 4000
    weights = torch.from_numpy(mean)
    jacobian = Network.jacobian(model.network, weights, X).flatten(0, 1).numpy()
    exact = jacobian @ covariance @ jacobian.T
    params = posterior.sample(n, make_generator(1))
    draws = posterior.function(model, params)(X).flatten(1).numpy()
    centre = model.network.forward(weights[None], X).flatten().numpy()
    sd = np.sqrt(np.diag(exact))
    noise = Z_LIMIT / np.sqrt(n)
    assert np.abs(jacobian @ mean / sd).max() > 3 * noise, "a forgotten centre would show"
    assert np.abs((draws.mean(0) - centre) / sd).max() < noise, "mean of draws"
    error = np.sqrt((np.outer(sd, sd) ** 2 + exact**2) / n)
    assert np.abs((np.cov(draws.T) - exact) / error).max() < Z_LIMIT, "covariance of draws"


def check_moments(model: Model, posterior: GaussianPosterior) -> None:
    """Means, variances and covariances of the outputs are f and J Sigma J'."""
    X = torch.linspace(-2, 2, 7 * model.network.n_inputs, dtype=torch.float64)
    X = X.view(-1, model.network.n_inputs).sin()
    mean, covariance = normal_moments(model, posterior)
    weights = torch.from_numpy(mean)
    jacobian = Network.jacobian(model.network, weights, X).numpy()
    exact = np.einsum("nkp,pq,njq->nkj", jacobian, covariance, jacobian)
    moments = Moments(posterior.normal_outputs(model))
    found = moments.reduce(X, lambda o: [o.mean, o.variance, o.covariance])
    assert_close(found[0], model.network.forward(weights[None], X)[0], "mean", 1e-12)
    assert_close(found[1], np.einsum("nkk->nk", exact), "variance", 1e-12)
    assert_close(found[2], exact, "covariance", 1e-12)


def check_linearised_moments(structure: str) -> None:
    """`check_moments` of a small network's posterior."""
    model, data = small_net()
    check_moments(model, Laplace(structure, max_iter=20).run(model, data, make_run()))


# --- mean field ----------------------------------------------------------------------


def check_mean_field(
    problem: LinearProblem, mean_within: float = 0.15, sd_within: float = 0.05, **params
) -> None:
    """Mean and spread of the best independent normals, and their bound.

    Tolerances are the engine's promise under a decayed rate: the mean in units of the
    optimum's standard deviations, the standard deviation relative.
    """
    model, posterior = run_engine(MeanFieldVI(n_particles=8, **params), problem)
    mean, covariance = normal_moments(model, posterior)
    sd = np.diag(problem.packed_precision) ** -0.5
    off = np.abs(mean - problem.packed_mean) / sd
    assert off.max() < mean_within, f"mean off by {off.max():.3f} sd"
    ratio = np.sqrt(np.diag(covariance)) / sd
    assert np.abs(ratio - 1).max() < sd_within, f"sd off by ratios {ratio}"
    check_bound(posterior, problem.log_evidence, problem.mean_field_bound)


def check_bound(posterior, log_evidence: float, best: float | None = None) -> None:
    """The bound is below the evidence, and near the best bound where that is known."""
    bound, error = posterior.log_evidence, posterior.evidence_se
    assert posterior.evidence_kind == "elbo"
    assert 0 < error < 0.2, f"standard error {error}"
    assert bound < log_evidence + 4 * error, f"bound {bound} above evidence {log_evidence}"
    if best is not None:
        assert abs(bound - best) < 0.1 + 4 * error, f"bound {bound}, best {best}"


def check_mean_field_stationary(model: Model, data, posterior, n: int = 20_000) -> None:
    """At the optimum E[g] = 0 and E[(theta - mean) g] = -1 for every unknown.

    g is the gradient of the log joint. Errors are turned into those of mean (in sd) and
    of sd (relative), as in `check_mean_field`.
    """
    mean = torch.from_numpy(posterior.mean)
    sd = torch.from_numpy(np.sqrt(np.diag(posterior.covariance())))
    noise = randn((n, len(mean)), mean, make_generator(9))
    gradient = model.value_and_grad(mean + sd * noise, data)[1] * sd
    centred = (noise * gradient).mean(0)
    # Moving the mean by d sd changes E[g] sd by the curvature, which is -1 at the optimum.
    shift, widening = gradient.mean(0).abs().max(), (centred + 1).abs().max() / 2
    error = 4 * float(gradient.std(0).max()) / np.sqrt(n)
    assert shift < 0.15 + error, f"mean off by {shift:.3f} sd"
    assert widening < 0.05 + error, f"sd off by {widening:.3f}"


def two_targets() -> LinearProblem:
    return linear_problem(n_targets=2, weighted=True)
