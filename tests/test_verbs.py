"""The verbs as functions give what the estimator inside gives, in the units outside."""

import re
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import norm
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.ensemble import BaggingRegressor, VotingRegressor
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    TunedThresholdClassifierCV,
)
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    PowerTransformer,
    QuantileTransformer,
    StandardScaler,
)
from sklearn.semi_supervised import SelfTrainingClassifier

import skbayes
from skbayes import (
    BayesianLinearRegression,
    BayesianLogisticRegression,
    BayesianMLPClassifier,
    BayesianMLPRegressor,
)
from skbayes.inference import Laplace
from tests.testing.normals import Mixture

LAPLACE = Laplace(max_iter=30)
X, Y = load_diabetes(return_X_y=True)
X, Y = X[:80], Y[:80]
NEW, Y_NEW = X[:7], Y[:7]
VERBS = {
    "predict_std": lambda e, X, y: skbayes.predict_std(e, X, kind="epistemic"),
    "predict_interval": lambda e, X, y: skbayes.predict_interval(e, X, coverage=0.7),
    "predict_quantiles": lambda e, X, y: skbayes.predict_quantiles(e, X, [0.2, 0.6]),
    "predict_uncertainty": lambda e, X, y: np.column_stack(
        list(skbayes.predict_uncertainty(e, X).values())
    ),
    "log_predictive": skbayes.log_predictive,
    "sample_posterior": lambda e, X, y: skbayes.sample_posterior(e, X, 3, random_state=4),
    "sample_y": lambda e, X, y: skbayes.sample_y(e, X, 3, random_state=4),
    "score_evidence": skbayes.score_evidence,
    "stored evidence": lambda e, X, y: skbayes.score_evidence(e),
    "weights": lambda e, X, y: skbayes.sample_posterior(e, n_samples=2, random_state=4)[
        "layer0.weight"
    ],
}


def regressor(**params):
    return BayesianMLPRegressor((3,), inference=LAPLACE, random_state=0, **params)


@pytest.fixture(scope="module")
def fitted():
    return regressor().fit(X, Y)


def doubled(X):
    return 2 * X + 1


@pytest.fixture(scope="module")
def pipelines():
    """Wrappers of every kind around the same regressor, fed rows they map to the same."""
    halve = FunctionTransformer(lambda X: (X - 1) / 2)
    pipe = make_pipeline(halve, "passthrough", regressor()).fit(doubled(X), Y)
    search = GridSearchCV(pipe, {"bayesianmlpregressor__n_predictive_samples": [400]}, cv=2)
    search.fit(doubled(X), Y)
    nested = Pipeline([("outer", StandardScaler(with_mean=False, with_std=False)), ("in", search)])
    return {
        "pipeline": pipe,
        "search": search,
        "frozen": FrozenEstimator(pipe),
        "frozen search in a pipeline": make_pipeline(FrozenEstimator(nested.fit(doubled(X), Y))),
    }


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("wrapper", ["pipeline", "search", "frozen", "frozen search in a pipeline"])
def test_reaches_through_wrappers(verb, wrapper, pipelines):
    inner = regressor().fit((doubled(X) - 1) / 2, Y)
    call = VERBS[verb]
    got = call(pipelines[wrapper], doubled(NEW), Y_NEW)
    assert_array_equal(got, call(inner, (doubled(NEW) - 1) / 2, Y_NEW))


@pytest.mark.parametrize("verb", VERBS)
def test_bare_estimator(verb, fitted):
    expected = {
        "predict_std": lambda: fitted.predict_std(NEW, kind="epistemic"),
        "predict_interval": lambda: fitted.predict_interval(NEW, 0.7),
        "predict_quantiles": lambda: fitted.predict_quantiles(NEW, [0.2, 0.6]),
        "predict_uncertainty": lambda: np.column_stack(
            list(fitted.predict_uncertainty(NEW).values())
        ),
        "log_predictive": lambda: fitted.log_predictive(NEW, Y_NEW),
        "sample_posterior": lambda: fitted.sample_posterior(NEW, 3, random_state=4),
        "sample_y": lambda: fitted.sample_y(NEW, 3, random_state=4),
        "score_evidence": lambda: fitted.score_evidence(NEW, Y_NEW),
        "stored evidence": fitted.score_evidence,
        "weights": lambda: fitted.sample_posterior(n_samples=2, random_state=4)["layer0.weight"],
    }
    assert_array_equal(VERBS[verb](fitted, NEW, Y_NEW), expected[verb]())


