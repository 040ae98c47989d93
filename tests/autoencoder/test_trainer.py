"""The training loop against a plain one, and stopped runs that go on to the same bits."""

import math

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

from skbayes import VAETransformer
from skbayes.autoencoder._objective import Gradients
from skbayes.base._monitor import Monitor
from skbayes.exceptions import CheckpointError, DivergenceError
from skbayes.networks import MLPNetwork
from skbayes.training._batches import Batches
from skbayes.training._trainer import Trainer, train
from skbayes.utils._random import make_generator
from tests.autoencoder.linear import encoded

X = np.random.default_rng(0).normal(size=(50, 3))
ROWS = encoded(torch.from_numpy(X.astype(np.float32)))


NETWORK = MLPNetwork(3, 2, ())


def squares(parameters, rows, generator, progress):
    """A loss with the weights of a network and a parameter beside them."""
    (fit,) = NETWORK.forward(parameters["weights"], rows.X)
    return (fit + parameters["shift"] - 1 - rows.X[:, :2]).square().mean()


def start():
    return {"weights": torch.tensor([6 * [1.0] + 2 * [0.0]]), "shift": torch.zeros(2)}


def trained(max_iter=40, batch=20, precision=None, **options):
    options = {"learning_rate": 0.05, "tol": 0.0, "rate": "held", **options}
    generator = make_generator(0)
    found, n_iter, history = train(
        start(),
        Gradients(squares, NETWORK, generator, precision),
        ROWS,
        batch_size=batch,
        generator=generator,
        engine="test",
        remedy="",
        max_iter=max_iter,
        monitor=Monitor(),
        **options,
    )
    return found, n_iter, history


def test_steps_are_adams():
    """Steps on views of one buffer are those of torch's Adam on the tensors by themselves."""
    found, n_iter, _ = trained()
    plain = {name: value.requires_grad_() for name, value in start().items()}
    adam, generator = torch.optim.Adam(plain.values(), lr=0.05), make_generator(0)
    batches = Batches.over(ROWS, 20)
    for step in range(n_iter):
        # Constant over half of the steps, then along a cosine, by epochs of ten steps.
        falling = max(0.0, 2 * (step // 10) / 4 - 1)
        adam.param_groups[0]["lr"] = 0.05 * 0.5 * (1 + math.cos(math.pi * falling))
        batch, _ = batches.next(ROWS, generator)
        adam.zero_grad()
        squares(plain, batch, None, 0).backward()
        adam.step()
    assert n_iter == 40
    for name, value in plain.items():
        torch.testing.assert_close(found[name], value.detach(), rtol=1e-4, atol=1e-6)


def test_a_prior_pulls_the_weights_that_have_one():
    """The optimum is that of ridge regression with an intercept."""
    precision = torch.tensor([6 * [0.75] + [0.0, 0.0]])
    found, _, _ = trained(1500, precision=precision, batch=50)
    centred = X - X.mean(0)
    # The loss is a mean over two outputs.
    moments = centred.T @ centred / len(X)
    weight = np.linalg.solve(moments + 0.75 * np.eye(3), moments[:, :2]).T
    shift = 1 + X[:, :2].mean(0) - X.mean(0) @ weight.T
    (W, b), more = NETWORK.unpack(found["weights"])[0], found["shift"]
    np.testing.assert_allclose(W[0], weight, atol=1e-4)
    np.testing.assert_allclose(b[0] + more, shift, atol=1e-4)


def test_losses_are_means_of_epochs():
    losses = trained(42)[2].losses
    assert len(losses) == 5
    assert losses[-1] < losses[0]


def test_tolerance_ends_the_training():
    _, n_iter, history = trained(2000, tol=1e-2)
    assert history.converged
    assert n_iter < 1000
    assert trained(100)[2].converged is None


def test_losses_of_the_warm_up_are_not_compared():
    """They rise with beta, which is no lack of progress."""
    _, n_iter, history = trained(2000, tol=1e-2, warm_up=0.6)
    assert history.converged
    assert 1200 < n_iter < 1600


def test_a_loss_that_is_not_finite_is_named():
    with pytest.raises(DivergenceError, match="test met a non-finite objective by step"):
        trained(100, learning_rate=1e30)
    with pytest.raises(DivergenceError, match=r"learning_rate \(now 1e\+30\)"):
        VAETransformer().set_params(training__learning_rate=1e30, training__max_iter=50).fit(X)


QUICK = {
    "encoder__hidden_layer_sizes": (8,),
    "training__max_iter": 120,
    "training__batch_size": 16,
    "random_state": 0,
}


class Killed(Exception):
    """Stands for a process that ends in the middle of a run."""


#: In an epoch, and right after one whose report was not stored.
@pytest.mark.parametrize("n_killed", [67, 50])
@pytest.mark.parametrize(
    "params", [{}, {"likelihood": "student_t", "corruption": "gaussian_noise"}]
)
def test_a_killed_run_goes_on_to_the_same_bits(tmp_path, monkeypatch, params, n_killed):
    whole = VAETransformer().set_params(**QUICK, **params).fit(X)
    vae = VAETransformer().set_params(
        **QUICK, **params, training__checkpoint=tmp_path, training__checkpoint_every=25
    )
    taken, step = [], Trainer.take_step

    def dying(self, *batch):
        taken.append(self.training.n_steps)
        if taken[-1] == n_killed and len(taken) < 100:
            raise Killed
        return step(self, *batch)

    monkeypatch.setattr(Trainer, "take_step", dying)
    with pytest.raises(Killed):
        vae.fit(X)
    assert not hasattr(vae, "n_iter_")
    del taken[:]
    monkeypatch.setattr(Trainer, "take_step", step)
    vae.fit(X)
    assert_array_equal(vae.transform(X), whole.transform(X))
    assert_array_equal(vae.loss_curve_, whole.loss_curve_)
    again = (
        VAETransformer(verbose=0)
        .set_params(**QUICK, **params, training__checkpoint=tmp_path)
        .fit(X)
    )
    assert_array_equal(again.transform(X), whole.transform(X))


def test_a_checkpoint_needs_a_seed_and_is_of_one_model(tmp_path):
    with pytest.raises(CheckpointError, match="integer random_state"):
        VAETransformer().set_params(training__max_iter=5, training__checkpoint=tmp_path).fit(X)
    VAETransformer().set_params(**QUICK, training__checkpoint=tmp_path).fit(X)
    other = (
        VAETransformer()
        .set_params(**QUICK, objective__beta=2.0, training__checkpoint=tmp_path)
        .fit(X)
    )
    plain = VAETransformer().set_params(**QUICK, objective__beta=2.0).fit(X)
    assert_array_equal(other.transform(X), plain.transform(X))


def test_the_bar_and_the_callbacks_change_nothing(capsys):
    quiet = VAETransformer().set_params(**QUICK).fit(X)
    shown = VAETransformer(verbose=1).set_params(**QUICK).fit(X)
    assert "VAETransformer: 100%" in capsys.readouterr().err
    assert_array_equal(shown.transform(X), quiet.transform(X))
