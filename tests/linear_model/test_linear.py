"""Linear regression against exact answers, computed by SciPy along another road."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.integrate import quad
from scipy.stats import multivariate_normal, multivariate_t, norm, t
from sklearn.base import clone
from sklearn.datasets import load_diabetes
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures

import skbayes
from skbayes import BayesianLinearRegression
from skbayes.exceptions import ConvergenceWarning
from tests.linear_model.problems import block, make_data, random_prior, with_ones

DIABETES = load_diabetes(return_X_y=True)
SHAPES = [(50, 4), (6, 9)]
BAYES = {"hyperparameters": "bayes", "alpha_prior": None, "beta_prior": (2.0, 0.7)}
EVIDENCE = {"hyperparameters": "evidence"}


# --- evidence and posterior against the marginal normal ----------------------------------


@pytest.mark.parametrize("shape", SHAPES)
def test_fixed_evidence_is_the_marginal_normal(shape):
    X, y = make_data(*shape)
    mean, covariance = random_prior(shape[1])
    reg = BayesianLinearRegression(
        2.0,
        9.0,
        prior_mean=mean,
        prior_covariance=covariance,
        intercept_mean=1.5,
        intercept_alpha=0.25,
        hyperparameters="fixed",
    ).fit(X, y)
    design, prior = with_ones(X), block(4.0, covariance / 2)
    marginal = design @ prior @ design.T + np.eye(len(y)) / 9
    expected = multivariate_normal(design @ np.append(1.5, mean), marginal).logpdf(y)
    assert reg.evidence_kind_ == "exact"
    assert reg.score_evidence() == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("shape", SHAPES)
def test_fixed_posterior_is_the_conditional_normal(shape):
    X, y = make_data(*shape)
    mean, covariance = random_prior(shape[1])
    params = {"prior_mean": mean, "prior_covariance": covariance, "fit_intercept": False}
    reg = BayesianLinearRegression(2.0, 9.0, hyperparameters="fixed", **params).fit(X, y)
    gain = covariance / 2 @ X.T @ np.linalg.inv(X @ covariance @ X.T / 2 + np.eye(len(y)) / 9)
    expected = mean + gain @ (y - X @ mean)
    assert_allclose(reg.coef_, expected, rtol=1e-10, atol=1e-10)
    after = covariance / 2 - gain @ X @ covariance / 2
    rows = np.vstack([X[:3], 5 * np.eye(shape[1])[:3]])
    std = np.sqrt(np.einsum("ni,ij,nj->n", rows, after, rows))
    assert_allclose(reg.predict_std(rows, "epistemic"), std, rtol=1e-9)
    assert_allclose(reg.predict_std(rows, "aleatoric"), 1 / 3)
    assert_allclose(reg.predict_std(rows), np.sqrt(std**2 + 1 / 9), rtol=1e-9)
    assert reg.intercept_ == 0


@pytest.mark.parametrize("shape", SHAPES)
def test_normal_gamma_evidence_is_the_marginal_student_t(shape):
    X, y = make_data(*shape)
    reg = BayesianLinearRegression(0.5, intercept_mean=1.0, **BAYES).fit(X, y)
    design = with_ones(X)
    shape_matrix = 0.7 / 2.0 * (np.eye(len(y)) + design @ design.T / 0.5)
    expected = multivariate_t(np.ones(len(y)), shape_matrix, df=4).logpdf(y)
    assert reg.evidence_kind_ == "exact"
    assert reg.score_evidence() == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("params", [{"hyperparameters": "fixed"}, BAYES, EVIDENCE])
@pytest.mark.parametrize("n_targets", [None, 2])
def test_chain_rule(params, n_targets):
    """p(all) = p(first half) p(second half | first half), at equal hyperparameters."""
    X, y = make_data(30, 4, n_targets)
    reg = BayesianLinearRegression(0.3, 7.0, **params).fit(X[:15], y[:15])
    if params is EVIDENCE:
        target = 0 if n_targets is None else slice(None)
        fixed = [
            BayesianLinearRegression(alpha, beta, intercept_alpha=own, hyperparameters="fixed")
            for alpha, beta, own in zip(
                *np.atleast_1d(reg.alpha_, reg.beta_, reg.intercept_alpha_), strict=True
            )
        ]
        columns = y[:, None] if n_targets is None else y
        gained = [
            f.fit(X, column).score_evidence() - f.fit(X[:15], column[:15]).score_evidence()
            for f, column in zip(fixed, columns.T, strict=True)
        ]
        assert target is not None
        expected = sum(gained)
    else:
        expected = clone(reg).fit(X, y).score_evidence() - reg.score_evidence()
    value, se = reg.score_evidence(X[15:], y[15:], return_std=True)
    assert value == pytest.approx(expected, abs=1e-9)
    assert se == 0


@pytest.mark.parametrize("shape", SHAPES)
def test_joint_predictive_is_the_conditional_normal(shape):
    X, y = make_data(*shape)
    new, y_new = make_data(5, shape[1], seed=3)
    reg = BayesianLinearRegression(2.0, 9.0, hyperparameters="fixed").fit(X, y)
    design = with_ones(new)
    joint = design @ reg.covariance() @ design.T + np.eye(5) / 9
    expected = multivariate_normal(reg.predict(new), joint).logpdf(y_new)
    assert reg.score_evidence(new, y_new) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("params", [{"hyperparameters": "fixed"}, BAYES])
def test_predictive_density_integrates_to_one(params):
    X, y = make_data(8)
    reg = BayesianLinearRegression(**params).fit(X, y)
    row = X[:1]

    def density(value):
        return np.exp(reg.log_predictive(row, [value]))[0]

    centre, scale = reg.predict(row)[0], reg.predict_std(row)[0]
    total = quad(lambda u: density(centre + scale * np.sinh(u)) * scale * np.cosh(u), -9, 9)[0]
    assert total == pytest.approx(1, abs=1e-8)


def test_predictive_of_bayes_is_the_student_t():
    X, y = make_data(12)
    reg = BayesianLinearRegression(**BAYES).fit(X, y)
    row, df = X[:1], 2 * (2.0 + 6)
    std = reg.predict_std(row)[0]
    law = t(df, reg.predict(row)[0], std * np.sqrt((df - 2) / df))
    assert_allclose(reg.log_predictive(row, [3.0]), law.logpdf(3.0), rtol=1e-12)
    assert_allclose(reg.predict_interval(row, 0.8)[0], law.ppf([0.1, 0.9]), rtol=1e-10)
    report = reg.predict_uncertainty(row)
    assert_allclose(report.entropy, law.entropy(), rtol=1e-10)


def test_interval_of_known_noise_is_normal():
    X, y = make_data(12)
    reg = BayesianLinearRegression(hyperparameters="fixed").fit(X, y)
    mean, std = reg.predict(X, return_std=True)
    expected = norm(mean[:, None], std[:, None]).ppf([0.25, 0.75])
    assert_allclose(reg.predict_interval(X, 0.5), expected, rtol=1e-10)


def test_collinear_columns_of_a_weak_prior_keep_nine_digits():
    """Cross products would square a condition number of 1e7."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=40)
    X = np.column_stack([x, x + 1e-7 * rng.normal(size=40)])
    y = x + rng.normal(size=40)
    params = {"fit_intercept": False, "hyperparameters": "fixed"}
    reg = BayesianLinearRegression(1e-6, 1.0, **params).fit(X, y)
    from fractions import Fraction

    def exact(rows):
        return [[Fraction(float(v)) for v in row] for row in rows]

    rows, target = exact(X), [Fraction(float(v)) for v in y]
    gram = [[sum(r[i] * r[j] for r in rows) for j in range(2)] for i in range(2)]
    for i in range(2):
        gram[i][i] += Fraction(1e-6)
    right = [sum(r[i] * v for r, v in zip(rows, target, strict=True)) for i in range(2)]
    determinant = gram[0][0] * gram[1][1] - gram[0][1] ** 2
    coef = (
        float((gram[1][1] * right[0] - gram[0][1] * right[1]) / determinant),
        float((gram[0][0] * right[1] - gram[0][1] * right[0]) / determinant),
    )
    # A prior of sd 1000 meets singular values of 6 and 6e-7: condition number 6000.
    assert_allclose(reg.coef_, coef, rtol=1e-9)


