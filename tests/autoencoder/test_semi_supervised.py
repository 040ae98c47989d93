"""The semi-supervised classifier: its objective exactly, its contract, what labels add."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import norm
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris

import skbayes
from skbayes import SemiSupervisedVAEClassifier, io
from skbayes.autoencoder._semi_supervised import encode_labels
from skbayes.autoencoder._semi_supervised_objective import SemiSupervisedObjective
from skbayes.autoencoder._table import Table
from skbayes.exceptions import EvidenceUnavailableError
from skbayes.latent import DiagonalNormal
from skbayes.latent._latent_model import LatentModel, double
from skbayes.latent._priors import StandardNormal
from skbayes.likelihoods import BernoulliColumns, Gaussian
from skbayes.networks import MLP, MLPNetwork, encoder_decoder
from skbayes.utils._random import make_generator
from tests import conformance
from tests.autoencoder.linear import encoded

N, D, Q, K, S = 6, 4, 2, 3, 2
QUICK = {
    "n_components": 2,
    "encoder__hidden_layer_sizes": (8,),
    "n_members": 3,
    "training__max_iter": 60,
    "training__learning_rate": 0.03,
}


def quick(**params):
    return SemiSupervisedVAEClassifier().set_params(**{**QUICK, **params})


# --- objective -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def parts():
    """An objective over N rows, half of them labelled, and its parameters."""
    X = np.random.default_rng(0).normal(size=(N, D))
    table = Table.of("shared_gaussian", D, "column").fit(X, np.ones(N))
    head = DiagonalNormal().prepare(Q)
    n_encoded = head.n_outputs
    autoencoder = encoder_decoder(D, D, Q, (5,), (5,), n_encoded=n_encoded, n_context=K)
    model = LatentModel(autoencoder, head, table.likelihood, StandardNormal().prepare(Q))
    network, generator = MLPNetwork(D, K, (4,), "tanh"), make_generator(0)
    rows = encoded(torch.from_numpy(table.encode(X)))
    parameters = double(model.init(rows, generator))
    parameters["classifier"] = network.init(S, generator).double()
    labelled = replace(rows.rows(slice(0, 3)), context=torch.eye(K, dtype=torch.float64))
    log_prior = torch.log(torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64))
    scales = torch.full((network.n_weights,), 0.7, dtype=torch.float64)
    objective = SemiSupervisedObjective(
        model, network, labelled, log_prior, 0.25, 0.5, 0.4, scales, float(N), 128
    )
    return objective, parameters, rows.rows(slice(3, N))


def bound(objective, parameters, row, k, noise):
    """L(x, y) of one row and label, written out with normal densities."""
    model, label = objective.model, torch.eye(K, dtype=torch.float64)[k : k + 1]
    inputs = torch.cat([row, label], 1)
    blocks = [block[0] for block in model.network.blocks(parameters["weights"])]
    hidden = torch.tanh(inputs @ blocks[0].T + blocks[1])
    codes = model.bottleneck.read(hidden @ blocks[2].T + blocks[3], {})
    z = codes.mean + codes.root * noise
    outputs = model.decode(parameters, z, label)
    log_prob = model.likelihood.log_prob(outputs[None], row, parameters["noise"])
    kl = 0.5 * (codes.mean**2 + codes.root**2 - 1 - 2 * codes.root.log()).sum()
    return float(kl - log_prob)


def all_bounds(objective, parameters, rows, noise):
    return np.array(
        [
            [bound(objective, parameters, rows.X[i : i + 1], k, noise[i : i + 1]) for k in range(K)]
            for i in range(len(rows))
        ]
    )


def log_q(objective, parameters, rows):
    logits = objective.classifier.forward(parameters["classifier"], rows.X)
    return torch.log_softmax(logits, -1).numpy()


def noise_of(generator, n):
    return torch.randn(n, Q, generator=generator, dtype=torch.float64)


def test_loss_is_the_sum_over_labels_written_out(parts):
    objective, parameters, rows = parts
    found = float(objective(parameters, rows, make_generator(5), 0.0))
    generator = make_generator(5)
    log_prior = objective.log_class_prior.numpy()

    labelled = all_bounds(objective, parameters, objective.labelled, noise_of(generator, 3))
    own = (labelled.diagonal() - log_prior).mean()
    named = log_q(objective, parameters, objective.labelled)
    misfit = -np.mean([named[:, i, i] for i in range(K)])

    bounds = all_bounds(objective, parameters, rows, noise_of(generator, len(rows)))
    guessed = log_q(objective, parameters, rows)
    rest = (np.exp(guessed) * (bounds - log_prior + guessed)).sum(-1).mean()

    weights = parameters["classifier"].numpy() / 0.7
    penalty = 0.5 * (weights**2).sum(1).mean() / N
    exact = penalty + 0.25 * own + (0.25 + 0.5 * 0.75) * misfit + 0.75 * rest
    assert_allclose(found, exact, rtol=1e-10)


def test_unlabelled_cost_is_least_at_the_posterior_of_the_label(parts):
    """There it is -log sum_y p(y) exp(-L(x, y)), and more for any other classifier."""
    objective, parameters, rows = parts
    bounds = all_bounds(objective, parameters, rows, noise_of(make_generator(6), len(rows)))
    cost = bounds - objective.log_class_prior.numpy()

    class Exact:
        def forward(self, weights, X):
            return torch.from_numpy(-cost)[None]

    exact = replace(objective, classifier=Exact())
    least = float(exact._unlabelled(parameters, rows, make_generator(6)))
    assert_allclose(least, -np.log(np.exp(-cost).sum(1)).mean(), rtol=1e-10)
    assert least < float(objective._unlabelled(parameters, rows, make_generator(6)))


def test_classifiers_learn_from_labels_alone_while_warming_up(parts):
    objective, parameters, rows = parts

    def gradient(progress, labelled_only):
        own = parameters["classifier"].clone().requires_grad_()
        moved = {**parameters, "classifier": own}
        if labelled_only:
            loss = objective._labelled(moved, objective.labelled, make_generator(7))
            loss = loss + objective._penalty(moved)
        else:
            loss = objective(moved, rows, make_generator(7), progress)
        return torch.autograd.grad(loss, own)[0]

    torch.testing.assert_close(gradient(0.3, False), gradient(0.3, True))
    assert (gradient(0.4, False) - gradient(0.4, True)).abs().max() > 1e-3


def test_weight_two_is_a_row_twice_in_the_loss(parts):
    objective, parameters, _ = parts
    labelled = objective.labelled
    weight = torch.tensor([0.75, 1.5, 0.75], dtype=torch.float64)  # of mean one
    twice = torch.tensor([0, 1, 1, 2])

    class SameNoise(SemiSupervisedObjective):
        def _noise(self, rows, generator):
            return rows.X[:, :Q]

    same = SameNoise(**vars(objective))
    weighted = same._labelled(parameters, replace(labelled, weight=weight), make_generator(0))
    repeated = same._labelled(parameters, labelled.rows(twice), make_generator(0))
    torch.testing.assert_close(weighted, repeated)


def test_all_rows_labelled_need_no_other_rows(parts):
    objective, parameters, _ = parts
    alone = replace(objective, share_labelled=1.0)
    loss = alone(parameters, objective.labelled, make_generator(1), 0.0)
    own = alone._labelled(parameters, objective.labelled, make_generator(1))
    torch.testing.assert_close(loss, own + alone._penalty(parameters))


def test_labelled_rows_are_drawn_where_they_are_many(parts):
    objective, _, _ = parts
    few = replace(objective, batch_size=2)._draw_labelled(make_generator(0))
    assert len(few) == 2
    assert objective._draw_labelled(make_generator(0)) is objective.labelled


# --- labels --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("y", "classes", "codes"),
    [
        ([3, -1, 5, 3], [3, 5], [0, -1, 1, 0]),
        ([3.0, -1.0, 5.0], [3, 5], [0, -1, 1]),
        (np.array(["b", -1, "a"], dtype=object), ["a", "b"], [1, -1, 0]),
        (["b", "a", "-1"], ["-1", "a", "b"], [2, 1, 0]),
        ([True, False], [False, True], [1, 0]),
    ],
)
def test_minus_one_marks_rows_without_a_label(y, classes, codes):
    found, of_rows = encode_labels(y, "C")
    assert_array_equal(found, classes)
    assert_array_equal(of_rows, codes)


def test_minus_one_and_one_are_two_classes_with_a_warning():
    with pytest.warns(UserWarning, match="read as two classes"):
        classes, codes = encode_labels([-1, 1, 1], "C")
    assert_array_equal(classes, [-1, 1])
    assert_array_equal(codes, [0, 1, 1])


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([-1, 0, 0], "at least 2 classes, but y holds one class: .*0"),
        ([-1, -1], "unlabelled rows \\(-1\\) alone"),
        (np.array(["a", 3, -1], dtype=object), "y mixes labels of types"),
        ([0.5, 1.5, -1], "Unknown label type"),
    ],
)
def test_labels_that_say_too_little_are_refused(y, message):
    with pytest.raises(ValueError, match=message):
        encode_labels(y, "C")


def test_labelled_rows_of_no_weight_are_refused():
    y = np.array([0, 1, -1, -1])
    with pytest.raises(ValueError, match="no labelled row has a positive sample_weight"):
        quick().fit(np.eye(4), y, sample_weight=[0, 0, 1, 1])


# --- contract ------------------------------------------------------------------------


@pytest.fixture
def numpy_state_stays():
    """Let scikit-learn's checks draw from NumPy's generator; the contract's look at ours."""