def test_single_step_pipeline(fitted):
    pipe = make_pipeline(regressor()).fit(X, Y)
    assert_array_equal(skbayes.predict_std(pipe, NEW), fitted.predict_std(NEW))


def test_classifier_through_pipeline():
    X, y = load_iris(return_X_y=True)
    clf = BayesianMLPClassifier((), inference=LAPLACE, random_state=0)
    pipe = make_pipeline(FunctionTransformer(doubled), clf).fit(X, y)
    inner = clf.fit(doubled(X), y)
    assert_array_equal(skbayes.predict_std(pipe, X), inner.predict_std(doubled(X)))
    expected = inner.predict_uncertainty(doubled(X))
    assert_array_equal(skbayes.predict_uncertainty(pipe, X).entropy, expected.entropy)


# --- linear target transformers -----------------------------------------------------


@pytest.fixture(scope="module")
def scaled():
    """A regressor of z = (y - 5) / -3 and the regressor that it holds."""
    line = FunctionTransformer(lambda y: (y - 5) / -3, lambda z: -3 * z + 5, check_inverse=False)
    outer = TransformedTargetRegressor(regressor(), transformer=line).fit(X, Y)
    return outer, outer.regressor_


def test_linear_target_spreads_and_locations(scaled):
    outer, inner = scaled
    assert_allclose(skbayes.predict_std(outer, NEW), 3 * inner.predict_std(NEW))
    interval = skbayes.predict_interval(outer, NEW)
    assert_allclose(interval, 5 - 3 * inner.predict_interval(NEW)[:, ::-1])
    assert (interval[:, 0] < interval[:, 1]).all()
    assert_allclose(skbayes.sample_y(outer, NEW, 4), 5 - 3 * inner.sample_y(NEW, 4))
    draws = skbayes.sample_posterior(outer, NEW, 4, random_state=1)
    assert_allclose(draws, 5 - 3 * inner.sample_posterior(NEW, 4, random_state=1))


def test_linear_target_densities(scaled):
    outer, inner = scaled
    z = (Y_NEW - 5) / -3
    log_3 = np.log(3)
    density = skbayes.log_predictive(outer, NEW, Y_NEW)
    assert_allclose(density, inner.log_predictive(NEW, z) - log_3)
    evidence, se = skbayes.score_evidence(outer, NEW, Y_NEW, return_std=True)
    expected, expected_se = inner.score_evidence(NEW, z, return_std=True)
    assert_allclose(evidence, expected - 7 * log_3)
    assert se == expected_se
    assert skbayes.score_evidence(outer, NEW, Y_NEW) == evidence


def test_linear_target_uncertainty(scaled):
    outer, inner = scaled
    got, expected = (
        skbayes.predict_uncertainty(outer, NEW),
        inner.predict_uncertainty(NEW),
    )
    for kind in ("total", "aleatoric", "epistemic"):
        assert_allclose(got[kind], 3 * expected[kind])
    assert_allclose(got.entropy, expected.entropy + np.log(3))
    assert_allclose(got.mutual_information, expected.mutual_information)


def test_density_integrates_to_one_in_outer_units(scaled):
    outer, _ = scaled
    low, high = skbayes.predict_interval(outer, NEW[:1], coverage=0.999999)[0]
    grid = np.linspace(low, high, 400)
    density = np.exp(skbayes.log_predictive(outer, np.repeat(NEW[:1], 400, axis=0), grid))
    assert_allclose(np.trapezoid(density, grid), 1, atol=1e-4)


