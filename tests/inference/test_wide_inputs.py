"""Kronecker factors of inputs that outnumber the rows: the same numbers, by small matrices."""

import numpy as np
import pytest
import torch

from skbayes import BayesianMLPRegressor
from skbayes._model import Model
from skbayes.data._tensors import Data
from skbayes.inference.mode import _curvature
from skbayes.likelihoods import Gaussian
from skbayes.networks import MLPNetwork
from skbayes.priors import Normal
from skbayes.utils._random import make_generator

N_ROWS, N_INPUTS = 12, 40


def wide_problem():
    generator = make_generator(0)
    like = torch.empty(0, dtype=torch.float64)
    model = Model(MLPNetwork(N_INPUTS, 1, (5,)), Normal(scale=1.0), Gaussian(noise=0.1), 1, like)
    X = torch.randn(N_ROWS, N_INPUTS, generator=generator, dtype=torch.float64)
    data = Data(X, X[:, :1], torch.linspace(0.5, 2, N_ROWS, dtype=torch.float64))
    return model, data, model.init(1, generator)


def by_matrices(monkeypatch):
    """Roots are multiplied out, as where rows are many."""
    own = _curvature.input_basis

    def multiplied(side):
        return own(side if len(side) == len(side.T) else side @ side.T)

    monkeypatch.setattr(_curvature, "input_basis", multiplied)


@pytest.mark.parametrize("rows_at_once", [N_ROWS, 5])
def test_roots_and_matrices_agree(monkeypatch, rows_at_once):
    model, data, mode = wide_problem()
    monkeypatch.setattr(_curvature, "JACOBIAN_ELEMENTS", 5 * rows_at_once)
    few = _curvature.KroneckerCurvature(model, data, mode)
    by_matrices(monkeypatch)
    all_of_them = _curvature.KroneckerCurvature(model, data, mode)
    assert few.log_det == pytest.approx(all_of_them.log_det, rel=1e-12)
    torch.testing.assert_close(few.variance, all_of_them.variance)
    gradient = torch.randn(model.n_weights, generator=make_generator(1), dtype=torch.float64)
    for damping in (0.0, 3.0):
        torch.testing.assert_close(
            few.solve(gradient, damping), all_of_them.solve(gradient, damping)
        )
    torch.testing.assert_close(
        few.effective(model, data, mode), all_of_them.effective(model, data, mode)
    )
    for one, other in zip(few.factors(), all_of_them.factors(), strict=True):
        np.testing.assert_allclose(one.covariance(), other.covariance(), atol=1e-10)


def test_no_matrix_of_inputs_is_decomposed(monkeypatch):
    """A fit to more columns than rows takes eigenvalues of matrices as small as the rows."""
    sizes, own = [], torch.linalg.eigh

    def seen(matrix):
        sizes.append(len(matrix))
        return own(matrix)

    monkeypatch.setattr(torch.linalg, "eigh", seen)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20, 300))
    reg = BayesianMLPRegressor((6,), inference="laplace", random_state=0).fit(X, X[:, 0])
    assert reg.diagnostics_["structure"] == "kron"
    assert max(sizes) <= 20
