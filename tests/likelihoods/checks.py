"""Exact checks of a likelihood at random outputs: they raise AssertionError."""

from __future__ import annotations

import numpy as np
import torch
from scipy.integrate import quad
from scipy.stats import kstest

from skbayes._model import Model
from skbayes.likelihoods import (
    Bernoulli,
    BernoulliColumns,
    Categorical,
    Gaussian,
    Heteroscedastic,
    Likelihood,
)
from skbayes.likelihoods._base import NOISE_FLOOR
from skbayes.networks import MLPNetwork
from skbayes.priors import Normal
from skbayes.utils._random import make_generator
from tests.scenarios import LIKE

N_DRAWS = 20_000


def point(likelihood: Likelihood, n_targets: int, n_rows: int = 4, n_particles: int = 2):
    """Random outputs (S, N, K), unknowns (S, H) and a generator."""
    generator = make_generator(314_159_265)
    shape = (n_particles, n_rows, likelihood.n_outputs(n_targets))
    outputs = torch.randn(shape, dtype=torch.float64, generator=generator)
    size = (n_particles, likelihood.n_hyper(n_targets))
    hyper = 0.3 * torch.randn(size, dtype=torch.float64, generator=generator) - 0.5
    return outputs, hyper, generator


def density(likelihood: Likelihood, y: float, outputs, hyper) -> float:
    """Density of one target at one row of one particle."""
    y = torch.tensor([[y]], dtype=torch.float64)
    return float(torch.exp(likelihood.log_prob(outputs, y, hyper)))


def single(likelihood: Likelihood):
    """One particle's outputs (1, 1, K) for one target, and its unknowns (1, H)."""
    outputs, hyper, _ = point(likelihood, 1)
    return outputs[:1, :1], hyper[:1]


def integral(function, centre: float) -> float:
    """Over the line, split where the density peaks."""
    left = quad(function, -np.inf, centre, epsabs=1e-11)[0]
    return left + quad(function, centre, np.inf, epsabs=1e-11)[0]


def check_numeric_density(likelihood: Likelihood) -> None:
    """Integrates to one, and its moments are `mean` and `variance`."""
    outputs, hyper = single(likelihood)
    mean = float(likelihood.mean(outputs, hyper))
    variance = float(likelihood.variance(outputs, hyper))

    def moment(power: int) -> float:
        return integral(
            lambda y: (y - mean) ** power * density(likelihood, y, outputs, hyper), mean
        )

    assert abs(moment(0) - 1) < 1e-8, f"density integrates to {moment(0)}"
    assert abs(moment(1)) < 1e-7, "mean"
    assert abs(moment(2) / variance - 1) < 1e-6, f"variance {moment(2)}, stated {variance}"


def check_cdf(likelihood: Likelihood) -> None:
    """The distribution function is the density's integral."""
    outputs, hyper = single(likelihood)
    centre = float(likelihood.mean(outputs, hyper))
    for y in (centre - 1.3, centre, centre + 0.4):
        exact = quad(lambda t: density(likelihood, t, outputs, hyper), -np.inf, y, epsabs=1e-11)[0]
        found = likelihood.cdf(np.array([[y]]), outputs, hyper)
        assert found.shape == (1, 1, 1)
        assert abs(float(found[0, 0, 0]) - exact) < 1e-7, f"cdf at {y}"


def check_numeric_samples(likelihood: Likelihood) -> None:
    """Draws put through the distribution function are uniform."""
    outputs, hyper = single(likelihood)
    many = outputs.expand(1, N_DRAWS, -1)
    draws = likelihood.sample(many, hyper, make_generator(271_828_182)).numpy()
    u = likelihood.cdf(draws[0], many, hyper)[0, :, 0]
    p = kstest(u, "uniform").pvalue
    assert p > 1e-6, f"draws do not follow the density: p = {p}"


def check_class_probabilities(likelihood: Likelihood, n_classes: int) -> None:
    """Probabilities sum to one, are what `log_prob` says, and what draws follow."""
    outputs, hyper, _ = point(likelihood, n_classes)
    p = likelihood.probabilities(outputs)
    torch.testing.assert_close(p.sum(2), torch.ones(p.shape[:2], dtype=p.dtype))
    for code in range(n_classes):
        y = torch.full((p.shape[1],), code)
        torch.testing.assert_close(torch.exp(likelihood.log_prob(outputs, y, hyper)), p[..., code])
    many = outputs[:1, :1].expand(1, N_DRAWS, -1)
    codes = likelihood.sample(many, hyper, make_generator(161_803_398))[0]
    share = torch.bincount(codes, minlength=n_classes) / N_DRAWS
    error = (p[0, 0] * (1 - p[0, 0]) / N_DRAWS).sqrt()
    assert ((share - p[0, 0]).abs() < 5 * error).all(), f"shares {share}, exact {p[0, 0]}"


def check_gradients(likelihood: Likelihood, n_targets: int) -> None:
    """Value and hand-written gradients equal those of autograd."""
    outputs, hyper, generator = point(likelihood, n_targets)
    n_rows = outputs.shape[1]
    weight = 0.5 + torch.rand(n_rows, dtype=torch.float64, generator=generator)
    if likelihood.target == "classes":
        y = torch.randint(n_targets, (n_rows,), generator=generator)
    else:
        y = torch.randn(n_rows, n_targets, dtype=torch.float64, generator=generator)
    found = likelihood.value_and_grad(outputs, y, weight, hyper)
    outputs.requires_grad_(), hyper.requires_grad_()
    value = (likelihood.log_prob(outputs, y, hyper) * weight).sum(1)
    grads = torch.autograd.grad(value.sum(), (outputs, hyper), materialize_grads=True)
    torch.testing.assert_close(found[0], value.detach())
    torch.testing.assert_close(found[1], grads[0])
    if hyper.shape[1]:
        torch.testing.assert_close(found[2], grads[1])


