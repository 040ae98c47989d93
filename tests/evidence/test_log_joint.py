"""Log joints of many draws keep their value, and their memory, at any number of rows."""

import pytest
import torch

from skbayes._model import Model
from skbayes.base._monitor import Monitor
from skbayes.data._tensors import Data
from skbayes.evidence import importance_evidence, log_joint_of_draws
from skbayes.evidence._log_joint import BLOCK_ELEMENTS
from skbayes.evidence._units import N_ROWS as N_ROWS_COMPARED
from skbayes.inference import MeanFieldVI, Run
from skbayes.likelihoods import Gaussian
from skbayes.networks import MLPNetwork
from skbayes.posteriors import GaussianPosterior, ParticlePosterior
from skbayes.priors import Normal
from skbayes.utils._random import make_generator

N_ROWS, WIDTH = 5000, 300


@pytest.fixture
def problem():
    """A million and a half units a draw: more than a block may hold."""
    generator = make_generator(0)
    X = torch.randn(N_ROWS, 2, generator=generator)
    data = Data(X, X[:, :1], torch.rand(N_ROWS, generator=generator))
    return Model(MLPNetwork(2, 1, (WIDTH,)), Normal(), Gaussian(), 1, X), data


@pytest.fixture
def forwards(monkeypatch):
    """Rows times draws of every forward pass."""
    seen, true = [], MLPNetwork.forward

    def counted(self, weights, X):
        seen.append(len(weights) * len(X))
        return true(self, weights, X)

    monkeypatch.setattr(MLPNetwork, "forward", counted)
    return seen


@pytest.mark.parametrize("n_rows", [N_ROWS, 1000, 7])
def test_blocks_add_up(problem, forwards, n_rows):
    model, data = problem
    data = data.rows(slice(n_rows))
    draws = model.init(9, make_generator(1))
    value = log_joint_of_draws(model, data, draws)
    assert max(forwards) * WIDTH <= BLOCK_ELEMENTS
    # Sums over rows are double already; products of other shapes round the outputs anew.
    torch.testing.assert_close(value, model.log_joint(draws, data), rtol=1e-6, atol=0)


def importance(model, data):
    draws = model.init(20, make_generator(1))
    posterior = ParticlePosterior(draws.numpy()[:, None])
    importance_evidence(model, data, draws, make_generator(2), posterior)
    return posterior


def bound(model, data):
    # From a start of its own, so that no mode is sought. Training goes through the layers'
    # hooks: `forward` is the evidence's alone.
    start = GaussianPosterior(model.init(1, make_generator(2)).numpy()[0], [])
    run = Run(make_generator(0), make_generator(1), Monitor("MeanFieldVI", 0, None), start)
    return MeanFieldVI(max_iter=1, n_particles=1).run(model, data, run)


@pytest.mark.parametrize(("evidence", "n_draws"), [(importance, 2000), (bound, 500)])
def test_memory_does_not_grow_with_rows_times_draws(problem, forwards, evidence, n_draws):
    model, data = problem
    few = data.rows(slice(400))
    evidence(model, few)
    seen_before = 2 * N_ROWS_COMPARED if evidence is importance else 0
    assert sum(forwards) == n_draws * len(few) + seen_before
    assert max(forwards) * WIDTH <= BLOCK_ELEMENTS
