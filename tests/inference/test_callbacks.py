"""Callbacks of skorch, and of one's own, in every engine that trains."""

import signal

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone
from skorch.callbacks import (
    BatchScoring,
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    Freezer,
    GradientNormClipping,
    InputShapeSetter,
    LoadInitState,
    LRScheduler,
    PassthroughScoring,
    PrintLog,
    ProgressBar,
    TrainEndCheckpoint,
)
from torch.optim.lr_scheduler import ExponentialLR, LambdaLR, ReduceLROnPlateau, StepLR

from skbayes import BayesianMLPRegressor
from skbayes.base._monitor import Monitor
from skbayes.exceptions import IncompatiblePartsError
from skbayes.inference import INFERENCES, SWAG, DeepEnsemble, MeanFieldVI, TrainedInference
from skbayes.inference import MAP as Mode
from skbayes.training._callbacks import Snapshots
from skbayes.training._trainer import EPOCH_STEPS, Trainer, train
from skbayes.utils._random import make_generator
from tests.engine_configs import CHEAP
from tests.training.test_trainer import DATA

pytestmark = pytest.mark.filterwarnings("ignore::skbayes.exceptions.ConvergenceWarning")
TRAINED = [name for name, kind in INFERENCES.items() if issubclass(kind, TrainedInference)]

rng = np.random.default_rng(0)
X = rng.normal(size=(30, 2))
Y = np.sin(2 * X[:, 0]) + 0.3 * rng.normal(size=30)
HEARD: list[str] = []


@pytest.fixture(autouse=True)
def silence():
    HEARD.clear()


class Listener(Callback):
    """Says what it hears."""

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        HEARD.append("train")

    def on_epoch_end(self, net, **kwargs):
        assert np.isfinite(net.history[-1, "train_loss"])
        HEARD.append("epoch")

    def on_batch_end(self, net, batch=None, training=None, **kwargs):
        assert training
        assert net.history[-1, "batches", -1, "train_batch_size"] == len(batch)
        HEARD.append("step")


class Stopping(Callback):
    """Ends a training as skorch's callbacks do, after so many of its steps."""

    def __init__(self, after):
        self.after = after

    def on_batch_end(self, net, **kwargs):
        if net.training.n_steps == self.after:
            raise KeyboardInterrupt


class Pressing(Callback):
    """Somebody presses Ctrl-C."""

    def on_epoch_end(self, net, **kwargs):
        signal.raise_signal(signal.SIGINT)


class Counting(Callback):
    """Slows its training down the more it has heard."""

    def initialize(self):
        self.heard_ = 0
        return self

    def on_batch_end(self, net, **kwargs):
        self.heard_ += 1
        net.optimizer_.param_groups[0]["lr"] = 0.05 / self.heard_


def regressor(engine, **params):
    return BayesianMLPRegressor((4,), inference=engine, random_state=0, **params)


def slope(params, batch, scale, progress):
    position = params["x"].detach()
    return position.sum(1).double(), {"x": torch.ones_like(position)}


def walk(callbacks, n_steps=100, first=0.01, **options):
    """The way under an unchanging gradient, each step as long as its rate."""
    given = {"batch_size": None, "generator": make_generator(0), "engine": "test", "remedy": ""}
    found, n_iter, history = train(
        {"x": torch.zeros(1, 1, dtype=torch.float64)},
        slope,
        DATA,
        **given,
        max_iter=n_steps,
        learning_rate=first,
        tol=0.0,
        monitor=Monitor(),
        callbacks=callbacks,
        **options,
    )
    return float(found["x"][0, 0]), n_iter, history


@pytest.mark.parametrize("name", TRAINED)
def test_every_engine_tells_callbacks_of_its_steps(name):
    engine = INFERENCES[name](**CHEAP[name]).set_params(callbacks=[Listener()])
    fitted = regressor(engine).fit(X, Y)
    n_steps = HEARD.count("step")
    assert 0 < n_steps <= fitted.n_iter_
    assert n_steps == fitted.n_iter_ or name == "swag"
    assert HEARD.count("train") <= HEARD.count("epoch") < n_steps
    HEARD.clear()
    regressor(INFERENCES[name](**CHEAP[name])).fit(X, Y)
    assert not HEARD


