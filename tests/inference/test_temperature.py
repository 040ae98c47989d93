"""Laplace posteriors of classes, as wide as held-out rows allow."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.datasets import load_diabetes, load_iris, make_classification

from skbayes import BayesianMLPClassifier, BayesianMLPRegressor
from skbayes.inference import Laplace
from skbayes.inference.mode._temperature import TEMPERATURES, _losses, without_their_folds
from skbayes.utils._random import make_generator
from tests.inference import checks
from tests.scenarios import to_data

IRIS = load_iris(return_X_y=True)


def classifier(rows=IRIS, hidden=(4,), inference=None, **engine):
    inference = inference or Laplace(**{"max_iter": 200, **engine})
    return BayesianMLPClassifier(hidden, inference=inference, random_state=0).fit(*rows)


def log_loss(model, X, y):
    return -model.log_predictive(X, y).mean()


@pytest.mark.parametrize("structure", ["full", "kron", "diag", "last_layer"])
def test_it_multiplies_the_covariance_and_leaves_the_evidence(structure):
    one = classifier(structure=structure, temperature=1.0)
    cold = classifier(structure=structure, temperature=0.25)
    assert_allclose(
        cold.posterior_.covariance(), 0.25 * one.posterior_.covariance(), rtol=1e-5, atol=1e-12
    )
    assert cold.score_evidence() == one.score_evidence()
    assert cold.posterior_.diagnostics["temperature"] == 0.25


def test_importance_evidence_is_that_of_the_whole_width():
    X, y = load_iris(return_X_y=True)
    engine = {"evidence": "importance", "structure": "full"}
    one, cold = (classifier((X, y == 2), (), temperature=t, **engine) for t in (1.0, 0.01))
    assert cold.score_evidence() == one.score_evidence()


def test_separable_classes_are_no_less_sure_than_the_mode():
    """At a temperature of 1 they lose .05 nats a row to it."""
    X, y = IRIS
    train = np.arange(len(X)) % 3 > 0
    held = X[~train], y[~train]
    mode = log_loss(classifier((X[train], y[train]), (50,), "map"), *held)
    chosen = classifier((X[train], y[train]), (50,))
    hot = classifier((X[train], y[train]), (50,), temperature=1.0)
    assert log_loss(hot, *held) > mode + 0.03
    assert log_loss(chosen, *held) < mode + 0.02
    assert chosen.posterior_.diagnostics["temperature"] < 1


def test_noisy_labels_keep_their_width():
    X, y = make_classification(120, 10, n_informative=3, flip_y=0.5, random_state=0)
    assert classifier((X, y), (20,)).posterior_.diagnostics["temperature"] == 1


def test_numbers_are_at_one():
    X, y = load_diabetes(return_X_y=True)
    model = BayesianMLPRegressor((4,), inference=Laplace(max_iter=50), random_state=0)
    assert model.fit(X, y).posterior_.diagnostics["temperature"] == 1


def test_one_row_is_at_one():
    X, y = IRIS
    weight = np.r_[np.ones(1), np.zeros(149)]
    clf = BayesianMLPClassifier((4,), inference=Laplace(max_iter=20), random_state=0)
    assert clf.fit(X, y, sample_weight=weight).posterior_.diagnostics["temperature"] == 1


def test_losses_are_those_of_held_out_rows_by_draws():
    """Of one logit, against quadrature; weighted rows count so many times."""
    X, y = load_iris(return_X_y=True)
    clf = classifier((X, y == 2), (), temperature=1.0, structure="full")
    model = clf._model()
    rows, weight = (a.astype(np.float32) for a in (clf._x_scaler.transform(X), np.arange(150) % 3))
    data = to_data(rows, (y == 2).astype(int), weight)
    losses = np.mean(
        [_losses(model, data, clf.posterior_, make_generator(seed)).numpy() for seed in range(30)],
        axis=0,
    )
    for temperature, loss in zip(TEMPERATURES, losses, strict=True):
        cold = classifier((X, y == 2), (), temperature=temperature, structure="full")
        exact = -(cold.log_predictive(X, y == 2) * weight).sum()
        assert_allclose(loss, exact, rtol=0.02)


def test_folds_that_train_together_do_not_see_their_own_rows():
    """A fold's gradient is that of the other rows alone, whatever the others' labels."""
    model, data = checks.small_net()
    fold = torch.arange(len(data)) % 3
    together = without_their_folds(data, fold, 3)
    params = model.init(3, make_generator(0))
    value, grad = model.value_and_grad(params, together)
    for held_out in range(3):
        own = slice(held_out, held_out + 1)
        alone = model.value_and_grad(params[own], data.rows(fold != held_out))
        torch.testing.assert_close((value[own], grad[own]), alone)
