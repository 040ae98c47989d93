"""Small resumable runs, and a child process that kills itself while it writes."""

from __future__ import annotations

import hashlib
import os
import signal
import stat
import warnings
from pathlib import Path

import numpy as np
import torch

from skbayes import BayesianMLPRegressor
from skbayes.exceptions import ConvergenceWarning
from skbayes.inference import INFERENCES

SAMPLERS = ("hmc", "nuts", "sghmc", "sgld", "mclmc")
_UNADJUSTED = {"n_samples": 40, "thinning": 3, "warmup": 64, "init_steps": 5, "n_chains": 2}
#: Runs that adapt, keep draws and are lengthened once; batches do not divide the rows.
PARAMS = {
    "hmc": {
        "n_samples": 30,
        "warmup": 30,
        "init_steps": 5,
        "n_chains": 2,
        "max_leapfrog": 5,
        "trajectory_length": "auto",
    },
    "nuts": {"n_samples": 30, "warmup": 30, "init_steps": 5, "n_chains": 2, "max_depth": 2},
    "sghmc": {**_UNADJUSTED, "batch_size": 7},
    "sgld": {**_UNADJUSTED, "batch_size": 7, "schedule": "cyclical", "n_cycles": 2},
    "mclmc": _UNADJUSTED,
}
#: Where a process dies: in a file half written, after the write, its fsync, the replacement,
#: the folder's fsync, and the removal of an old state.
PLANTED = ("torn", "written", "synced", "replaced", "sealed", "pruned")


def make(name, folder=None, random_state=0, **params):
    """A regressor on 30 rows with that sampler."""
    given = {
        "max_extensions": 1,
        "checkpoint_every": 50,
        "evidence": None,
        **PARAMS[name],
        **params,
    }
    engine = INFERENCES[name](checkpoint=folder, **given)
    return BayesianMLPRegressor((3,), inference=engine, random_state=random_state)


def problem():
    """Thirty rows."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 2))
    return X, X[:, 0] + np.sin(X[:, 1]) + 0.1 * rng.normal(size=30)


def fit(name, folder=None, **params):
    """Fit it; short chains that disagree are what these runs are."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return make(name, folder, **params).fit(*problem())


def draws_hash(fitted):
    """Hash of the draws and of what was watched."""
    told = repr(sorted(fitted.diagnostics_.items())).encode()
    return hashlib.sha256(fitted.posterior_.particles.tobytes() + told).hexdigest()


def states(folder):
    """Files of states, the newest last."""
    return sorted(Path(folder).glob("*.state"))


def run_and_wait(name, folder, plant=None, count=0):
    """Fit, dying at a planted point or waiting to be killed; for a process of its own."""
    torch.set_num_threads(1)
    if plant is not None:
        plant_death(plant, count)
    fit(name, folder, checkpoint_every=5)
    signal.pause()


def plant_death(plant, count):
    """Kill this process at the ``count``-th time that a write reaches a point."""
    left = iter(range(count, -1, -1))
    fsync, replace, unlink = os.fsync, os.replace, Path.unlink

    def die_if_due(first=lambda: None):
        if next(left) == 0:
            first()
            os.kill(os.getpid(), signal.SIGKILL)

    def watched_fsync(handle):
        is_file = stat.S_ISREG(os.fstat(handle).st_mode)
        if plant == "torn" and is_file:
            die_if_due(lambda: os.ftruncate(handle, os.fstat(handle).st_size // 2))
        if plant == "written" and is_file:
            die_if_due()
        fsync(handle)
        if (plant == "synced" and is_file) or (plant == "sealed" and not is_file):
            die_if_due()

    def watched_replace(source, target):
        replace(source, target)
        if plant == "replaced":
            die_if_due()

    def watched_unlink(path, missing_ok=False):
        unlink(path, missing_ok=missing_ok)
        if plant == "pruned" and path.suffix == ".state":
            die_if_due()

    os.fsync, os.replace, Path.unlink = watched_fsync, watched_replace, watched_unlink
