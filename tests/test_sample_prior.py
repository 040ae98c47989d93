"""Functions drawn from the prior of a network have the covariances that theory gives them."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_iris

from skbayes import BayesianMLPClassifier, BayesianMLPRegressor
from skbayes.exceptions import IncompatiblePartsError
from skbayes.priors import Flat, Normal

RNG = np.random.default_rng(0)
X = RNG.normal(size=(6, 3))
IRIS, SPECIES = load_iris(return_X_y=True)
N = 20_000
#: Largest of a dozen or two of standard normals that is still no surprise.
LARGEST_Z = 4.0
FIXED = {"prior": Normal(scale=1.0, fan_in_scaling=False), "scale_inputs": None}


def z_scores(draws, covariance):
    """Sample covariances (N, N) of draws (S, N) against the true ones, in standard errors."""
    products = draws[:, :, None] * draws[:, None, :]
    error = products.std(axis=0) / np.sqrt(len(draws))
    return (products.mean(axis=0) - covariance) / error


def test_a_linear_model_has_the_covariance_of_its_features():
    draws = BayesianMLPRegressor((), **FIXED).sample_prior(X, N, random_state=0)[..., 0]
    features = np.column_stack([X, np.ones(len(X))])
    assert np.abs(z_scores(draws, features @ features.T)).max() < LARGEST_Z


def arc_cosine(features):
    """Covariance of one ReLU of standard normal weights (Cho and Saul, 2009, degree 1)."""
    norms = np.linalg.norm(features, axis=1)
    cosine = np.clip(features @ features.T / np.outer(norms, norms), -1, 1)
    angle = np.arccos(cosine)
    return np.outer(norms, norms) * (np.sin(angle) + (np.pi - angle) * cosine) / (2 * np.pi)


def test_a_layer_of_rectifiers_has_the_arc_cosine_covariance():
    units = 8
    reg = BayesianMLPRegressor((units,), "relu", **FIXED)
    draws = reg.sample_prior(X, N, random_state=0)[..., 0]
    features = np.column_stack([X, np.ones(len(X))])
    covariance = units * arc_cosine(features) + 1  # the output's bias has variance one
    assert np.abs(z_scores(draws, covariance)).max() < LARGEST_Z


def test_deep_networks_of_normal_weights_are_nearly_flat():
    """Four tanh layers, weights over the root of the fan-in: lines, all but constant."""
    grid = np.linspace(-3, 3, 50)[:, None]
    reg = BayesianMLPRegressor((50,) * 4, prior=Normal(scale=1.0), scale_inputs=None)
    draws = reg.sample_prior(grid, 400, random_state=0)[..., 0]
    within = draws.var(axis=1).mean() / draws.var(axis=0).mean()
    assert within < 0.1


def test_units_are_those_of_the_targets():
    y = 100 + 7 * RNG.normal(size=(6, 2))
    reg = BayesianMLPRegressor((4,), prior=Normal(scale=1.0))
    plain = reg.sample_prior(X, 5, random_state=0)
    given = reg.sample_prior(X, 5, random_state=0, y=y)
    assert plain.shape == (5, 6, 1)
    assert given.shape == (5, 6, 2)
    one = reg.sample_prior(X, 5, random_state=0, y=y[:, 0])
    assert_allclose(one, plain * y[:, 0].std() + y[:, 0].mean(), rtol=1e-4)


def test_inputs_are_scaled_by_the_rows():
    reg = BayesianMLPRegressor((4,), prior=Normal(scale=1.0))
    assert_allclose(
        reg.sample_prior(X, 3, random_state=0), reg.sample_prior(1e3 * X + 5, 3, 0), rtol=1e-4
    )


def test_classes_have_logits():
    clf = BayesianMLPClassifier((4,))
    assert clf.sample_prior(IRIS, 3, random_state=0).shape == (3, 150, 1)
    assert clf.sample_prior(IRIS, 3, random_state=0, y=SPECIES).shape == (3, 150, 3)


@pytest.mark.parametrize("kind", [BayesianMLPRegressor, BayesianMLPClassifier])
def test_a_fit_changes_nothing_and_nothing_changes_the_estimator(kind):
    model = kind((3,), inference="map", random_state=0)
    before = model.sample_prior(IRIS, 2, random_state=1)
    assert "n_features_in_" not in vars(model)
    model.fit(IRIS, SPECIES)
    fitted = model.predict(IRIS)
    assert_array_equal(model.sample_prior(IRIS, 2, random_state=1), before)
    assert_array_equal(model.predict(IRIS), fitted)
    assert not np.array_equal(model.sample_prior(IRIS, 2, random_state=2), before)


def test_learned_scales_are_drawn_too():
    """A learned scale makes tails: draws differ in size more than those of a fixed one."""
    grid = np.linspace(-1, 1, 20)[:, None]

    def sizes(prior):
        reg = BayesianMLPRegressor((10,), prior=prior)
        return np.log(reg.sample_prior(grid, 2000, random_state=0)[..., 0].std(axis=1))

    assert sizes(Normal(scale="learned")).std() > 1.3 * sizes(Normal(scale=1.0)).std()


def test_an_improper_prior_is_refused():
    with pytest.raises(IncompatiblePartsError, match="nothing to draw from; use prior='normal'"):
        BayesianMLPRegressor(prior=Flat()).sample_prior(X)


def test_dtypes_follow_the_rows():
    reg = BayesianMLPRegressor((3,))
    assert reg.sample_prior(X.astype(np.float32), 2, 0).dtype == np.float32
    assert reg.sample_prior(X, 2, 0).dtype == np.float64
