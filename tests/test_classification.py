"""What classifiers say: labels, probabilities, and the identities between them."""

from functools import cache

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit, softmax
from scipy.stats import entropy, norm
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.linear_model import LogisticRegression

from skbayes import BayesianMLPClassifier
from skbayes.inference import HMC, INFERENCES, MAP, Laplace
from skbayes.posteriors._function_draws import Moments
from skbayes.priors import Normal
from tests.engine_configs import cheap_engines

# A few steps of every engine: that some move diverges is neither here nor there, and a mode is
# asked for a spread that it has not.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*moves diverged"),
    pytest.mark.filterwarnings("ignore:kind='epistemic' is zero"),
]
X, CODES = (a[::2] for a in load_iris(return_X_y=True))
NAMES = np.array(["virginica", "setosa", "versicolor"])[CODES]
BINARY = np.where(CODES == 2, "yes", "no")
CHEAP = cheap_engines()
#: Of 1 - p where p is nearly one, after a sum over draws.
ROUNDING = 40 * np.finfo(float).eps
ENGINES = pytest.mark.parametrize("engine", INFERENCES)
TARGETS = pytest.mark.parametrize("labels", [NAMES, BINARY], ids=["three", "two"])


def classifier(engine="laplace", **params):
    params = {"hidden_layer_sizes": (4,), "n_predictive_samples": 40, "random_state": 0} | params
    return BayesianMLPClassifier(inference=CHEAP[engine], **params)


@cache
def fitted(engine, n_classes):
    """One fit for all tests that look at the same one."""
    return classifier(engine).fit(X, BINARY if n_classes == 2 else NAMES)


def weighted_probabilities(clf, X):
    """Class probabilities (S, rows, classes) behind a prediction, and their weights (S,)."""
    rows, model = clf._inputs(X)[1], clf._model()
    if clf.inference is CHEAP["laplace"] and len(clf.classes_) == 2:
        # One normal logit, which the prediction integrates out: the trapezoid rule does too.
        normals = Moments(clf.posterior_.normal_outputs(model))
        mean, variance = normals.reduce(rows, lambda o: [o.mean, o.variance])
        points = np.linspace(-10, 10, 2001)
        outputs = mean + points[:, None, None] * np.sqrt(variance)
        weight = norm.pdf(points) / norm.pdf(points).sum()
    else:
        predictive = clf._predictive(X)
        tiles = predictive._row_draws().tiles(predictive.rows)
        outputs = np.concatenate([o.double().numpy() for _, o in tiles], axis=1)
        weight = np.full(len(outputs), 1 / len(outputs))
    if outputs.shape[2] == 1:
        return np.concatenate([expit(-outputs), expit(outputs)], axis=2), weight
    return softmax(outputs, axis=2), weight


@ENGINES
@TARGETS
def test_shapes_and_identities(engine, labels):
    clf = fitted(engine, len(set(labels)))
    p, weight = weighted_probabilities(clf, X)
    proba, n_classes = clf.predict_proba(X), len(np.unique(labels))
    mean = np.tensordot(weight, p, 1)
    assert_array_equal(clf.classes_, np.unique(labels))
    assert proba.shape == (75, n_classes)
    assert_allclose(proba, mean, rtol=1e-6)
    assert_allclose(proba.sum(axis=1), 1)
    assert_array_equal(clf.predict(X), clf.classes_[proba.argmax(axis=1)])
    total, epistemic, aleatoric = (
        clf.predict_std(X, kind) for kind in ("total", "epistemic", "aleatoric")
    )
    assert total.shape == (75, n_classes)
    assert_allclose(total**2, proba * (1 - proba), rtol=1e-6, atol=ROUNDING)
    variance = np.tensordot(weight, (p - mean) ** 2, 1)
    assert_allclose(epistemic**2, variance, rtol=1e-6, atol=ROUNDING)
    within = np.tensordot(weight, p * (1 - p), 1)
    assert_allclose(aleatoric**2, within, rtol=1e-6, atol=ROUNDING)
    assert_allclose(total**2, epistemic**2 + aleatoric**2, rtol=1e-6, atol=ROUNDING)


