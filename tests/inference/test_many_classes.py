"""Curvatures of many classes: the same numbers without a matrix a row, and few of them."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from skbayes import BayesianMLPClassifier
from skbayes._model import Model
from skbayes.data._tensors import Data
from skbayes.inference import DeepEnsemble, Laplace, Run
from skbayes.inference.mode import _class_information, _curvature
from skbayes.inference.mode import _search as _mode
from skbayes.inference.mode._class_information import MANY_CLASSES, has_many_classes, is_laborious
from skbayes.inference.mode._curvature import layer_factors, layer_sides
from skbayes.inference.mode._pullbacks import curvature_along, output_curvature
from skbayes.likelihoods import Bernoulli, Categorical, Gaussian
from skbayes.networks import MLPNetwork
from skbayes.priors import Normal
from skbayes.utils._random import make_generator

N_CLASSES, N_ROWS = MANY_CLASSES + 3, 40


def problem(hidden=(4, 3), n_classes=N_CLASSES, n_rows=N_ROWS):
    """Model, weighted rows and a point, in double precision."""
    rng = np.random.default_rng(0)
    X = torch.from_numpy(rng.normal(size=(n_rows, 3)))
    y = torch.from_numpy(rng.integers(0, n_classes, n_rows))
    data = Data(X, y, torch.from_numpy(rng.choice([0.5, 1.0, 3.0], n_rows)))
    model = Model(MLPNetwork(3, n_classes, hidden), Normal(), Categorical(), n_classes, X)
    mode = model.init(1, make_generator(0))
    mode[:, : model.n_weights] *= 0.2  # probabilities are then neither equal nor 0 and 1
    return model, data, mode


def clusters(n_classes=60, n_rows=600):
    rng = np.random.default_rng(0)
    labels = np.arange(n_rows) % n_classes
    return 3 * rng.normal(size=(n_classes, 5))[labels] + rng.normal(size=(n_rows, 5)), labels


@pytest.mark.parametrize("hidden", [(), (4,), (4, 3)])
@pytest.mark.parametrize("numbers", [1, _class_information.CLASS_ELEMENTS])
def test_sums_over_rows_are_those_of_the_rows_matrices(hidden, numbers, monkeypatch):
    model, data, mode = problem(hidden)
    monkeypatch.setattr(_curvature, "CLASS_ELEMENTS", numbers)
    found = layer_sides(model, data, mode)
    monkeypatch.setattr(_class_information, "MANY_CLASSES", N_CLASSES)
    expected = layer_sides(model, data, mode)
    assert found.keys() == expected.keys()
    for start, sides in expected.items():
        for one, other in zip(found[start], sides, strict=True):
            assert_allclose(one.numpy(), other.numpy(), rtol=1e-9, atol=1e-12)


def test_classes_have_their_curvature_along_any_basis(monkeypatch):
    model, data, mode = problem()
    found = list(layer_factors(model, data, mode))
    monkeypatch.setattr(_class_information, "MANY_CLASSES", N_CLASSES)
    for (_, _, one), (_, _, other) in zip(found, layer_factors(model, data, mode), strict=True):
        rows = torch.linspace(1, 2, len(other)).double()
        other = other * rows[:, None, None]
        one = one.scaled(rows) if hasattr(one, "scaled") else one * rows[:, None, None]
        numbers = np.random.default_rng(0).normal(size=(len(rows), len(rows)))
        basis = torch.from_numpy(np.linalg.qr(numbers)[0])
        along = (curvature_along(part, basis) for part in (one, other))
        assert_allclose(*along, rtol=1e-9, atol=1e-12)
        assert_allclose(*map(output_curvature, (one, other)), rtol=1e-9, atol=1e-12)


def test_few_classes_and_other_outputs_take_the_way_they_took():
    model, *_ = problem(n_classes=MANY_CLASSES)
    assert not has_many_classes(model)
    assert has_many_classes(problem(n_classes=MANY_CLASSES + 1)[0])
    X = torch.zeros(1, 3)
    for likelihood, n_targets in ((Bernoulli(), 2), (Gaussian(), 99)):
        net = MLPNetwork(3, likelihood.n_outputs(n_targets), ())
        assert not has_many_classes(Model(net, Normal(), likelihood, n_targets, X))

    class Tempered(Categorical):
        def fisher(self, outputs, hyper):
            return 2 * super().fisher(outputs, hyper)

    own = Model(MLPNetwork(3, 99, ()), Normal(), Tempered(), 99, X)
    assert not has_many_classes(own)


def test_operations_alone_tell_what_is_laborious():
    model, data, _ = problem((50,), n_classes=200, n_rows=10)
    assert not is_laborious(model, data)
    rows = data.rows(torch.zeros(3000, dtype=torch.long))
    assert is_laborious(model, rows)
    few = problem((50,), n_classes=MANY_CLASSES, n_rows=10)[0]
    assert not is_laborious(few, data.rows(torch.zeros(10**6, dtype=torch.long)))


def fit(monkeypatch, laborious):
    """A classifier, and how many curvatures its fit took; rows may have no matrix."""
    built = []

    class Counted(_curvature.KroneckerCurvature):
        def __init__(self, *args):
            built.append(1)
            super().__init__(*args)

    def forbidden(*_):
        raise AssertionError("a matrix a row")

    monkeypatch.setattr(_class_information, "LABORIOUS", 0.0 if laborious else np.inf)
    monkeypatch.setattr(_class_information.ClassInformation, "written_out", forbidden)
    monkeypatch.setattr(_mode, "KroneckerCurvature", Counted)
    monkeypatch.setattr(_mode, "affordable_curvature", lambda *_: Counted)
    monkeypatch.setattr("skbayes.inference.mode._laplace.affordable_curvature", lambda *_: Counted)
    X, y = clusters()
    engine = Laplace(max_iter=200)
    clf = BayesianMLPClassifier((20,), inference=engine, random_state=0).fit(X[:480], y[:480])
    return clf, len(built)


def test_laborious_fits_do_with_few_curvatures_and_predict_as_well(monkeypatch):
    quick, few = fit(monkeypatch, True)
    whole, many = fit(monkeypatch, False)
    assert few <= _mode.N_ROUNDS * _mode.N_LABORIOUS_MOVES < many
    X, y = clusters()
    losses = [-clf.log_predictive(X[480:], y[480:]).mean() for clf in (quick, whole)]
    # Guessing costs log 60, four nats.
    assert losses[0] < losses[1] + 0.1


def test_one_third_of_many_rows_chooses_the_scale_of_many_classes(monkeypatch):
    trained = []
    own = Run.train
    monkeypatch.setattr(Run, "train", lambda *a, **k: trained.append(1) or own(*a, **k))
    for n_classes, n_rows, folds in ((60, 1500, 1), (60, 600, 3), (50, 1500, 3)):
        trained.clear()
        X, y = clusters(n_classes, n_rows)
        engine = DeepEnsemble(n_members=2, max_iter=3, hyperparameters="cross_validation")
        BayesianMLPClassifier((3,), inference=engine, random_state=0).fit(X, y)
        # The members themselves, and a third for their sharpness.
        assert len(trained) - 1 - (n_rows >= 1500) == folds
