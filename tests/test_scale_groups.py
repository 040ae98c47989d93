"""Groups of weights that share a scale: log joint, gradients, engines against exact answers."""

import itertools

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from scipy.optimize import minimize
from scipy.special import log_softmax

from skbayes import BayesianMLPClassifier, BayesianMLPRegressor, _model, io
from skbayes._model import Model
from skbayes.evidence import exchangeable_layers, importance_evidence
from skbayes.exceptions import IncompatiblePartsError
from skbayes.inference import INFERENCES, MAP, DeepEnsemble, Laplace
from skbayes.inference.mcmc._coordinates import (
    Coordinates,
    OutputCoordinates,
    sampling_coordinates,
)
from skbayes.likelihoods import Categorical, Gaussian, StudentTLikelihood
from skbayes.networks import MLPNetwork, encoder_decoder
from skbayes.posteriors import ParticlePosterior
from skbayes.priors import (
    Gamma,
    HalfCauchy,
    HalfNormal,
    HalfStudentT,
    InverseGamma,
    LaplacePrior,
    LogNormal,
    Normal,
)
from skbayes.priors._groups import GROUPS, group_index
from skbayes.utils._random import make_generator
from tests.engine_configs import quick_engine
from tests.inference import draw_checks
from tests.scale_priors.checks import exact
from tests.scenarios import LIKE, grid_posterior, linear_problem, make_run, run_engine, to_data
from tests.test_model import check_gradient

SIZES = (3, 4, 2)
#: Number of scales of the net above, which has 26 weights.
N_SCALES = {"layer": 2, "network": 1, "unit": 6, "input": 5, "weight": 26}
FAMILIES = [
    HalfNormal(0.8),
    HalfCauchy(0.5),
    HalfStudentT(df=3.0),
    InverseGamma(shape=3.0, width=2.0),
    Gamma(shape=8.0, width=0.1),
    LogNormal(sigma=0.05, width=0.7),
]


def named_group(groups, layer, unit, column):
    """What a weight's scale goes by; a bias has no column."""
    if groups == "network":
        return "all"
    if groups == "layer":
        return layer
    if groups == "unit":
        return layer, unit
    if groups == "input":
        return (layer, column) if layer == 0 else layer
    return layer, unit, column


def problem_of(groups, scale=None, likelihood=None):
    """A small net of three classes' logits or two targets, and points to look at."""
    scale, likelihood = scale or HalfStudentT(df=3.0, width=0.7), likelihood or Categorical()
    rng = np.random.default_rng(1)
    X = rng.normal(size=(8, 3))
    y = rng.integers(0, 2, 8) if likelihood.target == "classes" else rng.normal(size=(8, 2))
    model = Model(MLPNetwork(3, 2, (4,)), Normal(scale, groups=groups), likelihood, 2, LIKE)
    params = 0.7 * torch.randn(3, model.n_params, generator=make_generator(5), dtype=LIKE.dtype)
    return model, to_data(X, y, rng.integers(1, 4, 8).astype(float)), params


def log_joint_by_hand(model, data, packed, groups, prior):
    """By loops over layers, units and columns, with NumPy and SciPy."""
    n_weights = sum(b * (a + 1) for a, b in itertools.pairwise(SIZES))
    z, log_scales = packed[:n_weights], packed[n_weights : n_weights + N_SCALES[groups]]
    numbers, weights, at = {}, [], 0
    for layer, (n_in, n_out) in enumerate(itertools.pairwise(SIZES)):
        W, b = np.empty((n_out, n_in)), np.empty(n_out)
        # A scale of all layers is in the units of those that feed no logits.
        wide = 10.0 if layer == 1 and groups == "network" else 1.0
        for unit in range(n_out):
            for column in range(n_in):
                name = named_group(groups, layer, unit, column)
                scale = np.exp(log_scales[numbers.setdefault(name, len(numbers))])
                W[unit, column] = wide * scale * n_in**-0.5 * z[at]
                at += 1
        for unit in range(n_out):
            name = named_group(groups, layer, unit, None)
            b[unit] = wide * np.exp(log_scales[numbers.setdefault(name, len(numbers))]) * z[at]
            at += 1
        weights.append((W, b))
    (W, b), (V, c) = weights
    logits = np.tanh(data.X.numpy() @ W.T + b) @ V.T + c
    rows = log_softmax(logits, axis=1)[np.arange(8), data.y.numpy()]
    last = {number for name, number in numbers.items() if str(name).strip("(")[0] == "1"}
    if groups == "weight":
        last = {n for (layer, *_), n in numbers.items() if layer == 1}
    unit_of = np.where([n in last for n in range(len(numbers))], 10.0, 1.0)
    scales = np.exp(log_scales)
    of_scales = exact(prior).logpdf(scales / unit_of) + np.log(scales / unit_of)
    return rows @ data.weight.numpy() + stats.norm.logpdf(z).sum() + of_scales.sum()


