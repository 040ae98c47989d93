"""What is said of a run: as it goes, and in its diagnostics and warnings."""

import math
import re
import warnings
from functools import cache

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes

from skbayes import BayesianMLPRegressor
from skbayes.exceptions import ConvergenceWarning
from skbayes.inference import HMC, INFERENCES, SGHMC
from skbayes.inference.mcmc._chains import ChainSampler
from skbayes.likelihoods import Gaussian
from skbayes.posteriors._diagnostics import median_r_hat
from skbayes.priors import Normal
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
    # Under a noise that is known, chains look for no mode first.
    reg = quick_regressor().set_params(inference=engine, likelihood=Gaussian(noise=0.7))
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
def test_nothing_is_computed_where_nobody_listens(name, monkeypatch):
    monkeypatch.setattr(ChainSampler, "progress", lambda *args: pytest.fail("it was"))
    quick_regressor(name).fit(X, Y)


def test_chains_that_stood_still_disagree_without_a_warning():
    """Each half of each chain constant: no variance within, and the worst of answers."""
    values = np.repeat(np.arange(8.0).reshape(4, 2, 1), 3, axis=1)
    assert median_r_hat(values) == np.inf


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


# --- diagnostics and warnings --------------------------------------------------------------

#: In the diagnostics of every sampler, and of every model with scales or noise to learn.
CONTRACT = {"r_hat", "ess_bulk", "ess_tail", "n_divergent", "acceptance", "step_size"}
HYPER = {"r_hat_hyper", "ess_bulk_hyper", "ess_tail_hyper"}


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_reports_the_same_names(name):
    report = quick_regressor(name).fit(X, Y).diagnostics_
    assert set(report) >= CONTRACT | HYPER
    accepts = report["acceptance"]
    assert 0 < accepts <= 1 if name in ("hmc", "nuts") else accepts is None
    assert all(type(v) in (float, int) for k, v in report.items() if k != "acceptance")
    fixed = {"prior__scale": 1.0, "likelihood__noise": 60.0}
    known = quick_regressor(name).set_params(**fixed).fit(X, Y).diagnostics_
    assert set(known) >= CONTRACT
    assert not HYPER & set(known)


@pytest.mark.parametrize("name", SAMPLERS)
def test_one_chain_has_no_r_hat(name):
    engine = quick_engine(name, n_chains=1)
    report = quick_regressor().set_params(inference=engine).fit(X, Y).diagnostics_
    assert report["r_hat"] is None
    assert report["r_hat_hyper"] is None
    assert report["ess_bulk"] > 0


def test_effective_sizes_are_those_of_arviz():
    from arviz_stats.base import array_stats

    fitted = quick_regressor("hmc").fit(X, Y)
    tail = fitted.posterior_.particles[..., fitted._model().n_weights :].astype(float)
    at = {"chain_axis": 0, "draw_axis": 1}
    bulk = array_stats.ess(tail, method="bulk", **at)
    tails = array_stats.ess(tail, method="tail", prob=(0.05, 0.95), **at)
    assert fitted.diagnostics_["ess_bulk_hyper"] == pytest.approx(bulk.min())
    assert fitted.diagnostics_["ess_tail_hyper"] == pytest.approx(tails.min())
    assert fitted.diagnostics_["r_hat_hyper"] == pytest.approx(array_stats.rhat(tail, **at).max())


def caught(engine, **params):
    """Messages of the convergence warnings of a fit."""
    reg = BayesianMLPRegressor((20,), inference=engine, random_state=0, **params)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        fitted = reg.fit(X, Y)
    return fitted, [str(w.message) for w in found if w.category is ConvergenceWarning]


COARSE = {"n_samples": 40, "warmup": 0, "init_steps": 0, "max_extensions": 0}


def test_divergences_are_warned_about_with_number_and_remedy():
    engine = HMC(step_size=0.2, max_leapfrog=8, mass_matrix="identity", **COARSE)
    fitted, messages = caught(engine)
    number = fitted.diagnostics_["n_divergent"]
    assert number > 0
    (ours,) = [text for text in messages if "diverged" in text]
    assert ours.startswith(f"HMC: {number} of 160 moves diverged")
    assert "Set inference__step_size (now 0.2) to 'auto' or a tenth" in ours


def test_a_tuned_step_is_remedied_by_its_target():
    engine = HMC(**COARSE)
    _, messages = caught(engine)
    # Untuned for want of a warm-up, the first step is kept.
    told = engine.divergence_remedy(None)
    assert told == "Raise inference__target_accept (now 0.8) or inference__warmup (now 0)."
    assert not [text for text in messages if "diverged" in text]


@pytest.mark.parametrize(("share", "warned"), [(0.0, False), (5e-4, False), (2e-3, True)])
def test_kicks_cut_by_chance_are_not_warned_about(share, warned, monkeypatch):
    engine = quick_engine("sghmc")
    n_moves = 4 * engine.n_sampling_steps()
    watch = SGHMC.watch
    n_divergent = math.ceil(share * 50 * n_moves) if share else 0

    def watched(self, state):
        state.iteration = self.warmup + 50 * engine.n_sampling_steps()
        return {**watch(self, state), "n_divergent": n_divergent}

    monkeypatch.setattr(SGHMC, "watch", watched)
    _, messages = caught(engine)
    assert any("moves diverged" in text for text in messages) is warned


def test_a_run_without_trouble_is_silent():
    fitted, messages = caught(HMC(n_samples=200), prior=Normal(scale=0.5))
    assert messages == []
    assert fitted.diagnostics_["n_divergent"] == 0
