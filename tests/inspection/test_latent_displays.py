"""Displays of codes and pictures hold and draw the numbers that the estimator gives."""

import matplotlib as mpl
import numpy as np
import pytest

mpl.use("Agg")
import matplotlib.pyplot as plt
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import norm
from sklearn.datasets import load_digits
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skbayes import PPCA, VariationalGMM
from skbayes.inspection import (
    LatentManifoldDisplay,
    LatentScatterDisplay,
    ReconstructionDisplay,
    SampleDisplay,
)
from skbayes.inspection._images import as_images, find_image_shape, mosaic
from skbayes.networks import CNN

X, Y = load_digits(n_class=3, return_X_y=True)


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def pipe():
    return make_pipeline(StandardScaler(), PPCA(4, whiten=True)).fit(X)


def test_manifold_runs_over_equally_probable_codes(pipe):
    display = LatentManifoldDisplay.from_estimator(pipe, n_points=6, components=(2, 0))
    assert_allclose(norm.cdf(display.values), (np.arange(6) + 0.5) / 6)
    codes = np.zeros((1, 4))
    codes[0, 2], codes[0, 0] = display.values[1], display.values[4]
    # The second code rises upwards: its fifth value is on the second line from the top.
    assert_allclose(display.images[1, 1].ravel(), pipe.inverse_transform(codes)[0])
    drawn = display.image_.get_array()
    assert_array_equal(drawn[8:16, 8:16], display.images[1, 1])
    assert display.ax_.get_xlabel() == "code 2"
    low_tick, label = display.ax_.get_yticks()[0], display.ax_.get_yticklabels()[0].get_text()
    assert (low_tick, label) == (0.5, f"{display.values[0]:.1f}")


@pytest.mark.parametrize("components", [(0, 0), (0, 4), (1,), (-1, 0)])
def test_two_different_codes_are_asked_for(pipe, components):
    with pytest.raises(ValueError, match="two different numbers below n_components=4"):
        LatentManifoldDisplay.from_estimator(pipe, components=components)


def test_scatter_has_one_group_a_class(pipe):
    display = LatentScatterDisplay.from_estimator(pipe, X, Y, components=(1, 3))
    codes = pipe.transform(X)[:, [1, 3]]
    assert_array_equal(display.codes, codes)
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert labels == ["0", "1", "2"]
    for label, points in enumerate(display.scatters_):
        assert_allclose(points.get_offsets(), codes[label == Y])


def test_scatter_without_classes_has_no_legend(pipe):
    display = LatentScatterDisplay.from_estimator(pipe, X)
    assert display.ax_.get_legend() is None
    assert len(display.scatters_[0].get_offsets()) == len(X)


def test_reconstructions_stand_below_their_rows(pipe):
    display = ReconstructionDisplay.from_estimator(pipe, X[:5])
    back = pipe.inverse_transform(pipe.transform(X[:5]))
    drawn = display.image_.get_array()
    assert drawn.shape == (16, 40)
    assert_array_equal(drawn[:8, 8:16].ravel(), X[1])
    assert_allclose(drawn[8:, 8:16].ravel(), back[1])


def test_samples_are_the_estimators(pipe):
    display = SampleDisplay.from_estimator(pipe, 7, random_state=3)
    again = SampleDisplay.from_estimator(pipe, 7, random_state=3)
    assert_array_equal(display.images, again.images)
    inner = pipe[0].inverse_transform(pipe[-1].sample(7, random_state=3))
    assert_allclose(display.images.reshape(7, -1), inner)
    drawn = display.image_.get_array()
    assert drawn.shape == (24, 24)
    assert np.ma.getmaskarray(drawn)[16:, 8:].all()
    assert display.plot(n_columns=7).image_.get_array().shape == (8, 56)


def test_samples_of_a_mixture_leave_its_labels_out():
    gmm = VariationalGMM(2, covariance_type="diag", random_state=0).fit(X[:, 18:34] + Y[:, None])
    assert SampleDisplay.from_estimator(gmm, 4, random_state=0).images.shape == (4, 4, 4)


def test_colours_come_last_and_within_bounds():
    rows = np.arange(2 * 3 * 4.0).reshape(2, -1)
    images = as_images(rows, (3, 2, 2))
    assert_array_equal(images[1, :, :, 2], [[20, 21], [22, 23]])
    display = SampleDisplay.from_predictions(images)
    drawn = display.image_.get_array()
    assert drawn.min() == 0
    assert drawn.max() == 1


def test_mosaic_reads_row_by_row():
    images = np.arange(3)[:, None, None] * np.ones((3, 1, 2))
    assert_array_equal(mosaic(images, 2), [[0, 0, 1, 1], [2, 2, np.nan, np.nan]])


class Pictures:
    encoder = CNN(image_shape=(1, 2, 8))


@pytest.mark.parametrize(
    ("estimator", "given", "expected"),
    [
        (object(), None, (1, 4, 4)),
        (object(), (2, 8), (1, 2, 8)),
        (Pictures(), None, (1, 2, 8)),
        (make_pipeline(StandardScaler(), Pictures()), None, (1, 2, 8)),
        (Pictures(), (1, 8, 2), (1, 8, 2)),
    ],
)
def test_shape_of_a_picture(estimator, given, expected):
    assert find_image_shape(estimator, 16, given) == expected


@pytest.mark.parametrize(("n_features", "shape"), [(15, None), (16, (3, 5)), (16, (2, 2, 4))])
def test_rows_that_are_no_pictures_are_refused(n_features, shape):
    with pytest.raises(ValueError, match="are no pictures of shape"):
        find_image_shape(object(), n_features, shape)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: LatentScatterDisplay.from_predictions(np.ones((3, 4))), "two columns"),
        (lambda: LatentScatterDisplay.from_predictions(np.ones((3, 2)), [1]), "one class a row"),
        (
            lambda: ReconstructionDisplay.from_predictions(np.ones((2, 4, 4)), np.ones((1, 4, 4))),
            "but reconstructions",
        ),
    ],
)
def test_unequal_shapes_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_displays_draw_again_on_given_axes(pipe):
    _, axes = plt.subplots(1, 4)
    for ax, display in zip(
        axes,
        [
            LatentManifoldDisplay.from_estimator(pipe, n_points=3),
            LatentScatterDisplay.from_estimator(pipe, X, Y),
            ReconstructionDisplay.from_estimator(pipe, X[:3]),
            SampleDisplay.from_estimator(pipe, 4, random_state=0),
        ],
        strict=True,
    ):
        assert display.plot(ax=ax) is display
        assert (display.ax_, display.figure_) == (ax, ax.figure)
