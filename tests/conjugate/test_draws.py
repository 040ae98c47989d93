"""Draws of parameters and of rows against the laws that they have, written with scipy's."""

import numpy as np
import pytest
from scipy.stats import (
    beta,
    betabinom,
    chi2,
    chisquare,
    gamma,
    invgamma,
    kstest,
    nbinom,
    t,
)

from skbayes import ConjugateDensity
from tests.conjugate.test_families import PRIORS, ROWS

N_DRAWS = 20_000
#: What a test of the right law falls below once in a thousand times.
LEAST = 1e-3


def fitted(name, n_rows=2, **params):
    """Few rows, after which no parameter is near one."""
    density = ConjugateDensity(PRIORS[name]).set_params(
        **{f"family__{key}": value for key, value in params.items()}
    )
    return density.fit(ROWS[name][:n_rows])


def follows(values, law):
    assert kstest(values, law.cdf).pvalue > LEAST


def draws_of(density):
    return density.sample_posterior(N_DRAWS, random_state=0)


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
    density = fitted("normal_gamma", mean_weight=mean_weight)
    after, draws = density.posterior_, draws_of(density)
    for d in range(3):
        mean, precision = draws["mean"][:, d], draws["precision"][:, d]
        kappa, a, b = (after[key][d] for key in ("mean_weight", "shape", "rate"))
        follows(precision, gamma(a, scale=1 / b))
        follows(mean, t(2 * a, after["mean"][d], np.sqrt(b / (a * kappa))))
        follows(kappa * precision * (mean - after["mean"][d]) ** 2, chi2(1))


@pytest.mark.parametrize("mean_weight", [0.05, 9.0])
def test_means_and_covariances_are_normal_inverse_wishart(mean_weight):
    density = fitted("normal_inverse_wishart", mean_weight=mean_weight)
    after, draws = density.posterior_, draws_of(density)
    kappa, dof, scale = (after[key] for key in ("mean_weight", "dof", "scale"))
    own = dof - 3 + 1
    away = draws["mean"] - after["mean"]
    for direction in (np.eye(3)[0], np.array([1.0, -2.0, 0.5])):
        width = direction @ scale @ direction
        covariance = np.einsum("i,sij,j->s", direction, draws["covariance"], direction)
        follows(covariance, invgamma(own / 2, scale=width / 2))
        follows(away @ direction, t(own, 0, np.sqrt(width / (kappa * own))))
        inverse = np.linalg.inv(draws["covariance"])
        precision = np.einsum("i,sij,j->s", direction, inverse, direction)
        narrow = direction @ np.linalg.inv(scale) @ direction
        follows(precision / narrow, chi2(dof))
    squared = np.einsum("si,sij,sj->s", away, np.linalg.inv(draws["covariance"]), away)
    follows(kappa * squared, chi2(3))


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