def test_nested_linear_targets_compose():
    search = GridSearchCV(regressor(), {"n_predictive_samples": [50]}, cv=2)
    inner = TransformedTargetRegressor(search, transformer=MinMaxScaler())
    outer = TransformedTargetRegressor(
        make_pipeline(StandardScaler(), inner), transformer=StandardScaler()
    ).fit(X, Y)
    leaf = outer.regressor_[-1].regressor_.best_estimator_
    rows = StandardScaler().fit(X).transform(NEW)
    slope = np.ptp(Y)
    assert_allclose(skbayes.predict_std(outer, NEW), slope * leaf.predict_std(rows))
    draws = skbayes.sample_y(outer, NEW, 2)
    assert_allclose(draws, slope * leaf.sample_y(rows, 2) + Y.min())
    density = skbayes.log_predictive(outer, NEW, Y_NEW)
    expected = leaf.log_predictive(rows, (Y_NEW - Y.min()) / slope) - np.log(slope)
    assert_allclose(density, expected)


def test_several_targets_each_have_their_line():
    targets = np.column_stack([Y, 100 - 0.1 * X[:, 2]])
    outer = TransformedTargetRegressor(regressor(), transformer=StandardScaler()).fit(X, targets)
    inner, scale, mean = outer.regressor_, targets.std(axis=0), targets.mean(axis=0)
    assert_allclose(skbayes.predict_std(outer, NEW), inner.predict_std(NEW) * scale)
    interval = inner.predict_interval(NEW) * scale[:, None] + mean[:, None]
    assert_allclose(skbayes.predict_interval(outer, NEW), interval)
    draws = inner.sample_y(NEW, 3) * scale + mean
    assert_allclose(skbayes.sample_y(outer, NEW, 3), draws)
    latent = inner.sample_posterior(NEW, 3, random_state=0) * scale + mean
    assert_allclose(skbayes.sample_posterior(outer, NEW, 3, random_state=0), latent)
    got = skbayes.log_predictive(outer, NEW, targets[:7])
    expected = inner.log_predictive(NEW, (targets[:7] - mean) / scale) - np.log(scale).sum()
    assert_allclose(got, expected)


def test_agrees_with_the_regressor_of_raw_targets():
    """Standardising outside what is standardised inside changes nothing."""
    # The full structure, because eigenvectors of the Kronecker factors have no sign.
    reg = regressor(dtype="float64").set_params(inference__structure="full")
    outer = TransformedTargetRegressor(reg, transformer=StandardScaler())
    raw = clone(reg).fit(X, Y)
    outer.fit(X, Y)
    assert_allclose(skbayes.predict_std(outer, NEW), raw.predict_std(NEW), rtol=1e-6)
    got = skbayes.log_predictive(outer, NEW, Y_NEW)
    assert_allclose(got, raw.log_predictive(NEW, Y_NEW), rtol=1e-6)
    assert_allclose(
        skbayes.score_evidence(outer, NEW, Y_NEW), raw.score_evidence(NEW, Y_NEW), rtol=1e-6
    )


# --- refusals -----------------------------------------------------------------------

NONLINEAR = {
    "log": FunctionTransformer(np.log, np.exp),
    "power": PowerTransformer(),
    "quantile": QuantileTransformer(n_quantiles=20),
}


@pytest.mark.parametrize("name", NONLINEAR)
def test_nonlinear_target_is_refused(name):
    outer = TransformedTargetRegressor(Ridge(), transformer=NONLINEAR[name], check_inverse=False)
    with pytest.raises(TypeError, match=r"not linear in each target.*StandardScaler"):
        skbayes.predict_std(outer.fit(X, Y), NEW)


def test_targets_mixed_by_the_transformer_are_refused():
    mix = FunctionTransformer(lambda y: y @ [[0, 1], [1, 1]], lambda z: z @ [[-1, 1], [1, 0]])
    targets = np.column_stack([Y, X[:, 2]])
    outer = TransformedTargetRegressor(Ridge(), transformer=mix).fit(X, targets)
    with pytest.raises(TypeError, match="not linear in each target"):
        skbayes.predict_std(outer, NEW)