@pytest.fixture(params=[0, 32], ids=["gather", "product"])
def few_groups(request, monkeypatch):
    """By gather and scatter, and by matrix products, which serve where groups are few."""
    monkeypatch.setattr(_model, "FEW_GROUPS", request.param)


@pytest.mark.parametrize("groups", GROUPS)
def test_log_joint_by_hand(groups, few_groups):
    prior = HalfStudentT(df=3.0, width=0.7)
    model, data, params = problem_of(groups, prior)
    assert model.n_scales == N_SCALES[groups]
    found = model.log_joint(params, data)
    by_hand = [log_joint_by_hand(model, data, p.numpy(), groups, prior) for p in params]
    assert_allclose(found.numpy(), by_hand, rtol=1e-11)


@pytest.mark.parametrize("likelihood", [Categorical(), Gaussian(HalfCauchy(0.5))], ids=str)
@pytest.mark.parametrize("groups", GROUPS)
def test_gradient_equals_autograd(groups, likelihood, few_groups):
    check_gradient(*problem_of(groups, likelihood=likelihood))


@pytest.mark.parametrize("scale", FAMILIES, ids=str)
def test_gradient_of_every_family(scale):
    likelihood = StudentTLikelihood(noise=scale)
    check_gradient(*problem_of("unit", scale, likelihood))


@pytest.mark.parametrize("groups", ["layer", "input"])
def test_gradient_in_the_coordinates_of_samplers(groups, few_groups):
    """Mean and size of the outputs where the output layer has a scale of its own."""
    model, data, params = problem_of(groups, likelihood=Gaussian())
    coordinates = sampling_coordinates(model, data)
    assert type(coordinates) is OutputCoordinates
    assert_allclose(coordinates.to_model(coordinates.from_model(params)), params, atol=1e-10)
    value, grad = coordinates.value_and_grad(params)
    step = 1e-6 * torch.randn(params.shape, generator=make_generator(2), dtype=LIKE.dtype)
    moved = (
        coordinates.value_and_grad(params + step)[0] - coordinates.value_and_grad(params - step)[0]
    )
    assert_allclose(moved, 2 * (grad * step).sum(1), rtol=1e-5)
    in_model = coordinates.evaluate(params)[2]
    # The Jacobian: by how much the log densities differ beyond the change of variables.
    jacobian = torch.autograd.functional.jacobian
    for point, log_density, at in zip(params, value, in_model, strict=True):
        matrix = jacobian(lambda p: coordinates.to_model(p[None])[0], point)
        volume = torch.linalg.slogdet(matrix)[1]
        exact_value = model.log_joint(at[None], data)[0] + volume
        assert float(log_density) == pytest.approx(float(exact_value), rel=1e-9)


@pytest.mark.parametrize("groups", ["network", "unit", "weight"])
def test_an_output_layer_without_a_scale_of_its_own_keeps_its_coordinates(groups):
    model, data, _ = problem_of(groups, likelihood=Gaussian())
    assert type(sampling_coordinates(model, data)) is Coordinates


def test_starts_and_draws_have_every_scale(few_groups):
    """Starts at the prior's median, draws by the prior's law, in the layer's units."""
    model, _, _ = problem_of("unit")
    units = np.r_[np.ones(4), 10.0, 10.0]
    _, log_scales, _ = model.split(model.init(2, make_generator(0)))
    assert_allclose(np.exp(log_scales[0].numpy()), 0.7 * stats.t(3).ppf(0.75) * units)
    draws = model.sample_prior(4000, make_generator(0))
    z, log_scales, _ = model.split(draws)
    assert stats.kstest(z.numpy().ravel()[:20_000], stats.norm.cdf).pvalue > 1e-6
    law = exact(model.scale_prior)
    for scales in np.exp(log_scales.numpy()).T / units[:, None]:
        assert stats.kstest(scales, law.cdf).pvalue > 1e-6
    # A noise of half the width.
    noisy, _, _ = problem_of("layer", likelihood=Gaussian(HalfCauchy(0.5)))
    noise = noisy.split(noisy.sample_prior(4000, make_generator(0)))[2]
    assert stats.kstest(np.exp(noise[:, 0].numpy()), stats.halfcauchy(scale=0.5).cdf).pvalue > 1e-6


