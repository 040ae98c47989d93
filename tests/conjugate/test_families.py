"""Every family against quadrature, scipy's densities and the chain rule."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.integrate import dblquad, quad, simpson
from scipy.special import gammaln
from scipy.stats import beta, betabinom, gamma, invwishart, multivariate_t, nbinom, norm, poisson
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

import skbayes
from skbayes import ConjugateDensity
from skbayes.conjugate import (
    FAMILIES,
    BetaBernoulli,
    DirichletCategorical,
    GammaPoisson,
    NormalGamma,
    NormalInverseWishart,
)

RNG = np.random.default_rng(0)
ROWS = {
    "beta_bernoulli": RNG.integers(0, 2, size=(40, 3)),
    "dirichlet_categorical": RNG.integers(0, 4, size=(40, 3)),
    "gamma_poisson": RNG.poisson([1.0, 3.0, 8.0], size=(40, 3)),
    "normal_gamma": RNG.normal(size=(40, 3)) * [1.0, 2.0, 0.5] + [3.0, 0.0, -1.0],
    "normal_inverse_wishart": RNG.normal(size=(40, 3)) @ RNG.normal(size=(3, 3)) + 1.0,
}
PRIORS = {
    "beta_bernoulli": BetaBernoulli(alpha=[0.5, 1.0, 2.0], beta=3.0),
    "dirichlet_categorical": DirichletCategorical(concentration=0.7, n_categories=5),
    "gamma_poisson": GammaPoisson(shape=2.0, rate=[0.5, 1.0, 2.0]),
    "normal_gamma": NormalGamma(mean=[1.0, 0.0, 0.0], mean_weight=0.3, shape=2.0, rate=1.5),
    "normal_inverse_wishart": NormalInverseWishart(
        mean=0.5, mean_weight=0.3, dof=5.5, scale=np.eye(3) + 0.3
    ),
}
EVERY = pytest.mark.parametrize("name", FAMILIES)


def test_every_family_is_tried():
    assert ROWS.keys() == PRIORS.keys() == FAMILIES.keys()


# --- exact answers -------------------------------------------------------------------------


def test_bernoulli_evidence_by_quadrature():
    X = ROWS["beta_bernoulli"][:12, :1]
    density = ConjugateDensity(BetaBernoulli(0.7, 1.6)).fit(X)
    ones = X.sum()

    def joint(p):
        return p**ones * (1 - p) ** (12 - ones) * beta.pdf(p, 0.7, 1.6)

    assert_allclose(density.score_evidence(), np.log(quad(joint, 0, 1)[0]), rtol=1e-7)
    predictive = betabinom.logpmf(1, 1, 0.7 + ones, 1.6 + 12 - ones)
    assert_allclose(density.score_samples([[1]]), predictive, rtol=1e-12)


def test_categorical_evidence_by_quadrature():
    X = np.array([[0], [2], [2], [1], [2]])
    density = ConjugateDensity(DirichletCategorical(1.5)).fit(X)

    def joint(second, first):
        third = 1 - first - second
        constant = gammaln(4.5) - 3 * gammaln(1.5)
        prior = np.exp(constant) * np.sqrt(first * second * max(third, 0.0))
        return prior * first * second * third**3

    value = dblquad(joint, 0, 1, 0, lambda first: 1 - first, epsabs=1e-12)[0]
    assert_allclose(density.score_evidence(), np.log(value), rtol=1e-6)
    assert_allclose(np.exp(density.score_samples([[0], [1], [2]])).sum(), 1)


def test_poisson_evidence_by_quadrature():
    X = np.array([[3], [5], [4], [9]])
    density = ConjugateDensity(GammaPoisson(2.0, 0.5)).fit(X)

    def joint(rate):
        return np.exp(poisson.logpmf(X, rate).sum()) * gamma.pdf(rate, 2.0, scale=2.0)

    assert_allclose(density.score_evidence(), np.log(quad(joint, 0, 40)[0]), rtol=1e-7)
    predictive = nbinom.logpmf(6, 23, 4.5 / 5.5)
    assert_allclose(density.score_samples([[6]]), predictive, rtol=1e-12)


def test_normal_evidence_by_quadrature():
    x = np.array([1.0, 1.7, 0.2])
    density = ConjugateDensity(NormalGamma(0.5, 2.0, 1.5, 0.8)).fit(x[:, None])

    mean = np.linspace(-12, 13, 2001)[:, None]
    precision = np.linspace(1e-6, 30, 4001)
    log_joint = gamma.logpdf(precision, 1.5, scale=1 / 0.8)
    log_joint = log_joint + norm.logpdf(mean, 0.5, 1 / np.sqrt(2.0 * precision))
    for value in x:
        log_joint = log_joint + norm.logpdf(value, mean, 1 / np.sqrt(precision))
    integral = simpson(simpson(np.exp(log_joint), precision), mean[:, 0])
    assert_allclose(density.score_evidence(), np.log(integral), rtol=0, atol=1e-4)


def test_one_correlated_feature_is_one_independent_feature():
    """In one dimension the inverse Wishart (dof, scale) is gamma(dof / 2, scale / 2)."""
    x = ROWS["normal_gamma"][:, :1]
    wishart = ConjugateDensity(NormalInverseWishart(0.3, 2.0, 5.0, 1.4)).fit(x)
    independent = ConjugateDensity(NormalGamma(0.3, 2.0, 2.5, 0.7)).fit(x)
    assert_allclose(wishart.score_evidence(), independent.score_evidence(), rtol=1e-12)
    assert_allclose(wishart.score_samples(x), independent.score_samples(x), rtol=1e-12)


def test_wishart_predictive_is_student_t():
    X = ROWS["normal_inverse_wishart"]
    density = ConjugateDensity(PRIORS["normal_inverse_wishart"]).fit(X)
    after = density.posterior_
    dof = after["dof"] - 2
    shape = after["scale"] * (1 + 1 / after["mean_weight"]) / dof
    expected = multivariate_t.logpdf(X, after["mean"], shape, float(dof))
    assert_allclose(density.score_samples(X), expected, rtol=1e-12)


def test_wishart_evidence_is_the_mean_likelihood_under_the_prior():
    """Identity p(X) = p(X | parameters) p(parameters) / p(parameters | X), anywhere."""
    X = ROWS["normal_inverse_wishart"][:6]
    density = ConjugateDensity(PRIORS["normal_inverse_wishart"]).fit(X)

    def log_density(state, mean, covariance):
        from scipy.stats import multivariate_normal as normal

        wishart = invwishart.logpdf(covariance, float(state["dof"]), state["scale"])
        spread = covariance / state["mean_weight"]
        return wishart + normal(state["mean"], spread).logpdf(mean)

    for draw in range(3):
        named = density.sample_posterior(n_samples=1, random_state=draw)
        mean, covariance = named["mean"][0], named["covariance"][0]
        from scipy.stats import multivariate_normal as normal

        likelihood = normal(mean, covariance).logpdf(X).sum()
        ratio = log_density(density.prior_, mean, covariance)
        ratio -= log_density(density.posterior_, mean, covariance)
        assert_allclose(density.score_evidence(), likelihood + ratio, rtol=1e-10)


@EVERY
def test_chain_rule(name):
    """log p(A, B) = log p(A) + log p(B | A), and row by row."""
    X = ROWS[name]
    both = ConjugateDensity(PRIORS[name]).fit(X)
    first = ConjugateDensity(PRIORS[name]).fit(X[:15])
    total = first.score_evidence() + first.score_evidence(X[15:])
    assert_allclose(both.score_evidence(), total, rtol=1e-11)
    row_by_row, density = 0.0, ConjugateDensity(PRIORS[name]).fit(X[:1])
    row_by_row += density.score_evidence()
    for row in X[1:, None]:
        row_by_row += density.score_samples(row)[0]
        density.partial_fit(row)
    assert_allclose(row_by_row, both.score_evidence(), rtol=1e-11)
    assert_allclose(density.score_evidence(), both.score_evidence(), rtol=1e-11)


@EVERY
def test_streams_are_one_fit(name):
    X, weight = ROWS[name], np.random.default_rng(1).uniform(0, 3, size=40)
    whole = ConjugateDensity(PRIORS[name]).fit(X, sample_weight=weight)
    stream = ConjugateDensity(PRIORS[name])
    for at in (slice(0, 20), slice(20, 21), slice(21, None)):
        stream.partial_fit(X[at], sample_weight=weight[at])
    for key, value in whole.posterior_.items():
        assert_allclose(stream.posterior_[key], value, rtol=1e-10)
    assert_allclose(stream.score_evidence(), whole.score_evidence(), rtol=1e-11)


@EVERY
def test_every_prior_parameter_changes_the_evidence(name):
    fitted = ConjugateDensity(FAMILIES[name]()).fit(ROWS[name])
    for parameter in PRIORS[name].get_params():
        if parameter == "threshold":
            continue
        changed = clone(fitted.family_).set_params(
            **{parameter: {"n_categories": 6, "dof": 7.0}.get(parameter, 1.7)}
        )
        other = ConjugateDensity(changed).fit(ROWS[name])
        assert abs(other.score_evidence() - fitted.score_evidence()) > 1e-3, parameter


@EVERY
def test_parameter_draws_give_the_predictive(name):
    """The mean of the likelihood over posterior draws is the predictive density."""
    X = ROWS[name]
    density = ConjugateDensity(PRIORS[name]).fit(X)
    draws = density.sample_posterior(n_samples=4000, random_state=0)
    row = X[3].astype(float)
    if name == "beta_bernoulli":
        p = draws["probability"]
        likelihood = np.where(row > 0, p, 1 - p).prod(axis=1)
    elif name == "dirichlet_categorical":
        assert_allclose(draws["share"].sum(axis=2), 1)
        likelihood = draws["share"][:, np.arange(3), row.astype(int)].prod(axis=1)
    elif name == "gamma_poisson":
        likelihood = poisson.pmf(row, draws["rate"]).prod(axis=1)
    elif name == "normal_gamma":
        std = 1 / np.sqrt(draws["precision"])
        likelihood = norm.pdf(row, draws["mean"], std).prod(axis=1)
    else:
        covariance, shift = draws["covariance"], row - draws["mean"]
        distance = np.einsum("si,sij,sj->s", shift, np.linalg.inv(covariance), shift)
        likelihood = np.exp(-distance / 2) / np.sqrt(np.linalg.det(2 * np.pi * covariance))
    error = likelihood.std() / np.sqrt(4000)
    assert abs(likelihood.mean() - np.exp(density.score_samples(X[3:4])[0])) < 5 * error


# --- parameters and bad input ------------------------------------------------------------------


def test_family_by_name_takes_parameters():
    density = ConjugateDensity("normal_gamma").set_params(family__mean=3.0)
    assert density.family.mean == 3.0
    grid = {"family__mean_weight": [1e-3, 1e3]}
    search = GridSearchCV(ConjugateDensity("normal_gamma"), grid, cv=2)
    search.fit(ROWS["normal_gamma"] + 50)
    assert search.best_params_ == {"family__mean_weight": 1e-3}
    assert skbayes.score_evidence(search) == search.best_estimator_.score_evidence()


def test_threshold_makes_zeros_and_ones():
    X = np.array([[0.2], [0.9], [3.0]])
    density = ConjugateDensity(BetaBernoulli(threshold=0.5)).fit(X)
    assert_array_equal(density.posterior_["alpha"], [3])


def test_categories_differ_by_feature():
    X = np.array([[0, 3], [1, 0]])
    density = ConjugateDensity("dirichlet_categorical").fit(X)
    assert_array_equal((density.posterior_["concentration"] > 0).sum(axis=1), [2, 4])
    assert_allclose(density.score_samples([[0, 1]]), np.log(2 / 4 * 1 / 6))
    drawn = density.sample(500, random_state=0)
    assert drawn[:, 0].max() == 1
    assert drawn[:, 1].max() == 3


@pytest.mark.parametrize(
    ("family", "X", "message"),
    [
        ("beta_bernoulli", [[0], [2]], "takes 0 and 1, got .*2.* set family__threshold"),
        ("gamma_poisson", [[0.5]], "fractions in data"),
        ("gamma_poisson", [[-1]], "Negative values in data"),
        ("dirichlet_categorical", [[1.5]], "fractions in data"),
        (DirichletCategorical(n_categories=2), [[2]], "set family__n_categories to at least 3"),
        (NormalGamma(mean=[1.0, 2.0]), [[1.0]], "mean=.* give one number, or 1"),
        (NormalGamma(rate=[0.0]), [[1.0]], "rate=.* must be positive"),
        (NormalInverseWishart(dof=1.0), [[1.0, 2.0, 3.0]], "dof=1.0 must exceed"),
        (NormalInverseWishart(scale=[[1.0]]), [[1.0, 2.0]], "symmetric matrix of 2"),
        (NormalInverseWishart(scale=-np.eye(2)), [[1.0, 2.0]], "positive definite"),
    ],
)
def test_unusable_input(family, X, message):
    with pytest.raises(ValueError, match=message):
        ConjugateDensity(family).fit(X)


def test_huge_numbers_are_refused():
    for family in ("normal_gamma", "normal_inverse_wishart"):
        with pytest.raises(ValueError, match="overflows double precision"):
            ConjugateDensity(family).fit([[1e200], [-1e200]])


def test_a_later_category_is_refused():
    density = ConjugateDensity("dirichlet_categorical").fit([[0], [1]])
    with pytest.raises(ValueError, match="X has category 2 in column 0"):
        density.partial_fit([[2]])
    with pytest.raises(ValueError, match="X has category 2 in column 0"):
        density.score_samples([[2]])


def test_rows_have_no_unknowns():
    density = ConjugateDensity().fit(ROWS["normal_gamma"])
    with pytest.raises(ValueError, match="without X"):
        density.sample_posterior(ROWS["normal_gamma"], 2)


@pytest.mark.parametrize("family", ["normal_inverse_wishart", NormalGamma(mean=3.0)])
def test_updates_keep_the_family(family):
    rows = ROWS["normal_gamma"]
    density = ConjugateDensity("normal_gamma").fit(rows[:20])
    before = density.score_evidence()
    with pytest.raises(ValueError, match="partial_fit goes on with family=NormalGamma"):
        density.set_params(family=family).partial_fit(rows[20:])
    assert density.score_evidence() == before
    density.set_params(family=NormalGamma()).partial_fit(rows[20:])
