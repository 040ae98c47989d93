"""Importance evidence against closed forms and quadrature."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.special import logsumexp
from scipy.stats import halfnorm, multivariate_t, norm
from sklearn.base import clone

from skbayes.evidence import exchangeable_layers
from skbayes.evidence._importance import Defended, Widened, corrected_evidence
from skbayes.inference import Laplace, MeanFieldVI
from skbayes.inference.mode import _search as _mode
from skbayes.posteriors import GaussianPosterior
from skbayes.posteriors._factors import DiagonalFactor
from skbayes.utils._logs import MIN_EFFECTIVE_DRAWS, log_mean_exp
from skbayes.utils._random import make_generator
from tests.evidence.small_nets import (
    BLURRED,
    SmallNet,
    check_evidence,
    check_importance_of_small_net,
)
from tests.inference.draw_checks import check_importance_evidence
from tests.scenarios import (
    learned_problem,
    linear_problem,
    logistic_problem,
    make_run,
    run_engine,
)


@pytest.mark.parametrize("weighted", [False, True], ids=["equal", "weighted"])
def test_linear_model(weighted):
    check_importance_evidence(linear_problem(weighted=weighted))


def test_logistic_model():
    check_importance_evidence(logistic_problem())


def test_learned_scale_and_noise():
    """A skewed scale costs the normal proposal some accuracy."""
    check_importance_evidence(learned_problem(), largest_error=0.1)


def test_variational_proposal():
    """Importance sampling lifts the bound to the evidence, its tails being too light."""
    problem = linear_problem()
    _, posterior = run_engine(MeanFieldVI(n_particles=8, evidence="importance"), problem)
    assert posterior.evidence_kind == "importance"
    error = abs(posterior.log_evidence - problem.log_evidence)
    assert error < 4 * posterior.evidence_se
    assert error < abs(problem.mean_field_bound - problem.log_evidence)


#: Parts of the posterior well apart, and lying in one another; without signs; two layers.
NETS = {
    "one": SmallNet((1,)),
    "two": SmallNet((2,)),
    "blurred": BLURRED,
    "relu": SmallNet((2,), activation="relu"),
    "deep": SmallNet((2, 2), n_rows=4, noise=1.0),
}


@pytest.mark.parametrize("name", NETS)
def test_hidden_units(name):
    check_importance_of_small_net(NETS[name])


def about(engine, problem):
    """A normal posterior, its evidence by importance sampling."""
    engine = clone(engine).set_params(evidence="importance")
    return engine.run(problem.model, problem.data, make_run())


def test_modes_apart_are_not_seen():
    """Units of rectifiers have modes that are no images: Laplace's normal is about one of them."""
    posterior = about(Laplace("full"), NETS["relu"])
    exact, of_exact = NETS["relu"].log_evidence
    if posterior.log_evidence is not None:
        assert posterior.log_evidence < exact + 4 * np.hypot(posterior.evidence_se, of_exact)


@pytest.mark.parametrize(
    ("engine", "name"),
    [
        *((Laplace("full"), name) for name in NETS if name != "relu"),
        *((MeanFieldVI(max_iter=800), name) for name in NETS),
    ],
    ids=repr,
)
def test_a_normal_proposal_is_right_or_silent(engine, name):
    problem = NETS[name]
    posterior = about(engine, problem)
    if posterior.evidence_ess < MIN_EFFECTIVE_DRAWS:
        assert posterior.log_evidence is None
        assert posterior.evidence_kind is None
    else:
        check_evidence(posterior, problem, largest_error=1 / np.sqrt(MIN_EFFECTIVE_DRAWS))


@pytest.mark.parametrize("engine", [Laplace("full"), MeanFieldVI(max_iter=800)], ids=repr)
def test_errors_are_those_that_are_claimed(engine):
    """One unit has modes that are no images, and ridges: a proposal blind to them is too low."""
    problem = NETS["one"]
    posterior, (exact, of_exact) = about(engine, problem), problem.log_evidence
    off = []
    for seed in range(8):
        corrected_evidence(problem.model, problem.data, posterior, make_generator(seed))
        if posterior.evidence_ess >= MIN_EFFECTIVE_DRAWS:
            error = np.hypot(posterior.evidence_se, of_exact)
            off.append((posterior.log_evidence - exact) / error)
    assert len(off) >= 4
    # The mean of n standard normals, and the largest of them.
    assert abs(np.mean(off)) < 4 / np.sqrt(len(off))
    assert np.abs(off).max() < 4


