"""`diagnostics_["converged"]` of the engines that train says what is so."""

import pytest
import torch
from sklearn.datasets import load_diabetes

from skbayes import BayesianMLPRegressor
from skbayes._model import Model
from skbayes.data._tensors import Data
from skbayes.inference import MAP, DeepEnsemble, Laplace, MCDropout, MeanFieldVI
from skbayes.inference.mode import _search as _mode
from skbayes.inference.mode._curvature import FullCurvature
from skbayes.inference.mode._search import newton_step, settle
from skbayes.likelihoods import Gaussian
from skbayes.networks import MLPNetwork
from skbayes.priors import Normal
from skbayes.utils._random import make_generator

X, y = (a[:60] for a in load_diabetes(return_X_y=True))
TRAINED = [MCDropout, MeanFieldVI, DeepEnsemble]


def converged(engine, hidden=(20,)):
    reg = BayesianMLPRegressor(hidden, inference=engine, random_state=0).fit(X, y)
    return reg.diagnostics_["converged"]


@pytest.mark.parametrize("engine", TRAINED)
def test_a_run_that_its_tolerance_ended_has_converged(engine):
    assert converged(engine(max_iter=100, tol=0.5)) is True
    # Five epochs are fewer than the five without gain, after a first, that end a run.
    assert converged(engine(max_iter=5, tol=0.5)) is False


@pytest.mark.parametrize("engine", TRAINED)
def test_no_tolerance_asks_nothing(engine):
    assert converged(engine(max_iter=20, tol=0.0)) is None


@pytest.mark.parametrize("engine", [MAP, Laplace])
def test_a_mode_is_found_in_the_end(engine, monkeypatch):
    """A short training is not excused, nor is one blamed whose mode Newton steps found."""
    with monkeypatch.context() as patch:
        patch.setattr(_mode, "N_POLISH", 1)
        patch.setattr(_mode, "N_CLIMB", 1)
        assert converged(engine(max_iter=5)) is False
    assert converged(engine(max_iter=3000)) is True
    assert converged(engine(max_iter=1), hidden=()) is True


def test_without_polish_the_training_tells():
    flat = BayesianMLPRegressor((3,), prior="flat", inference=MAP(max_iter=20), random_state=0)
    assert flat.fit(X, y).diagnostics_["converged"] is False


def test_the_expected_gain_is_exact_on_a_linear_model():
    """A quadratic joint rises by just what the step promises, and then by nothing."""
    rows, targets = (torch.from_numpy((a - a.mean(0)) / a.std(0)) for a in (X, y[:, None]))
    data = Data(rows, targets, torch.ones(60, dtype=torch.float64))
    model = Model(MLPNetwork(10, 1, ()), Normal(scale=0.5), Gaussian(noise=0.5), 1, data.weight)
    start = model.init(1, make_generator(0))
    mode, gain, expected = newton_step(model, data, start, FullCurvature(model, data, start))
    assert gain == pytest.approx(expected, rel=1e-9)
    assert gain > 0.1
    assert newton_step(model, data, mode, FullCurvature(model, data, mode))[2] < 1e-12 * gain
    assert settle(model, data, start, FullCurvature, 1e-9)[1] < 1e-9
