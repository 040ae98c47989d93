"""Mixture priors against SciPy's densities, and draws against their moments."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, multivariate_t

from skbayes.latent._latent_mixture import LatentMixture
from skbayes.latent._mixture_priors import (
    LATENT_PRIORS,
    GaussianMixture,
    Vamp,
    VariationalMixture,
    predictive_mixture,
)
from skbayes.latent._normal_latents import NormalLatents
from skbayes.mixture import VariationalGMM
from skbayes.utils._random import make_generator

K, Q = 3, 2
KINDS = ["diagonal normal", "full normal", "diagonal t", "full t"]


def parameters(kind):
    rng = np.random.default_rng(0)
    root = np.exp(0.5 * rng.normal(size=(K, Q)))
    if "full" in kind:
        root = np.stack([np.diag(r) for r in root])
        root[:, 1, 0] = rng.normal(size=K)
    df = np.array([5.0, 6.0, 9.0]) if kind.endswith("t") else None
    return np.log([0.2, 0.5, 0.3]), 2 * rng.normal(size=(K, Q)), root, df


def mixture(kind):
    return LatentMixture(*(None if p is None else torch.tensor(p) for p in parameters(kind)))


def covariances(root):
    return root @ root.mT if root.ndim == 3 else np.stack([np.diag(r**2) for r in root])


def scipy_log_prob(kind, z):
    log_weight, loc, root, df = parameters(kind)
    sigma = covariances(root)
    if df is None:
        parts = [multivariate_normal(m, s).logpdf(z) for m, s in zip(loc, sigma, strict=True)]
    else:
        parts = [multivariate_t(loc[k], sigma[k], df[k]).logpdf(z) for k in range(K)]
    return logsumexp(np.array(parts) + log_weight[:, None], axis=0)


@pytest.mark.parametrize("kind", KINDS)
def test_log_prob_is_scipys(kind):
    z = 3 * np.random.default_rng(1).normal(size=(20, Q))
    found = mixture(kind).log_prob(torch.tensor(z).view(4, 5, Q))
    assert_allclose(found.numpy().ravel(), scipy_log_prob(kind, z), rtol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_draws_have_the_moments_of_the_mixture(kind):
    log_weight, loc, root, df = parameters(kind)
    weight, sigma, n = np.exp(log_weight), covariances(root), 40_000
    if df is not None:
        sigma = sigma * (df / (df - 2))[:, None, None]
    z = mixture(kind).sample(n, make_generator(0)).numpy()
    mean = weight @ loc
    second = np.einsum("k,kij->ij", weight, sigma + loc[:, :, None] * loc[:, None, :])
    products = z[:, :, None] * z[:, None, :]
    for draws, exact in ((z, mean), (products, second)):
        error = draws.std(0) / np.sqrt(n)
        assert (np.abs(draws.mean(0) - exact) < 5 * error).all()


@pytest.mark.parametrize("kind", KINDS)
def test_draws_have_the_density(kind):
    """The density of a broad normal over theirs has mean one on the draws of the mixture."""
    prior, broad = mixture(kind), multivariate_normal(np.zeros(Q), np.eye(Q))
    z = prior.sample(20_000, make_generator(1))
    ratio = np.exp(broad.logpdf(z.numpy()) - prior.log_prob(z).numpy())
    assert abs(ratio.mean() - 1) < 5 * ratio.std() / np.sqrt(len(ratio))


def test_divergence_at_draws_has_the_exact_mean_for_one_component():
    one = LatentMixture(torch.zeros(1), torch.tensor([[0.5, -1.0]]), torch.tensor([[0.7, 2.0]]))
    mean, sd = torch.tensor([[0.2, 0.3]]), torch.tensor([[0.4, 1.5]])
    ratio = (sd / one.root) ** 2
    exact = 0.5 * (ratio + ((mean - one.loc) / one.root) ** 2 - 1 - ratio.log()).sum()
    n = 20_000
    codes = NormalLatents(mean.expand(n, -1).double(), sd.expand(n, -1).double())
    noise = torch.randn(n, Q, generator=make_generator(2), dtype=torch.float64)
    found = one.kl(codes, codes.draw(noise))
    assert found.shape == (n, 1)
    assert abs(found.mean() - exact) < 5 * found.std() / n**0.5


@pytest.mark.parametrize("kind", KINDS)
def test_precision_is_positive_definite_and_the_hessian_of_one_component(kind):
    z = torch.tensor(np.random.default_rng(3).normal(size=(6, Q)))
    precision = mixture(kind).precision(z)
    assert (torch.linalg.eigvalsh(precision) > 0).all()
    if kind.endswith("normal"):
        log_weight, loc, root, _ = (torch.tensor(p) for p in (*parameters(kind)[:3], 0.0))
        one = LatentMixture(log_weight[:1], loc[:1], root[:1])
        hessian = torch.autograd.functional.hessian(lambda code: -one.log_prob(code), z[0])
        torch.testing.assert_close(one.precision(z[:1])[0], hessian)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_reach_codes_and_parameters(kind):
    values = [None if p is None else torch.tensor(p) for p in parameters(kind)]
    values = [v if v is None else v.requires_grad_() for v in values]
    z = torch.tensor(np.random.default_rng(4).normal(size=(3, Q)), requires_grad=True)

    def log_prob(code, *parts):
        *rest, root = parts if values[3] is None else (*parts[:2], parts[3], parts[2])
        root = torch.tril(root) if root.ndim == 3 else root
        return LatentMixture(*rest[:2], root, *rest[2:]).log_prob(code)

    assert torch.autograd.gradcheck(log_prob, (z, *(v for v in values if v is not None)))


def test_vamp_prior_is_the_mean_of_posteriors_at_the_pseudo_inputs():
    rows = torch.randn(20, 4, generator=make_generator(5))
    prior = Vamp(n_components=7).prepare(Q)
    weights = prior.init(rows, make_generator(6))
    distances = torch.cdist(weights["pseudo_inputs"], rows)
    assert (distances.min(1).values == 0).all()
    assert len(distances.argmin(1).unique()) == 7

    def encode(x):
        return NormalLatents(x[:, :2], 0.5 + x[:, 2:].abs())

    z = torch.randn(9, Q, generator=make_generator(7))
    codes = encode(weights["pseudo_inputs"])
    exact = torch.logsumexp(codes.log_prob(z[:, None]), 1) - np.log(7)
    torch.testing.assert_close(prior.bind(weights, encode).log_prob(z), exact)


def test_vamp_prior_takes_fewer_rows_than_pseudo_inputs():
    weights = Vamp(n_components=7).prepare(Q).init(torch.eye(3), make_generator(0))
    assert weights["pseudo_inputs"].shape == (7, 3)
    assert (weights["pseudo_inputs"].sum(0) >= 2).all()


def test_learned_mixture_finds_the_mixture_of_its_codes():
    """Maximum likelihood of two groups of codes: the prior's own trainable tensors suffice."""
    rng = np.random.default_rng(8)
    side = np.where(rng.uniform(size=2000) < 0.3, -2.0, 2.0)
    codes = torch.tensor(side[:, None] + 0.5 * rng.normal(size=(2000, 1)), dtype=torch.float32)
    prior = GaussianMixture(n_components=2).prepare(1)
    weights = prior.init(codes, make_generator(1))
    weights = {name: value.requires_grad_() for name, value in weights.items()}
    optimizer = torch.optim.Adam(weights.values(), lr=0.05)
    for _ in range(300):
        optimizer.zero_grad()
        (-prior.bind(weights, None).log_prob(codes).mean()).backward()
        optimizer.step()
    found = prior.bind({name: value.detach() for name, value in weights.items()}, None)
    order = found.loc[:, 0].argsort()
    # Five standard errors of 600 rows or more.
    share = (side < 0).mean()
    assert abs(float(found.log_weight.exp()[order[0]]) - share) < 0.01
    assert (found.loc[order, 0] - torch.tensor([-2.0, 2.0])).abs().max() < 5 * 0.5 / 600**0.5
    assert (found.root[order, 0] - 0.5).abs().max() < 5 * 0.5 / 1200**0.5