@pytest.mark.parametrize("name", TRAINED)
def test_early_stopping_ends_each_training_and_no_more(name):
    """A threshold that no loss meets: two epochs, and one that set the mark."""
    stop = EarlyStopping(monitor="train_loss", patience=2, threshold=1e9, threshold_mode="abs")
    engine = INFERENCES[name](**CHEAP[name]).set_params(
        callbacks=[stop, Listener()], max_iter=400, tol=0.0
    )
    fitted = regressor(engine).fit(X, Y)
    assert HEARD.count("train") < HEARD.count("epoch") <= 3 * HEARD.count("train")
    assert fitted.n_iter_ < 400
    assert np.isfinite(fitted.predict(X)).all()
    assert not hasattr(stop, "best_epoch_"), "a training used the callback that was given"
    assert not [c for c in fitted.inference_.callbacks if hasattr(c, "best_epoch_")]


@pytest.mark.parametrize(("tol", "converged"), [(0.0, None), (1e-9, False)])
def test_a_training_that_a_callback_ends_has_not_converged(tol, converged):
    stop = EarlyStopping(monitor="train_loss", patience=1, threshold=1e9, threshold_mode="abs")
    engine = DeepEnsemble(n_members=2, max_iter=100, tol=tol, callbacks=[stop])
    assert regressor(engine).fit(X, Y).diagnostics_["converged"] is converged


def test_a_callback_ends_a_training_within_an_epoch():
    way, n_iter, history = walk([Stopping(after=13)], first=0.01)
    assert n_iter == 13
    rates = 0.005 * (1 + np.cos(np.pi * np.arange(10) / 10))
    assert way == pytest.approx(-10 * rates[0] - 3 * rates[1])
    # The mean over the steps that were taken: three of the second epoch.
    assert history.losses[1] == pytest.approx(-10 * rates[0] - rates[1])


def test_the_best_weights_are_put_back():
    """Where the rate rises until the loss does."""

    def bowl(params, batch, scale, progress):
        x = params["x"].detach()
        return (x**2).sum(1).double(), {"x": 2 * x}

    stop = EarlyStopping(monitor="train_loss", patience=3, load_best=True)
    climb = LRScheduler(policy=LambdaLR, lr_lambda=lambda epoch: 1.0 if epoch < 5 else 1e3)
    found, n_iter, history = train(
        {"x": torch.ones(1, 1, dtype=torch.float64)}, bowl, DATA, batch_size=None,
        generator=make_generator(0), engine="test", remedy="", max_iter=100, learning_rate=0.01,
        tol=0.0, monitor=Monitor(), callbacks=[stop, climb],
    )  # fmt: skip
    assert history.losses[-1] > min(history.losses)
    assert float(found["x"]) ** 2 <= min(history.losses)
    assert n_iter < 100


@pytest.mark.parametrize("every", ["epoch", "batch"])
def test_a_scheduler_takes_the_place_of_the_cosine(every):
    policy = LRScheduler(policy=ExponentialLR, gamma=0.9, step_every=every)
    way, n_iter, _ = walk([policy], n_steps=100, first=0.01)
    epochs = np.repeat(np.arange(10), EPOCH_STEPS) if every == "epoch" else np.arange(100)
    assert n_iter == 100
    assert way == pytest.approx(-0.01 * (0.9**epochs).sum(), rel=1e-6)


def test_a_plateau_lowers_the_rate():
    policy = LRScheduler(
        policy=ReduceLROnPlateau, monitor="train_loss", patience=0, threshold=1e9,
        threshold_mode="abs", factor=0.5,
    )  # fmt: skip
    way, _, _ = walk([policy], n_steps=100, first=0.01)
    # The first epoch sets the mark, and every other one misses it.
    assert way == pytest.approx(-0.1 * (1 + (0.5 ** np.arange(9)).sum()), rel=1e-6)


def test_gradients_are_clipped():
    plain = regressor(Mode(max_iter=60, tol=0)).fit(X, Y)
    clipped = regressor(Mode(max_iter=60, tol=0, callbacks=[GradientNormClipping(1e-9)]))
    assert np.abs(clipped.fit(X, Y).predict(X) - plain.predict(X)).max() > 1e-3


def test_bars_and_logs_are_shown(capsys):
    lines = []
    walk([ProgressBar(), PrintLog(sink=lines.append)], n_steps=100)
    assert "| 0/10 [" in capsys.readouterr().err
    assert len(lines) == 12  # with the table's head


def test_snapshots_are_kept():
    """Their places are those of a walk of constant steps."""
    _, _, history = walk([Snapshots(every=15, after=20)], first=0.1, rate="constant")
    places = [float(s["x"]) for s in history.snapshots]
    assert places == pytest.approx([-3.5, -5.0, -6.5, -8.0, -9.5], rel=1e-6)


