"""Distances between samples against closed forms between Gaussians."""

import math

import numpy as np
import pytest
import torch
from scipy.special import gammaln, hyp1f1
from scipy.stats import norm

from skbayes.latent import DIVERGENCES, energy, kernel, mmd, sliced_wasserstein
from skbayes.latent._divergences import KERNELS
from skbayes.utils._random import make_generator
from skbayes.utils._slices import random_directions, squared_wasserstein_1d

D, SHIFT, SD = 3, torch.tensor([0.6, -0.3, 0.2], dtype=torch.float64), 1.4
N_BATCHES, N_ROWS = 200, 64
#: Standard errors beyond which a difference is a bug.
LARGEST_Z = 5.0


def gaussian(n, shift, sd, seed):
    """Draws (n, D) of N(shift, sd²)."""
    noise = torch.randn(n, D, generator=make_generator(seed), dtype=torch.float64)
    return shift + sd * noise


def batches(distance, shift=SHIFT, sd=SD, **options):
    """Mean and standard error of a distance over independent batches."""
    generator = make_generator(0)
    x = gaussian(N_BATCHES * N_ROWS, shift, sd, 1).split(N_ROWS)
    y = gaussian(N_BATCHES * N_ROWS, 0.0, 1.0, 2).split(N_ROWS)
    values = [distance(a, b, generator, **options) for a, b in zip(x, y, strict=True)]
    values = torch.stack(values).numpy()
    return values.mean(), values.std() / math.sqrt(N_BATCHES)


def assert_mean(found, exact):
    mean, error = found
    assert abs(mean - exact) < LARGEST_Z * error, f"{mean} +- {error}, exact {exact}"


def rbf_mean(shift2, variance, h):
    """E k(x - y) for x - y ~ N(shift, variance) in D dimensions, Gaussian kernel of width h."""
    return (1 + variance / h**2) ** (-D / 2) * np.exp(-0.5 * shift2 / (h**2 + variance))


def mean_norm(shift2, variance):
    """E|v| of v ~ N(shift, variance) in D dimensions."""
    ratio = math.exp(gammaln((D + 1) / 2) - gammaln(D / 2))
    return math.sqrt(2 * variance) * ratio * hyp1f1(-0.5, D / 2, -0.5 * shift2 / variance)


def test_mmd_between_gaussians_is_the_closed_form():
    shift2, h = float(SHIFT @ SHIFT), 1.3
    exact = rbf_mean(0, 2 * SD**2, h) + rbf_mean(0, 2, h) - 2 * rbf_mean(shift2, 1 + SD**2, h)
    assert_mean(batches(mmd, kernel="rbf", bandwidth=h), exact)


def test_energy_between_gaussians_is_the_closed_form():
    shift2 = float(SHIFT @ SHIFT)
    exact = 2 * mean_norm(shift2, 1 + SD**2) - mean_norm(0, 2 * SD**2) - mean_norm(0, 2)
    assert_mean(batches(energy), exact)


def test_kernel_distance_between_gaussians_is_the_closed_form():
    h, s2 = 0.5, float(SHIFT @ SHIFT)

    def overlap(variance, shift2):
        # A direction's cosine with the shift is uniform on [-1, 1] in three dimensions.
        nodes, weights = np.polynomial.legendre.leggauss(60)
        return 0.5 * weights @ norm.pdf(nodes * np.sqrt(shift2), 0, np.sqrt(2 * h**2 + variance))

    def within(variance):  # a kernel with itself, and with the others
        return overlap(0, 0) / N_ROWS + (1 - 1 / N_ROWS) * overlap(2 * variance, 0)

    exact = within(SD**2) + within(1.0) - 2 * overlap(SD**2 + 1, s2)
    assert_mean(batches(kernel, bandwidth=h, n_projections=10), exact)


def test_sliced_wasserstein_between_gaussians_is_the_closed_form():
    # One noise for both: each direction's coupling is then exact at any sample size, and
    # what is left is the noise of a mean of squares.
    n, n_projections, generator = 4000, 400, make_generator(3)
    noise = gaussian(n, 0.0, 1.0, 4)
    found = float(
        sliced_wasserstein(SHIFT + SD * noise, noise, generator, n_projections=n_projections)
    )
    shift2, gap2 = float(SHIFT @ SHIFT) / D, (SD - 1) ** 2
    over_rows = math.sqrt((2 * gap2**2 + 4 * shift2 * gap2) / n)
    # The squared cosine with a direction has variance 2 (D - 1) / (D² (D + 2)).
    spread = float(SHIFT @ SHIFT) * math.sqrt(2 * (D - 1) / (D**2 * (D + 2)))
    over_directions = spread / math.sqrt(n_projections)
    assert abs(found - shift2 - gap2) < LARGEST_Z * math.hypot(over_rows, over_directions)


def test_one_dimensional_distance_between_unequal_gaussians():
    # Quantiles at the middles of n equal shares: the integral's error is of order 1 / n.
    n = 20_000
    z = torch.tensor(norm.ppf((np.arange(n) + 0.5) / n))
    found = squared_wasserstein_1d((0.7 + 2 * z)[None], z.flip(0)[None])
    assert abs(float(found) - (0.7**2 + 1)) < 20 / n