def two_groups(n, rng):
    return np.where(rng.uniform(size=(n, 1)) < 0.5, -2.0, 2.0) + 0.4 * rng.normal(size=(n, Q))


def test_variational_prior_has_the_density_of_its_mixture():
    rng = np.random.default_rng(9)
    codes, new = two_groups(300, rng), two_groups(50, rng)
    gmm = VariationalGMM(4, random_state=0).fit(codes)
    parts = {name: torch.tensor(value) for name, value in predictive_mixture(gmm).items()}
    found = LatentMixture(**parts).log_prob(torch.tensor(new))
    assert_allclose(found.numpy(), gmm.score_samples(new), rtol=1e-9)


def test_variational_prior_replaces_the_normal_after_training():
    rng, prior = np.random.default_rng(10), VariationalMixture(n_components=4).prepare(Q)
    codes = torch.tensor(two_groups(300, rng), dtype=torch.float32)
    before = prior.bind(prior.init(codes, make_generator(0)), None)
    weights = prior.refit(codes, torch.ones(300), make_generator(1))
    after = prior.bind(weights, None)
    assert before.log_prob(codes).mean() + 0.5 < after.log_prob(codes).mean()
    draws = after.sample(2000, make_generator(2))
    assert draws.dtype == torch.float32
    assert (draws[:, 0].abs() - 2).abs().mean() < 0.5
    again = prior.refit(codes, torch.ones(300), make_generator(1))
    assert all(torch.equal(weights[name], again[name]) for name in weights)


@pytest.mark.parametrize("name", LATENT_PRIORS)
def test_preparing_leaves_the_part_alone(name):
    prior = LATENT_PRIORS[name]()
    prepared = prior.prepare(Q)
    assert prepared.n_latents == Q
    assert not hasattr(prior, "n_latents")
    assert prepared.get_params() == prior.get_params()
