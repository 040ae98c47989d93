"""Scale priors against SciPy and quadrature; names, nesting and refusals."""

import numpy as np
import pytest
import torch
from scipy.integrate import IntegrationWarning
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from skbayes import BayesianMLPRegressor
from skbayes.likelihoods import Gaussian, SharedGaussian, StudentTLikelihood
from skbayes.priors import (
    PRIORS,
    SCALE_PRIORS,
    Flat,
    Gamma,
    HalfCauchy,
    HalfNormal,
    HalfStudentT,
    InverseGamma,
    LogNormal,
    Normal,
)
from skbayes.scale_priors import as_scale_prior
from skbayes.utils._random import make_generator
from tests.engine_configs import quick_engine
from tests.scale_priors import checks

FAMILIES = [
    HalfNormal(),
    HalfNormal(width=0.3),
    HalfCauchy(),
    HalfCauchy(width=2.5),
    HalfStudentT(),
    HalfStudentT(df=0.6, width=0.4),
    HalfStudentT(df=30.0, width=3.0),
    Gamma(),
    Gamma(shape=0.4, width=3.0),
    Gamma(shape=9.0, width=0.1),
    InverseGamma(),
    InverseGamma(shape=0.5, width=0.2),
    InverseGamma(shape=6.0, width=4.0),
    LogNormal(),
    LogNormal(sigma=0.2, width=3.0),
]
#: What is changed in a family, one parameter at a time.
CHANGES = {"width": 2.0, "df": 7.0, "shape": 3.5, "sigma": 0.4}
X = np.random.default_rng(0).normal(size=(40, 2))
Y = X[:, 0] + 0.3 * np.random.default_rng(1).normal(size=40)


@pytest.fixture(params=FAMILIES, ids=str)
def prior(request):
    return request.param


def test_every_registered_family_is_tested():
    assert {type(p) for p in FAMILIES} == set(SCALE_PRIORS.values())


def test_density_is_that_of_scipy(prior):
    checks.check_density(prior)


def test_density_of_the_log_scale_integrates_to_one(prior):
    checks.check_normalised(prior)


def test_score_is_the_derivative(prior):
    checks.check_score(prior)


def test_draws_follow_the_density(prior):
    checks.check_samples(prior)


def test_the_tests_of_density_and_draws_see_a_fault(prior):
    """A density without its Jacobian, and draws that are a tenth too wide."""

    class WithoutJacobian(type(prior)):
        def log_prob(self, log_scale):
            return super().log_prob(log_scale) - log_scale

    # Of the family itself, whose constructor tells its parameters.
    faulty = type(prior).__new__(WithoutJacobian)
    vars(faulty).update(vars(prior))
    for check in (checks.check_normalised, checks.check_density):
        # What does not integrate at all is a warning of the quadrature.
        with pytest.raises((AssertionError, IntegrationWarning)):
            check(faulty)
    assert checks.p_value(prior, checks.draws(prior) + np.log(1.1)) < checks.P_LIMIT


def test_numbers_stay_finite_in_the_tails():
    log_scale = torch.tensor([-80.0, 80.0])
    for heavy in (HalfCauchy(), HalfStudentT(df=3.0)):
        assert torch.isfinite(heavy.log_prob(log_scale)).all()
        assert torch.isfinite(heavy.score(log_scale)).all()
    for small in (Gamma(shape=0.01), InverseGamma(shape=0.01), HalfStudentT(df=0.02)):
        assert np.isfinite(checks.draws(small)).all()
    draws = HalfCauchy().sample((3, 2), torch.empty(0, dtype=torch.float32), make_generator(0))
    assert draws.dtype == torch.float32
    assert draws.shape == (3, 2)


@pytest.mark.parametrize("family", SCALE_PRIORS.values(), ids=lambda kind: kind.__name__)
def test_every_parameter_changes_density_and_median(family):
    u = torch.linspace(-2, 2, 5, dtype=torch.float64)
    for name in family().get_params():
        changed = family(**{name: CHANGES[name]})
        assert not torch.allclose(changed.log_prob(u), family().log_prob(u)), name
        if (family, name) != (LogNormal, "sigma"):
            assert changed.log_median != family().log_median, name


# --- as parts of priors and likelihoods ---------------------------------------------------


def test_names_objects_and_numbers():
    assert isinstance(as_scale_prior("learned"), HalfNormal)
    for name, family in SCALE_PRIORS.items():
        assert type(as_scale_prior(name)) is family
        assert type(Normal(scale=name).scale_prior) is family
        assert type(Gaussian(noise=name).hyper_prior) is family
    own = HalfCauchy(0.5)
    assert Normal(scale=own).scale_prior is own
    assert Normal(scale=0.5).scale_prior is None
    assert Flat().scale_prior is None


@pytest.mark.parametrize("kind", [Gaussian, SharedGaussian, StudentTLikelihood])
def test_noise_is_learned_under_any_prior(kind):
    for noise in ("learned", "half_cauchy", LogNormal()):
        assert kind(noise=noise).n_hyper(1) == 1
    assert kind(noise=0.5).n_hyper(1) == 0
    prepared = kind(noise=LogNormal(sigma=0.3)).prepare(np.ones(1))
    assert prepared.hyper_prior.sigma == 0.3


def test_nested_parameters():
    reg = BayesianMLPRegressor().set_params(prior__scale__width=2.0)
    assert reg.prior.scale.width == 2.0
    assert isinstance(reg.prior.scale, HalfNormal)
    reg.set_params(prior__scale="half_student_t", prior__scale__df=5.0)
    assert reg.prior.scale.df == 5.0
    reg.set_params(likelihood="gaussian", likelihood__noise=HalfCauchy(0.5))
    again = clone(reg)
    assert again.likelihood.noise.width == 0.5
    assert again.likelihood.noise is not reg.likelihood.noise
    assert again.get_params()["prior__scale__df"] == 5.0


def test_a_grid_over_a_width_finds_the_one_that_fits():
    reg = BayesianMLPRegressor(
        (), prior=Normal(scale=HalfNormal()), inference=quick_engine("laplace"), random_state=0
    )
    search = GridSearchCV(reg, {"prior__scale__width": [1e-3, 1.0]}, cv=2).fit(X, Y)
    assert search.best_params_ == {"prior__scale__width": 1.0}


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        ({"prior": Normal(scale=HalfCauchy(-1.0))}, "'width' parameter of HalfCauchy"),
        ({"likelihood": Gaussian(noise=Gamma(shape=0.0))}, "'shape' parameter of Gamma"),
        ({"prior": Normal(scale="half_cauchi")}, "half_cauchy"),
        ({"prior": Normal(scale=HalfCauchy)}, r"scale=HalfCauchy\(\)"),
        ({"prior": Normal(groups="layers")}, "'layer'"),
    ],
)
def test_refusals_name_the_parameter(wrong, what):
    with pytest.raises(ValueError, match=what):
        BayesianMLPRegressor((), **wrong).fit(X, Y)


@pytest.mark.parametrize("name", sorted(set(PRIORS) - {"flat"}))
def test_every_prior_takes_a_scale_prior(name):
    kind = PRIORS[name]
    assert kind(scale=HalfCauchy(), groups="unit").get_params()["scale__width"] == 1.0
