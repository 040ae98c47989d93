"""Runs that were stopped anywhere go on to the same bits."""

import multiprocessing
import os
import random
import signal
import threading
import time

import pytest

from skbayes.inference import INFERENCES
from skbayes.training import _resuming
from skbayes.training._encoding import Codec
from tests.inference.interrupted import crash, iteration, states_number, stop_at
from tests.inference.resumable import (
    PLANTED,
    SAMPLERS,
    draws_hash,
    fit,
    make,
    problem,
    run_and_wait,
    states,
)

pytestmark = pytest.mark.filterwarnings("ignore::skbayes.exceptions.ConvergenceWarning")

#: Samplers whose every step is a draw: their runs have fewer steps.
ADJUSTED = ("hmc", "nuts")


# --- stopped and gone on ------------------------------------------------------------


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("number", [0, 7, 34, 62])
def test_a_run_that_was_stopped_goes_on_to_the_same_bits(name, number, uninterrupted, tmp_path):
    stop_at(name, number, tmp_path)
    assert iteration(tmp_path) == number // 5 * 5
    assert draws_hash(fit(name, tmp_path)) == uninterrupted[name]


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_run_stopped_again_and_again(name, uninterrupted, tmp_path):
    for number in (12, 33, 59):
        stop_at(name, number, tmp_path, checkpoint_every=number % 5 + 1)
    assert draws_hash(fit(name, tmp_path, checkpoint_every=11)) == uninterrupted[name]


@pytest.mark.parametrize("name", ["hmc", "nuts", "sghmc"])
def test_a_lengthened_run_goes_on(name, uninterrupted, tmp_path):
    number = {"hmc": 66, "nuts": 66, "sghmc": 250}[name]
    stop_at(name, number, tmp_path, checkpoint_every=30)
    assert draws_hash(fit(name, tmp_path)) == uninterrupted[name]


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_finished_run_takes_no_step(name, uninterrupted, tmp_path, monkeypatch):
    first = fit(name, tmp_path)
    files = {path: path.read_bytes() for path in tmp_path.iterdir()}
    monkeypatch.setattr(INFERENCES[name], "step", lambda *args: crash())
    second = fit(name, tmp_path)
    assert draws_hash(first) == draws_hash(second) == uninterrupted[name]
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == files


@pytest.mark.parametrize("name", SAMPLERS)
def test_ctrl_c_ends_the_step_writes_and_raises(name, uninterrupted, tmp_path):
    press = lambda: os.kill(os.getpid(), signal.SIGINT)  # noqa: E731
    stop_at(name, 42, tmp_path, press, KeyboardInterrupt, checkpoint_every=1000)
    assert iteration(tmp_path) == 43
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert draws_hash(fit(name, tmp_path)) == uninterrupted[name]


def test_a_second_ctrl_c_does_not_wait_for_the_step(uninterrupted, tmp_path):
    def press_twice():
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1)

    stop_at("sghmc", 42, tmp_path, press_twice, KeyboardInterrupt)
    assert iteration(tmp_path) == 40
    assert draws_hash(fit("sghmc", tmp_path)) == uninterrupted["sghmc"]


