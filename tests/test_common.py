"""scikit-learn's checks and the contract's, on every engine and on the defaults."""

from functools import partial

import pytest
from sklearn.utils.estimator_checks import (
    check_dataframe_column_names_consistency,
    check_inplace_ensure_writeable,
    check_param_validation,
    estimator_checks_generator,
    parametrize_with_checks,
)

from skbayes import BayesianMLPClassifier, BayesianMLPRegressor
from skbayes.inference import HMC, INFERENCES
from skbayes.likelihoods import LIKELIHOODS
from skbayes.priors import PRIORS
from skbayes.testing import (
    bayesian_checks_generator,
    parametrize_with_bayesian_checks,
)
from tests.engine_configs import QUICK, quick_classifier, quick_engine, quick_regressor

# Runs this short must warn that they did not converge; any other warning is an error.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

MAKERS = (quick_regressor, quick_classifier)
#: One engine for each kind of posterior goes through every check.
THOROUGH = ("map", "laplace", "mean_field_vi", "mc_dropout", "deep_ensemble", "hmc")
ENGINES = [make(name) for make in MAKERS for name in THOROUGH]
#: The others hand their draws to code that these go through: what is left are the checks of
#: what an engine itself may break.
OTHERS = [
    quick_regressor(
        quick_engine(name, **{"evidence": None} if INFERENCES[name].evidence_kind else {})
    )
    for name in INFERENCES
    if name not in THOROUGH
]
ENGINE_CHECKS = {
    "check_fit2d_1sample",
    "check_fit_idempotent",
    "check_methods_subset_invariance",
    "check_regressors_train",
    "check_sample_weight_equivalence_on_dense_data",
    "check_draws_follow_the_seed",
    "check_epistemic_falls_with_data",
    "check_evidence_is_joint",
    "check_fit_reproduces",
    "check_global_state_untouched",
    "check_named_draws",
    "check_predictions_leave_state",
    "check_refused_fit",
    "check_saved_bits",
    "check_target_units",
    "check_weights_repeat_rows",
}
DEFAULTS = [BayesianMLPClassifier(), BayesianMLPRegressor()]


def with_parts(engine):
    """Estimators that between them have every prior and likelihood but the defaults."""
    return [
        quick_regressor(engine, prior="laplace", likelihood="heteroscedastic"),
        quick_regressor(engine, prior="cauchy", likelihood="student_t"),
        quick_regressor(engine, prior="scale_mixture"),
        quick_regressor(engine, prior="flat"),
        quick_classifier(engine, prior="student_t", likelihood="categorical"),
    ]


@pytest.fixture
def numpy_state_stays():
    """Let scikit-learn's checks draw from NumPy's generator; the contract's look at ours."""


def test_every_engine_has_a_quick_configuration():
    assert QUICK.keys() == INFERENCES.keys()


def test_every_part_is_used():
    estimators = with_parts("map")
    assert {"normal", *(e.prior for e in estimators)} == PRIORS.keys()
    defaults = {"gaussian", "bernoulli"}
    assert {*defaults, *(e.likelihood for e in estimators)} - {"auto"} == LIKELIHOODS.keys()


def checks_once(estimators, alone):
    """Pairs of estimators and checks; rows from files, which no engine sees, for ``alone``."""
    return [
        pytest.param(estimator, check, id=f"{estimator!r}-{check.func.__name__}-{number}")
        for each in estimators
        for number, (estimator, check) in enumerate(estimator_checks_generator(each))
        if each in alone or not check.keywords.get("readonly_memmap")
    ]


@pytest.mark.parametrize(("estimator", "check"), checks_once(ENGINES, [ENGINES[1], ENGINES[7]]))
def test_scikit_learn_on_every_engine(estimator, check):
    check(estimator)


def checks_of_engines(generator):
    """Pairs of the other engines and the checks that look at an engine, for parametrize."""
    return [
        pytest.param(estimator, check, id=f"{estimator.inference!r}-{check.func.__name__}")
        for other in OTHERS
        for estimator, check in generator(other)
        if check.func.__name__ in ENGINE_CHECKS
    ]


@pytest.mark.parametrize(
    ("estimator", "check"),
    [
        *checks_of_engines(estimator_checks_generator),
        *checks_of_engines(bayesian_checks_generator),
    ],
)
def test_other_samplers(estimator, check):
    check(estimator)


def test_checks_of_engines_exist():
    every = [*estimator_checks_generator(OTHERS[0]), *bayesian_checks_generator(OTHERS[0])]
    assert {check.func.__name__ for _, check in every} >= ENGINE_CHECKS


@parametrize_with_checks(with_parts("map"), xfail_strict=True)
def test_scikit_learn_on_every_part(estimator, check):
    check(estimator)


#: Checks that a long run could fail where a short one passes: bits that drift apart, learning.
LENGTH_MATTERS = {
    "check_sample_weight_equivalence_on_dense_data",
    "check_methods_subset_invariance",
    "check_classifiers_train",
    "check_regressors_train",
}


@pytest.fixture
def default_engine(request, monkeypatch):
    """What `inference="auto"` samples with, its run cut short but where the length matters."""
    check = request.node.callspec.params["check"]
    # Once: the other ways in which rows come are no matter of length.
    matters = check.func.__name__ in LENGTH_MATTERS and not check.keywords.get("readonly_memmap")
    engine = partial(HMC, max_extensions=0) if matters else partial(HMC, **QUICK["hmc"])
    monkeypatch.setitem(INFERENCES, "hmc", engine)


@pytest.mark.slow
@pytest.mark.usefixtures("default_engine")
@parametrize_with_checks(DEFAULTS, xfail_strict=True)
def test_scikit_learn_on_defaults(estimator, check):
    check(estimator)


def test_checks_of_length_are_scikit_learns():
    listed = (
        check.func.__name__
        for default in DEFAULTS
        for _, check in estimator_checks_generator(default)
    )
    assert set(listed) >= LENGTH_MATTERS


@pytest.mark.parametrize(
    "check",
    [
        check_dataframe_column_names_consistency,
        check_inplace_ensure_writeable,
        check_param_validation,
    ],
)
@pytest.mark.parametrize("make", MAKERS)
def test_scikit_learn_checks_outside_its_list(make, check):
    estimator = make()
    check(type(estimator).__name__, estimator)


# The plain ensemble is not consistent; anchored and with noisy targets it is, once trained.
ANCHORED = quick_regressor(quick_engine("deep_ensemble", anchored=True, max_iter=200))


@parametrize_with_bayesian_checks([*ENGINES, ANCHORED])
def test_contract_on_every_engine(estimator, check):
    check(estimator)


@parametrize_with_bayesian_checks(with_parts("deep_ensemble"))
def test_contract_on_every_part(estimator, check):
    check(estimator)