# --- sequential updates, weights, several targets ----------------------------------------


MODES = [
    {"hyperparameters": "fixed", "alpha": 0.2, "beta": 8.0},
    BAYES,
    EVIDENCE,
    {**EVIDENCE, "ard": True},
    {"ard": True},
    {},
]


@pytest.mark.parametrize("params", MODES)
@pytest.mark.parametrize("n_targets", [None, 2])
def test_partial_fit_is_one_fit_on_all_rows(params, n_targets):
    X, y = make_data(40, 4, n_targets)
    whole = BayesianLinearRegression(**params).fit(X, y)
    parts = BayesianLinearRegression(**params)
    for start in (0, 1, 3, 20):
        stop = {0: 1, 1: 3, 3: 20, 20: 40}[start]
        parts.partial_fit(X[start:stop], y[start:stop])
    assert_allclose(parts.coef_, whole.coef_, rtol=1e-10)
    assert_allclose(parts.predict_std(X, "epistemic"), whole.predict_std(X, "epistemic"), 1e-10)
    assert_allclose(parts.score_evidence(), whole.score_evidence(), rtol=1e-10)


def test_partial_fit_takes_another_prior_and_refuses_another_design():
    X, y = make_data()
    mean, covariance = random_prior(4)
    reg = BayesianLinearRegression().partial_fit(X[:20], y[:20])
    reg.set_params(prior_mean=mean, prior_covariance=covariance).partial_fit(X[20:], y[20:])
    whole = BayesianLinearRegression(prior_mean=mean, prior_covariance=covariance).fit(X, y)
    assert_allclose(reg.coef_, whole.coef_, rtol=1e-9)
    with pytest.raises(ValueError, match="fit_intercept=False differs"):
        reg.set_params(fit_intercept=False).partial_fit(X, y)


