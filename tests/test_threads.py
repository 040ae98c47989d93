"""One thread for small work in every verb: nothing to hang after a fork, nothing left changed."""

import inspect
import json
import linecache
import os
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import joblib
import numpy as np
import pytest
import torch
from sklearn import config_context
from sklearn.base import RegressorMixin, TransformerMixin
from sklearn.utils.metaestimators import available_if
from threadpoolctl import threadpool_info

from skbayes.base._estimator import BayesianEstimator
from skbayes.utils import _threads
from skbayes.utils._threads import SMALL_WORK, limit_sklearn, limit_threads, limited
from tests.every_estimator import ESTIMATORS, PUBLIC, calls, fitted
from tests.interrupting import interrupted, lines_of

ROOT = Path(__file__).parent.parent
# Engines this short must warn that they did not converge.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture
def two_threads():
    """Two threads of torch, and one again for the next test."""
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(1)


def in_thread(function):
    """What a function returns in a Python thread of its own."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result()


# --- the limit ---------------------------------------------------------------------------


@pytest.mark.usefixtures("two_threads")
def test_small_work_has_one_thread_and_the_count_is_put_back():
    with limit_threads():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2
    with pytest.raises(KeyError), limit_threads(1.0):
        raise KeyError
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
def test_threads_are_put_back_after_ctrl_c():
    """At any line until they are."""

    def limited():
        with limit_threads(1.0):
            pass

    lines = [linecache.getline(*line).strip() for line in lines_of(limited)]
    for number in range(1, lines.index("_set(torch, before)") + 1):
        interrupted(limited, number)
        assert torch.get_num_threads() == 2, lines[number - 1]


@pytest.mark.usefixtures("two_threads")
def test_large_work_has_the_callers_threads_inside_a_limit_too():
    with limit_threads(2 * SMALL_WORK):
        assert torch.get_num_threads() == 2
    with limit_threads():
        with limit_threads(2 * SMALL_WORK):
            assert torch.get_num_threads() == 2
            with limit_threads():
                assert torch.get_num_threads() == 1
            assert torch.get_num_threads() == 2
        assert torch.get_num_threads() == 1
    with limit_threads(2 * SMALL_WORK, small=3 * SMALL_WORK):
        assert torch.get_num_threads() == 1


@pytest.mark.usefixtures("two_threads")
def test_a_thread_that_is_new_under_a_limit_has_the_callers_count():
    def counts():
        with limit_threads():
            small = torch.get_num_threads()
            with limit_threads(2 * SMALL_WORK):
                large = torch.get_num_threads()
        return small, large, torch.get_num_threads()

    with limit_threads():
        assert in_thread(counts) == (1, 2, 2)
    assert torch.get_num_threads() == 2
    assert in_thread(torch.get_num_threads) == 2
    assert not _threads._STANDING


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("first_out", [0, 1])
def test_limits_of_two_threads_may_overlap(first_out):
    """Whoever leaves first leaves the other one limited, and both with the caller's count."""
    both, go = threading.Barrier(2), [threading.Event(), threading.Event()]

    def visit(number):
        with limit_threads():
            both.wait()
            assert go[number].wait(10)
            inside = torch.get_num_threads()
        after = torch.get_num_threads()
        go[1 - number].set()
        return inside, after

    with ThreadPoolExecutor(2) as pool:
        visits = [pool.submit(visit, number) for number in (0, 1)]
        go[first_out].set()
        assert [done.result() for done in visits] == [(1, 2), (1, 2)]
    assert in_thread(torch.get_num_threads) == 2


def test_a_thread_that_was_told_one_keeps_it():
    with limit_threads(2 * SMALL_WORK):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.usefixtures("two_threads")
def test_a_forked_process_has_one_thread_for_all_work():
    code = """
import os, torch
from skbayes.utils._threads import limit_sklearn, limit_threads
torch.set_num_threads(2)
child = os.fork()
with limit_sklearn():
    pass
with limit_threads(1e12):
    assert torch.get_num_threads() == (2 if child else 1)
if not child:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_nothing_is_imported_to_be_limited():
    code = """
