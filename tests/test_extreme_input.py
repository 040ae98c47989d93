"""Rows and targets of any size, few rows and poor ones: a correct fit, never NaN."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from skbayes import (
    PPCA,
    BayesianLinearRegression,
    BayesianLogisticRegression,
    BayesianMLPRegressor,
    ConjugateDensity,
    SemiSupervisedVAEClassifier,
    VAETransformer,
    VariationalGMM,
)
from skbayes.exceptions import DivergenceError
from skbayes.priors import HalfNormal
from tests.bad_input import (
    CHEAP,
    ENGINES,
    IRIS,
    SPECIES,
    STILL_HOT,
    X,
    Y,
    check_answers,
    check_probabilities,
    classifier,
    regressor,
)

#: On rows that a network can interpolate noise vanishes, and short runs say that they diverge.
pytestmark = pytest.mark.filterwarnings("ignore:.*moves diverged")


# --- scales -------------------------------------------------------------------------


@ENGINES
@pytest.mark.parametrize("factor", [1e200, 1e-200])
def test_targets_of_any_size(engine, factor):
    """Scaling by a power of two, which is exact, scales the answer and nothing else."""
    factor = 2.0 ** np.round(np.log2(factor))
    reg, base = regressor(engine).fit(X, Y * factor), regressor(engine).fit(X, Y)
    check_answers(reg, X, Y * factor)
    # Rows are merged in the order of a hash of their values, so sums round otherwise.
    assert_allclose(np.ptp(reg.predict(X)), np.ptp(base.predict(X)) * factor, rtol=0.2)
    assert_allclose(
        np.median(reg.predict_std(X)), np.median(base.predict_std(X)) * factor, rtol=0.2
    )
    if base.evidence_kind_ == "laplace":
        shift = 60 * np.log(factor)
        assert_allclose(reg.score_evidence() + shift, base.score_evidence(), atol=0.01)


@ENGINES
@pytest.mark.parametrize("factor", [1e200, 1e30, 1e-200])
def test_columns_of_any_size(engine, factor):
    reg = regressor(engine).fit(X * factor, Y)
    check_answers(reg, X * factor, Y)
    assert reg.predict(X * factor).std() > 0.1 * Y.std()


def test_one_column_of_another_size():
    rows = X.copy()
    rows[:, 2] *= 1e30
    reg = regressor().fit(rows, Y)
    check_answers(reg, rows, Y)
    # The great column still counts.
    shifted = rows.copy()
    shifted[:, 2] += rows[:, 2].std()
    assert np.abs(reg.predict(shifted) - reg.predict(rows)).max() > 1


def test_classes_of_rows_of_any_size():
    for factor in (1e200, 1e-200):
        clf = classifier().fit(IRIS * factor, SPECIES)
        check_probabilities(clf, IRIS * factor)
        assert clf.score(IRIS * factor, SPECIES) > 0.9


def test_far_away_rows_are_finite():
    """Rows a trillion standard deviations off: saturated, uncertain, never NaN."""
    reg, clf = regressor().fit(X, Y), classifier().fit(IRIS, SPECIES)
    for size in (1e6, 1e100, 1e307):
        mean, std = reg.predict(X * size, return_std=True)
        assert np.isfinite(mean).all()
        assert np.isfinite(std).all()
        check_probabilities(clf, IRIS * size)
    assert np.isfinite(reg.log_predictive(X, Y + 1e30)).all()


@pytest.mark.parametrize("scale_inputs", ["column", "global", None])
def test_raw_inputs_of_any_scaling_are_finite(scale_inputs):
    rows = X * np.logspace(-20, 20, 10)
    reg = regressor(scale_inputs=scale_inputs).fit(rows, Y)
    check_answers(reg, rows, Y)


def test_unscaled_targets():
    check_answers(regressor(scale_targets=False).fit(X, Y), X, Y)


def test_integers_beyond_single_precision():
    """2^24 + 1 and 2^24 are different numbers, though not in single precision."""
    rows = (2**24 + np.arange(60))[:, None]
    y = np.arange(60.0)
    reg = BayesianMLPRegressor((), inference=CHEAP["laplace"], random_state=0).fit(rows, y)
    # A straight line in steps of one: its noise is far below the steps' own spread.
    assert np.abs(reg.predict(rows) - y).max() < 0.5
    assert len(np.unique(reg.predict(rows))) == 60


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int8, np.uint64, ">f8", bool])
def test_dtypes_of_rows(dtype):
    rows = np.round(X * 100).clip(0).astype(dtype)
    reg = regressor().fit(rows, Y)
    check_answers(reg, rows, Y)
    assert reg.predict(rows).dtype == (np.float32 if dtype is np.float32 else np.float64)


def test_read_only_and_strided_memory():
    rows = np.asfortranarray(np.repeat(X, 2, axis=1))[::-1, ::2]
    rows.flags.writeable = False
    before = rows.copy()
    assert_array_equal(regressor().fit(rows, Y[::-1]).predict(X), regressor().fit(X, Y).predict(X))
    assert_array_equal(rows, before)


# --- few and poor rows --------------------------------------------------------------


@ENGINES
def test_constant_columns(engine):
    rows = np.column_stack([X, np.full(60, 0.1), np.zeros(60), np.full(60, 1e300)])
    reg = regressor(engine).fit(rows, Y)
    check_answers(reg, rows, Y)
    rows[:, -3:] += 1.0
    check_answers(reg, rows, Y)


@ENGINES
def test_all_columns_constant(engine):
    reg = regressor(engine).fit(np.ones((60, 2)), Y)
    check_answers(reg, np.ones((3, 2)), Y[:3])
    assert_allclose(reg.predict(np.ones((1, 2))), Y.mean(), atol=4 * Y.std() / np.sqrt(60))


@ENGINES
def test_more_columns_than_rows(engine):
    rows = np.random.default_rng(0).normal(size=(5, 30))
    check_answers(regressor(engine).fit(rows, Y[:5]), rows, Y[:5])


@ENGINES
def test_duplicated_rows_and_columns(engine):
    rows = np.hstack([X[:20]] * 2)
    rows, y = np.vstack([rows] * 3), np.tile(Y[:20], 3)
    check_answers(regressor(engine).fit(rows, y), rows, y)


@ENGINES
def test_contradictory_duplicates(engine):
    """One row, two answers: the noise says so, and the mean lies between."""
    rows, y = np.ones((40, 1)), np.tile([0.0, 10.0], 20)
    reg = regressor(engine).fit(rows, y)
    check_answers(reg, rows, y)
    assert_allclose(reg.predict(rows[:1]), 5.0, atol=4 * 5 / np.sqrt(40))


@ENGINES
def test_one_row(engine):
    reg = regressor(engine).fit(X[:1], Y[:1])
    check_answers(reg, X, Y)
    if reg.inference_.consistent:
        # One row is no reason to know less beside it than far away (Laplace's expansion
        # around weights of nothing does not look at X).
        assert reg.predict_std(X[:1])[0] <= reg.predict_std(X[:1] + 1e3)[0]


@STILL_HOT
@ENGINES
def test_constant_target(engine):
    for value in (0.0, 3.5, 1e200):
        reg = regressor(engine)
        if engine in ("deep_ensemble", "gaussian_vi"):
            # At a noise near zero gradient steps are many until members agree.
            reg.set_params(inference__max_iter=400)
        reg.fit(X, np.full(60, value))
        check_answers(reg, X, np.full(60, value))
        mean, std = reg.predict(X, return_std=True)
        assert (np.abs(mean - value) < 5 * std).all()
        # Even a short fit lowers the noise from the prior's median, where it starts.
        assert (std < np.exp(HalfNormal().log_median) * (abs(value) or 1.0)).all()


@STILL_HOT
@ENGINES
def test_exact_target(engine):
    """Noise without end is not needed: a target that is a column leaves finite answers."""
    rows = np.random.default_rng(1).normal(size=(60, 2))
    reg = regressor(engine)
    if engine == "sghmc":
        # The step is set by how stiff it got in the warm-up; here it gets ever stiffer.
        reg.set_params(inference__warmup=800)
    check_answers(reg.fit(rows, rows[:, 0]), rows, rows[:, 0])


def test_an_automatic_step_that_was_too_large_asks_for_a_longer_warmup():
    rows = np.random.default_rng(1).normal(size=(60, 2))
    with pytest.raises(DivergenceError, match=r"kicks had to be cut. Raise inference__warmup"):
        regressor("sghmc").fit(rows, rows[:, 0])


@ENGINES
def test_separable_classes(engine):
    rows = np.r_[np.full((20, 1), -1.0), np.full((20, 1), 1.0)]
    clf = classifier(engine).fit(rows, np.repeat(["no", "yes"], 20))
    check_probabilities(clf, rows)
    assert clf.score(rows, np.repeat(["no", "yes"], 20)) == 1


@ENGINES
def test_one_row_a_class(engine):
    clf = classifier(engine).fit(IRIS[[0, 20, 40]], ["a", "b", "c"])
    check_probabilities(clf, IRIS)


# --- weights ------------------------------------------------------------------------

WEIGHTED = [
    regressor(),
    classifier(),
    BayesianLinearRegression(),
    BayesianLogisticRegression(),
    VariationalGMM(2, random_state=0),
    PPCA(2),
    ConjugateDensity("normal_gamma"),
    VAETransformer(2, random_state=0).set_params(training__max_iter=5),
    SemiSupervisedVAEClassifier(2, random_state=0).set_params(
        encoder__hidden_layer_sizes=(4,), training__max_iter=5
    ),
]


@pytest.mark.parametrize("model", WEIGHTED, ids=lambda model: type(model).__name__)
@pytest.mark.parametrize("size", [1e-300, 1e300])
def test_weights_beyond_any_count_are_named(model, size):
    weight = np.full(len(IRIS), size)
    with pytest.raises(ValueError, match=r"sample_weight reaches from 1e.300 to 1e.300"):
        clone(model).fit(IRIS, SPECIES, sample_weight=weight)


@pytest.mark.parametrize("size", [1e-20, 1e20])
def test_weights_up_to_the_limits_are_finite(size):
    weight = np.full(len(IRIS), size)
    for model in (BayesianLinearRegression(), PPCA(2), VariationalGMM(2, random_state=0)):
        fitted = clone(model).fit(IRIS, SPECIES, sample_weight=weight)
        assert np.isfinite(fitted.score_evidence())