@ENGINES
@TARGETS
def test_uncertainty_report(engine, labels):
    clf = fitted(engine, len(set(labels)))
    report, (p, weight) = clf.predict_uncertainty(X), weighted_probabilities(clf, X)
    for kind in ("total", "epistemic", "aleatoric"):
        per_class = clf.predict_std(X, kind)
        assert report[kind].shape == (75,)
        assert_allclose(report[kind], np.sqrt((per_class**2).sum(axis=1)), rtol=1e-6, atol=1e-9)
    total = entropy(np.tensordot(weight, p, 1), axis=1)
    assert_allclose(report.entropy, total, rtol=1e-6, atol=ROUNDING)
    information = total - weight @ entropy(p, axis=2)
    assert_allclose(report.mutual_information, information, rtol=1e-5, atol=1e-9)
    assert (report.mutual_information >= 0).all()
    if engine == "map":
        assert_allclose(report.mutual_information, 0, atol=1e-9)


@ENGINES
@TARGETS
def test_log_predictive_is_the_log_probability_of_the_label(engine, labels):
    clf = fitted(engine, len(set(labels)))
    column = np.searchsorted(clf.classes_, labels)
    picked = clf.predict_proba(X)[np.arange(75), column]
    assert_allclose(clf.log_predictive(X, labels), np.log(picked), rtol=1e-5, atol=1e-7)
    everything = [clf.log_predictive(X, np.full(75, label)) for label in clf.classes_]
    assert_allclose(np.exp(everything).sum(axis=0), 1, rtol=1e-6)


@TARGETS
def test_draws_of_labels_follow_the_probabilities(labels):
    clf = classifier("mean_field_vi", n_predictive_samples=4000).fit(X, labels)
    draws, proba = clf.sample_y(X, 4000, random_state=1), clf.predict_proba(X)
    assert draws.shape == (4000, 75)
    assert set(np.unique(draws)) <= set(clf.classes_)
    for column, label in enumerate(clf.classes_):
        share = (draws == label).mean(axis=0)
        error = np.sqrt(proba[:, column] * (1 - proba[:, column]) * 2 / 4000) + 1e-4
        assert (np.abs(share - proba[:, column]) < 5 * error).all()


@TARGETS
def test_latent_draws_are_logits(labels):
    clf = classifier("hmc").fit(X, labels)
    n_logits = 1 if len(clf.classes_) == 2 else 3
    logits = clf.sample_posterior(X, 20, random_state=0)
    assert logits.shape == (20, 75, n_logits)
    # All twenty stored draws, in another order, are what predictions average.
    p = expit(logits) if n_logits == 1 else softmax(logits, axis=2)
    assert_allclose(p.mean(axis=0)[:, -1], clf.predict_proba(X)[:, -1], rtol=1e-5)


@pytest.mark.parametrize(
    "labels",
    [NAMES, NAMES.astype(object), CODES - 7, CODES.astype(float), CODES.astype(np.uint8)],
    ids=["text", "objects", "negative", "floats", "small integers"],
)
def test_labels_of_any_kind(labels):
    clf = classifier().fit(X, labels)
    base = classifier().fit(X, np.unique(labels, return_inverse=True)[1])
    assert_array_equal(clf.predict_proba(X), base.predict_proba(X))
    assert clf.predict(X).dtype == clf.classes_.dtype == labels.dtype
    assert clf.score(X, labels) > 0.8


def test_labels_of_two_string_types_are_one_kind():
    mixed = np.array(
        [np.str_(name) if i % 2 else str(name) for i, name in enumerate(NAMES)], object
    )
    assert_array_equal(classifier().fit(X, mixed).classes_, np.unique(NAMES))