@pytest.mark.parametrize("name", ["imq", "rbf", "laplace"])
@pytest.mark.parametrize("bandwidth", ["prior", "median", 0.8])
def test_mmd_of_equal_laws_is_zero_on_average(name, bandwidth):
    assert_mean(batches(mmd, 0.0, 1.0, kernel=name, bandwidth=bandwidth), 0.0)


def test_energy_of_equal_laws_is_zero_on_average():
    assert_mean(batches(energy, 0.0, 1.0), 0.0)


def test_biased_distances_of_equal_samples_are_zero():
    x = gaussian(40, 0.0, 1.0, 5)
    for distance in (sliced_wasserstein, kernel):
        assert abs(float(distance(x, x.flip(0), make_generator(0)))) < 1e-12


@pytest.mark.parametrize("name", DIVERGENCES)
def test_gradient_is_that_of_finite_differences(name):
    x = gaussian(7, SHIFT, SD, 6).requires_grad_()
    y, weight = gaussian(9, 0.0, 1.0, 7), torch.arange(1.0, 8.0, dtype=torch.float64)

    def value(codes):
        return DIVERGENCES[name](codes, y, make_generator(1), weight)

    assert torch.autograd.gradcheck(value, (x,), eps=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", DIVERGENCES)
def test_gradient_pulls_codes_towards_the_prior(name):
    """In location and in scale, from near and from far, by more than its standard error."""
    for shift, sd in [(0.3, 1.0), (6.0, 1.0), (0.0, 0.6), (0.0, 4.0)]:
        pulls = []
        for seed in range(100):
            noise, y = gaussian(32, 0.0, 1.0, seed), gaussian(32, 0.0, 1.0, 1000 + seed)
            away = torch.tensor([shift, sd], dtype=torch.float64, requires_grad=True)
            value = DIVERGENCES[name](away[0] + away[1] * noise, y, make_generator(seed))
            pulls.append(torch.autograd.grad(value, away)[0])
        pull = torch.stack(pulls)[:, 0 if shift else 1] * (1 if sd >= 1 else -1)
        assert pull.mean() > LARGEST_Z * pull.std() / 10, (shift, sd)


@pytest.mark.parametrize("name", ["sliced_wasserstein", "kernel"])
def test_weight_two_is_a_row_twice(name):
    x, y = gaussian(12, SHIFT, SD, 9), gaussian(20, 0.0, 1.0, 10)
    weight = torch.tensor([1.0, 2.0, 3.0] * 4, dtype=torch.float64)
    options = {"bandwidth": 0.4} if name == "kernel" else {}
    weighted = DIVERGENCES[name](x, y, make_generator(3), weight, **options)
    repeated = DIVERGENCES[name](
        x.repeat_interleave(weight.long(), 0), y, make_generator(3), **options
    )
    torch.testing.assert_close(weighted, repeated, rtol=1e-9, atol=0)


@pytest.mark.parametrize("distance", [mmd, energy])
def test_weights_make_a_mixture(distance):
    """Rows of weight 2 have twice the share, and a row is never its own pair."""
    x, y = gaussian(6, SHIFT, SD, 11), gaussian(5, 0.0, 1.0, 12)
    w = torch.tensor([1.0, 2.0, 0.5, 1.0, 3.0, 1.0], dtype=torch.float64)
    h2 = torch.cdist(y, y).square().sum() / 20

    def pair(a, b):
        r = torch.linalg.norm(a - b)
        return -r if distance is energy else KERNELS["imq"](r**2, h2)

    share = w / w.sum()
    pairs = [(i, j) for i in range(6) for j in range(6) if i != j]
    mass = sum(share[i] * share[j] for i, j in pairs)
    within = sum(share[i] * share[j] * pair(x[i], x[j]) for i, j in pairs) / mass
    among = sum(pair(y[i], y[j]) for i in range(5) for j in range(5) if i != j) / 20
    across = sum(share[i] * pair(x[i], y[j]) for i in range(6) for j in range(5)) / 5
    exact = within + among - 2 * across
    torch.testing.assert_close(distance(x, y, weight=w), exact, rtol=1e-9, atol=1e-12)


def test_samples_of_unequal_size_couple_by_quantiles():
    x = torch.tensor([[0.0, 1.0]], dtype=torch.float64)
    y = torch.tensor([[0.0, 1.0, 2.0]], dtype=torch.float64)
    # Thirds: 0-0, then half a third 0-1 and half a third 1-1, then 1-2.
    assert abs(float(squared_wasserstein_1d(x, y)) - (1 / 6 + 1 / 3)) < 1e-12


def test_directions_are_uniform_unit_vectors_of_the_generator():
    like = torch.empty(0, 4, dtype=torch.float64)
    directions = random_directions(4000, like, make_generator(0))
    torch.testing.assert_close(directions.norm(dim=1), torch.ones(4000, dtype=torch.float64))
    moment = directions.T @ directions / 4000
    assert (moment - torch.eye(4) / 4).abs().max() < 5 * math.sqrt(0.05 / 4000)
    assert torch.equal(directions, random_directions(4000, like, make_generator(0)))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: mmd(x, x, kernel="cosine"), "kernel='cosine' is not known"),
        (lambda x: mmd(x, x, bandwidth="silverman"), "bandwidth='silverman' is not known"),
        (lambda x: mmd(x, x, bandwidth=-1.0), "bandwidth=-1.0 is not known"),
        (lambda x: energy(x[:1], x), "there are 1 latents"),
    ],
)
def test_bad_options_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(torch.zeros(3, 2))