def test_groups_of_convolutions_are_refused():
    network = encoder_decoder(16, 16, 2, (3,), (3,), image_shape=(1, 4, 4), channels=(2,))
    for groups in ("unit", "input"):
        with pytest.raises(IncompatiblePartsError, match="groups='layer'"):
            group_index(groups, network)
    assert int(group_index("layer", network).max()) + 1 == network.n_layers


# --- inference ----------------------------------------------------------------------------


def log_evidence(problem, log_scales):
    """Marginal density (G,) of the targets at one log scale (G, D + 1) a column of the design."""
    A, y = problem.repeated
    A = A * problem.prior_sd / problem.scale
    scale = np.exp(log_scales)[:, :, None]
    inner = np.eye(A.shape[1]) + scale * (A.T @ A) * scale.swapaxes(1, 2) / problem.noise**2
    pull = scale[..., 0] * (A.T @ y[:, 0]) / problem.noise**2
    explained = (pull * np.linalg.solve(inner, pull[..., None])[..., 0]).sum(1)
    constant = stats.norm(scale=problem.noise).logpdf(y).sum()
    return constant + 0.5 * explained - 0.5 * np.linalg.slogdet(inner)[1]


def test_sampler_has_the_posterior_of_the_scales_of_inputs():
    """Three scales under half-normal priors, by quadrature: two inputs' and the bias's."""
    problem, prior = linear_problem(n_rows=12, n_features=2), HalfNormal(1.0)

    def log_joint(points):
        of_scales = stats.halfnorm.logpdf(np.exp(points)) + points
        return of_scales.sum(1) + log_evidence(problem, points)

    grid = grid_posterior(log_joint, ((-12.0, 9.0),) * 3, n_points=71)
    engine = draw_checks.coarse_hmc("auto", target_accept=0.9, n_samples=800, warmup=300)
    model, posterior = run_engine(engine, problem, prior=Normal(prior, groups="input"))
    draw_checks.gate(posterior)
    draws = posterior.particles[..., model.n_weights :]
    draw_checks.assert_moments(draws, grid.mean, grid.covariance, "log scales of inputs")


def tuned_and_best(problem, prior, engine):
    """Evidence times prior of tuned log scales, and the most that there is."""
    n_columns = problem.X.shape[1] + 1
    n_scales = 1 if prior.groups == "layer" else n_columns

    def objective(log_scales):
        each = np.broadcast_to(log_scales, (n_columns,))
        of_scales = exact(prior.scale).logpdf(np.exp(log_scales)) + log_scales
        return float(of_scales.sum() + log_evidence(problem, each[None])[0])

    model, posterior = run_engine(engine, problem, prior=prior)
    packed = posterior.particles[0, 0] if isinstance(engine, MAP) else posterior.mean
    found = objective(packed[model.n_weights :])
    starts = (np.full(n_scales, start) for start in (-1.0, 0.0, 1.0))
    best = max(
        -minimize(lambda s: -objective(s), start, options={"gtol": 1e-9}).fun for start in starts
    )
    return found, best


# A prior that all but fixes the scale is not among them: its search may end nats short.
@pytest.mark.parametrize("scale", [s for s in FAMILIES if getattr(s, "sigma", 1) > 0.1], ids=str)
def test_evidence_tunes_a_layer_under_every_family(scale):
    found, best = tuned_and_best(linear_problem(), Normal(scale), Laplace("full", max_iter=200))
    assert best - found == pytest.approx(0, abs=2e-3)


@pytest.mark.parametrize(
    "engine",
    [Laplace("full", max_iter=200), Laplace("kron", max_iter=200), MAP(max_iter=200)],
    ids=str,
)
def test_evidence_tunes_the_scales_of_inputs(engine):
    prior = Normal(HalfStudentT(df=3.0), groups="input")
    found, best = tuned_and_best(linear_problem(), prior, engine)
    assert best - found == pytest.approx(0, abs=1e-2)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("engine", ["laplace", "hmc"])
