"""Exact checks of stored and normal posteriors: they raise AssertionError."""

from __future__ import annotations

import numpy as np
import torch
from scipy.stats import multivariate_normal

from skbayes.posteriors import GaussianPosterior, ParticlePosterior
from skbayes.posteriors._dropout import DropoutPosterior
from skbayes.posteriors._factors import (
    DenseFactor,
    DiagonalFactor,
    KroneckerFactor,
    LowRankFactor,
)
from skbayes.utils._random import make_generator

N_CHAINS, N_DRAWS = 3, 40


def particles() -> ParticlePosterior:
    """Draws that say their chain and their time."""
    chain, time = np.meshgrid(np.arange(N_CHAINS), np.arange(N_DRAWS), indexing="ij")
    return ParticlePosterior(np.stack([chain, time], axis=-1).astype(float))


def check_thinning() -> None:
    """The draws behind predictions are of all chains alike, at evenly spaced times.

    Forty and forty-one are a third of the draws, and one more, where even steps through
    all of them would stay in one chain for long.
    """
    for n in (6, 7, 40, 41, 100, 119):
        chain, time = particles().predictive_draws(n, make_generator(0)).numpy().T
        assert len(set(zip(chain, time, strict=True))) == n, "a draw came twice"
        assert np.ptp(np.bincount(chain.astype(int), minlength=N_CHAINS)) <= 1, "a chain is rare"
        # The i-th of n stands in the middle of the i-th of n equal stretches.
        middle = (np.arange(n) + 0.5) * N_DRAWS / n - 0.5
        assert np.abs(time - middle).max() <= 0.5 + 1e-9, "times are not spaced evenly"
        for one in range(N_CHAINS):
            gap = np.diff(time[chain == one], prepend=-1.0, append=N_DRAWS).max()
            assert gap <= np.ceil(N_CHAINS * N_DRAWS / n) + 1, "a chain has a long gap"
    whole = particles().predictive_draws(N_CHAINS * N_DRAWS + 1, make_generator(0))
    assert len(whole.unique(dim=0)) == len(whole) == N_CHAINS * N_DRAWS


def check_distinct_draws() -> None:
    """As many draws as are stored are all of them, in another order."""
    posterior = particles()
    drawn = posterior.sample(N_CHAINS * N_DRAWS, make_generator(0))
    assert len(drawn.unique(dim=0)) == N_CHAINS * N_DRAWS, "a draw came twice"
    more = posterior.sample(10 * N_CHAINS * N_DRAWS, make_generator(0))
    # The chance that 1200 draws with replacement miss one of 120 in particular is 4e-5.
    assert len(more) == 10 * N_CHAINS * N_DRAWS
    assert len(more.unique(dim=0)) > 0.95 * N_CHAINS * N_DRAWS


def check_start() -> None:
    """A warm start goes on from where each chain stopped."""
    start = particles().start(N_CHAINS + 1, make_generator(0)).numpy()
    np.testing.assert_array_equal(start[:, 0], [0, 1, 2, 0])
    np.testing.assert_array_equal(start[:, 1], N_DRAWS - 1)


def normal() -> GaussianPosterior:
    """One block of each kind, out of order, and an entry that none covers."""
    rng = np.random.default_rng(0)
    outputs = np.linalg.qr(rng.normal(size=(2, 2)))[0]
    inputs = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    factors = [
        DenseFactor(2, np.array([[1.0, 0.0, 0.0], [0.5, 0.7, 0.0], [-0.3, 0.2, 0.4]])),
        DiagonalFactor(0, np.array([0.3, 2.0])),
        KroneckerFactor(6, outputs, inputs, rng.uniform(0.2, 2.0, (2, 3))),
        LowRankFactor(12, rng.uniform(0.2, 1.0, 5), rng.normal(size=(5, 2))),
    ]
    return GaussianPosterior(rng.normal(size=17), factors)


def check_normal_moments(n: int = 40_000) -> None:
    """Draws have the stated mean and covariance, each within its sampling error."""
    posterior = normal()
    draws, exact = posterior.sample(n, make_generator(1)).numpy(), posterior.covariance()
    sd = np.sqrt(np.diag(exact))
    assert (np.abs(draws.mean(0) - posterior.mean) <= 5 * sd / np.sqrt(n) + 1e-10).all(), "mean"
    error = np.sqrt((np.outer(sd, sd) ** 2 + exact**2) / n)
    assert (np.abs(np.cov(draws.T) - exact) <= 5 * error + 1e-12).all(), "covariance"


def check_normal_density() -> None:
    """The density that comes with draws is SciPy's, of the entries that factors cover."""
    posterior = normal()
    draws, log_density = posterior.sample_with_density(5, make_generator(2))
    covered = np.delete(np.arange(17), 5)
    covariance = posterior.covariance()[np.ix_(covered, covered)]
    exact = multivariate_normal(posterior.mean[covered], covariance)
    np.testing.assert_allclose(log_density, exact.logpdf(draws.numpy()[:, covered]), rtol=1e-9)


