"""Bad input is a clear error or a correct fit: never a silent wrong answer, never NaN."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.exceptions import NotFittedError

from skbayes import BayesianMLPClassifier, BayesianMLPRegressor
from skbayes._model import LOG_HALF_NORMAL_MEDIAN, Model
from skbayes.exceptions import DivergenceError, EvidenceUnavailableError, IncompatiblePartsError
from skbayes.inference import (
    HMC,
    INFERENCES,
    MAP,
    MCLMC,
    NUTS,
    SGHMC,
    SGLD,
    DeepEnsemble,
    Laplace,
    MCDropout,
    MeanFieldVI,
)
from skbayes.likelihoods import Gaussian, StudentTLikelihood
from skbayes.priors import Flat, Normal, ScaleMixture, StudentT
from tests.engine_configs import SHORT, cheap_engines

X, Y = (a[:60] for a in load_diabetes(return_X_y=True))
IRIS, SPECIES = (a[::3] for a in load_iris(return_X_y=True))
LONGER = {**SHORT, "n_samples": 40, "thinning": 5, "warmup": 100}
CHEAP = cheap_engines(
    deep_ensemble={"n_members": 2},
    hmc={"warmup": 60},
    nuts={"warmup": 60},
    sghmc=LONGER,
    sgld=LONGER,
    mclmc={**LONGER, "step_size": 0.05, "energy_variance": 0.1},
)
ENGINES = pytest.mark.parametrize("engine", INFERENCES)
#: Without noise in the targets short runs are still on their way, and say so.
STILL_HOT = pytest.mark.filterwarnings(
    "ignore:SGHMC. the mean squared momentum", "ignore:MCLMC. the energy error"
)
#: On rows that a network can interpolate noise vanishes, and short runs say that they diverge.
pytestmark = pytest.mark.filterwarnings("ignore:.*moves diverged")


def regressor(engine="laplace", **params):
    params = {"n_predictive_samples": 64, "random_state": 0} | params
    return BayesianMLPRegressor((4,), inference=clone(CHEAP[engine]), **params)


def classifier(engine="laplace", **params):
    params = {"n_predictive_samples": 64, "random_state": 0} | params
    return BayesianMLPClassifier((4,), inference=clone(CHEAP[engine]), **params)


def check_answers(reg, X, y):
    """Everything a regressor says about these rows is finite and in order."""
    mean, std = reg.predict(X, return_std=True)
    interval = reg.predict_interval(X)
    assert mean.shape == std.shape == (len(X),)
    assert np.isfinite(mean).all()
    assert np.isfinite(std).all()
    assert (std > 0).all()
    assert np.isfinite(interval).all()
    assert (interval[:, 0] < interval[:, 1]).all()
    assert np.isfinite(reg.log_predictive(X, y)).all()
    assert np.isfinite(reg.sample_y(X, 2)).all()
    assert np.isfinite(list(reg.predict_uncertainty(X).values())).all()


def check_probabilities(clf, X):
    proba = clf.predict_proba(X)
    assert np.isfinite(proba).all()
    assert_allclose(proba.sum(axis=1), 1, rtol=1e-6)
    assert np.isfinite(list(clf.predict_uncertainty(X).values())).all()


# --- weights ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (-np.ones(60), r"[Nn]egative"),
        (np.r_[-1.0, np.ones(59)], r"[Nn]egative"),
        (np.zeros(60), "at least one non-zero"),
        (np.r_[np.nan, np.ones(59)], "sample_weight contains NaN"),
        (np.r_[np.inf, np.ones(59)], "sample_weight contains infinity"),
        (np.ones(59), r"sample_weight.shape == \(59,\), expected \(60,\)"),
        (np.ones((60, 2)), "[Ss]ample.weights must be 1D"),
        (["heavy"] * 60, "could not convert string to float: .*heavy"),
    ],
    ids=["negative", "one negative", "zero", "nan", "inf", "short", "2-d", "text"],
)
def test_weights(weight, message):
    reg = regressor()
    with pytest.raises(ValueError, match=message):
        reg.fit(X, Y, sample_weight=weight)
    assert not hasattr(reg, "posterior_")


def test_class_of_weight_zero_is_known():
    weight = np.where(SPECIES == 2, 0.0, 1.0)
    clf = classifier().fit(IRIS, SPECIES, sample_weight=weight)
    assert_array_equal(clf.classes_, [0, 1, 2])
    assert (clf.predict(IRIS) != 2).all()


def test_tiny_and_huge_weights():
    check_answers(regressor().fit(X, Y, sample_weight=np.full(60, 1e-12)), X, Y)
    check_answers(regressor().fit(X, Y, sample_weight=np.full(60, 1e6)), X, Y)


# --- labels and targets -------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (
            np.array(["a", 1] * 25, dtype=object),
            r"y mixes labels of types \['int', 'str'\].*astype",
        ),
        (np.array(["a", None] * 25, dtype=object), r"y mixes labels of types"),
        (np.zeros(50), r"at least 2 classes, but y holds one class"),
        (np.linspace(0, 1, 50), "Unknown label type: .*continuous"),
        (np.r_[np.nan, np.ones(49)], "Input y contains NaN"),
        (np.ones((50, 2)), "1d array"),
        (np.ones(49), r"inconsistent numbers of samples: \[50, 49\]"),
        (None, "requires y to be passed, but the target y is None"),
    ],
    ids=["mixed", "none", "one class", "continuous", "nan", "2-d", "short", "missing"],
)
def test_labels(labels, message):
    clf = classifier()
    with pytest.raises(ValueError, match=message):
        clf.fit(IRIS, labels)
    assert not hasattr(clf, "posterior_")


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (np.r_[np.nan, Y[1:]], "Input y contains NaN"),
        (np.r_[np.inf, Y[1:]], "Input y contains infinity"),
        (Y[1:], r"inconsistent numbers of samples: \[60, 59\]"),
        (None, "requires y to be passed, but the target y is None"),
        (Y.astype(complex), "Complex data not supported"),
        (np.array(["much"] * 60), "could not convert string to float: .*much"),
    ],
    ids=["nan", "inf", "short", "missing", "complex", "text"],
)
def test_targets(targets, message):
    with pytest.raises(ValueError, match=message):
        regressor().fit(X, targets)


def test_unseen_labels_have_no_density():
    clf = classifier().fit(IRIS, SPECIES)
    for call in (clf.log_predictive, clf.score_evidence):
        with pytest.raises(ValueError, match=r"labels that fit did not see: \[.*7.*\]"):
            call(IRIS, np.full(50, 7))


def test_density_of_targets_of_another_shape():
    reg = regressor().fit(X, Y)
    with pytest.raises(ValueError, match="y has 2 targets but fit saw 1"):
        reg.log_predictive(X, np.column_stack([Y, Y]))
    with pytest.raises(ValueError, match="X has 60 rows but y has 59"):
        reg.log_predictive(X, Y[1:])
    with pytest.raises(ValueError, match="y contains NaN"):
        reg.log_predictive(X[:1], [np.nan])
    with pytest.raises(ValueError, match="both X and y, or neither"):
        reg.score_evidence(X)


# --- rows ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "error", "message"),
    [
        (np.where(X[3, 3] == X, np.nan, X), ValueError, "Input X contains NaN"),
        (np.where(X[3, 3] == X, np.inf, X), ValueError, "Input X contains infinity"),
        (X[:, 0], ValueError, "Expected 2D array, got 1D array"),
        (X[None], ValueError, "Found array with dim 3"),
        (X[:0], ValueError, r"Found array with 0 sample\(s\)"),
        (X[:, :0], ValueError, r"Found array with 0 feature\(s\)"),
        (X.astype(complex), ValueError, "Complex data not supported"),
        (X.astype(str) + "?", ValueError, "could not convert string to float"),
    ],
    ids=["nan", "inf", "1-d", "3-d", "no rows", "no columns", "complex", "text"],
)
def test_rows(rows, error, message):
    with pytest.raises(error, match=message):
        regressor().fit(rows, Y[: len(rows)])
    fitted = regressor().fit(X, Y)
    with pytest.raises(ValueError, match=f"{message}|has 0 features|is expecting 10 features"):
        fitted.predict(rows)


def test_another_number_of_columns():
    reg = regressor().fit(X, Y)
    for verb in (reg.predict, reg.predict_std, reg.predict_interval, reg.sample_y):
        with pytest.raises(ValueError, match=r"X has 9 features, but .* is expecting 10"):
            verb(X[:, 1:])


def test_columns_of_objects_that_are_numbers():
    assert_array_equal(
        regressor().fit(X.astype(object), Y).predict(X), regressor().fit(X, Y).predict(X)
    )


@pytest.mark.parametrize("verb", ["predict", "predict_std", "sample_posterior", "score_evidence"])
def test_unfitted(verb):
    arguments = (X,) if verb.startswith("predict") else ()
    with pytest.raises(NotFittedError):
        getattr(regressor(), verb)(*arguments)


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
        if engine == "deep_ensemble":
            # At a noise near zero gradient steps are many until members agree.
            reg.set_params(inference__max_iter=400)
        reg.fit(X, np.full(60, value))
        check_answers(reg, X, np.full(60, value))
        mean, std = reg.predict(X, return_std=True)
        assert (np.abs(mean - value) < 5 * std).all()
        # Even a short fit lowers the noise from the prior's median, where it starts.
        assert (std < np.exp(LOG_HALF_NORMAL_MEDIAN) * (abs(value) or 1.0)).all()


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
    with pytest.raises(DivergenceError, match=r"kicks had to be cut; raise inference__warmup"):
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


# --- parts that do not fit ----------------------------------------------------------

PROPER_ONLY = {"laplace", "mean_field_vi", "hmc", "nuts", "sghmc", "sgld", "mclmc"}


@pytest.mark.parametrize("prior", ["flat", Flat()], ids=["name", "object"])
@ENGINES
def test_improper_prior(engine, prior):
    reg = regressor(engine, prior=prior)
    if engine in PROPER_ONLY:
        message = rf"{type(CHEAP[engine]).__name__} needs a proper prior but prior=Flat.*'map'"
        with pytest.raises(IncompatiblePartsError, match=message):
            reg.fit(X, Y)
        assert not hasattr(reg, "posterior_")
        return
    check_answers(reg.fit(X, Y), X, Y)
    with pytest.raises(EvidenceUnavailableError, match=r"Flat is improper.*prior='normal'"):
        reg.score_evidence()


def test_anchored_ensemble_needs_a_proper_prior():
    reg = regressor("deep_ensemble", prior="flat").set_params(inference__anchored=True)
    with pytest.raises(IncompatiblePartsError, match="needs a proper prior"):
        reg.fit(X, Y)


def test_auto_takes_an_engine_that_fits_an_improper_prior():
    reg = BayesianMLPRegressor((), prior="flat", random_state=0).fit(X, Y)
    assert type(reg.inference_).__name__ == "MAP"


@pytest.mark.parametrize("engine", ["map", "mc_dropout", "deep_ensemble"])
def test_engines_without_evidence_name_one_that_has(engine):
    with pytest.raises(EvidenceUnavailableError, match=r"has no evidence; use inference='laplace'"):
        regressor(engine).fit(X, Y).score_evidence()


def test_evidence_that_was_switched_off():
    reg = regressor().set_params(inference__evidence=None).fit(X, Y)
    with pytest.raises(EvidenceUnavailableError, match="inference__evidence="):
        reg.score_evidence()


@pytest.mark.parametrize("likelihood", ["bernoulli", "categorical"])
def test_likelihood_of_classes_in_a_regressor(likelihood):
    with pytest.raises(ValueError, match=r"'likelihood' parameter.*Got '" + likelihood):
        regressor(likelihood=likelihood).fit(X, Y)


def test_likelihood_of_numbers_in_a_classifier():
    with pytest.raises(ValueError, match=r"'likelihood' parameter.*Got 'gaussian'"):
        classifier(likelihood="gaussian").fit(IRIS, SPECIES)
    with pytest.raises(IncompatiblePartsError, match=r"Gaussian.*does not fit.*'bernoulli'"):
        classifier(likelihood=Gaussian()).fit(IRIS, SPECIES)


def test_bernoulli_of_three_classes():
    with pytest.raises(IncompatiblePartsError, match=r"y has 3; use likelihood='categorical'"):
        classifier(likelihood="bernoulli").fit(IRIS, SPECIES)


# --- parameters ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"inference": "gibbs"}, "'inference' parameter.*Got 'gibbs'"),
        ({"prior": "horseshoe"}, "'prior' parameter.*Got 'horseshoe'"),
        ({"likelihood": 3}, "'likelihood' parameter.*Got 3"),
        ({"inference": Laplace}, "'inference' parameter"),
        ({"activation": "sine"}, "'activation' parameter.*Got 'sine'"),
        ({"scale_inputs": "row"}, "'scale_inputs' parameter.*Got 'row'"),
        ({"n_predictive_samples": 0}, "'n_predictive_samples' parameter.*Got 0"),
        ({"memory_budget": -1.0}, "'memory_budget' parameter.*Got -1"),
        ({"dtype": "float16"}, "'dtype' parameter.*Got 'float16'"),
        ({"random_state": "lucky"}, "'random_state' parameter.*Got 'lucky'"),
        ({"hidden_layer_sizes": (4, 0)}, r"hidden_layer_sizes.*\(4, 0\).*\(\) makes a linear"),
        ({"hidden_layer_sizes": (2.5,)}, r"hidden_layer_sizes.*\(2\.5,\)"),
        ({"inference": MAP(max_iter=0)}, "'max_iter' parameter of MAP.*Got 0"),
        ({"inference": MAP(learning_rate=-1)}, "'learning_rate' parameter of MAP.*Got -1"),
        ({"inference": MAP(batch_size=0)}, "'batch_size' parameter of MAP.*Got 0"),
        ({"inference": MAP(tol=-1)}, "'tol' parameter of MAP.*Got -1"),
        ({"inference": Laplace(structure="block")}, "'structure' parameter of Laplace.*'block'"),
        ({"inference": MCDropout(rate=1.0)}, "'rate' parameter of MCDropout.*Got 1.0"),
        ({"inference": MeanFieldVI(gradient="exact")}, "'gradient' parameter of MeanFieldVI"),
        ({"inference": MeanFieldVI(n_particles=0)}, "'n_particles' parameter of MeanFieldVI"),
        ({"inference": DeepEnsemble(n_members=0)}, "'n_members' parameter of DeepEnsemble"),
        ({"inference": HMC(n_samples=1)}, "'n_samples' parameter of HMC.*Got 1"),
        ({"inference": HMC(target_accept=1.0)}, "'target_accept' parameter of HMC"),
        ({"inference": HMC(evidence="harmonic")}, "'evidence' parameter of HMC.*'harmonic'"),
        ({"prior": Normal(scale=-1.0)}, "'scale' parameter of Normal.*Got -1"),
        ({"prior": Normal(scale="big")}, "'scale' parameter of Normal.*Got 'big'"),
        ({"prior": StudentT(df=0)}, "'df' parameter of StudentT.*Got 0"),
        ({"prior": ScaleMixture(mixing=2.0)}, "'mixing' parameter of ScaleMixture.*Got 2"),
        ({"likelihood": Gaussian(noise=0.0)}, "'noise' parameter of Gaussian.*Got 0"),
        ({"likelihood": StudentTLikelihood(df=2.0)}, "'df' parameter of StudentTLikelihood"),
    ],
    ids=lambda value: next(iter(value.items())).__repr__() if isinstance(value, dict) else "",
)
def test_bad_parameters_are_named_with_their_value(params, message):
    reg = regressor().set_params(**params)
    with pytest.raises(ValueError, match=message):
        reg.fit(X, Y)
    assert not hasattr(reg, "posterior_")


def test_nested_parameters_of_auto():
    with pytest.raises(ValueError, match=r"inference='auto'.*choose one of \[.*'hmc'"):
        BayesianMLPRegressor().set_params(inference__max_iter=3)


def test_unknown_nested_parameter():
    with pytest.raises(ValueError, match="Invalid parameter 'scales' for estimator Normal"):
        BayesianMLPRegressor().set_params(prior__scales=3)
    with pytest.raises(ValueError, match="Invalid parameter 'speed'"):
        BayesianMLPRegressor().set_params(speed=3)


def test_bad_arguments_of_the_verbs():
    reg = regressor().fit(X, Y)
    for coverage in (0, 1, 90, -0.5, np.nan, "half", None):
        with pytest.raises(
            ValueError, match=f"coverage must lie between 0 and 1, got {coverage!r}"
        ):
            reg.predict_interval(X, coverage=coverage)
    # A coverage whose upper quantile's level rounds to one.
    assert_array_equal(reg.predict_interval(X[:1], np.nextafter(1, 0)), [[-np.inf, np.inf]])
    with pytest.raises(ValueError, match="kind='model' is not known; use one of"):
        reg.predict_std(X, kind="model")
    for n_samples in (0, -1, 2.5, "ten"):
        for arguments in ((n_samples,), (n_samples, X)):
            with pytest.raises(ValueError, match="n_samples must be a positive integer, got"):
                reg.sample_posterior(*arguments)
        with pytest.raises(ValueError, match="n_samples must be a positive integer, got"):
            reg.sample_y(X, n_samples)


# --- divergence ---------------------------------------------------------------------

HUGE = {
    "map": MAP(max_iter=60, learning_rate=1e30),
    "laplace": Laplace(max_iter=60, learning_rate=1e30),
    "mean_field_vi": MeanFieldVI(max_iter=60, learning_rate=1e30),
    "mc_dropout": MCDropout(max_iter=60, learning_rate=1e30),
    "deep_ensemble": DeepEnsemble(max_iter=60, learning_rate=1e30),
    "hmc": HMC(n_samples=10, warmup=10, step_size=1e3),
    "nuts": NUTS(n_samples=10, warmup=10, step_size=1e3),
    "sghmc": SGHMC(step_size=1e3),
    "sgld": SGLD(step_size=1e3),
    "mclmc": MCLMC(step_size=1e3, n_samples=20, warmup=20),
}


@ENGINES
@pytest.mark.parametrize("kind", ["regressor", "classifier"])
def test_divergence_is_an_error_that_names_engine_and_remedy(engine, kind):
    estimator, rows, y = (
        (regressor(), X, Y) if kind == "regressor" else (classifier(), IRIS, SPECIES)
    )
    estimator.set_params(inference=HUGE[engine])
    step = "learning_rate" if "max_iter" in HUGE[engine].get_params() else "step_size"
    named = rf"{type(HUGE[engine]).__name__} .*inference__{step} \(now 1e\+"
    with pytest.raises(DivergenceError, match=named) as e:
        estimator.fit(rows, y)
    assert isinstance(e.value, ValueError)
    assert not hasattr(estimator, "posterior_")
    with pytest.raises(NotFittedError):
        estimator.predict(rows)


@ENGINES
def test_failed_refit_leaves_the_estimator_unfitted(engine):
    """An estimator whose parameters and posterior belong together, or none."""
    reg = regressor().fit(X, Y).set_params(inference=HUGE[engine])
    with pytest.raises(DivergenceError):
        reg.fit(X[:, :3], Y)
    with pytest.raises(NotFittedError):
        reg.predict(X)


def test_divergence_ends_the_progress_bar(capsys):
    with pytest.raises(DivergenceError):
        regressor(verbose=1).set_params(inference=HUGE["map"]).fit(X, Y)
    assert capsys.readouterr().err.endswith("\n")


def test_missing_values_in_the_middle_of_a_fit(monkeypatch):
    """A gradient that goes bad late is noticed, not averaged away."""
    calls = []
    true = Model.value_and_grad

    def spoiled(self, params, data, scale=1.0):
        calls.append(1)
        value, grad = true(self, params, data, scale)
        return value, grad * (np.nan if len(calls) > 15 else 1.0)

    monkeypatch.setattr(Model, "value_and_grad", spoiled)
    with pytest.raises(DivergenceError):
        regressor("map").set_params(inference__max_iter=1000, inference__tol=0.0).fit(X, Y)
    # Soon after, not at the end of a long run.
    assert len(calls) < 50


def test_warm_start_refuses_other_classes():
    clf = classifier(warm_start=True).fit(IRIS, SPECIES)
    with pytest.raises(ValueError, match=r"needs the classes of the first fit, \[.*warm_start=Fal"):
        clf.fit(IRIS, SPECIES + 1)
    # What was fitted is still there, and still itself.
    assert_array_equal(clf.predict_proba(IRIS), classifier().fit(IRIS, SPECIES).predict_proba(IRIS))


@ENGINES
def test_warm_start_that_fails_keeps_the_first_fit(engine):
    reg = regressor(engine, warm_start=True).fit(X, Y)
    before = reg.predict(X)
    with pytest.raises(DivergenceError):
        reg.set_params(inference=HUGE[engine]).fit(X, Y)
    assert_array_equal(reg.predict(X), before)
