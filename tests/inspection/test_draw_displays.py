"""Displays of draws of reconstructions hold and draw the numbers that the estimator gives."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

mpl.use("Agg")
import matplotlib.pyplot as plt
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from skbayes import BayesianAutoencoder
from skbayes.inference import DeepEnsemble
from skbayes.inspection import ReconstructionDrawsDisplay, ReconstructionProjectionDisplay

X = load_digits(n_class=3).data


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def bae():
    engine = DeepEnsemble(n_members=3, max_iter=50, hyperparameters="fixed")
    return (
        BayesianAutoencoder(
            2, inference=engine, scale_inputs="global", density=None, random_state=0
        )
        .set_params(encoder__hidden_layer_sizes=(6,))
        .fit(X[:100])
    )


def test_draws_stand_below_their_rows(bae):
    display = ReconstructionDrawsDisplay.from_estimator(bae, X[100:104], n_draws=2, random_state=7)
    expected = {
        "N(0, 1) prior": bae.sample_prior(X[100:104], 2, "standard", 7),
        "1 / fan-in prior": bae.sample_prior(X[100:104], 2, "fan_in", 7),
        "prior used": bae.sample_prior(X[100:104], 2, "fitted", 7),
        "posterior": bae.sample_posterior(X[100:104], 2, 7),
    }
    assert display.draws.keys() == expected.keys()
    for name, draws in expected.items():
        assert_array_equal(display.draws[name].reshape(2, 4, 64), draws)
    drawn = display.image_.get_array()
    assert drawn.shape == (9 * 9, 4 * 9)
    assert_array_equal(drawn[:8, 9:17].ravel(), X[101])
    # The second draw of the posterior, of the third row: the ninth line, framed.
    low, high = X[100:104].min(), X[100:104].max()
    at = np.clip(expected["posterior"][1, 2], low, high)
    assert_array_equal(drawn[72:80, 18:26].ravel(), at)
    ticks = display.ax_.get_yticks() + 1, display.ax_.get_yticklabels()
    assert [text.get_text() for text in ticks[1]] == ["row", *expected]
    # The posterior's lines are the last two, of nine pixels each with the frame.
    assert ticks[0][-1] == 9 * 8


def test_a_pipeline_shows_pictures_as_its_last_step_sees_them():
    engine = DeepEnsemble(n_members=2, max_iter=5, hyperparameters="fixed")
    pipe = make_pipeline(
        MinMaxScaler(), BayesianAutoencoder(1, inference=engine, density=None, random_state=0)
    ).fit(X)
    display = ReconstructionDrawsDisplay.from_estimator(pipe, X[:3], random_state=0)
    scaled = pipe[0].transform(X[:3])
    assert_array_equal(display.images.reshape(3, 64), scaled)
    assert_array_equal(
        display.draws["posterior"].reshape(2, 3, 64), pipe[1].sample_posterior(scaled, 2, 0)
    )


def test_the_plane_is_that_of_the_rows(bae):
    display = ReconstructionProjectionDisplay.from_estimator(
        bae, X, n_draws=2, priors=("1 / fan-in prior", "prior used"), random_state=3
    )
    pca = PCA(2, svd_solver="full").fit(X)
    signs = np.sign((display.rows * pca.transform(X)).sum(0))
    assert_allclose(display.rows * signs, pca.transform(X), atol=1e-8)
    draws = bae.sample_posterior(X, 2, 3).reshape(-1, 64)
    assert_allclose(display.points["posterior"] * signs, pca.transform(draws), atol=1e-8)
    draws = bae.sample_prior(X, 2, "fan_in", 3).reshape(-1, 64)
    assert_allclose(display.points["1 / fan-in prior"] * signs, pca.transform(draws), atol=1e-8)
    offsets = [points.get_offsets() for points in display.scatters_]
    assert_allclose(offsets[-1], display.rows)
    assert_allclose(offsets[2], display.points["posterior"])
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert labels == ["1 / fan-in prior", "prior used", "posterior", "rows"]


def test_bad_parts_are_named(bae):
    with pytest.raises(ValueError, match=r"priors \['mine'\] are not known"):
        ReconstructionProjectionDisplay.from_estimator(bae, X, priors=("mine",))
    with pytest.raises(ValueError, match="each draw of 'a'"):
        ReconstructionDrawsDisplay.from_predictions(
            np.ones((2, 4, 4)), {"a": np.ones((1, 3, 4, 4))}
        )
    with pytest.raises(ValueError, match="'a' must have two columns"):
        ReconstructionProjectionDisplay.from_predictions({"a": np.ones((2, 3))}, np.ones((2, 2)))


def test_names_of_columns_are_handed_on(bae):
    """Warnings are errors: an estimator that saw names is given them."""
    frame = pd.DataFrame(X[:100], columns=[f"pixel{i}" for i in range(64)])
    named = clone(bae).fit(frame)
    for kind in (ReconstructionDrawsDisplay, ReconstructionProjectionDisplay):
        kind.from_estimator(named, frame[:3], random_state=0)