def test_irrelevant_inputs_get_small_scales(engine):
    """Twelve columns of which two matter, tuned on the evidence and sampled."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 12))
    y = X[:, 0] - X[:, 1] + 0.3 * rng.normal(size=120)
    tuned = {"max_iter": 200, "hyperparameters": "evidence"}
    longer = {"warmup": 150, "n_samples": 100} if engine == "hmc" else tuned
    reg = BayesianMLPRegressor(
        (),
        prior=Normal(HalfCauchy(0.3), groups="input"),
        inference=quick_engine(engine, **longer),
        random_state=0,
    ).fit(X, y)
    scales = np.median(reg.sample_posterior(n_samples=100, random_state=0)["prior_scale"], axis=0)
    assert scales.shape == (13,)
    assert scales[:2].min() > 2 * scales[2:12].max()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", sorted(INFERENCES))
def test_every_engine_takes_groups_or_refuses_by_name(name, tmp_path):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20, 3))
    y = X[:, 0] + 0.1 * rng.normal(size=20)
    tunes = name in ("map", "laplace", "deep_ensemble", "swag")
    reg = BayesianMLPRegressor(
        (4,),
        prior=LaplacePrior(HalfCauchy()),
        likelihood=Gaussian(InverseGamma(3.0)),
        inference=quick_engine(name, **({"hyperparameters": "evidence"} if tunes else {})),
        random_state=0,
    )
    if name in ("map", "laplace", "mc_dropout", "deep_ensemble", "swag"):
        with pytest.raises(IncompatiblePartsError, match="inference='hmc'"):
            reg.set_params(prior__groups="weight").fit(X, y)
    else:
        assert reg.set_params(prior__groups="weight").fit(X, y).prior_.groups == "weight"
    for groups in ("network", "input", "unit"):
        reg.set_params(prior__groups=groups).fit(X, y)
        assert np.isfinite(reg.predict_std(X)).all()
    io.save(reg, tmp_path / "reg")
    assert_array_equal(io.load(tmp_path / "reg").predict(X), reg.predict(X))


def test_cross_validation_chooses_one_scale_for_all_layers():
    X, y = np.random.default_rng(0).normal(size=(30, 2)), np.arange(30) % 2
    clf = BayesianMLPClassifier((3,), prior=Normal(groups="unit"), random_state=0)
    engine = DeepEnsemble(n_members=2, max_iter=20, hyperparameters="cross_validation")
    with pytest.raises(IncompatiblePartsError, match="groups='layer'"):
        clf.set_params(inference=engine).fit(X, y)
    clf.set_params(inference__hyperparameters="auto").fit(X, y)
    assert np.isfinite(clf.predict_proba(X)).all()


# --- evidence -----------------------------------------------------------------------------


def test_images_of_units_that_have_scales_of_their_own():
    """Their signs are free, their order is not; evidence from draws counts neither."""
    layers = {g: exchangeable_layers(*problem_of(g)[:2]) for g in GROUPS}
    for groups in ("layer", "network", "input"):
        assert [len(layer.incoming) for layer in layers[groups]] == [4]
    for groups in ("unit", "weight"):
        assert [len(layer.incoming) for layer in layers[groups]] == [1] * 4
    for groups in ("layer", "unit"):
        model, data, _ = problem_of(groups)
        draws = model.sample_prior(200, make_generator(0))
        posterior = ParticlePosterior(draws.numpy()[None])
        importance_evidence(model, data, draws, make_run().evidence, posterior)
        assert np.isinf(posterior.evidence_ess) == (groups == "unit")
        assert groups == "layer" or posterior.evidence_kind is None


def test_evidence_from_draws_under_a_half_cauchy():
    """A linear model's evidence by quadrature over its scale."""
    problem = linear_problem(n_rows=12, n_features=2)

    def log_joint(points):
        of_scales = stats.halfcauchy(scale=0.5).logpdf(np.exp(points)) + points
        return of_scales[:, 0] + log_evidence(problem, np.repeat(points, 3, axis=1))

    exact_value = grid_posterior(log_joint, ((-14.0, 12.0),), n_points=400).log_evidence
    engine = draw_checks.HMC(n_samples=250, n_chains=16, warmup=150, evidence="importance")
    _, posterior = run_engine(engine, problem, prior=Normal(HalfCauchy(0.5)))
    assert posterior.evidence_se < 0.1
    assert abs(posterior.log_evidence - exact_value) < 4 * posterior.evidence_se
