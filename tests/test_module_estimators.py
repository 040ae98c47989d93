"""Estimators with a network as a part: rows and labels of any shape, trained networks, grids."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_digits, load_iris, make_multilabel_classification
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from skorch import NeuralNetClassifier
from torch import nn

from skbayes import (
    BayesianLinearRegression,
    BayesianMLPClassifier,
    BayesianMLPRegressor,
    BayesianModuleClassifier,
    BayesianModuleRegressor,
    io,
)
from skbayes.exceptions import IncompatiblePartsError, ModuleError
from skbayes.inference import HMC, INFERENCES, MAP, SWAG, GaussianVI, Laplace, MeanFieldVI
from skbayes.likelihoods import Bernoulli, Categorical, Gaussian, Sites
from skbayes.networks import CNN, GRU, MLP, Module, UNet
from skbayes.networks._module import build
from skbayes.priors import Normal
from skbayes.testing import bayesian_checks_generator
from skbayes.utils._random import make_generator
from tests import conformance
from tests.engine_configs import cheap_engines

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

QUICK = Laplace(max_iter=50, hyperparameters="fixed", temperature=1.0)
SHORT = MAP(max_iter=30, hyperparameters="fixed")


def strip(n_inputs, n_outputs, width=4):
    """A convolution along the columns."""
    return nn.Sequential(
        nn.Unflatten(1, (1, n_inputs)),
        nn.Conv1d(1, width, 3, padding=1),
        nn.Tanh(),
        nn.Flatten(),
        nn.Linear(width * n_inputs, n_outputs),
    )


class Own(nn.Module):
    """A module whose layers nobody knows."""

    def __init__(self, n_inputs=4, n_outputs=3, width=5):
        super().__init__()
        self.first, self.last = nn.Linear(n_inputs, width), nn.Linear(width, n_outputs)

    def forward(self, x):
        return self.last(torch.nn.functional.silu(self.first(x)))


KINDS = (BayesianModuleRegressor, BayesianModuleClassifier)
THOROUGH = [kind(Module(strip), inference=QUICK, random_state=0) for kind in KINDS]
OTHERS = [
    BayesianModuleClassifier(GRU(4), inference=SHORT, random_state=0),
    BayesianModuleRegressor(
        Own, inference=MeanFieldVI(max_iter=60, n_particles=2, temperature=1.0), random_state=0
    ),
    BayesianModuleRegressor(Module(strip), bayesian="last", inference=QUICK, random_state=0),
    BayesianModuleClassifier(inference=SHORT, random_state=0),
]


@pytest.fixture
def numpy_state_stays():
    """Let scikit-learn's checks draw from NumPy's generator."""


@conformance.scikit_learn(THOROUGH, OTHERS)
def test_scikit_learn(estimator, check):
    check(estimator)


@conformance.contract(THOROUGH, OTHERS)
def test_contract(estimator, check):
    check(estimator)


@pytest.mark.parametrize("name", INFERENCES)
def test_every_engine_runs_on_a_module(name):
    """All but Monte Carlo dropout, which says what to do."""
    X, y = load_iris(return_X_y=True)
    clf = BayesianModuleClassifier(Own, inference=cheap_engines()[name], random_state=0)
    if name == "mc_dropout":
        with pytest.raises(IncompatiblePartsError, match="deep_ensemble"):
            clf.fit(X, y)
        return
    p = clf.fit(X, y).predict_proba(X)
    assert p.shape == (150, 3)
    assert_allclose(p.sum(1), 1, rtol=1e-5)
    again = clone(clf).fit(X, y).predict_proba(X)
    assert_array_equal(p, again)


# --- the same model by another way ---------------------------------------------------


def test_dense_layers_are_the_perceptron_to_the_bit():
    X, y = load_diabetes(return_X_y=True)
    options = {"inference": Laplace(max_iter=100), "random_state": 0}
    by_name = BayesianModuleRegressor(MLP((5,), "relu"), **options).fit(X, y)
    mlp = BayesianMLPRegressor((5,), "relu", **options).fit(X, y)
    assert_array_equal(by_name.predict(X), mlp.predict(X))
    assert by_name.score_evidence() == mlp.score_evidence()


@pytest.mark.parametrize("engine", [HMC(n_samples=400, n_chains=4), GaussianVI()])
def test_samplers_of_a_module_agree_with_the_perceptrons(engine):
    """A module that torch alone batches, and the perceptron: one law."""
    X, y = load_diabetes(return_X_y=True)
    X, y = X[:100, :3], y[:100]
    options = {"inference": engine, "random_state": 0, "prior": Normal(scale=1.0)}
    options["likelihood"] = Gaussian(noise=50.0)
    both = [
        BayesianMLPRegressor((), **options).fit(X, y),
        BayesianModuleRegressor(Module(Linear), **options).fit(X, y),
    ]
    means, stds = zip(*((r.predict(X), r.predict_std(X, "epistemic")) for r in both), strict=True)
    assert np.abs(means[0] - means[1]).max() < 0.2 * stds[0].min()
    assert_allclose(stds[0], stds[1], rtol=0.15)


class Linear(nn.Module):
    """Hidden from the eyes that know layers."""

    def __init__(self, n_inputs, n_outputs):
        super().__init__()
        self.layer = nn.Linear(n_inputs, n_outputs)

    def forward(self, x):
        return self.layer(x)


@pytest.mark.parametrize("network", [Module(Own, {"width": 6}), Module(strip), MLP((6,))])
def test_the_last_layer_alone_is_linear_regression_on_features(network):
    X, y = load_diabetes(return_X_y=True)
    X, y = X[:, :4], (y - y.mean()) / y.std()
    noise, scale = 0.7, 1.3
    reg = BayesianModuleRegressor(
        network,
        prior=Normal(scale=scale, fan_in_scaling=False),
        likelihood=Gaussian(noise=noise),
        inference=Laplace(structure="full", hyperparameters="fixed"),
        bayesian="last",
        scale_inputs=None,
        scale_targets=False,
        dtype="float64",
        random_state=0,
    ).fit(X, y)
    features = reg._model().network.features(torch.from_numpy(X)).numpy()
    exact = BayesianLinearRegression(
        alpha=scale**-2, beta=noise**-2, hyperparameters="fixed", fit_intercept=False
    ).fit(np.column_stack([features, np.ones(len(X))]), y)
    new = np.column_stack([features, np.ones(len(X))])
    assert_allclose(reg.predict(X), exact.predict(new), rtol=0, atol=1e-6)
    for kind in ("total", "epistemic"):
        assert_allclose(reg.predict_std(X, kind), exact.predict_std(new, kind), rtol=1e-6)
    assert abs(reg.score_evidence() - exact.score_evidence()) < 1e-5


def test_named_blocks_alone_are_inferred():
    X, y = load_iris(return_X_y=True)
    clf = BayesianModuleClassifier(Own, inference=SHORT, bayesian=["last"], random_state=0)
    by_pattern = clf.fit(X, y)
    assert set(by_pattern.sample_posterior()) >= {"last.weight", "last.bias"}
    assert "first.weight" not in by_pattern.sample_posterior()
    some = clone(clf).set_params(bayesian=["*.bias"]).fit(X, y)
    assert {"first.bias", "last.bias"} <= set(some.sample_posterior())
    with pytest.raises(IncompatiblePartsError, match="no weights are named 'body'"):
        clone(clf).set_params(bayesian=["body"]).fit(X, y)


def test_last_layer_chains_go_on_to_the_same_bits():
    X, y = load_iris(return_X_y=True)
    engine = HMC(n_samples=20, warmup=20, max_extensions=0, evidence=None)
    clf = BayesianModuleClassifier(Own, bayesian="last", inference=engine, random_state=0)
    long = clone(clf).set_params(inference__n_samples=30).fit(X, y)
    assert_array_equal(clf.fit(X, y).extend(X, y, 10).predict_proba(X), long.predict_proba(X))


# --- rows with shapes ----------------------------------------------------------------

DIGITS, LABELS = load_digits(return_X_y=True)
DIGITS, LABELS = DIGITS[:200], LABELS[:200]


def test_pictures_come_flat_or_as_they_are():
    cnn = CNN(channels=(3,), hidden_layer_sizes=(), activation="tanh")
    clf = BayesianModuleClassifier(cnn, inference=SHORT, random_state=0)
    flat = clone(clf).set_params(network__image_shape=(1, 8, 8)).fit(DIGITS, LABELS)
    pictures = DIGITS.reshape(-1, 1, 8, 8)
    shaped = clone(clf).fit(pictures, LABELS)
    grey = clone(clf).fit(pictures[:, 0], LABELS)
    for other in (shaped.predict_proba(pictures), grey.predict_proba(pictures[:, 0])):
        assert_array_equal(flat.predict_proba(DIGITS), other)
    assert_array_equal(shaped.predict_proba(DIGITS), flat.predict_proba(DIGITS))
    assert shaped.n_features_in_ == 64
    with pytest.raises(ValueError, match=r"shape \(8, 8, 1\), but those of fit had \(1, 8, 8\)"):
        shaped.predict(pictures.reshape(-1, 8, 8, 1))
    with pytest.raises(ValueError, match="does not know the shape of an image"):
        clf.fit(DIGITS, LABELS)


def test_channels_are_scaled_as_one():
    rng = np.random.default_rng(0)
    X = np.stack([rng.normal(5, 2, (40, 3, 4)), rng.normal(-100, 30, (40, 3, 4))], 1)
    y = rng.normal(size=40)
    cnn = CNN(channels=(2,), hidden_layer_sizes=(), activation="tanh")
    reg = BayesianModuleRegressor(cnn, inference=SHORT, random_state=0).fit(X, y)
    seen = reg._x_scaler.transform(X.reshape(40, -1)).reshape(40, 2, 12)
    assert_allclose(seen.mean((0, 2)), 0, atol=1e-12)
    assert_allclose(seen.std((0, 2)), 1, rtol=1e-12)
    sequences = X.transpose(0, 2, 3, 1).reshape(40, 12, 2)
    reg = BayesianModuleRegressor(GRU(2), inference=SHORT, random_state=0).fit(sequences, y)
    seen = reg._x_scaler.transform(sequences.reshape(40, -1)).reshape(40, 12, 2)
    assert_allclose(seen.mean((0, 1)), 0, atol=1e-12)
    assert_allclose(seen.std((0, 1)), 1, rtol=1e-12)


@pytest.mark.parametrize(
    ("parameter", "value"),
    [("network", GRU(2)), ("bayesian", "last"), ("scale_inputs", "global"), ("prior", "laplace")],
)
def test_parameters_of_the_estimators_change_the_fit(parameter, value):
    X, y = load_iris(return_X_y=True)
    clf = BayesianModuleClassifier(inference=QUICK, random_state=0)
    changed = clone(clf).set_params(**{parameter: value}).fit(X, y)
    assert np.abs(changed.predict_proba(X) - clf.fit(X, y).predict_proba(X)).max() > 1e-3


def test_a_module_stands_in_pipelines_and_grids():
    X, y = load_iris(return_X_y=True)
    clf = BayesianModuleClassifier(Module(Own), inference=SHORT, random_state=0)
    search = GridSearchCV(clf, {"network__params__width": [1, 8]}, cv=2).fit(X, y)
    best = search.best_params_["network__params__width"]
    assert search.best_estimator_.sample_posterior()["first.bias"].shape == (1, best)
    wide = clone(clf).set_params(network__params__width=8).fit(X, y)
    assert wide.sample_posterior()["first.bias"].shape == (1, 8)
    assert clf.network.params is None
    flat = FunctionTransformer(lambda X: X.reshape(len(X), -1))
    pipe = make_pipeline(flat, BayesianModuleClassifier(CNN((1, 8, 8), (3,), ()), inference=SHORT))
    assert pipe.fit(DIGITS.reshape(-1, 8, 8), LABELS).score(DIGITS.reshape(-1, 8, 8), LABELS) > 0.1


def test_a_module_of_two_outputs_takes_two_classes():
    X, y = load_iris(return_X_y=True)
    X, y = X[50:], y[50:]
    two = BayesianModuleClassifier(Module(fixed), inference=SHORT, random_state=0).fit(X, y)
    assert isinstance(two.likelihood_, Categorical)
    assert not isinstance(two.likelihood_, Bernoulli)
    assert two.predict_proba(X).shape == (100, 2)
    with pytest.raises(ModuleError, match="takes 3 numbers"):
        BayesianModuleClassifier(Module(fixed)).fit(*load_iris(return_X_y=True))


def fixed():
    return nn.Sequential(nn.Linear(4, 2), nn.SiLU(), nn.Linear(2, 2))


def test_a_module_that_is_made_is_refused():
    made = build(fixed, {})
    with pytest.raises(ValueError, match="give the class, network=Sequential"):
        BayesianModuleClassifier(made).fit(*load_iris(return_X_y=True))


def test_files_name_the_module_to_be_trusted(tmp_path):
    X, y = load_iris(return_X_y=True)
    clf = BayesianModuleClassifier(Own, inference=SHORT, random_state=0).fit(X, y)
    io.save(clf, tmp_path / "own.skbayes")
    with pytest.raises(TypeError, match=r"Own"):
        io.load(tmp_path / "own.skbayes")
    again = io.load(tmp_path / "own.skbayes", trusted=[f"{__name__}.Own"])
    assert_array_equal(again.predict_proba(X), clf.predict_proba(X))
    ready = BayesianModuleClassifier(GRU(3), inference=SHORT, random_state=0).fit(X, y)
    io.save(ready, tmp_path / "gru.skbayes")
    assert_array_equal(io.load(tmp_path / "gru.skbayes").predict_proba(X), ready.predict_proba(X))


# --- labels with shapes --------------------------------------------------------------


def test_sites_are_rows_of_their_own():
    """The likelihood of sites is that of a table with a row for each, and no other."""
    generator = make_generator(0)
    outputs = torch.randn(2, 5, 3 * 4, dtype=torch.float64, generator=generator)
    y = torch.randint(-1, 3, (5, 4), generator=generator)
    weight = torch.rand(5, dtype=torch.float64, generator=generator)
    hyper = outputs.new_empty(2, 0)
    sites, one = Sites(Categorical(), 4), Categorical()
    apart = outputs.view(2, 5, 3, 4).transpose(2, 3)
    each = torch.stack(
        [one.log_prob(apart[:, :, t], y[:, t].clamp_min(0), hyper) for t in range(4)], 2
    )
    torch.testing.assert_close(sites.log_prob(outputs, y, hyper), (each * (y >= 0)).sum(2))
    generic = super(Sites, sites).grad(outputs, y, weight, hyper)[0]
    torch.testing.assert_close(sites.grad(outputs, y, weight, hyper)[0], generic)
    fisher = sites.fisher(outputs, hyper).view(2, 5, 3, 4, 3, 4)
    for t in range(4):
        torch.testing.assert_close(fisher[:, :, :, t, :, t], one.fisher(apart[:, :, t], hyper))
        assert (fisher[:, :, :, t, :, t - 1] == 0).all()
    for several in (sites, Sites(Bernoulli(), 4)):
        own = (
            outputs[:, :, : several.n_outputs(several.of.n_outputs(2) + 1)]
            if several is sites
            else outputs[:, :, :4]
        )
        torch.testing.assert_close(
            several.fisher_diagonal(own, hyper),
            torch.diagonal(several.fisher(own, hyper), dim1=2, dim2=3),
        )


def test_several_labels_a_row():
    X, y = make_multilabel_classification(300, 10, n_classes=4, random_state=0)
    clf = BayesianMLPClassifier((8,), inference=Laplace(max_iter=200), random_state=0)
    clf.fit(X[:200], y[:200])
    p = clf.predict_proba(X[200:])
    assert p.shape == (100, 4)
    assert_array_equal(clf.predict(X[200:]), (p > 0.5).astype(int))
    assert clf.score(X[200:], y[200:]) > 0.25
    total, apart, noise = (clf.predict_std(X, kind) for kind in ("total", "epistemic", "aleatoric"))
    assert_allclose(total**2, apart**2 + noise**2, atol=1e-6)
    draws = clf.sample_y(X[:3], 4000, random_state=0)
    assert_allclose(draws.mean(0), clf.predict_proba(X[:3]), atol=0.04)
    assert clf.predict_uncertainty(X[:5]).mutual_information.shape == (5, 4)
    with pytest.raises(ValueError, match="zeros and ones of several labels"):
        clf.fit(X, y + np.arange(300)[:, None] % 3)


def overlapped(n_rows, seed=0):
    """Two digits side by side, one over the other in part; each pixel's own label.

    Labels are 0 for paper, 1 for the first and 2 for the second digit, which covers it.
    """
    rng = np.random.default_rng(seed)
    digits = load_digits().images / 16
    X, y = np.zeros((n_rows, 12, 12)), np.zeros((n_rows, 12, 12), dtype=int)
    for picture, labels in zip(X, y, strict=True):
        first, second = digits[rng.integers(len(digits), size=2)]
        top, left = rng.integers(0, 5, 2)
        for label, digit, at in ((1, first, (0, 0)), (2, second, (top, left))):
            rows, columns = slice(at[0], at[0] + 8), slice(at[1], at[1] + 8)
            ink = digit > 0.3
            shade = digit if label == 1 else 1.5 * digit
            picture[rows, columns] = np.where(ink, shade, picture[rows, columns])
            labels[rows, columns] = np.where(ink, label, labels[rows, columns])
    return X, y


def test_a_label_for_each_pixel():
    X, y = overlapped(120)
    clf = BayesianModuleClassifier(
        UNet(channels=(4, 8)), inference=MAP(max_iter=60, hyperparameters="fixed"), random_state=0
    ).fit(X[:100], y[:100])
    p = clf.predict_proba(X[100:])
    assert p.shape == (20, 3, 12, 12)
    assert_allclose(p.sum(1), 1, rtol=1e-5)
    assert_array_equal(clf.predict(X[100:]), p.argmax(1))
    assert clf.score(X[100:], y[100:]) == (p.argmax(1) == y[100:]).mean()
    assert clf.predict_uncertainty(X[:2]).entropy.shape == (2, 12, 12)
    assert clf.predict_std(X[:2]).shape == (2, 3, 12, 12)
    assert clf.sample_y(X[:2], 5).shape == (5, 2, 12, 12)
    truth = np.log(np.take_along_axis(p, y[100:, None], 1)).sum((1, 2, 3))
    assert_allclose(clf.log_predictive(X[100:], y[100:]), truth, rtol=1e-4)


def test_labels_that_are_left_out_change_nothing():
    X, y = overlapped(30)
    masked = y.copy()
    masked[:, :3] = -7
    other = masked.copy()
    other[:, :3] = np.where(masked[:, :3] == -7, -7, masked[:, :3])
    net = BayesianModuleClassifier(UNet(channels=(3,)), ignore_label=-7, inference=SHORT)
    clf = net.set_params(random_state=0).fit(X, masked)
    assert_array_equal(clf.classes_, [0, 1, 2])
    seen = y[:, 3:]
    assert clf.score(X, masked) == pytest.approx((clf.predict(X)[:, 3:] == seen).mean())
    model = clf._model()
    params = model.init(1, make_generator(0))
    outputs = model.network.forward(model.weights(params), clf._inputs(X)[1][0:30])
    codes = torch.from_numpy(clf._encode_targets(masked))
    log_p = model.likelihood.log_prob_columns(outputs, codes, model.hyper(params))
    assert (log_p.view(30, 12, 12)[:, :3] == 0).all()
    assert (log_p.view(30, 12, 12)[:, 3:] < 0).all()


def test_a_label_for_each_step():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 6, 1))
    y = np.where(np.cumsum(X[..., 0], 1) > 0, "up", "down")
    gru = GRU(units=8)
    clf = BayesianModuleClassifier(
        gru, target_shape=(6,), inference=MAP(max_iter=400, hyperparameters="fixed"), random_state=0
    ).fit(X[:100], y[:100])
    assert clf.predict(X[100:]).shape == (50, 6)
    assert clf.score(X[100:], y[100:]) > 0.85
    assert clf.predict_proba(X[100:]).shape == (50, 2, 6)


def test_numbers_for_each_step():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 5, 1))
    y = np.cumsum(X, 1)
    options = {"inference": MAP(max_iter=300, hyperparameters="fixed"), "random_state": 0}
    reg = BayesianModuleRegressor(Module(running), **options).fit(X[:100], y[:100])
    assert reg.predict(X[100:]).shape == (50, 5, 1)
    assert reg.predict_interval(X[100:]).shape == (50, 5, 1, 2)
    assert reg.sample_y(X[100:], 3).shape == (3, 50, 5, 1)
    assert np.corrcoef(reg.predict(X[100:]).ravel(), y[100:].ravel())[0, 1] > 0.9
    assert reg.log_predictive(X[100:], y[100:]).shape == (50,)


def running(n_inputs, n_outputs):
    return nn.Sequential(nn.Flatten(), nn.Linear(n_inputs, 12), nn.SiLU(), nn.Linear(12, n_outputs))


# --- networks that are trained -------------------------------------------------------


@pytest.mark.parametrize("activation", ["tanh", "relu", "logistic", "identity"])
def test_perceptrons_of_scikit_learn_predict_as_they_did(activation):
    X, y = load_iris(return_X_y=True)
    options = {"activation": activation, "max_iter": 100, "random_state": 0}
    mlp = MLPClassifier((6,), **options).fit(X, y)
    clf = BayesianModuleClassifier.from_trained(mlp, inference="map").fit(X, y)
    assert_allclose(clf.predict_proba(X), mlp.predict_proba(X), atol=1e-6)
    X, y = load_diabetes(return_X_y=True)
    mlp = MLPRegressor(hidden_layer_sizes=(6,), **options).fit(X, y / y.std())
    reg = BayesianModuleRegressor.from_trained(mlp, inference="map").fit(X, y / y.std())
    assert_allclose(reg.predict(X), mlp.predict(X), rtol=2e-6)


def trained_module():
    """A module with batch normalisation, trained for a few steps."""
    layers = [(nn.Conv2d, (1, 4, 3)), (nn.BatchNorm2d, (4,)), (nn.ReLU, ()), (nn.Dropout, (0.5,))]
    layers += [(nn.Flatten, ()), (nn.Linear, (144, 10))]
    state = torch.get_rng_state()
    module = nn.Sequential(*(kind(*args) for kind, args in layers)).train()
    torch.set_rng_state(state)
    rows, labels = torch.from_numpy(DIGITS).float().view(-1, 1, 8, 8) / 16, torch.from_numpy(LABELS)
    module[3].p = 0.0
    optimizer = torch.optim.Adam(module.parameters(), 0.01)
    for _ in range(20):
        optimizer.zero_grad()
        nn.functional.cross_entropy(module(rows), labels).backward()
        optimizer.step()
    return module.eval(), rows


@pytest.mark.parametrize("bayesian", ["all", "last"])
def test_a_trained_module_predicts_as_it_did(bayesian):
    module, rows = trained_module()
    clf = BayesianModuleClassifier.from_trained(module, inference="map", bayesian=bayesian)
    clf.set_params(network__input_shape=(1, 8, 8)).fit(DIGITS / 16, LABELS)
    exact = torch.softmax(module(rows), 1).detach().numpy()
    assert_allclose(clf.predict_proba(DIGITS / 16), exact, atol=1e-6)


def test_a_posterior_around_a_trained_module(tmp_path):
    module, _ = trained_module()
    clf = BayesianModuleClassifier.from_trained(module, random_state=0)
    clf.set_params(network__input_shape=(1, 8, 8), inference__max_iter=40).fit(DIGITS / 16, LABELS)
    assert clf.diagnostics_["structure"] == "last_layer"
    assert (clf.predict_uncertainty(DIGITS / 16).mutual_information > 0).all()
    io.save(clf, tmp_path / "trained.skbayes")
    again = io.load(tmp_path / "trained.skbayes")
    assert_array_equal(again.predict_proba(DIGITS / 16), clf.predict_proba(DIGITS / 16))
    further = clone(clf).set_params(inference=SWAG(n_snapshots=3, thinning=2, temperature=0.1))
    assert further.fit(DIGITS / 16, LABELS).n_iter_ > 0


def test_what_cannot_be_made_again_is_refused():
    class Wide(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.layer = nn.Linear(width, 2)

    with pytest.raises(ModuleError, match=r"give network=Module\(Wide"):
        BayesianModuleClassifier.from_trained(build(Wide, {"width": 3}))
    with pytest.raises(ModuleError, match="got int"):
        BayesianModuleClassifier.from_trained(3)
    of_skorch = NeuralNetClassifier(Own, module__width=3, criterion=nn.CrossEntropyLoss)
    with pytest.raises(ModuleError, match="a fitted net of skorch"):
        BayesianModuleClassifier.from_trained(of_skorch)


class Chosen(nn.Module):
    """Another function under another argument, and weights of one shape."""

    def __init__(self, activation="relu"):
        super().__init__()
        self.layer, self.activation = nn.Linear(4, 3), activation

    def forward(self, x):
        return self.layer(x)


def test_sources_whose_function_is_not_known_are_refused():
    with pytest.raises(ModuleError, match="give network=Module"):
        BayesianModuleClassifier.from_trained(build(Chosen, {"activation": "tanh"}))
    X, y = load_diabetes(return_X_y=True)
    counts = MLPRegressor("poisson", (3,), max_iter=20, random_state=0).fit(X, y)
    with pytest.raises(ModuleError, match="loss='squared_error'"):
        BayesianModuleRegressor.from_trained(counts)


def test_runs_of_trained_networks_have_files_of_their_own(tmp_path):
    X, y = load_iris(return_X_y=True)
    engine = Laplace(checkpoint=tmp_path, checkpoint_every=5, max_iter=20, temperature=0.1)
    found = []
    for seed in (0, 1):
        mlp = MLPClassifier((4,), max_iter=50, random_state=seed).fit(X, y)
        clf = BayesianModuleClassifier.from_trained(mlp, inference=engine, random_state=0)
        found.append(clf.fit(X, y).predict_proba(X))
    assert np.abs(found[0] - found[1]).max() > 1e-3
    clf = BayesianModuleClassifier(Own, inference=MAP(max_iter=20, checkpoint=tmp_path))
    once = clone(clf).set_params(random_state=0).fit(X, y).predict_proba(X)
    assert_array_equal(clone(clf).set_params(random_state=0).fit(X, y).predict_proba(X), once)


def test_shapes_of_labels_without_sites_are_refused():
    X, y = load_iris(return_X_y=True)
    with pytest.raises(ValueError, match=r"set target_shape=\(2,\)"):
        BayesianModuleClassifier().fit(X, np.column_stack([y, y]))
    for wrong in ({"target_shape": (3,)}, {"ignore_label": 0}):
        with pytest.raises(ValueError, match="is for labels of pixels or steps"):
            BayesianModuleClassifier(inference=SHORT, **wrong).fit(X, y)


def test_numbers_for_each_pixel_and_step():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 6, 6))
    reg = BayesianModuleRegressor(UNet(channels=(2,)), inference=SHORT, random_state=0)
    assert reg.fit(X, 2 * X).predict(X).shape == (40, 6, 6)
    reg = BayesianModuleRegressor(GRU(3), inference=SHORT, random_state=0)
    steps = rng.normal(size=(40, 6, 1))
    assert reg.fit(steps, steps.cumsum(1)).predict(steps).shape == (40, 6, 1)


def test_a_warm_start_keeps_what_is_held():
    X, y = load_iris(return_X_y=True)
    clf = BayesianModuleClassifier(Own, bayesian="last", inference=SHORT, warm_start=True)
    before = clf.fit(X, y)._held_weights
    assert_array_equal(clf.fit(X, y)._held_weights, before)
    mlp = MLPClassifier((4,), max_iter=50, random_state=0).fit(X, y)
    trained = BayesianModuleClassifier.from_trained(mlp, inference="map", warm_start=True)
    assert_allclose(trained.fit(X, y).fit(X, y).predict_proba(X), mlp.predict_proba(X), atol=1e-6)


def test_a_net_of_skorch_predicts_as_it_did():
    X, y = load_iris(return_X_y=True)
    state = torch.get_rng_state()
    net = NeuralNetClassifier(
        Own, module__width=3, criterion=nn.CrossEntropyLoss, verbose=0, max_epochs=3,
        train_split=None,
    ).fit(X.astype(np.float32), y)  # fmt: skip
    exact = net.predict_proba(X.astype(np.float32))
    torch.set_rng_state(state)
    clf = BayesianModuleClassifier.from_trained(net, inference="map").fit(X, y)
    assert_allclose(clf.predict_proba(X), exact, atol=1e-6)


def test_gaussian_vi_is_listed_among_the_contracts_engines():
    assert list(bayesian_checks_generator(BayesianMLPRegressor((), inference="gaussian_vi")))
