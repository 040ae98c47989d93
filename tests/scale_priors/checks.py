"""Exact checks of a scale prior's density, score, median and draws: they raise AssertionError."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy import stats
from scipy.integrate import quad

from skbayes.priors import (
    Gamma,
    HalfCauchy,
    HalfNormal,
    HalfStudentT,
    InverseGamma,
    LogNormal,
    ScalePrior,
)
from skbayes.utils._random import make_generator
from tests.scenarios import LIKE

#: Kolmogorov-Smirnov p-values below this are bugs.
P_LIMIT = 1e-6
N_DRAWS = 20_000


class HalfT:
    """SciPy has no half-t: twice the upper half of a Student-t."""

    def __init__(self, df: float, scale: float) -> None:
        self.whole = stats.t(df, scale=scale)

    def logpdf(self, scale):
        return np.log(2) + self.whole.logpdf(scale)

    def cdf(self, scale):
        # By the survival function, which is exact in the tail.
        return 1 - 2 * self.whole.sf(scale)


def exact(prior: ScalePrior) -> Any:
    """SciPy's distribution of the scale."""
    width = prior.width
    if isinstance(prior, HalfNormal):
        return stats.halfnorm(scale=width)
    if isinstance(prior, HalfCauchy):
        return stats.halfcauchy(scale=width)
    if isinstance(prior, HalfStudentT):
        return HalfT(prior.df, width)
    if isinstance(prior, Gamma):
        return stats.gamma(prior.shape, scale=width)
    if isinstance(prior, InverseGamma):
        return stats.invgamma(prior.shape, scale=width)
    assert isinstance(prior, LogNormal)
    return stats.lognorm(prior.sigma, scale=width)


def density(prior: ScalePrior, log_scale: float) -> float:
    """Density of the log scale at a point."""
    return float(torch.exp(prior.log_prob(torch.tensor(log_scale, dtype=torch.float64))))


def mass_below(prior: ScalePrior, log_scale: float) -> float:
    """Probability of smaller log scales, by quadrature."""
    return quad(lambda u: density(prior, u), -np.inf, log_scale, epsabs=1e-12, limit=200)[0]


def check_normalised(prior: ScalePrior) -> None:
    """The density of the log scale integrates to one, half of it on each side of the median."""
    middle = prior.log_median
    below = mass_below(prior, middle)
    above = quad(lambda u: density(prior, u), middle, np.inf, epsabs=1e-12, limit=200)[0]
    assert abs(below - 0.5) < 1e-8, f"{below} below the median"
    assert abs(above - 0.5) < 1e-8, f"{above} above the median"


def check_density(prior: ScalePrior) -> None:
    """SciPy's density of the scale, times the scale."""
    u = np.linspace(-4, 3, 29) + prior.log_median
    found = prior.log_prob(torch.from_numpy(u)).numpy()
    np.testing.assert_allclose(found, exact(prior).logpdf(np.exp(u)) + u, rtol=1e-9, atol=1e-10)


def check_score(prior: ScalePrior) -> None:
    """`score` is the derivative of `log_prob`."""
    u = torch.linspace(-8, 4, 40, dtype=torch.float64).requires_grad_()
    (of_density,) = torch.autograd.grad(prior.log_prob(u).sum(), u)
    torch.testing.assert_close(prior.score(u.detach()), of_density, rtol=1e-10, atol=1e-10)


def draws(prior: ScalePrior) -> np.ndarray:
    """Log scales."""
    return prior.sample((N_DRAWS,), LIKE, make_generator(123_456_789)).numpy()


def p_value(prior: ScalePrior, log_scales: np.ndarray) -> float:
    """Kolmogorov-Smirnov p-value of log scales under a prior."""
    return stats.kstest(log_scales, lambda u: exact(prior).cdf(np.exp(u))).pvalue


def check_samples(prior: ScalePrior) -> None:
    """Draws follow SciPy's distribution function."""
    found = draws(prior)
    assert np.isfinite(found).all()
    assert (p := p_value(prior, found)) > P_LIMIT, f"draws do not follow the density: p = {p}"