@conformance.scikit_learn([quick()])
def test_scikit_learn(estimator, check):
    check(estimator)


@conformance.contract([quick()], [quick(n_members=1, likelihood="heteroscedastic")])
def test_contract(estimator, check):
    check(estimator)


@pytest.mark.parametrize("check", conformance.OUTSIDE_ITS_LIST)
def test_scikit_learn_checks_outside_its_list(check):
    check("SemiSupervisedVAEClassifier", quick())


# --- parameters and behaviour --------------------------------------------------------


X, Y = load_iris(return_X_y=True)
FEW = np.where(np.arange(150) % 5 == 0, Y, -1)

CHANGES = {
    "n_components": 3,
    "encoder__hidden_layer_sizes": (9,),
    "decoder": MLP((9,)),
    "likelihood": "student_t",
    "scale_inputs": "global",
    "label_weight": 0.1,
    "warm_up": 0.8,
    "prior_scale": 0.3,
    "n_members": 2,
    "training__batch_size": 16,
    "random_state": 1,
}
#: These have tests of their own below, or change no number.
ELSEWHERE = {"verbose"}


@pytest.fixture(scope="module")
def fitted():
    return quick(random_state=0).fit(X, FEW)


def test_every_parameter_is_accounted_for():
    tested = {name.partition("__")[0] for name in CHANGES} | ELSEWHERE
    assert tested == quick().get_params(deep=False).keys()