def test_partial_fit_keeps_a_small_state():
    X, y = make_data(500, 3)
    reg = BayesianLinearRegression()
    for rows in np.split(np.arange(500), 50):
        reg.partial_fit(X[rows], y[rows])
    assert reg._rows.table.shape == (5, 5)


def test_partial_fit_refuses_other_targets():
    X, y = make_data()
    reg = BayesianLinearRegression().partial_fit(X, y)
    with pytest.raises(ValueError, match="y has 2 targets but fit saw 1"):
        reg.partial_fit(X, np.column_stack([y, y]))
    with pytest.raises(ValueError, match="features"):
        reg.partial_fit(X[:, :2], y)


@pytest.mark.parametrize("params", MODES)
def test_weights_repeat_rows_and_fractions_are_exponents(params):
    X, y = make_data(30)
    weight = np.random.default_rng(0).integers(0, 3, size=30)
    weighted = BayesianLinearRegression(**params).fit(X, y, sample_weight=weight)
    repeated = BayesianLinearRegression(**params)
    repeated.fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
    assert_allclose(weighted.coef_, repeated.coef_, rtol=1e-9)
    assert_allclose(weighted.score_evidence(), repeated.score_evidence(), rtol=1e-10)
    half = BayesianLinearRegression(**params).fit(X, y, sample_weight=np.full(30, 0.5))
    twice = BayesianLinearRegression(**params).fit(
        np.vstack([X, X]), np.append(y, y), sample_weight=np.full(60, 0.25)
    )
    assert_allclose(half.coef_, twice.coef_, rtol=1e-9)