def test_density_of_a_defended_proposal():
    """By hand: a normal, a Student-t and a prior, with learned scales and noise."""
    model = learned_problem().model()
    rng, size = np.random.default_rng(0), model.n_params
    mean, sd = rng.normal(size=size), rng.uniform(0.3, 2, size=size)
    proposal = Defended(Widened(GaussianPosterior(mean, [DiagonalFactor(0, sd)])), model)
    points, log_density = proposal.sample_with_density(400, make_generator(0))
    points = points.numpy()
    normal = norm.logpdf(points, mean, sd).sum(1)
    student = multivariate_t.logpdf(points, mean, np.diag(sd**2), df=3)
    wide = norm.logpdf(points).sum(1)
    wide -= norm.logpdf(points[:, model.n_weights :]).sum(1)
    scale = np.exp(points[:, model.n_weights :])
    wide += (halfnorm.logpdf(scale) + np.log(scale)).sum(1)
    parts = [normal + np.log(3 / 8), student + np.log(3 / 8), wide + np.log(1 / 4)]
    assert_allclose(log_density.numpy(), logsumexp(parts, axis=0), rtol=1e-6)


def test_images_bring_laplace_nearer_to_the_evidence(monkeypatch):
    problem = NETS["two"]
    errors = []
    for images in (_mode.exchangeable_layers, lambda *_: ()):
        monkeypatch.setattr(_mode, "exchangeable_layers", images)
        posterior = Laplace("full").run(problem.model, problem.data, make_run())
        errors.append(abs(posterior.log_evidence - problem.log_evidence[0]))
    assert errors[0] < 0.5
    assert errors[1] > 1


def test_a_prior_that_tells_units_apart():
    problem = NETS["two"]
    assert len(exchangeable_layers(problem.model, problem.data)) == 1
    for change in ({"means": problem.model.unit_scales}, {"unit_scales": tilted(problem)}):
        model = problem.model
        vars(model).update(change)
        assert exchangeable_layers(model, problem.data) == ()


def tilted(problem):
    scales = problem.model.unit_scales
    return scales * torch.linspace(1, 2, len(scales), dtype=scales.dtype)


# --- the error of a log mean ------------------------------------------------------------


def test_log_mean_exp():
    """Value, delta-method error and effective draws of weights that are much alike."""
    weights = np.random.default_rng(0).uniform(1, 2, size=4000)
    value, error, ess = log_mean_exp(np.log(weights) - 1000)
    assert value == pytest.approx(np.log(weights.mean()) - 1000)
    delta = weights.std(ddof=1) / weights.mean() / np.sqrt(4000)
    # Sixteen batches tell the same, to 1 / sqrt(30).
    assert 0.999 * delta <= error < 1.6 * delta
    assert ess == pytest.approx(1 / (1 / 4000 + error**2))


def test_error_of_a_mean_that_one_weight_carries_grows_with_it():
    log_weights = np.zeros(2000)
    errors = []
    for largest in (20.0, 200.0):
        log_weights[7] = largest
        value, error, ess = log_mean_exp(log_weights)
        assert value == pytest.approx(largest - np.log(2000))
        assert ess < 1
        errors.append(error)
    assert errors[0] > 1
    assert errors[1] > 50 * errors[0]


def test_error_grows_with_the_spread_of_few_means():
    noise = np.random.default_rng(0).normal(size=16)
    errors = [log_mean_exp(scale * noise, n_each=64)[1] for scale in (0.01, 0.1, 1.0, 10.0)]
    assert_allclose(errors[:2], np.array([0.01, 0.1]) * noise.std(ddof=1) / 4, rtol=0.1)
    assert errors[2] > 0.25
    assert errors[3] > 10


def test_autocorrelated_draws_count_for_less():
    log_weights = np.random.default_rng(0).normal(size=500)
    _, error, ess = log_mean_exp(log_weights)
    _, error_of_four, ess_of_four = log_mean_exp(log_weights, inefficiency=4.0)
    assert error_of_four == pytest.approx(2 * error)
    assert ess_of_four == pytest.approx(ess / 4)


def test_log_mean_exp_drops_points_outside_the_support():
    value, _, ess = log_mean_exp(np.array([0.0, np.nan, -np.inf, 0.0] * 500))
    assert value == pytest.approx(np.log(0.5))
    assert 1000 / 1.6**2 < ess < 1001


def test_no_weight_at_all_says_nothing():
    assert log_mean_exp(np.full(5, -np.inf)) == (-np.inf, np.inf, 0.0)
