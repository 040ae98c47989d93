"""scikit-learn's callbacks that score: a curve over any fit that takes steps."""

from functools import cache

import numpy as np
import pytest
from sklearn.base import clone, is_classifier
from sklearn.callback import ScoringMonitor
from sklearn.datasets import load_diabetes, load_iris
from sklearn.metrics import make_scorer, mean_absolute_error

from skbayes import (
    PPCA,
    AutoencoderTransformer,
    BayesianAutoencoder,
    BayesianLinearRegression,
    BayesianLogisticRegression,
    BayesianMLPClassifier,
    BayesianMLPRegressor,
    ConjugateDensity,
    SemiSupervisedVAEClassifier,
    VAETransformer,
    VariationalGMM,
)
from skbayes.inference import INFERENCES, MAP
from skbayes.latent import VariationalMixture
from tests.engine_configs import quick_engine

#: Runs this short say that they did not converge.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = (a[:60] for a in load_diabetes(return_X_y=True))
IRIS, SPECIES = load_iris(return_X_y=True)
HOLES = np.where(np.random.default_rng(0).uniform(size=IRIS.shape) < 0.2, np.nan, IRIS)
SHORT = {"encoder__hidden_layer_sizes": (3,), "training__max_iter": 60, "random_state": 0}
HALF = np.where(np.arange(150) % 2, SPECIES, -1)


def network(engine, **params):
    return BayesianMLPRegressor((3,), inference=quick_engine(engine), random_state=0, **params)


#: Every estimator that takes steps, with its rows and targets.
ITERATIVE = {
    **{engine: (network(engine), X, Y) for engine in INFERENCES},
    "classes": (
        BayesianMLPClassifier((3,), inference=quick_engine("map"), random_state=0),
        IRIS,
        SPECIES,
    ),
    "vae": (VAETransformer(1, n_score_samples=8).set_params(**SHORT), IRIS, None),
    "vae, mixture prior": (
        VAETransformer(2, n_score_samples=8, latent_prior=VariationalMixture(2)).set_params(
            **SHORT
        ),
        IRIS,
        None,
    ),
    "vae given y": (
        VAETransformer(1, n_score_samples=8, condition_on_y=True).set_params(**SHORT),
        IRIS,
        SPECIES,
    ),
    "autoencoder": (AutoencoderTransformer(1).set_params(**SHORT), IRIS, None),
    "half labelled": (SemiSupervisedVAEClassifier(1, n_members=2).set_params(**SHORT), IRIS, HALF),
    "bayesian autoencoder": (
        BayesianAutoencoder(
            1, inference=MAP(max_iter=40), density=VariationalGMM(2, n_moves=0), random_state=0
        ).set_params(encoder__hidden_layer_sizes=(3,)),
        IRIS,
        None,
    ),
    "mixture": (VariationalGMM(3, tol=1e-9, random_state=0), IRIS, None),
    "ppca": (PPCA(2, tol=1e-9), HOLES, None),
    "ppca by evidence": (PPCA(), HOLES, None),
    "ppca by relevance": (PPCA("ard"), HOLES, None),
    "logistic": (BayesianLogisticRegression(random_state=0), IRIS, SPECIES),
    "logistic, hmc": (
        BayesianLogisticRegression(
            inference="hmc", hmc_params={"n_samples": 20, "warmup": 20}, random_state=0
        ),
        IRIS[:100],
        SPECIES[:100],
    ),
}


def own_score(estimator, rows, targets):
    """The estimator's own, or a density of labels, which moves where accuracies do not.

    scikit-learn 1.9 stumbles over ``scoring=None``, which would mean the estimator's own.
    """
    if is_classifier(estimator) and np.isin(targets, estimator.classes_).all():
        return {"score": estimator.log_predictive(rows, targets).mean()}
    return {"score": estimator.score(rows, targets)}


def scores(estimator, rows, targets, scoring=own_score, **fit_params):
    """Scores of the steps, and that of the end, as the monitor logged them."""
    monitor = ScoringMonitor(scoring=scoring)
    fitted = clone(estimator).set_callbacks(monitor).fit(rows, targets, **fit_params)
    log = monitor.get_logs().data
    steps = [row for row in log if row["task_name"] == "step"]
    (end,) = [row["score"] for row in log if row["task_name"] == "fit"]
    return np.array([row["score"] for row in steps]), end, fitted


@cache
def heard(name):
    """The curve of one of the estimators, its end, and what was fitted."""
    return scores(*ITERATIVE[name])


@pytest.mark.parametrize("name", ITERATIVE)
def test_the_curve_is_finite_and_moves(name):
    _, rows, targets = ITERATIVE[name]
    curve, end, fitted = heard(name)
    assert len(curve) > 2
    assert np.isfinite(curve).all()
    assert len(np.unique(curve.round(9))) > 2
    assert end == pytest.approx(own_score(fitted, rows, targets)["score"], rel=1e-12)


@pytest.mark.parametrize("name", ITERATIVE)
def test_listening_leaves_the_fit_alone(name):
    estimator, rows, targets = ITERATIVE[name]
    *_, listened = heard(name)
    plain = clone(estimator).fit(rows, targets)
    assert own_score(listened, rows, targets) == own_score(plain, rows, targets)
    assert vars(listened).keys() - {"_skl_callbacks"} == vars(plain).keys()


@pytest.mark.parametrize("name", ["map", "hmc", "vae", "mixture", "ppca", "logistic"])
def test_the_last_step_is_near_the_end(name):
    curve, end, _ = heard(name)
    assert abs(curve[-1] - end) < abs(curve[0] - end) + 0.1 * abs(end)


def test_rows_that_were_held_out():
    curve, *_ = scores(
        network("map"), X[:40], Y[:40], lambda fit, *_: {"score": fit.score(X[40:], Y[40:])}
    )
    assert len(curve) > 4
    assert np.isfinite(curve).all()


def test_a_weighted_fit_is_scored_by_its_weights():
    weight = np.where(np.arange(60) < 30, 2.0, 0.0)
    scorer = make_scorer(mean_absolute_error)
    _, end, fitted = scores(network("map"), X, Y, scorer, sample_weight=weight)
    assert end == pytest.approx(np.abs(fitted.predict(X[:30]) - Y[:30]).mean())


@pytest.mark.parametrize(
    ("estimator", "rows", "targets"),
    [
        (BayesianLinearRegression(), X, Y),
        (PPCA(2), IRIS, None),
        (ConjugateDensity(), IRIS, None),
    ],
    ids=["linear", "ppca", "conjugate"],
)
def test_closed_forms_are_scored_once(estimator, rows, targets):
    curve, end, fitted = scores(estimator, rows, targets)
    assert not len(curve)
    assert end == fitted.score(rows, targets)


class Numbers:
    """A callback that takes the numbers of a run, beside one that takes estimators."""

    def __init__(self):
        self.heard = []

    def setup(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context, *, metadata):
        self.heard.append(metadata)

    def teardown(self, estimator, context):
        pass


def test_numbers_and_estimators_are_heard_side_by_side():
    monitor, numbers = ScoringMonitor(scoring="r2"), Numbers()
    network("map").set_callbacks(monitor, numbers).fit(X, Y)
    assert all(row["r2"] <= 1 for row in monitor.get_logs().data)
    assert "loss" in numbers.heard[0]
    assert "step" in numbers.heard[0]


def test_no_estimator_is_made_where_none_is_asked_for(monkeypatch):
    from skbayes.neural_network import _base

    monkeypatch.setattr(_base, "posterior_of", lambda state: pytest.fail("it was"))
    network("hmc").set_callbacks(Numbers()).fit(X, Y)