def test_weighted_evidence_is_that_of_repeated_rows():
    """By the marginal normal of the repeated targets: merging rows must not hide a weight."""
    X, y = make_data(20)
    weight = np.random.default_rng(0).integers(0, 4, size=20)
    params = {"hyperparameters": "fixed", "fit_intercept": False}
    reg = BayesianLinearRegression(2.0, 9.0, **params).fit(X, y, sample_weight=weight)
    rows, targets = np.repeat(X, weight, axis=0), np.repeat(y, weight)
    marginal = rows @ rows.T / 2 + np.eye(len(rows)) / 9
    expected = multivariate_normal(np.zeros(len(rows)), marginal).logpdf(targets)
    assert reg.score_evidence() == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("params", MODES)
def test_targets_are_regressions_of_their_own(params):
    X, Y = make_data(25, 4, 3)
    together = BayesianLinearRegression(**params).fit(X, Y)
    alone = [BayesianLinearRegression(**params).fit(X, column) for column in Y.T]
    assert_allclose(together.coef_, [r.coef_ for r in alone], rtol=1e-9)
    stds = np.column_stack([r.predict_std(X) for r in alone])
    assert_allclose(together.predict_std(X), stds, rtol=1e-9)
    total = sum(r.score_evidence() for r in alone)
    assert_allclose(together.score_evidence(), total, rtol=1e-10)
    joint = sum(r.score_evidence(X[:4], y[:4]) for r, y in zip(alone, Y.T, strict=True))
    assert_allclose(together.score_evidence(X[:4], Y[:4]), joint, rtol=1e-8)
    assert np.shape(together.beta_) == (3,)


@pytest.mark.parametrize("params", MODES)
def test_weight_draws_have_the_posterior_moments(params):
    X, y = make_data(20, 3)
    reg = BayesianLinearRegression(**params).fit(X, y)
    draws = reg.sample_posterior(n_samples=20000, random_state=0)
    values = draws["coef"] @ X.T + draws["intercept"][:, None]
    epistemic = reg.predict_std(X, "epistemic")
    assert_allclose(values.mean(0), reg.predict(X), atol=5 * epistemic.max() / np.sqrt(20000))
    # A standard deviation of a Student-t of 20 degrees: relative error under 1.2 / sqrt(2n).
    assert_allclose(values.std(0), epistemic, rtol=5 * 1.2 / np.sqrt(40000))
    assert ("beta" in draws) == (params.get("hyperparameters", "bayes") == "bayes")
    if params.get("ard") and "alpha" in draws:
        error = 5 * draws["alpha"].std(axis=0) / np.sqrt(20000)
        assert (np.abs(draws["alpha"].mean(axis=0) - reg.alpha_) < error).all()


# --- parameters ---------------------------------------------------------------------------

