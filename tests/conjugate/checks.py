"""Laws that draws are held against, apart from the tests that do so."""

import numpy as np
from scipy.stats import chi2, gamma, invgamma, kstest, t

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
    return density.sample_posterior(n_samples=N_DRAWS, random_state=0)


def check_normal_gamma(mean_weight):
    density = fitted("normal_gamma", mean_weight=mean_weight)
    after, draws = density.posterior_, draws_of(density)
    for d in range(3):
        mean, precision = draws["mean"][:, d], draws["precision"][:, d]
        kappa, a, b = (after[key][d] for key in ("mean_weight", "shape", "rate"))
        follows(precision, gamma(a, scale=1 / b))
        follows(mean, t(2 * a, after["mean"][d], np.sqrt(b / (a * kappa))))
        follows(kappa * precision * (mean - after["mean"][d]) ** 2, chi2(1))


def check_normal_inverse_wishart(mean_weight):
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
