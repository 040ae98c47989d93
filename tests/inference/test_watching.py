"""What is said of a run: as it goes, and in its diagnostics and warnings."""

import re
from functools import cache

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes

from skbayes import BayesianMLPRegressor
from skbayes.inference import HMC, INFERENCES
from skbayes.inference._chains import ChainSampler
from skbayes.posteriors._diagnostics import median_r_hat
from tests.engine_configs import quick_engine, quick_regressor
from tests.inference.resumable import draws_hash

pytestmark = pytest.mark.filterwarnings("ignore::skbayes.exceptions.ConvergenceWarning")
X, Y = (a[:40] for a in load_diabetes(return_X_y=True))
SAMPLERS = sorted(name for name, kind in INFERENCES.items() if issubclass(kind, ChainSampler))


class Listener:
    """A callback that keeps what it hears, and stops the fit after some step."""

    def __init__(self, stop_after=None):
        self.stop_after, self.heard = stop_after, []

    def setup(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context, *, metadata):
        if context.task_name == "step":
            self.heard.append(metadata)
        return self.stop_after is not None and self.heard[-1]["step"] > self.stop_after

    def teardown(self, estimator, context):
        pass


@cache
def listened(name):
    """A run with half its steps in the optimiser, and what was heard of it."""
    engine = quick_engine(name)
    engine.set_params(init_steps=engine.warmup + engine.n_sampling_steps())
    reg = quick_regressor().set_params(inference=engine)
    listener = Listener()
    return clone(reg).set_callbacks(listener).fit(X, Y), listener.heard, reg


@pytest.mark.parametrize("name", SAMPLERS)
def test_progress_is_heard_evenly_to_the_end(name):
    fitted, heard, _ = listened(name)
    steps = [report["step"] for report in heard]
    n_init = fitted.inference_.init_steps
    total = n_init + fitted.n_iter_
    assert steps[-1] == heard[-1]["n_steps"] == total
    in_sampling = sum(step > n_init for step in steps)
    assert abs(in_sampling - len(steps) / 2) <= 2
    assert all("loss" in report for report in heard if report["step"] <= n_init)


@pytest.mark.parametrize("name", SAMPLERS)
def test_r_hat_and_step_size_are_heard_as_the_run_goes(name):
    fitted, heard, _ = listened(name)
    n_warm = fitted.inference_.init_steps + fitted.inference_.warmup
    sampling = [report for report in heard if report["step"] > n_warm]
    assert sampling[-1]["step_size"] == fitted.diagnostics_["step_size"]
    seen = {report["draws"]: report["r_hat"] for report in sampling if "r_hat" in report}
    assert len(seen) >= 4
    assert max(seen) > 0.7 * 20
    model, data = fitted._model(), scaled(fitted)
    outputs = model.network.forward(
        model.weights(data.new_tensor(fitted.posterior_.particles).flatten(0, 1)), data
    )
    values = outputs.double().numpy().reshape(4, 20, -1)
    for n_draws, r_hat in seen.items():
        assert r_hat == pytest.approx(median_r_hat(values[:, : int(n_draws)]), abs=1e-3)


def scaled(fitted):
    return fitted._inputs(X)[1][:]


@pytest.mark.parametrize("name", SAMPLERS)
def test_listening_changes_no_bit(name):
    fitted, _, reg = listened(name)
    assert draws_hash(reg.fit(X, Y)) == draws_hash(fitted)


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_bar_shows_r_hat_and_step_size(name, capsys):
    quick_regressor(name, verbose=1).fit(X, Y)
    last = capsys.readouterr().err.rstrip().rsplit("\r", 1)[-1]
    assert "100%" in last
    assert re.search(r"step_size=\d", last)
    assert re.search(r"r_hat=\d", last)


def lengthened(**params):
    engine = HMC(n_samples=8, warmup=8, init_steps=0, max_extensions=4, **params)
    return BayesianMLPRegressor((3,), inference=engine, random_state=0)


def test_a_lengthened_run_is_heard_and_can_be_stopped():
    whole = lengthened().fit(X, Y)
    assert whole.n_iter_ == 16 + 4 * 4
    listener = Listener()
    lengthened().set_callbacks(listener).fit(X, Y)
    steps = np.array([report["step"] for report in listener.heard])
    assert steps[-1] == whole.n_iter_
    assert (np.unique(steps) == np.arange(1, 33)).all()
    stopped = lengthened().set_callbacks(Listener(stop_after=20)).fit(X, Y)
    assert stopped.n_iter_ == 21