CHANGES = {
    "alpha": ({"hyperparameters": "fixed"}, 7.0),
    "beta": ({"hyperparameters": "fixed"}, 7.0),
    "prior_mean": ({}, 1.0),
    "prior_covariance": ({}, [1.0, 2.0, 3.0, 4.0]),
    "fit_intercept": ({}, False),
    "intercept_mean": ({}, 1.0),
    "intercept_alpha": ({"hyperparameters": "fixed"}, 50.0),
    "hyperparameters": ({}, "evidence"),
    "ard": ({}, True),
    "alpha_prior": ({}, (3.0, 0.1)),
    "beta_prior": ({}, (3.0, 0.1)),
    "max_iter": (EVIDENCE, 1),
    "tol": (EVIDENCE, 1e3),
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", CHANGES)
def test_parameter_changes_the_fit(name):
    X, y = make_data(15)
    base, value = CHANGES[name]
    plain = BayesianLinearRegression(**base).fit(X, y)
    other = BayesianLinearRegression(**base, **{name: value}).fit(X, y)
    assert plain.score_evidence() != other.score_evidence()
    assert not np.array_equal(plain.predict(X), other.predict(X))


def test_every_parameter_is_in_the_table():
    assert set(CHANGES) == set(BayesianLinearRegression().get_params())


@pytest.mark.parametrize("mode", ["evidence", "bayes"])
def test_unequal_alphas_keep_their_proportions(mode):
    X, y = make_data(15)
    alpha = np.array([1.0, 2.0, 4.0, 8.0])
    reg = BayesianLinearRegression(alpha, hyperparameters=mode).fit(X, y)
    assert_allclose(reg.alpha_ / reg.alpha_[0], alpha)
    root = np.sqrt(alpha)
    same = BayesianLinearRegression(hyperparameters=mode).fit(X / root, y)
    assert_allclose(reg.predict(X), same.predict(X / root), rtol=1e-8)
    assert_allclose(reg.score_evidence(), same.score_evidence(), rtol=1e-10)


def test_a_search_cut_short_warns():
    X, y = make_data()
    with pytest.warns(ConvergenceWarning, match="raise max_iter"):
        BayesianLinearRegression(hyperparameters="evidence", max_iter=1).fit(X, y)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"alpha": [1.0, 2.0]}, r"alpha must be a number or have one entry a feature, shape \(4,"),
        ({"alpha": [1.0, 2.0, 3.0, -1.0]}, "alpha must be positive"),
        ({"prior_mean": [1.0]}, "prior_mean must be"),
        ({"prior_mean": [np.nan] * 4}, "prior_mean must be finite"),
        ({"prior_covariance": [1.0, 1.0]}, "prior_covariance"),
        ({"prior_covariance": [0.0, 1, 1, 1]}, "positive, finite variances"),
        ({"prior_covariance": -np.eye(4)}, "positive definite"),
        ({"prior_covariance": np.triu(np.ones((4, 4)))}, "symmetric"),
        ({"alpha_prior": (1.0, 0.0)}, "alpha_prior must be"),
        ({"alpha_prior": "strong"}, "alpha_prior"),
        ({"beta_prior": (1.0,)}, "beta_prior must be"),
    ],
)
def test_bad_parameters_are_named(params, message):
    X, y = make_data()
    with pytest.raises(ValueError, match=message):
        BayesianLinearRegression(**params).fit(X, y)


def test_a_student_t_without_variance_says_so():
    reg = BayesianLinearRegression(hyperparameters="bayes").fit([[1.0]], [1.0])
    with pytest.raises(ValueError, match="degrees of freedom"):
        reg.predict_std([[1.0]])
    assert np.isfinite(reg.predict_interval([[1.0]])).all()


def test_single_precision_in_and_out():
    X, y = (a.astype(np.float32) for a in DIABETES)
    reg = BayesianLinearRegression().fit(X, y)
    assert reg.predict(X).dtype == reg.predict_std(X).dtype == np.float32
    assert reg.sample_y(X[:3], 2).dtype == reg.sample_posterior(X[:3], 2).dtype == np.float32
    assert_allclose(reg.predict(X), BayesianLinearRegression().fit(*DIABETES).predict(X), rtol=1e-4)


def test_polynomial_evidence_through_a_pipeline():
    """Evidence against order has its peak in the middle (Bishop 2006, figure 3.14)."""
    rng = np.random.default_rng(0)
    x = np.linspace(0, 1, 10)[:, None]
    y = np.sin(2 * np.pi * x[:, 0]) + 0.3 * rng.normal(size=10)
    params = {"fit_intercept": False, "hyperparameters": "fixed"}
    evidences = []
    for order in range(9):
        linear = BayesianLinearRegression(5e-3, 11.1, **params)
        pipe = make_pipeline(PolynomialFeatures(order), linear).fit(x, y)
        evidences.append(skbayes.score_evidence(pipe))
        design = x ** np.arange(order + 1)
        expected = multivariate_normal(
            np.zeros(10), design @ design.T / 5e-3 + np.eye(10) / 11.1
        ).logpdf(y)
        assert evidences[-1] == pytest.approx(expected, abs=1e-9)
    assert np.argmax(evidences) == 3
    assert_array_equal(skbayes.predict_std(pipe, x), linear.predict_std(pipe[:-1].transform(x)))
