"""Exact checks of a prior's base density: they raise AssertionError."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from scipy.integrate import quad
from scipy.stats import kstest

from skbayes.data._tensors import Data
from skbayes.likelihoods import Gaussian
from skbayes.networks import MLPNetwork
from skbayes.priors import EmpiricalBayes, Prior, _trained
from skbayes.utils._random import make_generator

#: Kolmogorov-Smirnov p-values below this are bugs.
P_LIMIT = 1e-6


def density(prior: Prior, z: float) -> float:
    """Base density at a point."""
    return float(torch.exp(prior.log_base(torch.tensor(z, dtype=torch.float64))))


def mass(prior: Prior, low: float, high: float) -> float:
    """Probability of an interval; cut at the kinks and spikes near zero."""
    cuts = [c for c in (-1.0, -0.1, 0.0, 0.1, 1.0) if low < c < high]
    edges = [low, *cuts, high]
    return sum(quad(lambda z: density(prior, z), a, b, epsabs=1e-12)[0] for a, b in pairwise(edges))


def check_normalised(prior: Prior) -> None:
    """The base density integrates to one."""
    total = mass(prior, -np.inf, np.inf)
    assert abs(total - 1) < 1e-9, f"density integrates to {total}"


def check_score(prior: Prior) -> None:
    """`score_base` is the derivative of `log_base`."""
    z = torch.linspace(-4, 4, 40, dtype=torch.float64).requires_grad_()
    (exact,) = torch.autograd.grad(prior.log_base(z).sum(), z)
    torch.testing.assert_close(prior.score_base(z.detach()), exact, rtol=1e-10, atol=1e-10)


def check_samples(prior: Prior, n: int = 20_000) -> None:
    """Draws follow the density, by its distribution function on a grid."""
    like = torch.empty(0, dtype=torch.float64)
    draws = prior.sample_base((n,), like, make_generator(123_456_789)).numpy()
    uniform = np.tan(np.pi / 2 * np.linspace(-0.999, 0.999, 801))
    steps = [mass(prior, a, b) for a, b in pairwise(uniform)]
    cumulative = mass(prior, -np.inf, uniform[0]) + np.r_[0, np.cumsum(steps)]
    inside = draws[np.abs(draws) < uniform[-1]]
    share = min(cumulative[-1] - cumulative[0], 1.0)
    assert abs(len(inside) / n - share) < 5 * np.sqrt(share * (1 - share) / n) + 1e-9, "tail mass"
    p = kstest(inside, lambda z: (np.interp(z, uniform, cumulative) - cumulative[0]) / share).pvalue
    assert p > P_LIMIT, f"draws do not follow the density: p = {p}"


def check_kl(prior: Prior) -> None:
    """Elementwise KL(normal || base) by quadrature."""
    for mean, sd in ((0.0, 1.0), (0.7, 0.3), (-2.0, 0.05), (1.0, 2.5)):

        def integrand(e: float, mean: float = mean, sd: float = sd) -> float:
            base = float(prior.log_base(torch.tensor(mean + sd * e, dtype=torch.float64)))
            log_q = -0.5 * e * e - 0.5 * np.log(2 * np.pi)
            return np.exp(log_q) * (log_q - np.log(sd) - base)

        exact = quad(integrand, -12, 12, epsabs=1e-12)[0]
        found = prior.kl_base(
            torch.tensor([mean], dtype=torch.float64), torch.tensor([sd], dtype=torch.float64)
        )
        assert found.shape == (1,)
        assert abs(float(found) - exact) < 1e-8, f"KL {float(found)}, exact {exact}"


def check_curvature(prior: Prior) -> None:
    """Curvature times z is the negative score: a normal bound that touches the density.

    By it, the Laplace approximation sees a scale mixture of normals as the normal of the
    mean precision that z tells of (the kink of a Laplace density apart).
    """
    z = torch.linspace(-5, 5, 101, dtype=torch.float64)
    z = z[z.abs() > 0.15]
    torch.testing.assert_close(prior.curvature_base(z) * z, -prior.score_base(z))


def check_trained_objective() -> None:
    """Gradients of the quick training, of a batch that stands for more rows than it has."""
    generator, network = make_generator(1), MLPNetwork(2, 1, (3,))
    rows = torch.randn(5, 3, generator=generator, dtype=torch.float64)
    data = Data(rows[:, :2], rows[:, 2:], torch.linspace(0.5, 1.5, 5, dtype=torch.float64))
    units = torch.rand(network.n_weights, generator=generator, dtype=torch.float64) + 0.5
    objective = _trained.LikelihoodObjective(network, Gaussian(), units)
    shapes = {"z": (1, network.n_weights), "hyper": (1, 1)}
    at = {
        name: torch.randn(shape, generator=generator, dtype=torch.float64)
        for name, shape in shapes.items()
    }

    def exact(z: torch.Tensor, hyper: torch.Tensor) -> torch.Tensor:
        outputs = network.forward(z * units, data.X)
        log_prob = (Gaussian().log_prob(outputs, data.y, hyper) * data.weight).sum(1)
        return -(2.5 * log_prob + Gaussian().hyper_prior.log_prob(hyper).sum(1))

    value, grads = objective(at, data, 2.5, 0.0)
    torch.testing.assert_close(value, exact(**at))
    jacobian = torch.autograd.functional.jacobian(exact, (at["z"], at["hyper"]))
    for found, expected in zip((grads["z"], grads["hyper"]), jacobian, strict=True):
        torch.testing.assert_close(found, expected[0])


def check_empirical_scales() -> None:
    """Scales are root mean squares around zero, where the prior's mean is, block by block."""
    network = MLPNetwork(2, 1, (3,))
    weights = np.concatenate([np.full(6, 3.0), np.full(3, -0.5), np.zeros(3), [2.0]])
    prior = EmpiricalBayes(scale=1.0)
    prior._keep(network, weights)
    factors = prior.weight_factors(network, torch.empty(0, dtype=torch.float64)).numpy()
    # Weights that stayed at zero have a thousandth of their fan-in scale.
    exact = np.concatenate([np.full(6, 3.0), np.full(3, 0.5), np.full(3, 1e-3 / 3**0.5), [2.0]])
    np.testing.assert_allclose(factors, exact, rtol=1e-12)
