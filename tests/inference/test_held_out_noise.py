"""Noise of modes, against the residuals of rows that were really left out."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from skbayes._model import Model
from skbayes.inference.mode._curvature import (
    DiagonalCurvature,
    DualCurvature,
    FullCurvature,
    KroneckerCurvature,
)
from skbayes.inference.mode._search import settle, with_held_out_noise
from skbayes.likelihoods import Gaussian, SharedGaussian
from skbayes.likelihoods._base import NOISE_FLOOR
from skbayes.networks import MLPNetwork
from skbayes.priors import Normal
from skbayes.utils._random import make_generator
from tests.scenarios import to_data, with_bias

NOISE, SCALE, N_ROWS = 0.4, 0.8, 12


def rows(n_targets=2):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N_ROWS, 3))
    y = X @ rng.normal(size=(3, n_targets)) + NOISE * rng.normal(size=(N_ROWS, n_targets))
    return X, y, 1.0 + np.arange(N_ROWS) % 3


def left_out(X, y, weight):
    """Residuals (sum of weight, T) of ridge regressions, each without one of the copies."""
    A = np.repeat(with_bias(X), weight.astype(int), axis=0)
    t = np.repeat(y, weight.astype(int), axis=0)
    # The prior of weights is scale / sqrt(fan in); the bias has the scale as it is.
    penalty = NOISE**2 / (SCALE * np.r_[np.full(3, 3**-0.5), 1.0]) ** 2
    residuals = []
    for index in range(len(A)):
        rest = np.arange(len(A)) != index
        solved = np.linalg.solve(A[rest].T @ A[rest] + np.diag(penalty), A[rest].T @ t[rest])
        residuals.append(t[index] - A[index] @ solved)
    return np.array(residuals)


def fitted(curvature, likelihood, **params):
    """The model at its mode, and the mode with noise set anew."""
    X, y, weight = rows(**params)
    data = to_data(X, y, weight)
    network = MLPNetwork(3, y.shape[1], (), "tanh")
    model = Model(network, Normal(scale=SCALE), likelihood, y.shape[1], data.weight)
    start = model.init(1, make_generator(0))
    model.split(start)[2][:] = np.log(NOISE - NOISE_FLOOR)
    mode, _ = settle(model, data, start, FullCurvature, 1e-9)
    leverages = curvature(model, data, mode).leverages(model, data, mode)
    return model, data, mode, leverages


@pytest.mark.parametrize("curvature", [FullCurvature, DualCurvature])
@pytest.mark.parametrize("likelihood", [Gaussian(), SharedGaussian()])
def test_it_is_that_of_rows_left_out(curvature, likelihood):
    model, data, mode, leverages = fitted(curvature, likelihood)
    found = model.likelihood.scale(
        model.hyper(with_held_out_noise(model, data, mode, leverages)), mode
    )
    squares = left_out(*rows()) ** 2
    exact = squares.mean(0) if isinstance(likelihood, Gaussian) else squares.mean()
    exact = squares.mean() if isinstance(likelihood, SharedGaussian) else exact
    assert_allclose(found[0, 0].numpy() ** 2, exact, rtol=1e-6)


@pytest.mark.parametrize(
    "curvature", [FullCurvature, DualCurvature, DiagonalCurvature, KroneckerCurvature]
)
def test_leverages_add_up_to_the_effective_parameters(curvature):
    model, data, mode, leverages = fitted(curvature, Gaussian())
    assert leverages.shape == (N_ROWS, 2)
    effective = curvature(model, data, mode).effective(model, data, mode)
    assert_allclose(leverages.sum(0), effective, rtol=1e-9)


def test_rows_that_fit_themselves_leave_a_finite_noise():
    model, data, mode, leverages = fitted(FullCurvature, Gaussian())
    moved = with_held_out_noise(
        model, data, mode, torch.ones_like(leverages) * data.weight[:, None]
    )
    assert torch.isfinite(moved).all()
