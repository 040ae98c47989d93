"""The search for a classifier's precisions ends at the highest peak of the evidence.

The evidence at any fixed precisions is a bound from below on the largest: one place that
lies higher proves a search wrong.
"""

import itertools
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.integrate import quad
from sklearn.datasets import load_iris

from skbayes import BayesianLogisticRegression
from skbayes.linear_model import _gaussian_vi
from skbayes.utils._logit_normal import HAHN, HERMITE, logistic_nodes, loss_moments
from tests.linear_model.problems import logistic

#: Nats that a search may be short of the best known place.
SHORT = 0.1
#: Eight rows that a gap separates, far from zero in units of their spread.
EIGHT = np.array([3, 3.2, 3.4, 3.6, 5, 5.2, 5.4, 5.6])[:, None], np.repeat([0, 1], 4)


def raw_table(seed):
    """Rows 5 to 60, columns 1 to 10, offsets and scales of six decades; labels of any kind."""
    rng = np.random.default_rng([7, seed])
    n_rows, n_columns = int(rng.integers(5, 61)), int(rng.integers(1, 11))
    common = rng.random() < 0.5
    scale = 10 ** rng.uniform(-3, 3, 1 if common else n_columns) * np.ones(n_columns)
    offset = 10 ** rng.uniform(-3, 3, n_columns) * rng.choice([-1, 1], n_columns)
    if rng.random() < 0.25:
        offset = offset * 0
    rows = rng.normal(size=(n_rows, n_columns))
    weights = rng.normal(size=n_columns) * 10 ** rng.uniform(-0.5, 1)
    noise = rng.choice([0.0, 1.0, 1e9])
    logits = rows @ weights + rng.normal() + noise * rng.logistic(size=n_rows)
    y = (logits > (np.median(logits) if rng.random() < 0.5 else 0)).astype(int)
    if y.min() == y.max():
        y[: max(1, n_rows // 3)] ^= 1
    return offset + scale * rows, y


#: Tables, and the best place (log10 of alpha and of the intercept's precision) on a grid of
#: 20 by 12. From one start all but 2, 16, 20 and 37 ended up to 18 nats below.
BEST = [
    *((2, 3, -2), (6, -3, 6), (12, -5, 6), (16, 3, -2), (19, -1, 2), (20, 1, -2), (22, -1, 2)),
    *((29, -6, 6), (31, 0, 4), (37, -8, -4), (42, 8, 6), (45, 8, 6), (49, 8, 6), (50, -4, 0)),
    (97, -5, -10),
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("inference", ["laplace", "variational"])
@pytest.mark.parametrize(("seed", "alpha", "own"), BEST)
def test_raw_tables_reach_the_best_of_a_grid(seed, alpha, own, inference):
    X, y = raw_table(seed)
    found = logistic(inference=inference, random_state=0).fit(X, y).score_evidence()
    # A learned intercept stands at the columns' means, a given one at zero.
    alphas, owns = [alpha - 2, alpha, alpha + 2], [-2, 0, 2, own]
    best = best_of_a_grid(X - X.mean(axis=0), y, alphas, owns, inference=inference)
    assert found > best - SHORT


def best_of_a_grid(X, y, alphas, owns, **params):
    grid = itertools.product(10.0 ** np.array(alphas), 10.0 ** np.array(owns))
    fits = (
        logistic(alpha, intercept_alpha=own, hyperparameters="fixed", **params).fit(X, y)
        for alpha, own in grid
    )
    return max(fit.score_evidence() for fit in fits)


@pytest.mark.parametrize("inference", ["laplace", "variational"])
def test_eight_rows_far_from_zero(inference):
    X, y = EIGHT
    clf = logistic(inference=inference, random_state=0).fit(X, y)
    best = best_of_a_grid(X - X.mean(), y, [-4, -3, -2, -1, 0], [-4, -2, 0], inference=inference)
    assert clf.score_evidence() > best - SHORT
    # Four and four: the null model is a real peak, and a lower one.
    assert clf.score_evidence() > -8 * np.log(2) + 1
    assert clf.predict_proba(X)[np.arange(8), y].min() > 0.7


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("inference", ["laplace", "variational"])
def test_three_classes_far_from_zero(inference):
    """Twenty raw rows of iris, twenty from zero; the grid's widest priors warn."""
    X, y = load_iris(return_X_y=True)
    rows = np.random.default_rng(3).permutation(150)[:20]
    X, y = X[rows] + 20.0, y[rows]
    clf = logistic(inference=inference, random_state=0).fit(X, y)
    best = best_of_a_grid(X - X.mean(axis=0), y, [-2, -1, 0], [-2, 0], inference=inference)
    assert clf.score_evidence() > best - SHORT
    assert clf.score(X, y) > 0.8


def test_gamma_posteriors_far_from_zero():
    """The bound's peak of weights that matter is the higher one here too."""
    X, y = EIGHT
    clf = logistic(inference="variational", hyperparameters="bayes", random_state=0).fit(X, y)
    assert clf.predict_proba(X)[np.arange(8), y].min() > 0.8


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_sampler_has_the_precisions_of_laplace():
    X, y = EIGHT
    quick = {"n_samples": 50, "n_chains": 2, "warmup": 50, "max_extensions": 0, "init_steps": 20}
    sampled = logistic(inference="hmc", hmc_params=quick, random_state=0).fit(X, y)
    normal = logistic(random_state=0).fit(X, y)
    assert (sampled.alpha_, sampled.intercept_alpha_) == (normal.alpha_, normal.intercept_alpha_)
    assert sampled.predict_proba(X)[np.arange(8), y].min() > 0.7


def test_a_precision_a_column_far_from_zero():
    """Columns of unlike scales, one of which separates; none is near zero."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(30, 3))
    y = (rows[:, 1] > 0).astype(int)
    X = 50.0 + rows * [1e-2, 1.0, 1e2]
    clf = logistic(ard=True, random_state=0).fit(X, y)
    shared = logistic(random_state=0).fit(X, y)
    assert clf.score_evidence() > shared.score_evidence()
    assert clf.score(X, y) > 0.9


@pytest.mark.parametrize("inference", ["laplace", "variational"])
def test_units_are_free(inference):
    """To what a search lets go of: 1e-9 nats, whose root is a share of the spread."""
    X, y = EIGHT
    plain, other = (logistic(inference=inference, random_state=0).fit(Z, y) for Z in (X, 1024 * X))
    assert_allclose(plain.predict_proba(X), other.predict_proba(1024 * X), atol=1e-4)
    assert other.score_evidence() == pytest.approx(plain.score_evidence(), abs=1e-7)


def separable(n_rows):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_rows, 4))
    X -= X.mean(axis=0)
    return X, (X @ [1.0, -2.0, 0.5, 1.0] > 0).astype(int)


def test_separable_rows_cost_no_more_looks_each(monkeypatch):
    """Forty times the rows: no more passes over them than half as many again."""
    looks = []
    own = _gaussian_vi.label_means

    def counted(data, *args):
        looks[-1] += 1
        return own(data, *args)

    monkeypatch.setattr(_gaussian_vi, "label_means", counted)
    for n_rows in (100, 4000):
        looks.append(0)
        BayesianLogisticRegression(random_state=0).fit(*separable(n_rows))
    assert looks[1] < 1.5 * looks[0]


def test_labels_of_pure_noise_are_no_fault_of_the_normal():
    """Weights of zero make a tie of the classes, which rounding may turn: no warning."""
    rng = np.random.default_rng(1)
    X, y = 1000.0 + rng.normal(size=(15, 4)), np.arange(15) % 3
    clf = logistic(random_state=0).fit(X, y)
    assert_allclose(clf.predict_proba(X), 1 / 3, atol=0.01)


def test_columns_of_noise_beside_separable_rows_settle():
    """Precisions run off; the search ends all the same, without a warning of its own."""
    X, y = load_iris(return_X_y=True)
    X = np.c_[X - X.mean(axis=0), np.random.default_rng(100).normal(size=(150, 6))]
    clf = logistic(ard=True, random_state=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        clf.fit(X, y)
    assert not any("did not settle" in str(each.message) for each in caught)


# --- log losses by few nodes -------------------------------------------------------------------


EDGES = [least for least, _ in (*HERMITE[1:], *HAHN)]


@pytest.mark.parametrize("mean", [0.0, 2.5, -9.0])
@pytest.mark.parametrize("sd", [factor * edge for edge in EDGES for factor in (0.999, 1.001)])
def test_loss_moments_about_the_changes_of_rule(mean, sd):
    def average(function):
        edges = np.clip((np.array([-40, -8, -2, 0, 2, 8, 40]) - mean) / sd, -11.9, 11.9)

        def value(z):
            return function(mean + sd * z) * np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi)

        points = sorted({*edges, -3.0, 0.0, 3.0})
        return quad(value, -12, 12, points=points, epsabs=1e-14, epsrel=1e-12, limit=1000)[0]

    found = loss_moments(np.array([mean]), np.array([sd**2]))
    assert_allclose(found.loss, average(lambda f: np.logaddexp(0, f)), atol=1e-11)
    assert_allclose(found.slope, average(lambda f: 1 / (1 + np.exp(-f))), atol=1e-11)
    assert_allclose(found.curvature, average(lambda f: 0.25 / np.cosh(f / 2) ** 2), atol=1e-11)


def test_gauss_rule_of_the_logistic_density():
    """Its even moments are (2^2k - 2) pi^2k |B_2k|; a rule of four nodes knows three of them."""
    nodes, weights = logistic_nodes(4)
    expected = [1, np.pi**2 / 3, 7 * np.pi**4 / 15, 31 * np.pi**6 / 21]
    assert_allclose([weights @ nodes**k for k in (0, 2, 4, 6)], expected, rtol=1e-12)
