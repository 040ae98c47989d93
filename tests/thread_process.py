"""Run by a process of its own: what threads every estimator starts, and what a fork makes of it.

Prints a JSON object: verbs of which estimator the process had more threads after, after which
torch had another count, and which a forked child, that has some seconds for all, never ends.
"""

import json
import os
import signal
import warnings
from functools import partial
from pathlib import Path

import torch

from tests.every_estimator import ESTIMATORS, calls, fitted

#: Seconds that a child has for all verbs of an estimator, and a fit.
PATIENCE = 60


def n_threads():
    return len(list(Path("/proc/self/task").iterdir()))


def traces(verb, call, found):
    """What a call returns; notes whether it starts threads, or leaves torch another count."""
    before = n_threads()
    answer = call()
    if n_threads() > before:
        found["started"].append(verb)
    if torch.get_num_threads() != 2:
        found["changed"].append(verb)
        torch.set_num_threads(2)
    return answer


def unanswered(name, problem, estimator):
    """The verb in which a forked child hangs, if it does."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        signal.alarm(PATIENCE)
        for verb, call in {**calls(estimator, problem), "fit": lambda: fitted(name)}.items():
            os.write(writing, f"{verb}\n".encode())
            call()
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as told:
        reached = told.read().split()
    return [f"{name}.{reached[-1]}"] if os.waitpid(child, 0)[1] else []


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    torch.set_num_threads(2)
    found, every = {"started": [], "changed": [], "hung": []}, {}
    for name in ESTIMATORS:
        every[name] = problem, estimator = traces(f"{name}.fit", partial(fitted, name), found)
        for verb, call in calls(estimator, problem).items():
            traces(f"{name}.{verb}", call, found)
    # After all else: NumPy's own threads end and start anew when a process forks.
    for name, own in every.items():
        found["hung"] += unanswered(name, *own)
    print(json.dumps(found))
