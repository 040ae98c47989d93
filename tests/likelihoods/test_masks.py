"""Densities by column: masks of observed values, and moves along the Fisher information."""

import pytest
import torch

from skbayes.likelihoods import (
    Bernoulli,
    BernoulliColumns,
    Categorical,
    Gaussian,
    Heteroscedastic,
    SharedGaussian,
    StudentTLikelihood,
    _mixed,
)
from skbayes.likelihoods._mixed import Columns, Mixed

S, N, T = 2, 5, 3
BY_COLUMN = [
    Gaussian(),
    SharedGaussian(),
    StudentTLikelihood(),
    Heteroscedastic(),
    BernoulliColumns(),
]


def draws(*shape):
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("likelihood", BY_COLUMN, ids=lambda kind: type(kind).__name__)
def test_what_is_not_observed_counts_nothing(likelihood):
    outputs, hyper = draws(S, N, likelihood.n_outputs(T)), draws(S, likelihood.n_hyper(T))
    y = draws(N, T).sigmoid()
    observed = (draws(N, T) > 0).to(y)
    assert 0 < observed.mean() < 1
    columns = likelihood.log_prob_columns(outputs, y, hyper)
    assert columns.shape == (S, N, T)
    whole = likelihood.log_prob(outputs, y, hyper)
    torch.testing.assert_close(whole, columns.sum(2))
    parts = [likelihood.log_prob(outputs, y, hyper, mask) for mask in (observed, 1 - observed)]
    torch.testing.assert_close(parts[0] + parts[1], whole)
    other = torch.where(observed > 0, y, 7.0)
    torch.testing.assert_close(likelihood.log_prob(outputs, other, hyper, observed), parts[0])


@pytest.mark.parametrize(
    "likelihood",
    [*BY_COLUMN, Categorical(), Bernoulli()],
    ids=lambda kind: type(kind).__name__,
)
def test_whitened_moves_have_the_fisher_information(likelihood):
    n = 2 if isinstance(likelihood, Bernoulli) else T
    outputs, hyper = draws(1, N, likelihood.n_outputs(n)), draws(1, likelihood.n_hyper(n))
    moves = draws(4, N, outputs.shape[2])
    white = likelihood.whiten(moves, outputs, hyper)
    information = likelihood.fisher(outputs, hyper)[0]
    exact = torch.einsum("qnk,nkj,rnj->nqr", moves, information, moves)
    torch.testing.assert_close(torch.einsum("qnk,rnk->nqr", white, white), exact)


@pytest.mark.parametrize(
    "likelihood",
    [Gaussian(), Gaussian(noise=0.3), SharedGaussian(), BernoulliColumns()],
    ids=lambda kind: f"{type(kind).__name__}-{getattr(kind, 'noise', '')}",
)
def test_large_batches_have_the_gradients_of_small_ones(likelihood, monkeypatch):
    mixed = Mixed([Columns(likelihood, (1,) * 100)])
    outputs, y = draws(1, 200, 100).requires_grad_(), draws(200, 100).sigmoid()
    assert outputs.numel() >= _mixed.BY_HAND
    hyper = (mixed.init().double()[None] + 0.1).requires_grad_()
    weight = draws(200).sigmoid()

    def gradients():
        value = mixed.log_prob(outputs, y, hyper)
        total = (value[0] * weight).sum()
        return value, torch.autograd.grad(total, (outputs, hyper), materialize_grads=True)

    value, found = gradients()
    assert "ByHand" in type(value.grad_fn).__name__
    monkeypatch.setattr(_mixed, "BY_HAND", 10**9)
    same, expected = gradients()
    assert torch.equal(value, same)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs)