REFUSED = [
    (EpochScoring("r2"), "ScoringMonitor"),
    (BatchScoring("r2"), "ScoringMonitor"),
    (PassthroughScoring("loss"), "train_loss"),
    (InputShapeSetter(), "leave it out"),
    (Checkpoint(), "checkpoint="),
    (TrainEndCheckpoint(), "checkpoint="),
    (LoadInitState(Checkpoint()), "checkpoint="),
    (Freezer("*"), "leave it out"),
    (EarlyStopping(), "monitor='train_loss'"),
    (EarlyStopping, "monitor='train_loss'"),
    (("named", EpochScoring("r2")), "ScoringMonitor"),
]


@pytest.mark.parametrize(("callback", "remedy"), REFUSED, ids=lambda c: type(c).__name__)
def test_what_a_callback_has_not_is_told_before_work(callback, remedy, monkeypatch):
    monkeypatch.setattr(Trainer, "take_step", lambda *args: pytest.fail("work was done"))
    model = regressor(MeanFieldVI(callbacks=[callback]))
    with pytest.raises(IncompatiblePartsError, match=remedy) as error:
        model.fit(X, Y)
    kind = callback[1] if isinstance(callback, tuple) else callback
    name = kind.__name__ if isinstance(kind, type) else type(kind).__name__
    assert f"MeanFieldVI(callbacks=[{name}(...)])" in str(error.value)
    assert not hasattr(model, "posterior_")


def test_what_is_no_callback_is_told():
    with pytest.raises(TypeError, match=r"skorch\.callbacks\.Callback"):
        regressor(Mode(callbacks=[print])).fit(X, Y)
    with pytest.raises(ValueError, match="callbacks"):
        regressor(Mode(callbacks=Listener())).fit(X, Y)


def test_a_plateau_of_steps_is_on_no_file(tmp_path):
    policy = LRScheduler(policy=ReduceLROnPlateau, step_every="batch")
    with pytest.raises(IncompatiblePartsError, match="step_every='epoch'"):
        regressor(Mode(callbacks=[policy], checkpoint=tmp_path)).fit(X, Y)


def test_ctrl_c_in_a_callback_is_the_users():
    model = regressor(Mode(max_iter=50, callbacks=[Pressing()]))
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y)
    assert not hasattr(model, "posterior_")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


# --- on file ------------------------------------------------------------------------

KEPT = {
    "early stopping": [EarlyStopping(monitor="train_loss", patience=2, threshold=0.3)],
    "best weights": [
        EarlyStopping(monitor="train_loss", patience=3, threshold=0.1, load_best=True)
    ],
    "rate by epochs": [LRScheduler(policy=StepLR, step_size=1, gamma=0.7)],
    "rate by steps": [LRScheduler(policy=ExponentialLR, gamma=0.97, step_every="batch")],
    "plateau": [LRScheduler(policy=ReduceLROnPlateau, patience=0, threshold=0.5, factor=0.3)],
    "one's own": [Counting()],
}


def draws(fitted):
    return joblib.hash([fitted.sample_posterior(X, 5, random_state=0), fitted.n_iter_])


class Killed(Exception):
    """Stands for a process that ends."""


@pytest.mark.parametrize("kind", KEPT)
def test_a_fit_with_callbacks_goes_on_to_the_same_bits(kind, tmp_path, monkeypatch):
    engine = MeanFieldVI(max_iter=80, batch_size=10, callbacks=KEPT[kind])
    whole, taken, step = draws(regressor(engine).fit(X, Y)), [], Trainer.take_step

    def killed(self, *batch):
        taken.append(1)
        if len(taken) == 57:
            raise Killed
        return step(self, *batch)

    kept = regressor(clone(engine).set_params(checkpoint=tmp_path, checkpoint_every=4))
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "take_step", killed)
        with pytest.raises(Killed):
            kept.fit(X, Y)
    assert draws(kept.fit(X, Y)) == whole


def test_another_callback_is_another_run(tmp_path):
    engine = Mode(max_iter=50, checkpoint=tmp_path)
    plain = draws(regressor(engine).fit(X, Y))
    own = clone(engine).set_params(callbacks=[Counting()])
    assert draws(regressor(own).fit(X, Y)) != plain


def test_snapshots_are_on_file(tmp_path):
    engine = SWAG(max_iter=30, n_snapshots=4, thinning=3, checkpoint=tmp_path)
    first = draws(regressor(engine).fit(X, Y))
    assert draws(regressor(engine).fit(X, Y)) == first
