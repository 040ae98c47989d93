"""Bad input is a clear error or a correct fit: never a silent wrong answer, never NaN."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.exceptions import NotFittedError

from skbayes import BayesianMLPRegressor
from skbayes.exceptions import EvidenceUnavailableError, IncompatiblePartsError
from skbayes.inference import (
    HMC,
    MAP,
    DeepEnsemble,
    Laplace,
    MCDropout,
    MeanFieldVI,
)
from skbayes.likelihoods import Gaussian, StudentTLikelihood
from skbayes.priors import Flat, Normal, ScaleMixture, StudentT
from tests.bad_input import (
    CHEAP,
    ENGINES,
    IRIS,
    SPECIES,
    X,
    Y,
    check_answers,
    classifier,
    regressor,
)

#: On rows that a network can interpolate noise vanishes, and short runs say that they diverge.
pytestmark = pytest.mark.filterwarnings("ignore:.*moves diverged")


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
        (np.array(["a", None] * 25, dtype=object), "Input y contains NaN, None or NA in 25 of 50"),
        (np.zeros(50), r"at least 2 classes, but y holds one class"),
        (np.linspace(0, 1, 50), "Unknown label type: .*continuous"),
        (np.r_[np.nan, np.ones(49)], "Input y contains NaN"),
        (np.arange(100).reshape(50, 2), "1d array"),
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


# --- parts that do not fit ----------------------------------------------------------

PROPER_ONLY = {
    "laplace",
    "mean_field_vi",
    "gaussian_vi",
    "swag",
    "hmc",
    "nuts",
    "sghmc",
    "sgld",
    "mclmc",
}


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


@pytest.mark.parametrize("engine", ["map", "mc_dropout", "deep_ensemble", "swag"])
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
        ({"hidden_layer_sizes": (4, 0)}, r"hidden_layer_sizes.*\(4, 0\).*\(\) leaves them out"),
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
    with pytest.raises(ValueError, match=r"inference='auto' is chosen in fit.*'map', 'laplace'"):
        BayesianMLPRegressor().set_params(inference__max_iter=3)


def test_unknown_nested_parameter():
    with pytest.raises(ValueError, match="Normal has no parameter 'scales'; did you mean 'scale'"):
        BayesianMLPRegressor().set_params(prior__scales=3)
    with pytest.raises(ValueError, match="has no parameter 'speed'; it has activation"):
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
        for arguments in ((None, n_samples), (X, n_samples)):
            with pytest.raises(ValueError, match="n_samples must be a positive integer, got"):
                reg.sample_posterior(*arguments)
        with pytest.raises(ValueError, match="n_samples must be a positive integer, got"):
            reg.sample_y(X, n_samples)