@pytest.mark.parametrize("missing", [None, np.nan])
def test_missing_labels_are_refused_by_verbs_too(missing):
    clf = classifier().fit(X, NAMES)
    for verb in (clf.log_predictive, clf.score_evidence):
        with pytest.raises(ValueError, match="mixes labels of types"):
            verb(X, np.where(CODES == 0, missing, NAMES.astype(object)))


def test_log_probabilities_are_logarithms():
    clf = classifier().fit(X, NAMES)
    assert_allclose(np.exp(clf.predict_log_proba(X)), clf.predict_proba(X))


def test_booleans():
    clf = classifier().fit(X, CODES == 0)
    assert clf.predict(X).dtype == bool
    assert clf.score(X, CODES == 0) > 0.9


def test_two_logits_and_one_agree():
    """A softmax of two logits under the same data is the same classifier, to its prior."""
    # Of short runs each may end anywhere, and choose another temperature.
    engine = Laplace(max_iter=300, temperature=1.0)
    one, two = (
        classifier(likelihood=name).set_params(inference=engine).fit(X, BINARY)
        for name in ("auto", "categorical")
    )
    assert one.sample_posterior(X, 1, 0).shape[2] == 1
    assert two.sample_posterior(X, 1, 0).shape[2] == 2
    assert np.abs(one.predict_proba(X) - two.predict_proba(X)).mean() < 0.05


def test_linear_model_under_a_wide_prior_is_logistic_regression():
    data, y = load_breast_cancer(return_X_y=True)
    data = (data - data.mean(axis=0)) / data.std(axis=0)
    engine = MAP(max_iter=3000, tol=0.0)
    prior = Normal(scale=1.0, fan_in_scaling=False)
    clf = BayesianMLPClassifier((), inference=engine, prior=prior, random_state=0).fit(data, y)
    # The prior also pulls the intercept, which the reference leaves free unless told so.
    table = np.column_stack([data, np.ones(len(data))])
    exact = LogisticRegression(C=1.0, fit_intercept=False, tol=1e-10, max_iter=5000).fit(table, y)
    assert_allclose(clf.predict_proba(data), exact.predict_proba(table), atol=1e-3)


def test_unseen_region_is_less_certain():
    """Between the classes nothing is known; a posterior says so and a single mode does not."""
    rng = np.random.default_rng(0)
    rows = np.r_[rng.normal(-4, 0.5, (50, 1)), rng.normal(4, 0.5, (50, 1))]
    labels = np.repeat([0, 1], 50)
    engine = HMC(n_samples=200, warmup=200)
    clf = BayesianMLPClassifier((10,), inference=engine, random_state=0).fit(rows, labels)
    report = clf.predict_uncertainty([[0.0], [4.0]])
    assert report.mutual_information[0] > 10 * report.mutual_information[1]
    assert report.epistemic[0] > 3 * report.epistemic[1]


def test_several_targets_are_refused():
    with pytest.raises(ValueError, match="1d array"):
        classifier().fit(X, np.column_stack([NAMES, BINARY]))


def test_column_of_labels_warns_and_fits():
    with pytest.warns(UserWarning, match="column-vector"):
        clf = classifier().fit(X, NAMES[:, None])
    assert_array_equal(clf.predict(X), classifier().fit(X, NAMES).predict(X))


@ENGINES
def test_weights_move_probabilities_to_the_heavier_class(engine):
    rows = np.zeros((40, 1))
    labels = np.repeat(["a", "b"], 20)
    weight = np.where(labels == "b", 5.0, 1.0)
    clf = classifier(engine)
    if "max_iter" in CHEAP[engine].get_params():
        clf.set_params(inference__max_iter=300)
    even = clf.fit(rows, labels).predict_proba(rows)[0, 1]
    heavy = clf.fit(rows, labels, sample_weight=weight).predict_proba(rows)[0, 1]
    assert heavy > even