def test_stored_evidence_through_a_line_is_refused(scaled):
    with pytest.raises(TypeError, match=r"give X and y, or ask regressor_\.score_evidence"):
        skbayes.score_evidence(scaled[0])


@pytest.mark.parametrize("verb", [v for v in VERBS if v not in ("stored evidence", "weights")])
def test_estimator_without_the_verb(verb):
    with pytest.raises(TypeError, match=rf"skbayes\.{verb} met Ridge, which has no {verb}"):
        VERBS[verb](make_pipeline(Ridge()).fit(X, Y), NEW, Y_NEW)


def test_wrappers_of_several_estimators_say_whom_to_ask():
    X, y = load_iris(return_X_y=True)
    calibrated = CalibratedClassifierCV(BayesianLogisticRegression(), cv=2).fit(X, y)
    with pytest.raises(TypeError, match="holds 2 classifiers, one a fold; set ensemble=False"):
        skbayes.predict_std(calibrated, X)
    linear = BayesianLinearRegression()
    for several in (
        VotingRegressor([("one", linear), ("two", linear)]),
        BaggingRegressor(linear, 2, random_state=0),
        MultiOutputRegressor(linear),
    ):
        several_targets = isinstance(several, MultiOutputRegressor)
        fitted = several.fit(X[:, :2], X[:, 2:] if several_targets else X[:, 3])
        name = type(several).__name__
        with pytest.raises(TypeError, match=f"{name} holds several estimators; ask one of its"):
            skbayes.predict_interval(fitted, X[:, :2])


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_wrappers_of_one_classifier_are_reached():
    X, y = load_breast_cancer(return_X_y=True)
    X, y = X[::8, :3], y[::8]
    plain = BayesianLogisticRegression().fit(X, y)
    half = np.where(np.arange(len(y)) % 3 == 0, -1, y)
    wrapped = [
        CalibratedClassifierCV(FrozenEstimator(plain), cv=2, ensemble=False),
        FixedThresholdClassifier(BayesianLogisticRegression(), threshold=0.3),
        TunedThresholdClassifierCV(BayesianLogisticRegression(), cv=2),
        make_pipeline(FixedThresholdClassifier(BayesianLogisticRegression(), threshold=0.3)),
    ]
    for wrapper in wrapped:
        with pytest.raises(NotFittedError):
            skbayes.predict_std(clone(wrapper), X)
        found = skbayes.predict_std(wrapper.fit(X, y), X)
        if not isinstance(wrapper, TunedThresholdClassifierCV):
            assert_allclose(found, plain.predict_std(X), rtol=1e-6)
        assert found.shape == (len(X), 2)
    semi = SelfTrainingClassifier(BayesianLogisticRegression(), max_iter=1).fit(X, half)
    assert skbayes.predict_uncertainty(semi, X).entropy.shape == (len(X),)


MONOTONE = {"rising": (np.log, np.exp), "falling": (lambda y: -np.log(y), lambda z: np.exp(-z))}


@pytest.mark.parametrize("name", MONOTONE)
@pytest.mark.parametrize("n_targets", [1, 2])
def test_quantiles_and_draws_carry_through_a_monotone_function(name, n_targets):
    function, inverse = MONOTONE[name]
    y = Y if n_targets == 1 else np.column_stack([Y, 1 + X[:, 2] ** 2])
    reg = TransformedTargetRegressor(
        BayesianLinearRegression(), func=function, inverse_func=inverse, check_inverse=False
    ).fit(X, y)
    inner, levels = reg.regressor_, np.array([0.1, 0.5, 0.7])
    own = inner.predict_quantiles(NEW, levels if name == "rising" else 1 - levels)
    assert_allclose(skbayes.predict_quantiles(reg, NEW, levels), inverse(own))
    assert_allclose(skbayes.predict_quantiles(reg, NEW, 0.7), inverse(own)[..., 2])
    ends = skbayes.predict_quantiles(reg, NEW, [0.15, 0.85])
    assert_allclose(skbayes.predict_interval(reg, NEW, 0.7), ends)
    both = skbayes.predict_interval(reg, NEW, [0.7, 0.9])
    assert_allclose(both[..., 0, :], ends)
    assert_allclose(skbayes.sample_y(reg, NEW, 3), inverse(inner.sample_y(NEW, 3)))
    for verb in (skbayes.predict_std, skbayes.predict_uncertainty):
        with pytest.raises(TypeError, match=r"do not carry over, quantiles do"):
            verb(reg, NEW)


