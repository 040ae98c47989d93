"""One bar over the whole of a fit: announced beforehand, and never backwards."""

import numpy as np
import pytest
import tqdm.auto
from sklearn.datasets import load_iris

from skbayes import (
    AutoencoderTransformer,
    BayesianMLPClassifier,
    BayesianMLPRegressor,
    SemiSupervisedVAEClassifier,
    VAETransformer,
)
from skbayes.inference import INFERENCES, TrainedInference
from skbayes.training import Training
from tests.engine_configs import CHEAP

pytestmark = pytest.mark.filterwarnings("ignore::skbayes.exceptions.ConvergenceWarning")
TRAINED = [name for name, kind in INFERENCES.items() if issubclass(kind, TrainedInference)]
X, SPECIES = (a[::3] for a in load_iris(return_X_y=True))
Y = np.sin(X[:, 0]) + 0.1 * X[:, 1]


class Bar:
    """tqdm's numbers, under a clock that ticks once a step."""

    made: "list[Bar]" = []

    def __init__(self, total=0, desc="", leave=True):
        self.total, self.n, self.seen = total, 0, []
        Bar.made.append(self)

    def refresh(self):
        self.seen.append((self.n, self.total))

    def update(self, n=1):
        self.n += n
        self.seen.append((self.n, self.total))

    def set_postfix(self, numbers, refresh=True):
        pass

    def close(self):
        self.closed = True


@pytest.fixture
def bars(monkeypatch):
    Bar.made.clear()
    monkeypatch.setattr(tqdm.auto, "tqdm", Bar)
    return Bar.made


def check(bar, taken, exact):
    """Time left by the announced steps: right where no training ends early, never too short."""
    announced = bar.seen[0][1]
    clock = np.array([n for n, _ in bar.seen])
    left = np.array([total - n for n, total in bar.seen])
    share = np.array([n / total for n, total in bar.seen])
    assert bar.n == taken
    assert bar.closed
    assert (np.diff(share) >= 0).all(), "the bar ran backwards"
    assert share[-1] == 1
    assert announced == taken if exact else announced >= taken
    if exact:
        assert (left == taken - clock).all()
    assert (left >= taken - clock).all()


@pytest.mark.parametrize("tol", [0.0, 0.5])
@pytest.mark.parametrize("name", TRAINED)
@pytest.mark.parametrize("kind", [BayesianMLPRegressor, BayesianMLPClassifier])
def test_engines_announce_all_of_their_steps(name, kind, tol, bars):
    engine = INFERENCES[name](**CHEAP[name]).set_params(tol=tol, max_iter=120)
    model = kind((3,), inference=engine, random_state=0, verbose=1)
    model.fit(X, Y if kind is BayesianMLPRegressor else SPECIES)
    (bar,) = bars
    # A second climb of the bound may not be needed.
    check(bar, model.n_iter_, exact=tol == 0 and not name.endswith("_vi"))


@pytest.mark.parametrize("name", ["mc_dropout", "mean_field_vi"])
def test_a_warm_start_announces_no_search(name, bars):
    engine = INFERENCES[name](max_iter=40)
    model = BayesianMLPRegressor((3,), inference=engine, random_state=0, warm_start=True)
    model.fit(X, Y).set_params(verbose=1).fit(X, Y)
    check(bars[-1], model.n_iter_, exact=True)
    assert model.n_iter_ == 40


@pytest.mark.parametrize(
    "model",
    [
        VAETransformer(1, training=Training(max_iter=40), random_state=0, verbose=1),
        AutoencoderTransformer(1, training=Training(max_iter=40), random_state=0, verbose=1),
        SemiSupervisedVAEClassifier(1, training=Training(max_iter=40), random_state=0, verbose=1),
    ],
    ids=lambda model: type(model).__name__,
)
def test_autoencoders_announce_their_steps(model, bars):
    model.fit(X, SPECIES)
    (bar,) = bars
    check(bar, model.n_iter_, exact=model.training.tol == 0)


def test_a_fit_that_goes_on_counts_what_was_done(tmp_path, bars):
    engine = INFERENCES["map"](max_iter=100, tol=0.0, checkpoint=tmp_path)
    model = BayesianMLPRegressor((3,), inference=engine, random_state=0, verbose=1)
    model.fit(X, Y).fit(X, Y)
    for bar in bars:
        check(bar, 100, exact=True)