import sys
from skbayes.utils._threads import limited
assert limited(len)("ab") == 2 and "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def openmp_of_sklearn():
    (pool,) = (p for p in threadpool_info() if "scikit_learn" in p["filepath"])
    return pool["num_threads"]


def test_scikit_learn_has_one_thread_and_one_visitor():
    before, entered = openmp_of_sklearn(), threading.Event()

    def visit():
        with limit_sklearn():
            entered.set()

    with ThreadPoolExecutor(1) as pool:
        with limit_sklearn():
            assert openmp_of_sklearn() == 1
            visitor = pool.submit(visit)
            assert not entered.wait(0.2)
        visitor.result(10)
    assert openmp_of_sklearn() == before


# --- who is limited ----------------------------------------------------------------------


def is_limited(function):
    """Whether one of the wrappers around a function is the limit."""
    while function is not None:
        if function.__code__ is limited(len).__code__:
            return True
        function = getattr(function, "__wrapped__", None)
    return False


@pytest.mark.parametrize("kind", PUBLIC, ids=lambda kind: kind.__name__)
def test_every_public_method_is_limited(kind):
    assert kind in {type(estimator) for estimator in ESTIMATORS.values()}
    names = [name for name in dir(kind) if name[0] != "_" and name != "set_params"]
    members = {name: inspect.getattr_static(kind, name) for name in names}
    functions = {name: getattr(member, "fn", member) for name, member in members.items()}
    ours = {
        name: function
        for name, function in functions.items()
        if inspect.isfunction(function) and function.__module__.startswith("skbayes")
    }
    assert {"fit", "score_evidence"} & set(ours)
    assert [name for name, function in ours.items() if not is_limited(function)] == []


class Third(TransformerMixin, RegressorMixin, BayesianEstimator):
    """An estimator from elsewhere."""

    def __init__(self, wide=True):
        self.wide = wide

    def fit(self, X, y, sample_weight=None):
        self.n_ = torch.get_num_threads()
        return self

    def predict(self, X):
        """Threads of torch."""
        return torch.get_num_threads()

    def transform(self, X):
        return torch.get_num_threads() * np.ones((len(X), 1))

    @available_if(lambda self: self.wide)
    def width(self, X):
        return torch.get_num_threads()


class Child(Third):
    def predict(self, X):
        return 10 * super().predict(X)


@pytest.mark.usefixtures("two_threads")
def test_estimators_from_elsewhere_are_limited():
    third = Child().fit(None, None)
    assert third.n_ == 1
    assert third.predict(None) == 10
    assert third.width(None) == 1
    assert third.transform([1]).tolist() == [[1]]
    assert not hasattr(Child(wide=False), "width")
    assert torch.get_num_threads() == 2


def test_wrapped_methods_look_like_themselves():
    assert list(inspect.signature(Third.fit).parameters) == ["self", "X", "y", "sample_weight"]
    assert list(inspect.signature(Third().width).parameters) == ["X"]
    assert Third.predict.__doc__ == "Threads of torch."
    with config_context(enable_metadata_routing=True):
        assert Third().set_fit_request(sample_weight=True).fit(None, None).n_ == 1
    assert pickle.loads(pickle.dumps(Third().predict))(None) == torch.get_num_threads()


# --- what is promised of every estimator -------------------------------------------------


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="counts threads in /proc")
def test_no_verb_starts_threads_or_hangs_in_a_forked_process():
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    command = [sys.executable, "-m", "tests.thread_process"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"started": [], "changed": [], "hung": []}


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("name", ESTIMATORS)
def test_python_threads_get_the_same_bits_and_keep_their_counts(name):
    problem, estimator = fitted(name)
    verbs = calls(estimator, problem)

    def answers(_):
        found = {verb: joblib.hash(call()) for verb, call in verbs.items() if verb not in KEPT}
        return found, torch.get_num_threads(), [p["num_threads"] for p in threadpool_info()]

    alone = answers(0)
    with ThreadPoolExecutor(3) as pool:
        for found in pool.map(answers, range(3)):
            assert found == alone
    assert answers(0) == alone


#: Verbs whose answers are other objects at each call.
KEPT = {"to_arviz", "extend", "partial_fit"}
