"""The training loop against a plain one, and stopped runs that go on to the same bits."""

import math

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

from skbayes import VAETransformer
from skbayes.autoencoder import _trainer
from skbayes.autoencoder._table import Rows
from skbayes.autoencoder._trainer import Layout, Trainer
from skbayes.exceptions import CheckpointError, DivergenceError
from skbayes.inference._resuming import Checkpoint
from skbayes.utils._monitor import Monitor
from skbayes.utils._random import make_generator

X = np.random.default_rng(0).normal(size=(50, 3))


def squares(parameters, rows, generator, progress):
    """A loss with two parameters in two parts."""
    fit = rows.table @ parameters["decoder"]["weight"].T + parameters["encoder"]["shift"]
    return (fit - 1 - rows.table[:, :2]).square().mean()


def start():
    return {
        "encoder": {"shift": torch.zeros(2)},
        "decoder": {"weight": torch.ones(2, 3)},
        "noise": {},
        "prior": {},
    }


def trained(max_iter=40, batch=20, **options):
    options = {"learning_rate": 0.05, "decay": False, "tol": 0.0, **options}
    rows = Rows(torch.from_numpy(X.astype(np.float32)))
    trainer = Trainer(Layout.of(start()), squares, rows, max_iter=max_iter, **options)
    state = trainer.start(start(), batch, make_generator(0))
    return trainer.run(state, Monitor(), Checkpoint()), trainer


def test_steps_are_adams():
    """The flat, fused loop takes the steps of torch's Adam on the tensors by themselves."""
    state, trainer = trained(decay=True)
    shift, weight = torch.zeros(2, requires_grad=True), torch.ones(2, 3, requires_grad=True)
    adam, generator = torch.optim.Adam([shift, weight], lr=0.05), make_generator(0)
    epochs = trainer.start(start(), 20, generator).epochs
    for step in range(40):
        # Constant over half of the steps, then along a cosine.
        falling = max(0.0, 2 * step / 40 - 1)
        adam.param_groups[0]["lr"] = 0.05 * 0.5 * (1 + math.cos(math.pi * falling))
        batch, _ = epochs.next(trainer.rows, generator)
        adam.zero_grad()
        squares(
            {"decoder": {"weight": weight}, "encoder": {"shift": shift}}, batch, None, 0
        ).backward()
        adam.step()
    views = trainer.layout.views(state.flat)
    torch.testing.assert_close(views["encoder"]["shift"], shift.detach(), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(views["decoder"]["weight"], weight.detach(), rtol=1e-4, atol=1e-6)


def test_a_prior_pulls_the_weights_that_have_one():
    """The optimum is that of ridge regression with an intercept."""
    layout = Layout.of(start())
    precision = torch.tensor([0.0, 0.0] + 6 * [0.75])
    state, _ = trained(1500, precision=precision, batch=50, decay=True)
    found = layout.views(state.flat)
    centred = X - X.mean(0)
    # The loss is a mean over two outputs.
    moments = centred.T @ centred / len(X)
    weight = np.linalg.solve(moments + 0.75 * np.eye(3), moments[:, :2]).T
    shift = 1 + X[:, :2].mean(0) - X.mean(0) @ weight.T
    np.testing.assert_allclose(found["decoder"]["weight"], weight, atol=1e-4)
    np.testing.assert_allclose(found["encoder"]["shift"], shift, atol=1e-4)


def test_losses_are_means_of_reports(monkeypatch):
    monkeypatch.setattr(_trainer, "N_REPORTS", 4)
    losses = trained(42)[0].losses
    assert len(losses) == 5
    assert losses[-1] < losses[0]


def test_tolerance_ends_the_training():
    state, _ = trained(2000, tol=1e-2)
    assert state.stopped
    assert state.n_steps < 1000
    assert trained(100)[0].stopped is None


def test_losses_of_the_warm_up_are_not_compared():
    """They rise with beta, which is no lack of progress."""
    state, _ = trained(2000, tol=1e-2, warm_up=0.6)
    assert state.stopped
    assert 1200 < state.n_steps < 1600


def test_a_loss_that_is_not_finite_is_named():
    with pytest.raises(DivergenceError, match=r"learning_rate=1e\+30 to a tenth"):
        trained(100, learning_rate=1e30)
    with pytest.raises(DivergenceError):
        VAETransformer(learning_rate=1e30, max_iter=50).fit(X)


QUICK = {"hidden_layer_sizes": (8,), "max_iter": 120, "batch_size": 16, "random_state": 0}


class Killed(Exception):
    """Stands for a process that ends in the middle of a run."""


@pytest.mark.parametrize("params", [{}, {"likelihood": "student_t", "corruption": "gaussian"}])
def test_a_killed_run_goes_on_to_the_same_bits(tmp_path, monkeypatch, params):
    whole = VAETransformer(**QUICK, **params).fit(X)
    vae = VAETransformer(**QUICK, **params, checkpoint=tmp_path, checkpoint_every=25)
    taken, step = [], Trainer._step

    def dying(self, state):
        taken.append(state.n_steps)
        if state.n_steps == 67 and len(taken) < 100:
            raise Killed
        step(self, state)

    monkeypatch.setattr(Trainer, "_step", dying)
    with pytest.raises(Killed):
        vae.fit(X)
    assert not hasattr(vae, "n_iter_")
    del taken[:]
    monkeypatch.setattr(Trainer, "_step", step)
    vae.fit(X)
    assert_array_equal(vae.transform(X), whole.transform(X))
    assert_array_equal(vae.loss_curve_, whole.loss_curve_)
    again = VAETransformer(**QUICK, **params, checkpoint=tmp_path, verbose=0).fit(X)
    assert_array_equal(again.transform(X), whole.transform(X))


def test_a_checkpoint_needs_a_seed_and_is_of_one_model(tmp_path):
    with pytest.raises(CheckpointError, match="integer random_state"):
        VAETransformer(max_iter=5, checkpoint=tmp_path).fit(X)
    VAETransformer(**QUICK, checkpoint=tmp_path).fit(X)
    other = VAETransformer(**QUICK, beta=2.0, checkpoint=tmp_path).fit(X)
    plain = VAETransformer(**QUICK, beta=2.0).fit(X)
    assert_array_equal(other.transform(X), plain.transform(X))


def test_the_bar_and_the_callbacks_change_nothing(capsys):
    quiet = VAETransformer(**QUICK).fit(X)
    shown = VAETransformer(**QUICK, verbose=1).fit(X)
    assert "VAETransformer: 100%" in capsys.readouterr().err
    assert_array_equal(shown.transform(X), quiet.transform(X))
