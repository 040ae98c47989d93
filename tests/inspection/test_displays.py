"""Displays hold and draw the numbers that the estimator gives."""

import sys

import matplotlib as mpl
import numpy as np
import pytest

mpl.use("Agg")
import matplotlib.pyplot as plt
from sklearn.datasets import load_diabetes, make_moons
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skbayes import BayesianMLPClassifier, BayesianMLPRegressor
from skbayes.inference import Laplace
from skbayes.inspection import CoverageDisplay, IntervalDisplay, UncertaintyDisplay
from skbayes.metrics import interval_coverage
from tests.inspection.checks import check_band


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def regressor():
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    reg = BayesianMLPRegressor((), inference=Laplace(structure="full"), random_state=0)
    return make_pipeline(StandardScaler(), reg).fit(X[:200], y[:200]), X[200:280], y[200:280]


@pytest.fixture(scope="module")
def classifier():
    X, y = make_moons(60, noise=0.1, random_state=0)
    return BayesianMLPClassifier((8,), inference="laplace", random_state=0).fit(X, y), X


def test_interval_display_shows_the_estimators_numbers_through_a_pipeline(regressor):
    pipe, X, y = regressor
    display = IntervalDisplay.from_estimator(pipe, X, y, coverage=0.5)
    np.testing.assert_array_equal(display.y_pred, pipe.predict(X))
    inner = pipe[-1].predict_interval(pipe[:-1].transform(X), coverage=0.5)
    np.testing.assert_array_equal(display.interval, inner)
    share = interval_coverage(y, inner)
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert f"inside: {share:.0%}" in labels
    outside = next(line for line in display.ax_.lines if line.get_label() == "outside")
    assert len(outside.get_xdata()) == round((1 - share) * len(y))


def test_interval_display_takes_a_column_of_a_frame_by_name(regressor):
    pipe, X, _ = regressor
    named = IntervalDisplay.from_estimator(pipe, X, feature="bmi")
    assert named.ax_.get_xlabel() == "bmi"
    np.testing.assert_array_equal(named.x, X["bmi"])
    with pytest.raises(ValueError, match=r"feature='zz' names no column of X: X has the columns"):
        IntervalDisplay.from_estimator(pipe, X, feature="zz")
    reg = pipe[-1]
    with pytest.raises(ValueError, match="an array without names; give a number"):
        IntervalDisplay.from_estimator(reg, pipe[0].transform(X), feature="bmi")


def test_interval_display_over_a_feature_sorts_by_it(regressor):
    pipe, X, _ = regressor
    display = IntervalDisplay.from_estimator(pipe, X, feature=2)
    assert display.ax_.get_xlabel() == "bmi"
    curve = display.ax_.lines[0]
    order = np.argsort(X["bmi"].to_numpy(), kind="stable")
    np.testing.assert_array_equal(curve.get_xdata(), X["bmi"].to_numpy()[order])
    np.testing.assert_array_equal(curve.get_ydata(), display.y_pred[order])


def test_interval_display_takes_axes_and_draws_again():
    _, (first, second) = plt.subplots(1, 2)
    interval = np.array([[0.0, 2.0], [1.0, 3.0]])
    display = IntervalDisplay.from_predictions([1.0, 2.0], interval, ax=first)
    assert display.ax_ is first
    assert display.plot(ax=second).ax_ is second


def test_interval_display_refuses_several_targets():
    with pytest.raises(ValueError, match="a display shows one target"):
        IntervalDisplay.from_predictions(np.zeros((3, 2)), np.zeros((3, 2, 2)))


def test_coverage_display_counts_targets_inside(regressor):
    pipe, X, y = regressor
    display = CoverageDisplay.from_estimator(pipe, X, y, levels=[0.5, 0.9])
    inner, rows = pipe[-1], pipe[:-1].transform(X)
    expected = [interval_coverage(y, inner.predict_interval(rows, c)) for c in (0.5, 0.9)]
    np.testing.assert_array_equal(display.observed, expected)
    assert display.n_rows == 80
    curve = display.ax_.lines[-1]
    np.testing.assert_array_equal(curve.get_ydata(), expected)
    assert curve.get_label() == "Pipeline"


def test_band_of_chance_holds_nine_curves_of_ten():
    check_band()


def test_coverage_display_refuses_a_missing_level():
    with pytest.raises(ValueError, match="1 intervals but 2 levels"):
        CoverageDisplay.from_predictions([1.0], [[[0, 2]]], [0.5, 0.9])


@pytest.mark.parametrize("kind", ["epistemic", "entropy"])
def test_uncertainty_display_maps_predict_uncertainty(classifier, kind):
    clf, X = classifier
    display = UncertaintyDisplay.from_estimator(clf, X, kind=kind, grid_resolution=9, margin=0.5)
    assert display.xx0.min() == X[:, 0].min() - 0.5
    assert display.xx1.max() == X[:, 1].max() + 0.5
    point = [[display.xx0[2, 7], display.xx1[2, 7]]]
    expected = clf.predict_uncertainty(point)[kind][0]
    assert display.uncertainty[2, 7] == pytest.approx(expected, rel=1e-12)
    assert display.ax_.figure.axes[-1].get_ylabel() == kind


def test_uncertainty_display_keeps_column_names(classifier):
    import pandas as pd

    X, y = make_moons(40, noise=0.1, random_state=0)
    frame = pd.DataFrame(X, columns=["a", "b"])
    clf = BayesianMLPClassifier((), inference="laplace", random_state=0).fit(frame, y)
    display = UncertaintyDisplay.from_estimator(clf, frame, grid_resolution=3)
    assert display.uncertainty.shape == (3, 3)


def test_uncertainty_display_refuses(classifier):
    clf, X = classifier
    with pytest.raises(ValueError, match="kind must be one of"):
        UncertaintyDisplay.from_estimator(clf, X, kind="variance")
    with pytest.raises(ValueError, match=r"X must have two columns, got shape \(4, 3\)"):
        UncertaintyDisplay.from_estimator(clf, np.zeros((4, 3)))
    with pytest.raises(ValueError, match="9 points but there are 18 uncertainties"):
        UncertaintyDisplay.from_predictions(*np.meshgrid([0, 1, 2], [0, 1, 2]), np.zeros(18))


def test_a_missing_matplotlib_is_an_error_that_says_what_to_type(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match="pip install matplotlib"):
        IntervalDisplay.from_predictions([1.0], [[0.0, 2.0]])
