"""Coefficients, evidences, chains and components: what is drawn is what was learned."""

import matplotlib as mpl
import numpy as np
import pytest

mpl.use("Agg")
import matplotlib.pyplot as plt
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import chi2
from sklearn.datasets import load_diabetes, load_iris
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skbayes import (
    PPCA,
    BayesianLinearRegression,
    BayesianLogisticRegression,
    BayesianMLPClassifier,
    BayesianMLPRegressor,
    VariationalGMM,
)
from skbayes.exceptions import DrawsUnavailableError
from skbayes.inference import HMC
from skbayes.inspection import (
    CoefficientDisplay,
    EvidenceDisplay,
    MixtureDisplay,
    TraceDisplay,
)

X, Y = load_diabetes(return_X_y=True, as_frame=True)
IRIS, SPECIES = load_iris(return_X_y=True)


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


# --- coefficients ---------------------------------------------------------------------


def test_coefficients_are_those_of_the_posterior_by_name():
    reg = BayesianLinearRegression().fit(X, Y)
    display = CoefficientDisplay.from_estimator(reg, coverage=0.8)
    expected = reg.sample_posterior(n_samples=2000, random_state=0)["coef"]
    assert_array_equal(display.draws, expected)
    assert [text.get_text() for text in display.ax_.get_yticklabels()] == list(X.columns)
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    low, high = np.quantile(expected, [0.1, 0.9], axis=0)
    assert ("not clear" in labels) is bool(((low < 0) & (high > 0)).any())


def test_coefficients_of_one_class_through_a_pipeline():
    pipe = make_pipeline(StandardScaler(), BayesianLogisticRegression()).fit(IRIS, SPECIES)
    display = CoefficientDisplay.from_estimator(pipe, target=2)
    draws = pipe[-1].sample_posterior(n_samples=2000, random_state=0)["coef"]
    assert_array_equal(display.draws, draws[:, 2])
    assert display.names == ["x0", "x1", "x2", "x3"]


def test_what_has_no_coefficients_is_refused():
    with pytest.raises(ValueError, match="no coefficients; give a linear model"):
        CoefficientDisplay.from_estimator(PPCA(1).fit(IRIS))


# --- evidences --------------------------------------------------------------------------


def test_evidences_are_nats_below_the_best():
    fits = {k: VariationalGMM(k, random_state=0).fit(IRIS) for k in (1, 2, 3)}
    display = EvidenceDisplay.from_estimators(fits)
    found = [fit.score_evidence() for fit in fits.values()]
    assert_allclose(display.values, found)
    points = display.ax_.lines[0].get_xdata()
    assert_allclose(points, np.array(found) - max(found))


def test_evidences_of_different_kinds_are_refused():
    one = BayesianMLPRegressor((), inference="laplace", random_state=0).fit(X, Y)
    other = BayesianLinearRegression().fit(X, Y)
    with pytest.raises(ValueError, match="different kinds are not to be compared"):
        EvidenceDisplay.from_estimators({"network": one, "linear": other})


# --- chains -----------------------------------------------------------------------------


def test_ranks_of_one_distribution_are_even_and_of_others_not():
    rng = np.random.default_rng(0)
    even = TraceDisplay.from_draws(rng.normal(size=(4, 500)))
    counts = even.rank_counts(10)
    assert_array_equal(counts.sum(axis=1), 500)
    statistic = ((counts - 50) ** 2 / 50).sum()
    assert statistic < chi2(4 * 9).ppf(0.999)
    apart = TraceDisplay.from_draws(rng.normal(size=(4, 500)) + np.arange(4)[:, None])
    assert ((apart.rank_counts(10) - 50) ** 2 / 50).sum() > chi2(4 * 9).ppf(0.999)


def test_chains_are_those_of_the_function():
    engine = HMC(n_samples=20, n_chains=3, warmup=20, max_extensions=0, evidence=None)
    clf = BayesianMLPClassifier((), inference=engine, random_state=0)
    with pytest.warns(match="disagree"):
        pipe = make_pipeline(StandardScaler(), clf).fit(IRIS, SPECIES)
    display = TraceDisplay.from_estimator(pipe, IRIS, row=3, output=1)
    assert display.draws.shape == (3, 20)
    assert_allclose(display.draws.mean(), pipe.predict_proba(IRIS[3:4])[0, 1], atol=1e-5)


def test_chains_need_draws_in_two_axes():
    reg = BayesianMLPRegressor((), inference="map", random_state=0).fit(X, Y)
    with pytest.raises(DrawsUnavailableError):
        TraceDisplay.from_estimator(reg, X)
    with pytest.raises(ValueError, match=r"give \(n_chains, n_draws\)"):
        TraceDisplay.from_draws(np.zeros(5))


# --- components -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["full", "tied", "diag", "spherical"])
def test_ellipses_hold_half_of_their_component(kind):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(400, 3)) * [1.0, 2.0, 1.5]
    gmm = VariationalGMM(1, covariance_type=kind, random_state=0).fit(rows)
    display = MixtureDisplay.from_estimator(gmm, rows, features=(2, 1), n_samples=1)
    line = display.ax_.lines[1].get_xydata()
    mean, covariance = display.means[0, 0], display.covariances[0, 0]
    squared = np.einsum("ni,ij,nj->n", line - mean, np.linalg.inv(covariance), line - mean)
    assert_allclose(chi2(2).cdf(squared), 0.5)
    if kind == "full":
        assert_allclose(np.sqrt(np.diag(covariance)), [1.5, 2.0], rtol=0.15)
    inside = np.einsum(
        "ni,ij,nj->n", rows[:, [2, 1]] - mean, np.linalg.inv(covariance), rows[:, [2, 1]] - mean
    )
    assert abs((inside < squared[0]).mean() - 0.5) < 0.12


def test_what_has_no_components_is_refused():
    with pytest.raises(ValueError, match="give a VariationalGMM"):
        MixtureDisplay.from_estimator(PPCA(1).fit(IRIS), IRIS)