def test_a_function_that_turns_back_is_refused():
    reg = TransformedTargetRegressor(
        BayesianLinearRegression(), func=np.sqrt, inverse_func=np.square, check_inverse=False
    ).fit(X, np.square(X[:, 2]))
    with pytest.raises(TypeError, match="neither rises nor falls throughout"):
        skbayes.predict_quantiles(reg, NEW - 1)


def test_interval_of_a_classifier_names_the_alternative():
    X, y = load_iris(return_X_y=True)
    clf = BayesianMLPClassifier((), inference=LAPLACE).fit(X, y)
    with pytest.raises(TypeError, match=r"BayesianMLPClassifier.*use skbayes\.predict_std"):
        skbayes.predict_interval(clf, X)


def test_search_without_refit():
    search = GridSearchCV(regressor(), {"n_predictive_samples": [9]}, cv=2, refit=False)
    with pytest.raises(TypeError, match="refit=True"):
        skbayes.predict_std(search.fit(X, Y), NEW)


@pytest.mark.parametrize(
    "unfitted",
    [
        regressor(),
        make_pipeline(StandardScaler(), regressor()),
        GridSearchCV(regressor(), {"n_predictive_samples": [9]}),
        TransformedTargetRegressor(regressor(), transformer=StandardScaler()),
        FrozenEstimator(regressor()),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_unfitted(unfitted):
    with pytest.raises(NotFittedError):
        skbayes.predict_std(unfitted, NEW)


def test_one_draw_agrees_with_its_normal(scaled):
    """Draws through a falling line have the mean and spread that the verbs report."""
    outer, _ = scaled
    draws = skbayes.sample_y(outer, NEW, 4000, random_state=0)
    mean, std = outer.predict(NEW), skbayes.predict_std(outer, NEW)
    z = (draws.mean(axis=0) - mean) / (std / np.sqrt(4000))
    # The mean itself rests on 400 draws of the epistemic part.
    epistemic = skbayes.predict_std(outer, NEW, kind="epistemic")
    z /= np.sqrt(1 + epistemic**2 / 400 / (std**2 / 4000))
    assert (np.abs(z) < norm.isf(1e-6)).all()


def test_new_rows_of_a_mixture_come_with_labels():
    rows = np.random.default_rng(0).normal(size=(60, 3)) * 5 + 20
    pipe = make_pipeline(StandardScaler(), Mixture()).fit(rows)
    drawn, labels = skbayes.sample(pipe, 6, random_state=0)
    inner, expected = pipe[-1].sample(6, random_state=0)
    assert_array_equal(drawn, pipe[0].inverse_transform(inner))
    assert_array_equal(labels, expected)
    search = GridSearchCV(pipe, {"standardscaler__with_mean": [True]}, cv=2).fit(rows)
    again, _ = skbayes.sample(FrozenEstimator(search), 6, random_state=0)
    assert_allclose(again, drawn)


def test_the_table_of_wrappers_is_what_is_tested():
    """Every wrapper that the guide names is met by a test of this file."""
    guide = (Path(__file__).parents[1] / "docs" / "getting_started.md").read_text("utf-8")
    table = guide.split("| wrapper | what the functions answer |")[1].split("\n\n")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("|")][1:]
    named = set(re.findall(r"`(\w+)", " ".join(rows)))
    assert len(named) >= 11
    own = Path(__file__).read_text("utf-8")
    assert {name for name in named if f"{name}(" not in own} <= {"Pipeline"}
    assert "make_pipeline(" in own
