"""Trained engines that were stopped anywhere go on to the same bits."""

import joblib
import numpy as np
import pytest
from sklearn.base import clone

from skbayes import BayesianMLPClassifier, BayesianMLPRegressor
from skbayes.exceptions import CheckpointError
from skbayes.inference import (
    INFERENCES,
    SWAG,
    DeepEnsemble,
    GaussianVI,
    Laplace,
    MCDropout,
    MeanFieldVI,
)
from skbayes.inference import MAP as Mode
from skbayes.inference._base import TrainedInference
from skbayes.training._batches import Batches
from skbayes.training._trainer import Trainer

pytestmark = pytest.mark.filterwarnings("ignore::skbayes.exceptions.ConvergenceWarning")

#: Batches of ten rows, so that generators move while networks train.
SHORT = {"max_iter": 40, "batch_size": 10}
ENGINES = {
    "map": Mode(**SHORT),
    "laplace": Laplace(**SHORT),
    "mean_field_vi": MeanFieldVI(**SHORT),
    "gaussian_vi": GaussianVI(**SHORT),
    "mc_dropout": MCDropout(**SHORT),
    "deep_ensemble": DeepEnsemble(n_members=2, **SHORT),
    "swag": SWAG(n_snapshots=3, thinning=4, **SHORT),
    "anchored": DeepEnsemble(n_members=2, anchored=True, **SHORT),
}
rng = np.random.default_rng(0)
X = rng.normal(size=(30, 2))
NOISY = np.sin(2 * X[:, 0]) + 0.3 * rng.normal(size=30)


class Killed(Exception):
    """Stands for a process that ends."""


def models(name):
    """A regressor and a classifier with the engine, and their targets."""
    told = {"hidden_layer_sizes": (4,), "inference": ENGINES[name], "random_state": 0}
    return {
        "numbers": (BayesianMLPRegressor(**told), NOISY),
        "classes": (BayesianMLPClassifier(**told), np.digitize(NOISY, [-0.4, 0.4])),
    }


def draws(fitted):
    return joblib.hash([fitted.sample_posterior(X, 5, random_state=0), fitted.n_iter_])


def count_steps(monkeypatch, at=None):
    """Steps of all trainings, counted; the one of that number kills the process."""
    taken, step = [], Trainer.take_step

    def counted(self, *batch):
        if len(taken) == at:
            raise Killed
        taken.append(self.training.n_steps)
        return step(self, *batch)

    monkeypatch.setattr(Trainer, "take_step", counted)
    return taken


def test_every_trained_engine_is_here():
    trained = {kind for kind in INFERENCES.values() if issubclass(kind, TrainedInference)}
    assert {type(engine) for engine in ENGINES.values()} == trained


@pytest.mark.parametrize(
    ("name", "target"), [*((name, "numbers") for name in ENGINES), ("laplace", "classes")]
)
def test_a_fit_that_was_killed_goes_on_to_the_same_bits(name, target, tmp_path, monkeypatch):
    model, y = models(name)[target]
    with monkeypatch.context() as patch:
        steps = count_steps(patch)
        whole = draws(clone(model).fit(X, y))
    first = [number for number, step in enumerate(steps) if step == 0]
    assert len(first) > 1, "the engine trains once: nothing is given back"
    # Between two trainings, within the last one, and one step before all is done.
    for number, at in enumerate((first[1], first[-1] + 3, len(steps) - 1)):
        folder = tmp_path / str(number)
        kept = clone(model).set_params(inference__checkpoint=folder, inference__checkpoint_every=5)
        with monkeypatch.context() as patch:
            count_steps(patch, at)
            with pytest.raises(Killed):
                kept.fit(X, y)
        with monkeypatch.context() as patch:
            more = count_steps(patch)
            assert draws(kept.fit(X, y)) == whole
        assert len(more) < len(steps) - at + 5, "steps that were on file are taken again"
        with monkeypatch.context() as patch:
            assert draws(clone(kept).fit(X, y)) == whole
            assert count_steps(patch) == []


def test_a_journal_is_of_one_fit(tmp_path):
    model, y = models("map")["numbers"]
    kept = clone(model).set_params(inference__checkpoint=tmp_path)
    kept.fit(X, y)
    other = clone(kept).set_params(inference__learning_rate=0.1).fit(X, y)
    plain = clone(model).set_params(inference__learning_rate=0.1).fit(X, y)
    assert draws(other) == draws(plain)
    with pytest.raises(CheckpointError, match="integer random_state"):
        clone(kept).set_params(random_state=None).fit(X, y)


def test_a_journal_of_other_states_is_named(tmp_path, monkeypatch):
    model, y = models("map")["numbers"]
    kept = clone(model).set_params(inference__checkpoint=tmp_path)
    kept.fit(X, y)
    monkeypatch.setattr(TrainedInference, "state_types", (Batches,))
    with pytest.raises(CheckpointError, match="hold another engine's state"):
        kept.fit(X, y)
