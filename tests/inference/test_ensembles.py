"""Modes, ensembles and dropout against their exact answers on linear models."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from skbayes import BayesianMLPRegressor
from skbayes.inference import MCDropout
from skbayes.likelihoods import Gaussian
from skbayes.priors import Pretrained
from tests.inference import checks, draw_checks
from tests.scenarios import linear_problem

RNG = np.random.default_rng(0)


def test_anchored_members_are_posterior_draws():
    draw_checks.check_anchored(linear_problem())


def test_anchored_members_of_weighted_rows_and_two_targets():
    draw_checks.check_anchored(checks.two_targets())


@pytest.mark.parametrize("weighted", [False, True], ids=["equal", "weighted"])
def test_map_and_plain_ensemble_are_the_mode(weighted):
    draw_checks.check_mode(linear_problem(weighted=weighted))


def test_mode_by_mini_batches():
    """A decayed rate settles; constant batches of ten leave a few hundredths of an sd."""
    draw_checks.check_mode(linear_problem(), within=0.4, batch_size=10)


@pytest.mark.parametrize("weighted", [False, True], ids=["equal", "weighted"])
def test_dropout_is_a_ridge_solution(weighted):
    draw_checks.check_dropout(linear_problem(weighted=weighted))


def test_dropout_spread_does_not_vanish():
    """A hundred times the rows, and the epistemic spread is the masks' all the same."""
    few, many = (draw_checks.check_dropout_spread(n) for n in (50, 5000))
    # A posterior's spread would have fallen to a tenth.
    assert many > 0.7 * few


def test_dropout_masks_weights_with_their_prior_means():
    """On a linear model the variance is sum_j (w_j x_j)^2 p / (1 - p), whatever the prior."""
    X, rate = RNG.normal(size=(300, 3)), 0.2
    y = X @ [1.0, -2.0, 0.5] + 0.1 * RNG.normal(size=300)
    reg = BayesianMLPRegressor(
        (),
        prior=Pretrained(scale=0.05),
        likelihood=Gaussian(noise=0.1),
        inference=MCDropout(rate=rate),
        n_predictive_samples=4000,
        random_state=0,
    ).fit(X, y)
    model = reg._model()
    weights = model.weights(torch.from_numpy(reg.posterior_.mean)[None])[0, :3].numpy()
    shares = weights * (X[:6] - X.mean(0)) / X.std(0)
    exact = np.sqrt((shares**2).sum(1) * rate / (1 - rate)) * y.std()
    assert_allclose(reg.predict_std(X[:6], "epistemic"), exact, rtol=0.06)
