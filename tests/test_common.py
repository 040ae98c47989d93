"""scikit-learn's checks and the contract's, on every engine and on the defaults."""

from functools import partial
from itertools import zip_longest

import pytest
from sklearn.utils.estimator_checks import estimator_checks_generator

from skbayes import BayesianMLPClassifier, BayesianMLPRegressor
from skbayes.inference import HMC, INFERENCES
from skbayes.likelihoods import LIKELIHOODS
from skbayes.priors import PRIORS
from skbayes.testing import bayesian_checks_generator
from tests import conformance
from tests.engine_configs import QUICK, quick_classifier, quick_engine, quick_regressor
from tests.every_estimator import ESTIMATORS

# Runs this short must warn that they did not converge; any other warning is an error.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

MAKERS = (quick_regressor, quick_classifier)
#: Gaussian posteriors and dropout; particles come with the defaults, which sample.
THOROUGH = [quick_regressor("laplace"), quick_classifier("mc_dropout")]


def without_evidence(name):
    """An engine; samplers without their evidence, which all of them share with `hmc`."""
    sampler = "n_chains" in QUICK[name] or "warmup" in QUICK[name]
    return quick_engine(name, **({"evidence": None} if sampler else {}))


#: Every other engine, and classes where an engine has a way of its own with them.
OTHERS = [
    *(
        quick_regressor(without_evidence(name))
        for name in INFERENCES
        if name not in ("laplace", "hmc", "deep_ensemble")
    ),
    quick_regressor(quick_engine("laplace", hyperparameters="evidence")),
    quick_classifier("laplace"),
    quick_classifier("mean_field_vi"),
    # The plain ensemble is not consistent; anchored and with noisy targets it is, once trained.
    quick_regressor(quick_engine("deep_ensemble", anchored=True, max_iter=200)),
]
DEFAULTS = [BayesianMLPClassifier(), BayesianMLPRegressor()]
SAMPLED = [quick_regressor("hmc"), quick_classifier("hmc")]


def with_parts(engine):
    """Estimators that between them have every registered prior and likelihood but the defaults."""
    likelihoods = [
        name
        for name, kind in LIKELIHOODS.items()
        if kind.target == "numeric" and name != "gaussian"
    ]
    pairs = zip_longest([name for name in PRIORS if name != "normal"], likelihoods)
    return [
        *(
            quick_regressor(engine, prior=prior or "normal", likelihood=likelihood or "gaussian")
            for prior, likelihood in pairs
        ),
        quick_classifier(engine, prior="student_t", likelihood="categorical"),
    ]


@pytest.fixture
def numpy_state_stays():
    """Let scikit-learn's checks draw from NumPy's generator; the contract's look at ours."""


def test_every_engine_is_quick():
    assert [name for name, params in QUICK.items() if not params] == []


def test_every_engine_is_checked():
    used = {type(each.inference) for each in [*THOROUGH, *OTHERS, *SAMPLED]}
    assert used == set(INFERENCES.values())


def test_checks_of_parts_exist():
    every = [*ESTIMATORS.values(), *DEFAULTS]
    for generator, of_parts in (
        (estimator_checks_generator, conformance.SCIKIT_LEARN_OF_PARTS),
        (bayesian_checks_generator, conformance.CONTRACT_OF_PARTS),
    ):
        asked = {
            check.func.__name__
            for each in every
            if hasattr(each, "score_evidence") or generator is estimator_checks_generator
            for _, check in generator(each)
        }
        assert asked >= of_parts


@conformance.scikit_learn(THOROUGH, OTHERS)
def test_scikit_learn(estimator, check):
    check(estimator)


#: Checks that a long run could fail where a short one passes: bits that drift apart.
LENGTH_MATTERS = {
    "check_sample_weight_equivalence_on_dense_data",
    "check_methods_subset_invariance",
}


@pytest.fixture
def default_engine(request, monkeypatch):
    """What `inference="auto"` samples with, its run cut short, less so where length matters."""
    matters = request.node.callspec.params["check"].func.__name__ in LENGTH_MATTERS
    long = {"n_samples": 20, "warmup": 20, "max_leapfrog": 50, "max_extensions": 0}
    length = {**long, "evidence": None} if matters else QUICK["hmc"]
    monkeypatch.setitem(INFERENCES, "hmc", partial(HMC, **length))


@pytest.mark.usefixtures("default_engine")
@conformance.scikit_learn(DEFAULTS)
def test_scikit_learn_on_defaults(estimator, check):
    check(estimator)


def test_checks_of_length_are_scikit_learns():
    listed = (
        check.func.__name__
        for default in DEFAULTS
        for _, check in estimator_checks_generator(default)
    )
    assert set(listed) >= LENGTH_MATTERS


@pytest.mark.parametrize("check", conformance.OUTSIDE_ITS_LIST)
@pytest.mark.parametrize("make", MAKERS)
def test_scikit_learn_checks_outside_its_list(make, check):
    estimator = make()
    check(type(estimator).__name__, estimator)


@conformance.contract(
    [*THOROUGH, quick_classifier("laplace"), SAMPLED[0]],
    [*OTHERS, *with_parts("deep_ensemble")],
)
def test_contract(estimator, check):
    check(estimator)