@pytest.mark.parametrize("name", CHANGES)
def test_every_parameter_changes_the_fit(name, fitted):
    other = clone(fitted).set_params(**{name: CHANGES[name]}).fit(X, FEW)
    assert not np.array_equal(other.predict_proba(X), fitted.predict_proba(X))


def test_verbose_and_device_change_no_number(fitted, capsys):
    other = clone(fitted).set_params(verbose=1, training__device="cpu").fit(X, FEW)
    assert_array_equal(other.predict_proba(X), fitted.predict_proba(X))
    assert "SemiSupervisedVAEClassifier" in capsys.readouterr().err


def test_binary_columns_are_thresholded_or_drawn():
    pixels = load_digits().data[:60, 20:30] / 16
    labels = load_digits().target[:60] % 2
    kept, cut, drawn = (
        quick(likelihood=BernoulliColumns(way), random_state=0, training__max_iter=20)
        .fit(pixels, labels)
        .predict_proba(pixels)
        for way in (None, "threshold", "sample")
    )
    assert not np.array_equal(kept, cut)
    assert not np.array_equal(kept, drawn)
    assert not np.array_equal(cut, drawn)


def test_unlabelled_rows_teach_nearly_all_there_is_to_learn():
    """Two normal classes whose means lie 4 apart: the best classifier is right at Phi(2)."""
    rng = np.random.default_rng(1)
    y = rng.integers(2, size=800)
    rows = rng.normal(size=(800, 20)) + np.where(np.arange(20) < 4, 1.0, 0.0) * (2 * y - 1)[:, None]
    known = np.concatenate([np.flatnonzero(y == k)[:3] for k in (0, 1)])
    few = np.full(800, -1)
    few[known] = y[known]
    rest = few < 0
    clf = quick(
        encoder__hidden_layer_sizes=(20,),
        likelihood=Gaussian(noise=1.0),
        training__max_iter=300,
        training__learning_rate=0.01,
    ).set_params(random_state=0)
    taught = clone(clf).fit(rows, few).predict(rows[rest]) == y[rest]
    alone = clone(clf).fit(rows[known], y[known]).predict(rows[rest]) == y[rest]
    best = norm.cdf(2)
    assert taught.mean() > best - 5 * math.sqrt(best * (1 - best) / rest.sum())
    better, worse = (taught & ~alone).sum(), (alone & ~taught).sum()
    # McNemar's statistic, a standard normal were the two alike.
    assert better - worse > 5 * math.sqrt(better + worse)


