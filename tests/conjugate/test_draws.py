"""Draws of parameters and of rows against the laws that they have, written with scipy's."""

import numpy as np
import pytest
from scipy.stats import (
    beta,
    betabinom,
    chisquare,
    gamma,
    nbinom,
    t,
)

from tests.conjugate.checks import (
    LEAST,
    N_DRAWS,
    check_normal_gamma,
    check_normal_inverse_wishart,
    draws_of,
    fitted,
    follows,
)


def test_probabilities_are_beta():
    density = fitted("beta_bernoulli")
    after = density.posterior_
    for column, a, b in zip(
        draws_of(density)["probability"].T, after["alpha"], after["beta"], strict=True
    ):
        follows(column, beta(a, b))


def test_shares_are_dirichlet():
    """One share is beta, and so is a share of what another leaves."""
    density = fitted("dirichlet_categorical")
    concentration = density.posterior_["concentration"]
    for share, own in zip(
        np.moveaxis(draws_of(density)["share"], 1, 0), concentration, strict=True
    ):
        follows(share[:, 0], beta(own[0], own[1:].sum()))
        follows(share[:, 1] / (1 - share[:, 0]), beta(own[1], own[2:].sum()))


def test_rates_are_gamma():
    density = fitted("gamma_poisson")
    after = density.posterior_
    for column, a, b in zip(
        draws_of(density)["rate"].T, after["shape"], after["rate"], strict=True
    ):
        follows(column, gamma(a, scale=1 / b))


@pytest.mark.parametrize("mean_weight", [0.05, 9.0])
def test_means_and_precisions_are_normal_gamma(mean_weight):
    check_normal_gamma(mean_weight)


@pytest.mark.parametrize("mean_weight", [0.05, 9.0])
def test_means_and_covariances_are_normal_inverse_wishart(mean_weight):
    check_normal_inverse_wishart(mean_weight)


# --- rows --------------------------------------------------------------------------------


def rows_of(density):
    return density.sample(N_DRAWS, random_state=1).T


def counted(values, probabilities):
    """Chi-squared of counts 0, 1, ..., the rest in the last."""
    last = len(probabilities)
    observed = np.bincount(np.minimum(values.astype(int), last), minlength=last + 1)
    expected = len(values) * np.append(probabilities, 1 - probabilities.sum())
    kept = expected > 1e-9
    assert (observed[~kept] == 0).all()
    assert chisquare(observed[kept], expected[kept]).pvalue > LEAST


def test_rows_of_bits_codes_and_counts():
    density = fitted("beta_bernoulli")
    after = density.posterior_
    for column, a, b in zip(rows_of(density), after["alpha"], after["beta"], strict=True):
        counted(column, betabinom(1, a, b).pmf([0, 1]))
    density = fitted("dirichlet_categorical")
    concentration = density.posterior_["concentration"]
    for column, own in zip(rows_of(density), concentration, strict=True):
        counted(column, own[:-1] / own.sum())
    density = fitted("gamma_poisson")
    after = density.posterior_
    for column, a, b in zip(rows_of(density), after["shape"], after["rate"], strict=True):
        counted(column, nbinom(a, b / (1 + b)).pmf(np.arange(8)))


@pytest.mark.parametrize("mean_weight", [0.05, 9.0])
def test_rows_of_numbers(mean_weight):
    density = fitted("normal_gamma", mean_weight=mean_weight)
    after = density.posterior_
    for d, column in enumerate(rows_of(density)):
        kappa, a, b = (after[key][d] for key in ("mean_weight", "shape", "rate"))
        follows(column, t(2 * a, after["mean"][d], np.sqrt(b * (1 + 1 / kappa) / a)))
    density = fitted("normal_inverse_wishart", mean_weight=mean_weight)
    after, rows = density.posterior_, rows_of(density)
    own = after["dof"] - 2
    for direction in (np.eye(3)[0], np.array([1.0, -2.0, 0.5])):
        width = direction @ after["scale"] @ direction * (1 + 1 / after["mean_weight"])
        follows(direction @ rows, t(own, direction @ after["mean"], np.sqrt(width / own)))
