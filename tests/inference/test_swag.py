"""SWAG: the normal of its iterates, and where its iterates go."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from skbayes import BayesianMLPRegressor
from skbayes.evidence import log_joint_of_draws
from skbayes.inference import SWAG
from skbayes.inference.mode import _swag
from skbayes.utils._random import make_generator
from tests.scenarios import linear_problem, make_run, run_engine

N_TAIL = 2


def iterates(n=6, n_weights=9, dtype=torch.float64):
    """Correlated ones, whose last entries never move."""
    generator = make_generator(0)
    mixed = torch.randn(n, n_weights, generator=generator) @ torch.randn(
        n_weights, n_weights, generator=generator
    )
    return torch.cat([mixed, torch.ones(n, N_TAIL)], 1).to(dtype)


def exact_covariance(kept, n_weights):
    """Half of the sample covariance, and half of its diagonal alone; 0 for what is held."""
    sample = np.cov(kept.double().numpy().T)
    exact = 0.5 * sample + 0.5 * np.diag(np.diag(sample))
    exact[n_weights:], exact[:, n_weights:] = 0, 0
    return exact


def check_moments():
    """Mean and covariance are those of the iterates, to rounding."""
    for dtype, n, tolerance in ((torch.float64, 6, 1e-12), (torch.float32, 30, 2e-6)):
        kept = iterates(n, dtype=dtype)
        posterior = _swag.normal_through(kept, n_weights=9)
        assert posterior.mean.dtype == kept.numpy().dtype
        assert_allclose(posterior.mean, kept.double().mean(0), rtol=0, atol=10 * tolerance)
        exact = exact_covariance(kept, 9)
        error = np.abs(posterior.covariance() - exact).max()
        assert error <= tolerance * np.abs(exact).max()


def check_units():
    """The gradient is that of the objective with respect to weights in their units."""
    model = linear_problem().model()
    data = linear_problem().data()
    units = torch.linspace(0.5, 2.0, model.n_params, dtype=torch.float64)
    point = torch.linspace(-1.0, 1.0, model.n_params, dtype=torch.float64)[None]
    objective = _swag.AroundMode(model, point, units)
    _, grads = objective({"params": point}, data, 1.0, 0.0)
    step = 1e-5
    for index in range(model.n_params):
        move = torch.zeros_like(point)
        move[0, index] = step
        ends = [objective({"params": point + s * move}, data, 1.0, 0.0)[0] for s in (1, -1)]
        slope = float(ends[0] - ends[1]) / (2 * step)
        assert_allclose(float(grads["params"][0, index]), slope, rtol=1e-6, atol=1e-6)


def test_moments_are_those_of_the_iterates():
    check_moments()


def test_gradients_are_in_the_units_of_the_weights():
    check_units()


def test_draws_have_the_covariance_of_the_iterates():
    """Each entry within five standard errors, of which a factor of two is twenty."""
    n, kept = 20_000, iterates()
    draws = _swag.normal_through(kept, 9).sample(n, make_generator(1)).numpy()
    exact = exact_covariance(kept, 9)
    sd = np.sqrt(np.diag(exact))
    error = np.sqrt((np.outer(sd, sd) ** 2 + exact**2) / n)
    assert (np.abs(np.cov(draws.T) - exact) <= 5 * error + 1e-12).all()
    assert (np.abs(draws.mean(0) - kept.numpy().mean(0)) <= 5 * sd / n**0.5 + 1e-9).all()
    assert (draws[:, 9:] == 1).all()


def test_a_fit_has_the_moments_of_what_it_kept(monkeypatch):
    """The last iterates of so many steps, in the weights' own units."""
    seen, normal = [], _swag.normal_through
    monkeypatch.setattr(
        _swag, "normal_through", lambda kept, n: (seen.append(kept), normal(kept, n))[1]
    )
    problem = linear_problem()
    model, posterior = run_engine(SWAG(n_snapshots=7, thinning=5, max_iter=200), problem)
    (kept,) = seen
    assert kept.shape == (7, model.n_params)
    assert len(kept.unique(dim=0)) == 7
    assert_allclose(posterior.mean, kept.numpy().mean(0), rtol=1e-12)
    assert_allclose(posterior.covariance(), exact_covariance(kept, model.n_weights), atol=1e-14)


@pytest.mark.parametrize("n_rows", [50, 400])
def test_on_a_linear_model_the_spread_is_near_the_posteriors(n_rows):
    """Half a nat of the log joint a weight, within a factor of three; the mean within a sd."""
    problem = linear_problem(n_rows=n_rows)
    model, posterior = run_engine(SWAG(n_snapshots=60, max_iter=200), problem)
    scales = model.weight_scales(None)[0].numpy()
    precision = problem.packed_precision * np.outer(scales, scales)
    lost = 0.5 * np.trace(precision @ posterior.covariance()) / (0.5 * model.n_weights)
    assert 1 / 3 < lost < 3
    off = posterior.mean * scales - problem.packed_mean
    assert off @ problem.packed_precision @ off < model.n_weights


def test_more_steps_are_not_taken_than_were_asked_for():
    engine = SWAG(n_snapshots=4, thinning=5, max_iter=100)
    problem = linear_problem()
    model = problem.model()
    posterior = engine.run(model, problem.data(), make_run())
    around = (_swag.N_FIRST + 4) * 5 + _swag.N_ROUNDS * (_swag.N_FIRST + _swag.N_KEPT) * 5
    assert posterior.n_iter <= 100 + around
    assert log_joint_of_draws(model, problem.data(), torch.from_numpy(posterior.mean)[None]) < 0


def test_a_sine_is_found():
    rng = np.random.default_rng(0)
    x = rng.uniform(-3, 3, 60)
    y = np.sin(x) + 0.1 * rng.normal(size=60)
    grid = np.linspace(-3, 3, 200)
    fitted = BayesianMLPRegressor((50,), inference="swag", random_state=0).fit(x[:, None], y)
    assert fitted.score(grid[:, None], np.sin(grid)) > 0.9
    assert (fitted.predict_std(grid[:, None], kind="epistemic") > 0).all()