def test_new_rows_are_like_those_of_their_class(fitted):
    drawn, labels = fitted.sample(3000, random_state=0)
    assert drawn.shape == (3000, 4)
    share = np.bincount(labels, minlength=3) / 3000
    p = fitted.class_prior_
    assert (np.abs(share - p) < 5 * np.sqrt(p * (1 - p) / 3000)).all()
    same, all_twos = fitted.sample(200, y=2, random_state=1)
    assert (all_twos == 2).all()
    nearest = np.array([X[k == Y].mean(axis=0) for k in range(3)])
    centre = same.mean(axis=0)
    assert ((nearest - centre) ** 2).sum(axis=1).argmin() == 2
    again, _ = fitted.sample(200, y=[2] * 200, random_state=1)
    assert_array_equal(same, again)


def test_class_prior_is_that_of_the_labelled_rows(fitted):
    counts = np.bincount(FEW[FEW >= 0]) + 1
    assert_allclose(fitted.class_prior_, counts / counts.sum())


def test_names_strings_and_single_precision():
    frame = pd.DataFrame(X.astype(np.float32), columns=list("abcd"))
    names = np.array(["setosa", "versicolor", "virginica"], dtype=object)
    labels = np.where(FEW < 0, -1, names[Y])
    clf = quick(random_state=0).fit(frame, labels)
    assert_array_equal(clf.feature_names_in_, list("abcd"))
    assert set(clf.predict(frame)) <= set(names)
    assert clf.predict_proba(frame).dtype == np.float32
    assert clf.predict_proba(frame[:1]).shape == (1, 3)
    assert clf.sample(2, random_state=0)[0].dtype == np.float32


def test_labels_of_draws_are_counted(fitted):
    with pytest.raises(ValueError, match="y has 2 labels, but n_samples=3"):
        fitted.sample(3, y=fitted.classes_[:2])


def test_columns_by_name_are_those_by_number():
    frame, kinds = pd.DataFrame(X, columns=list("abcd")), ("gaussian", "student_t")
    named = dict(zip(kinds, (["a", "c"], ["b", "d"]), strict=True))
    numbered = dict(zip(kinds, ([0, 2], [1, 3]), strict=True))
    fits = [quick(random_state=0, likelihood=kind).fit(frame, FEW) for kind in (named, numbered)]
    assert_array_equal(*(fit.predict_proba(frame) for fit in fits))
    with pytest.raises(ValueError, match="names the column 'e'"):
        quick(likelihood={"gaussian": list("abce")}).fit(frame, FEW)


def test_verbs_of_chains_are_not_offered(fitted):
    assert not hasattr(fitted, "extend")
    assert not hasattr(fitted, "to_arviz")
    with pytest.raises(TypeError, match="SemiSupervisedVAEClassifier, which has no extend"):
        skbayes.extend(fitted, X, FEW, 5)


@pytest.mark.parametrize("sizes", [(2.7,), (-3,), (0,)])
def test_sizes_are_positive_integers(sizes):
    with pytest.raises(ValueError, match="hidden_layer_sizes must be positive integers"):
        quick(encoder__hidden_layer_sizes=sizes).fit(X, FEW)


def test_members_disagree_and_their_mean_is_the_prediction(fitted):
    logits = fitted.sample_posterior(X, 3, random_state=0)
    assert logits.shape == (3, 150, 3)
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    assert_allclose(p.mean(0), fitted.predict_proba(X), rtol=1e-5)
    assert_allclose(p.std(0), fitted.predict_std(X, "epistemic"), rtol=1e-3, atol=1e-6)


def test_evidence_of_training_labels_is_refused(fitted):
    with pytest.raises(EvidenceUnavailableError, match="use VAETransformer"):
        fitted.score_evidence()
    value = fitted.score_evidence(X[:1], Y[:1])
    assert_allclose(value, fitted.log_predictive(X[:1], Y[:1])[0], rtol=1e-6)


def test_a_saved_classifier_answers_as_before(fitted, tmp_path):
    io.save(fitted, tmp_path / "clf.skbayes")
    again = io.load(tmp_path / "clf.skbayes")
    assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))
    assert_array_equal(again.sample(5, random_state=0)[0], fitted.sample(5, random_state=0)[0])


def test_verbs_reach_through_a_pipeline(fitted):
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    pipe = make_pipeline(StandardScaler(), quick(random_state=0)).fit(X, FEW)
    assert skbayes.predict_std(pipe, X).shape == (150, 3)
    assert skbayes.predict_uncertainty(pipe, X).mutual_information.shape == (150,)
