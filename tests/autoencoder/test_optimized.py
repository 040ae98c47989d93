"""The prior tuned on its own reconstructions."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_iris

from skbayes import BayesianAutoencoder, BayesianMLPClassifier, BayesianMLPRegressor
from skbayes.data._tensors import Data
from skbayes.exceptions import IncompatiblePartsError
from skbayes.inference import MAP
from skbayes.io import load, save
from skbayes.likelihoods import Gaussian
from skbayes.networks import encoder_decoder
from skbayes.priors import Optimized, Pretrained
from skbayes.priors._optimized import PredictiveDistance
from skbayes.utils._random import make_generator, randn
from skbayes.utils._slices import SlicingDistribution
from tests import conformance
from tests.engine_configs import quick_engine

IRIS = load_iris().data
QUICK = {"max_iter": 30, "tuning_iter": 20}


def fitted(X_prior=IRIS[1::2], X=IRIS[::2], sample_weight=None, **params):
    """A mode under the tuned prior."""
    bae = BayesianAutoencoder(
        1, prior=Optimized(**{**QUICK, **params}), inference=MAP(max_iter=20), random_state=0
    ).set_params(encoder__hidden_layer_sizes=(4,))
    return bae.fit(X, sample_weight=sample_weight, X_prior=X_prior)


def rows_and_network(n_rows=40, seed=0):
    X = torch.randn(n_rows, 3, generator=make_generator(seed), dtype=torch.float64)
    return Data(X, X, torch.ones(n_rows, dtype=torch.float64)), encoder_decoder(3, 3, 1, (4,), (4,))


class OneStream(SlicingDistribution):
    """Directions that do not learn."""

    def learn(self, x, y, n_steps):
        pass


def test_gradient_is_that_of_finite_differences():
    """Of the distance at one stream of draws, in means and in log factors."""
    data, network = rows_and_network()
    like = torch.zeros(1, network.n_weights, dtype=torch.float64)
    point = {
        "means": 0.5 * randn(like.shape, like, make_generator(5)),
        "log_factors": 0.3 * randn(like.shape, like, make_generator(6)),
    }

    def distance(params):
        slices = OneStream(data.X, 1.0, 100, make_generator(7))
        made = PredictiveDistance(network, Gaussian(), slices, Optimized(scale=0.3))
        return made({name: value.clone() for name, value in params.items()}, data, 1.0, 0.0)

    _, grads = distance(point)
    for name, grad in grads.items():
        for at in (0, 5, network.n_weights - 1):
            values = []
            for step in (1e-6, -1e-6):
                moved = {key: value.clone() for key, value in point.items()}
                moved[name][0, at] += step
                values.append(float(distance(moved)[0]))
            assert_allclose(
                float(grad[0, at]), (values[0] - values[1]) / 2e-6, rtol=1e-4, atol=1e-8
            )


def test_distance_falls_under_tuning():
    """In other rows than those it was tuned on, along directions that did not learn."""
    data, network = rows_and_network(100)
    other, _ = rows_and_network(100, seed=1)
    params = {"scale": 0.5, "max_iter": 5, "tuning_iter": 150, "tuning_rate": 0.01}
    tuned = Optimized(**params).prepare(network, Gaussian(), data, make_generator(0))
    start = Pretrained(scale=0.5, max_iter=5).prepare(network, Gaussian(), data, make_generator(0))

    def distance(prior):
        slices = OneStream(data.X, 1.0, 500, make_generator(1))
        made = PredictiveDistance(network, Gaussian(), slices, Optimized(scale=0.5))
        means = prior.weight_means(network, data.X)[None]
        log_factors = prior.weight_factors(network, data.X)[None].log()
        squares = [
            made({"means": means, "log_factors": log_factors}, other, 1.0, 0.0)[0]
            for _ in range(20)
        ]
        return float(torch.stack(squares).mean())

    assert distance(tuned) < 0.7 * distance(start)
    curve = np.array(tuned.wasserstein_curve_)
    assert len(curve) == 150
    assert curve[-30:].mean() < 0.9 * curve[:30].mean()


def test_a_perfect_prior_has_no_distance():
    """A linear autoencoder with as many codes as columns, no spread: rows come back."""
    data, _ = rows_and_network()
    network = encoder_decoder(3, 3, 3, (), ())
    weights = torch.cat([torch.eye(3).flatten(), torch.zeros(3)]).double().repeat(2)[None]
    slices = SlicingDistribution(data.X, 1.0, 50, make_generator(0))
    made = PredictiveDistance(network, Gaussian(), slices, Optimized(scale=1e-12, slicing_iter=1))
    value, _ = made({"means": weights, "log_factors": torch.zeros_like(weights)}, data, 1.0, 0.0)
    assert float(value) < 1e-20


def test_tuning_starts_from_the_pretrained_weights():
    """A step of Adam moves no mean by more than its rate, and no deviation by its share."""
    one = fitted(tuning_iter=1, tuning_rate=1e-4).prior_
    start = (
        BayesianAutoencoder(
            1, prior=Pretrained(max_iter=30), inference=MAP(max_iter=1), random_state=0
        )
        .set_params(encoder__hidden_layer_sizes=(4,))
        .fit(IRIS[::2], X_prior=IRIS[1::2])
    )
    moved = np.abs(one.means_ - start.prior_.means_)
    assert 0 < moved.max() <= 1.01e-4
    assert_allclose(np.log(one.factors_), 0, atol=1.01e-4)


@pytest.fixture(scope="module")
def base():
    return fitted()


@pytest.mark.parametrize(
    "change",
    [
        {"scale": 0.2},
        {"max_iter": 10},
        {"learning_rate": 0.1},
        {"tuning_iter": 10},
        {"tuning_rate": 0.1},
        {"slicing_iter": 0},
        {"alignment_penalty": 0.0},
    ],
    ids=lambda change: next(iter(change)),
)
def test_parameters_change_the_fit(change, base):
    assert set(change) < Optimized().get_params().keys()
    assert not np.array_equal(fitted(**change).predict(IRIS), base.predict(IRIS))


def test_every_parameter_is_shown_to_matter():
    names = {next(iter(change)) for change in test_parameters_change_the_fit.pytestmark[0].args[1]}
    assert names == Optimized().get_params().keys()


def test_rows_of_its_own_or_the_training_rows(base):
    assert not np.array_equal(fitted(X_prior=None).predict(IRIS), base.predict(IRIS))
    same = fitted(X_prior=IRIS[::2]), fitted(X_prior=None)
    assert_array_equal(same[0].predict(IRIS), same[1].predict(IRIS))


def test_weight_two_is_a_row_twice():
    X = IRIS[::10]
    weight = np.tile([1.0, 2.0, 3.0], 5)
    weighted = fitted(None, X, weight)
    repeated = fitted(None, np.repeat(X, weight.astype(int), 0))
    assert_array_equal(weighted.prior_.means_, repeated.prior_.means_)
    assert_array_equal(weighted.prior_.factors_, repeated.prior_.factors_)


def test_rows_of_weight_zero_are_not_drawn():
    """Half of the rows are nonsense and weigh nothing."""
    data, network = rows_and_network()
    nonsense = Data(
        torch.cat([data.X, data.X + 1e6]),
        torch.cat([data.y, data.y + 1e6]),
        torch.cat([data.weight, 0 * data.weight]),
    )
    slices = SlicingDistribution(data.X, 1.0, 50, make_generator(0))
    made = PredictiveDistance(network, Gaussian(), slices, Optimized())
    zeros = torch.zeros(1, network.n_weights, dtype=torch.float64)
    assert float(made({"means": zeros, "log_factors": zeros}, nonsense, 1.0, 0.0)[0]) < 10


def test_curve_is_kept_by_files(base, tmp_path):
    assert base.wasserstein_curve_ == base.prior_.wasserstein_curve_
    assert len(base.wasserstein_curve_) == QUICK["tuning_iter"]
    save(base, tmp_path / "bae.skbayes")
    loaded = load(tmp_path / "bae.skbayes")
    assert loaded.wasserstein_curve_ == base.wasserstein_curve_
    assert_array_equal(loaded.predict(IRIS), base.predict(IRIS))


def test_other_priors_have_no_curve():
    bae = BayesianAutoencoder(1, prior="normal", inference=MAP(max_iter=2), random_state=0)
    assert not hasattr(bae, "wasserstein_curve_")
    assert not hasattr(bae.fit(IRIS), "wasserstein_curve_")


def test_labels_are_refused():
    clf = BayesianMLPClassifier((3,), prior=Optimized(**QUICK), inference="map")
    with pytest.raises(IncompatiblePartsError, match="is one of labels; use prior='normal'"):
        clf.fit(IRIS, np.repeat([0, 1, 2], 50))


@pytest.mark.parametrize("bad", [{"tuning_iter": 0}, {"tuning_rate": 0.0}, {"slicing_iter": -1}])
def test_bad_parameters_are_named(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        fitted(**bad)


#: Rows of a tuning step are drawn by their number in the canonical order, which is another
#: where X has other units: these steps are too short for the checks of units to see which.
SHORT_STEPS = {"tuning_iter": 3, "tuning_rate": 1e-6, "slicing_iter": 1}


@conformance.contract(
    thorough=[],
    others=[
        BayesianAutoencoder(
            1,
            prior=Optimized(scale=0.3, max_iter=60, **SHORT_STEPS),
            inference=quick_engine("laplace"),
        ).set_params(encoder__hidden_layer_sizes=(4,))
    ],
)
def test_contract(estimator, check):
    check(estimator)


def test_one_row_and_columns_without_spread():
    X = np.column_stack([IRIS[:1], [7.0]])
    bae = fitted(None, X)
    assert np.isfinite(bae.predict(X)).all()
    assert np.isfinite(bae.wasserstein_curve_).all()


def test_regressors_take_it_as_an_object():
    """Predictions of the same rows in place of reconstructions."""
    prior = Optimized(**QUICK)
    reg = BayesianMLPRegressor((3,), prior=prior, inference=MAP(max_iter=20), random_state=0)
    assert np.isfinite(reg.fit(IRIS[:, :3], IRIS[:, 3]).predict(IRIS[:, :3])).all()
    assert len(reg.prior_.wasserstein_curve_) == QUICK["tuning_iter"]
