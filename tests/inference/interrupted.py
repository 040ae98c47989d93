"""Runs that are stopped at a step of one's choice, and what they leave behind."""

import pytest

from skbayes.inference import INFERENCES
from skbayes.training import _checkpoint
from tests.inference.resumable import (
    fit,
    states,
)


class Crash(Exception):
    """What stops a run in these tests."""


def before_step(monkeypatch, name, number, act):
    """Do something when a sampler is about to take its step of that number."""
    kind = INFERENCES[name]
    step = kind.step

    def watched(self, model, data, state):
        if state.iteration == number:
            act()
        return step(self, model, data, state)

    monkeypatch.setattr(kind, "step", watched)


def crash():
    raise Crash


def stop_at(name, number, folder, act=crash, error=Crash, **params):
    """Fit until the step of that number, where something happens."""
    with pytest.MonkeyPatch.context() as patch:
        before_step(patch, name, number, act)
        with pytest.raises(error):
            fit(name, folder, **{"checkpoint_every": 5, **params})


def iteration(folder):
    """Steps behind the newest state."""
    return _checkpoint.read_verified(states(folder)[-1])[0]["value"]["items"]["iteration"]


def states_number(folder):
    """Number of the newest state; states are removed while we look."""
    found = states(folder)
    return found[-1].name.split(".")[1] if found else "0"