def check_fisher(likelihood: Likelihood, n_targets: int) -> None:
    """Fisher information is the mean outer product of scores over the likelihood's draws."""
    outputs, hyper, generator = point(likelihood, n_targets, n_rows=1, n_particles=1)
    exact = likelihood.fisher(outputs, hyper)[0, 0]
    many = outputs.expand(1, N_DRAWS, -1)
    y = likelihood.sample(many, hyper, generator)[0]
    _, scores, _ = likelihood.value_and_grad(many, y, torch.ones(N_DRAWS).double(), hyper)
    products = scores[0, :, :, None] * scores[0, :, None, :]
    error = products.std(0) / np.sqrt(N_DRAWS)
    off = (products.mean(0) - exact).abs()
    assert (off < 5 * error + 1e-12).all(), f"mean {products.mean(0)}, Fisher {exact}"
    root = likelihood.fisher_root(outputs, hyper)[0, 0]
    torch.testing.assert_close(root @ root.T, exact)


class Normals:
    """Independent normal outputs (N, K) of one row and one target."""

    def __init__(self, mean, variance) -> None:
        self.mean, self.variance = (torch.tensor(a).double()[None] for a in (mean, variance))


def check_averages_over_normals(likelihood: Likelihood, means, sds) -> None:
    """Closed forms are integrals of `mean` and `variance` over the outputs' normal."""
    hyper = torch.full((1, likelihood.n_hyper(1)), -0.5, dtype=torch.float64)
    z = torch.linspace(-14, 14, 400_001, dtype=torch.float64)
    weight = torch.exp(-0.5 * z**2)
    # Each head has the target's mean or its spread to itself: one integral does for all.
    outputs = torch.stack([m + s * z for m, s in zip(means, sds, strict=True)], 1)[:, None]
    mean = likelihood.mean(outputs, hyper)[:, 0, 0]
    variance = likelihood.variance(outputs, hyper)[:, 0, 0]

    def average(values) -> float:
        return float((values * weight).sum() / weight.sum())

    normals = Normals(list(means), [s**2 for s in sds])
    exact = {
        "expected_mean": average(mean),
        "variance_of_mean": average((mean - average(mean)) ** 2),
        "expected_variance": average(variance),
    }
    if likelihood.target == "numeric":
        exact["expected_log_sd"] = average(0.5 * torch.log(variance))
    for name, value in exact.items():
        found = getattr(likelihood, name)(normals, hyper)
        assert found.shape == (1, 1)
        error = abs(float(found) - value)
        assert error < 1e-6 * max(abs(value), 1e-3), f"{name}: {float(found)}, exact {value}"


def check_log_noise_information() -> None:
    """Fisher information of a log noise near the floor, which is no part of what moves it.

    The score in the log noise is (r² - 1) (sd - floor) / sd of a standard normal r; E of
    its square by Gauss-Hermite nodes, exact for a polynomial of fourth degree.
    """
    likelihood, none = Heteroscedastic(), torch.zeros(1, 0, dtype=torch.float64)
    nodes, weights = np.polynomial.hermite_e.hermegauss(8)
    for log_sd in (-7.0, -5.0, 0.0, 3.0):
        outputs = torch.tensor([[[0.4, log_sd]]], dtype=torch.float64)
        sd = likelihood.variance(outputs, none).sqrt()
        y = (0.4 + sd * torch.from_numpy(nodes))[0, 0, :, None]
        many, ones = outputs.expand(1, 8, 2), torch.ones(8, dtype=torch.float64)
        scores = likelihood.grad(many, y, ones, none)[0][0].numpy()
        exact = weights @ scores**2 / weights.sum()
        found = likelihood.fisher_diagonal(outputs, none)[0, 0].numpy()
        np.testing.assert_allclose(found, exact, rtol=1e-9)


def check_range_of_log_noise() -> None:
    """Noise is the floor plus an exponential as far as e^8, and never beyond."""
    likelihood, none = Heteroscedastic(), torch.zeros(1, 0, dtype=torch.float64)
    for log_sd, kept in ((-9.0, -8.0), (-4.0, -4.0), (7.9, 7.9), (20.0, 8.0)):
        outputs = torch.tensor([[[0.0, log_sd]]], dtype=torch.float64)
        exact = (NOISE_FLOOR + np.exp(kept)) ** 2
        np.testing.assert_allclose(likelihood.variance(outputs, none), [[[exact]]])


def check_width_before_logits() -> None:
    """A scale that feeds logits is half-normal of width 10, one that feeds numbers of 1."""
    cases = ((Categorical(), 10.0), (Bernoulli(), 10.0), (BernoulliColumns(), 10.0),
             (Gaussian(), 1.0), (Heteroscedastic(), 1.0))  # fmt: skip
    for likelihood, width in cases:
        network = MLPNetwork(1, likelihood.n_outputs(2), (2,))
        model = Model(network, Normal(), likelihood, 2, LIKE)
        # The density of a log scale, u - exp(2 u) / 2 w², is highest at the width w.
        logs = torch.linspace(-2, 4, 6001, dtype=torch.float64)
        params = torch.zeros(len(logs), model.n_params, dtype=torch.float64)
        for layer, own in ((0, 1.0), (1, width)):
            moved = params.clone()
            moved[:, model.n_weights + layer] = logs
            top = logs[model.log_prior(moved).argmax()]
            assert abs(float(top) - np.log(own)) < 1e-3, f"{likelihood}: layer {layer}"