class At:
    """A callback that acts at the fifth task of a fit."""

    def __init__(self, act):
        self.act, self.seen = act, 0

    def setup(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        self.seen += context.task_name == "step"
        return self.act() if self.seen == 5 else False

    def teardown(self, estimator, context):
        pass


def raise_interrupt():
    raise KeyboardInterrupt


def test_an_interrupt_from_a_callback_is_written(tmp_path):
    told = make("hmc", tmp_path, init_steps=0, checkpoint_every=1000)
    with pytest.raises(KeyboardInterrupt):
        told.set_callbacks(At(raise_interrupt)).fit(*problem())
    assert iteration(tmp_path) > 0
    resumed = fit("hmc", tmp_path, init_steps=0)
    assert draws_hash(resumed) == draws_hash(fit("hmc", init_steps=0))


def test_a_run_that_a_callback_stopped_goes_on(tmp_path):
    short = make("hmc", tmp_path, warmup=0, init_steps=0)
    short.set_callbacks(At(lambda: True)).fit(*problem())
    whole = fit("hmc", tmp_path, warmup=0, init_steps=0)
    assert short.n_iter_ < whole.n_iter_
    assert draws_hash(whole) == draws_hash(fit("hmc", warmup=0, init_steps=0))


def test_other_threads_leave_signals_alone(uninterrupted, tmp_path):
    found = []
    thread = threading.Thread(target=lambda: found.append(draws_hash(fit("sghmc", tmp_path))))
    thread.start()
    thread.join()
    assert found == [uninterrupted["sghmc"]]


# --- killed -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server():
    """Processes forked from one that has loaded the package and started no thread."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.inference.resumable_server"])
    return context


def killed(server, name, folder, rng):
    """Kill a run at a random moment after its first checkpoint; steps that are on file."""
    child = server.Process(target=run_and_wait, args=(name, folder))
    child.start()
    at = rng.randrange(1, 40 if name not in ADJUSTED else 12)
    while child.is_alive() and not (found := states(folder)):
        time.sleep(0.001)
    while child.is_alive() and int(states_number(folder)) < at:
        time.sleep(0.001)
    time.sleep(rng.uniform(0, 0.02))
    child.kill()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    assert found
    return iteration(folder)


N_KILLS = {"hmc": 3, "nuts": 3, "sghmc": 15, "sgld": 3, "mclmc": 3}


@pytest.mark.parametrize("name", SAMPLERS)
def test_sigkill_at_random_moments(name, server, uninterrupted, tmp_path):
    rng, stood = random.Random(name), set()
    for number in range(N_KILLS[name]):
        folder = tmp_path / str(number)
        stood.add(killed(server, name, folder, rng))
        assert draws_hash(fit(name, folder)) == uninterrupted[name], number
        assert not list(folder.glob(".*"))
    assert len(stood) > 1, stood


@pytest.mark.parametrize("plant", PLANTED)
def test_sigkill_at_planted_points(plant, server, uninterrupted, tmp_path):
    for count in (4, 33):  # in a state's write during the warm-up, and in one of draws later
        folder = tmp_path / str(count)
        child = server.Process(target=run_and_wait, args=("sghmc", folder, plant, count))
        child.start()
        child.join(60)
        assert child.exitcode == -signal.SIGKILL
        assert 0 < iteration(folder) < 304
        assert draws_hash(fit("sghmc", folder)) == uninterrupted["sghmc"]
        assert not list(folder.glob(".*"))


# --- these tests can fail -----------------------------------------------------------


def stopped_draws(name, folder):
    stop_at(name, 150 if name not in ADJUSTED else 62, folder)
    return draws_hash(fit(name, folder))


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_generator_that_is_reset_is_found(name, uninterrupted, tmp_path, monkeypatch):
    decode = Codec.decode

    def reset(self, tree, generator):
        before = generator.get_state()
        value = decode(self, tree, generator)
        generator.set_state(before)
        return value

    monkeypatch.setattr(Codec, "decode", reset)
    assert stopped_draws(name, tmp_path) != uninterrupted[name]


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("sghmc", lambda state: state.phase.momentum.zero_()),
        ("sghmc", lambda state: setattr(state.batches, "position", 0)),
        ("sgld", lambda state: setattr(state, "n_sampled", 0)),
        ("mclmc", lambda state: state.direction.copy_(state.direction.flip(0))),
        ("hmc", lambda state: state.mass.inverse.fill_(1.0)),
        ("nuts", lambda state: state.mass.inverse.fill_(1.0)),
        ("hmc", lambda state: setattr(state, "length", 1.5)),
    ],
    ids=["momentum", "epochs", "n_sampled", "direction", "mass", "tree mass", "length"],
)
def test_a_state_that_is_not_whole_is_found(name, spoil, uninterrupted, tmp_path, monkeypatch):
    resume = _resuming.FileCheckpoint.resume

    def spoiled(self):
        if (state := resume(self)) is not None:
            spoil(state)
        return state

    monkeypatch.setattr(_resuming.FileCheckpoint, "resume", spoiled)
    assert stopped_draws(name, tmp_path) != uninterrupted[name]