def check_kronecker_order() -> None:
    """Entries are weights (out, in) row by row, then biases, in a product of two bases."""
    factor = normal().factors[2]
    n_out, n_in = factor.sd.shape[0], factor.sd.shape[1] - 1
    basis = np.einsum("ak,bl->abkl", factor.outputs, factor.inputs).reshape(6, 6)
    dense = (basis * factor.sd.ravel() ** 2) @ basis.T
    place = np.arange(n_out * (n_in + 1)).reshape(n_out, n_in + 1)
    order = np.concatenate([place[:, :-1].ravel(), place[:, -1]])
    np.testing.assert_allclose(factor.covariance(), dense[np.ix_(order, order)], atol=1e-12)
    np.testing.assert_allclose(factor.log_volume(), 0.5 * np.linalg.slogdet(dense)[1])


def check_low_rank() -> None:
    """The covariance is the diagonal plus the directions'; what does not move has none."""
    rng = np.random.default_rng(6)
    sd, directions = rng.uniform(0.2, 1.0, 6), rng.normal(size=(6, 3))
    sd[2], directions[2] = 0.0, 0.0
    exact = np.diag(sd**2) + directions @ directions.T
    factor = LowRankFactor(0, sd, directions)
    np.testing.assert_allclose(factor.covariance(), exact, atol=1e-12)
    np.testing.assert_allclose(factor.scaled(3.0).covariance(), 9 * exact, atol=1e-12)
    wide = LowRankFactor(0, sd[:2], directions[:2])
    np.testing.assert_allclose(wide.covariance(), exact[:2, :2], atol=1e-12)


def check_dropout_masks(n: int = 20_000, rate: float = 0.3) -> None:
    """Inputs of each layer are dropped together, biases never; means stay.

    2-3-1: weights 0 to 5, biases 6 to 8, weights 9 to 11, bias 12.
    """
    mean = np.linspace(1.0, 2.0, 13)
    draws = DropoutPosterior(mean, [2, 3, 1], rate).sample(n, make_generator(3)).numpy()
    np.testing.assert_array_equal(draws[:, [6, 7, 8, 12]], np.tile(mean[[6, 7, 8, 12]], (n, 1)))
    kept = draws / mean * (1 - rate)
    masks = kept[:, [0, 1, 9, 10, 11]]
    assert np.isin(masks.round(12), [0.0, 1.0]).all(), "kept units are not scaled up"
    error = np.sqrt(rate * (1 - rate) / n)
    assert np.abs(masks.mean(0) - 1 + rate).max() < 5 * error, "share of kept units"
    # Weights (3, 2) of the first layer: a column for each input.
    np.testing.assert_allclose(kept[:, [2, 4]], kept[:, [0, 0]], atol=1e-12)
    np.testing.assert_allclose(kept[:, [3, 5]], kept[:, [1, 1]], atol=1e-12)
    correlation = np.corrcoef(masks.T) - np.eye(5)
    assert np.abs(correlation).max() < 5 / np.sqrt(n), "units are dropped together"


def check_dropout_around_prior_means() -> None:
    """A dropped weight is zero itself, not its deviation from the prior's mean."""
    mean, origin = np.linspace(1.0, 2.0, 3), np.array([4.0, -1.0, 2.0])
    draws = DropoutPosterior(mean, [2, 1], 0.5, origin).sample(50, make_generator(4)).numpy()
    weights = draws + origin
    whole = 2 * (mean + origin)[:2]
    assert np.isclose(weights[:, :2], 0).any()
    assert (np.isclose(weights[:, :2], 0) | np.isclose(weights[:, :2], whole)).all()
    np.testing.assert_allclose(draws[:, 2], mean[2])


def check_diagnostics() -> None:
    """The reports are ArviZ's numbers of the second class's probability and of the scales."""
    import arviz_stats.base as stats

    from skbayes._model import Model
    from skbayes.likelihoods import Categorical
    from skbayes.networks import MLPNetwork
    from skbayes.posteriors._diagnostics import convergence
    from skbayes.priors import Normal
    from tests.scenarios import LIKE, to_data

    model = Model(MLPNetwork(1, 3, ()), Normal(), Categorical(), 3, LIKE)
    rng = np.random.default_rng(5)
    X = np.linspace(-1, 1, 5)[:, None]
    data = to_data(X, np.arange(5) % 3, np.ones(5))
    draws = rng.normal(size=(2, 60, model.n_params))
    # Chains apart in one class's bias and in the scale alone.
    draws[1, :, 4] += 2.0
    draws[1, :, -1] += 1.0
    report = convergence(model, data, draws)
    flat = torch.from_numpy(draws.reshape(-1, model.n_params))
    logits = model.network.forward(model.weights(flat), data.X)
    p = torch.softmax(logits, 2)[..., 1:].numpy().reshape(2, 60, -1)

    def number(name, values, reduce, **options):
        found = getattr(stats.array_stats, name)(values, chain_axis=0, draw_axis=1, **options)
        return float(reduce(found))

    hyper, tail = draws[..., model.n_weights :], {"method": "tail", "prob": (0.05, 0.95)}
    exact = {
        "r_hat": number("rhat", p, np.median),
        "r_hat_hyper": number("rhat", hyper, np.max),
        "ess_bulk": number("ess", p, np.median, method="bulk"),
        "ess_tail": number("ess", p, np.median, **tail),
        "ess_bulk_hyper": number("ess", hyper, np.min, method="bulk"),
        "ess_tail_hyper": number("ess", hyper, np.min, **tail),
    }
    assert report.keys() == exact.keys()
    for name, value in exact.items():
        np.testing.assert_allclose(report[name], value, rtol=1e-9, err_msg=name)
