"""Laplace against exact posteriors and evidences of linear models."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.datasets import load_diabetes

from skbayes import BayesianMLPRegressor
from skbayes._model import Model
from skbayes.data._tensors import Data
from skbayes.exceptions import IncompatiblePartsError
from skbayes.inference import MAP, Laplace
from skbayes.inference.mode._curvature import (
    CURVATURES,
    FullCurvature,
    _pullback,
    curvature_along,
    layer_factors,
    output_curvature,
)
from skbayes.likelihoods import Bernoulli, Gaussian, Likelihood, NoisyLikelihood
from skbayes.networks import MLPNetwork, Network
from skbayes.priors import Normal, Optimized
from skbayes.utils._random import make_generator
from tests.inference import checks
from tests.inference.draw_checks import check_chain_rule, fit_weighted
from tests.scenarios import LIKE, linear_problem, make_run, run_engine, to_data

WEIGHTED = pytest.mark.parametrize("weighted", [False, True], ids=["equal", "weighted"])


@WEIGHTED
@pytest.mark.parametrize("n_targets", [1, 2])
@pytest.mark.parametrize("structure", ["full", "kron", "last_layer"])
def test_linear_posterior_and_evidence(structure, n_targets, weighted):
    """Gaussian noise of one size makes the Kronecker product exact for several targets too."""
    checks.check_laplace(linear_problem(n_targets=n_targets, weighted=weighted), structure)


@WEIGHTED
def test_diagonal_variances_and_evidence(weighted):
    checks.check_laplace_diagonal(linear_problem(weighted=weighted))


@WEIGHTED
def test_softmax_model_has_its_hessian(weighted):
    checks.check_laplace_classes(weighted)


@pytest.mark.parametrize("structure", ["full", "kron", "last_layer"])
def test_evidence_maximisation(structure):
    checks.check_evidence_maximisation(structure)


@pytest.mark.parametrize("structure", sorted(CURVATURES))
def test_linearised_draws(structure):
    checks.check_linearised_draws(structure)


def test_linearised_and_sampled_agree_on_a_linear_model():
    problem = linear_problem()
    X = torch.from_numpy(problem.X)
    outputs = []
    for predictive in ("linearised", "sampled"):
        model, posterior = run_engine(Laplace("full", predictive, max_iter=50), problem)
        params = posterior.sample(20, make_generator(1))
        outputs.append(posterior.function(model, params)(X))
    torch.testing.assert_close(*outputs, rtol=1e-9, atol=1e-9)


def precision_of(model, data, posterior):
    """GGN precision of a nonlinear net from torch.func's Jacobian."""
    mode = torch.from_numpy(posterior.mean)[None]
    weights, scales = model.weights(mode), model.weight_scales(mode[:, :0])[0]
    jacobian = Network.jacobian(model.network, weights[0], data.X) * scales
    fisher = model.likelihood.fisher(model.network.forward(weights, data.X), mode[:, :0])[0]
    ggn = torch.einsum("nkp,nkl,nlq,n->pq", jacobian, fisher, jacobian, data.weight)
    return (ggn + torch.eye(len(ggn))).numpy()


def test_structures_of_a_nonlinear_net():
    """Full is the GGN; diag and last_layer are its diagonal and its last block."""
    model, data = checks.small_net()
    kept = {
        "full": np.ones((model.n_weights,) * 2, bool),
        "diag": np.eye(model.n_weights, dtype=bool),
    }
    for structure, keep in kept.items():
        posterior = Laplace(structure, max_iter=200, temperature=1.0).run(
            model, data, checks.make_run()
        )
        exact = np.where(keep, precision_of(model, data, posterior), 0.0)
        checks.assert_close(np.linalg.inv(posterior.covariance()), exact, structure)
    posterior = Laplace("last_layer", max_iter=200, temperature=1.0).run(
        model, data, checks.make_run()
    )
    first = model.network.layout[2].start
    exact = precision_of(model, data, posterior)[first:, first:]
    covariance = posterior.covariance()
    checks.assert_close(np.linalg.inv(covariance[first:, first:]), exact, "last layer")
    assert not covariance[:first].any()


def test_kronecker_blocks_of_one_row_are_exact():
    """With one row and one output every layer's block of the GGN is a Kronecker product."""
    model, data = checks.small_net()
    one = data.rows(slice(1))
    net = type(model.network)(2, 1, (4, 3))
    single = type(model)(net, model.prior, Gaussian(noise=0.3), 1, model.like)
    one = type(one)(one.X, one.y[:, None].double(), one.weight)
    mode = single.init(1, make_generator(4))
    full = FullCurvature(single, one, mode)
    precision = np.linalg.inv(full.factors()[0].covariance())
    for factor in CURVATURES["kron"](single, one, mode).factors():
        block = slice(factor.start, factor.start + factor.size)
        checks.assert_close(np.linalg.inv(factor.covariance()), precision[block, block], "layer")


@pytest.mark.parametrize("structure", sorted(CURVATURES))
def test_curvature_agrees_with_itself(structure):
    """Log determinant, variances and Newton directions belong to the covariance."""
    model, data = checks.small_net()
    mode = model.init(1, make_generator(4))
    curvature = CURVATURES[structure](model, data, mode)
    covariance = np.zeros((model.n_weights,) * 2)
    for factor in curvature.factors():
        block = slice(factor.start, factor.start + factor.size)
        covariance[block, block] = factor.covariance()
    random = np.diag(covariance) > 0
    log_det = -np.linalg.slogdet(covariance[np.ix_(random, random)])[1]
    checks.assert_close(curvature.log_det, log_det, "log determinant")
    checks.assert_close(curvature.variance, np.diag(covariance), "variance")
    gradient = torch.linspace(-1, 1, model.n_weights, dtype=torch.float64)
    checks.assert_close(curvature.solve(gradient), covariance @ gradient.numpy(), "direction")


@WEIGHTED
def test_estimator_predicts_the_exact_posterior(weighted):
    """Means, spreads and evidence in the units of y; draws have Monte Carlo error."""
    problem, n = linear_problem(weighted=weighted, n_targets=2), 4000
    engine = Laplace("full", max_iter=50)
    reg = fit_weighted(problem.estimator(engine, n_predictive_samples=n), problem)
    mean, total = problem.predictive(problem.X)
    found, found_total = reg.predict(problem.X, return_std=True)
    epistemic = np.sqrt(total**2 - problem.noise**2)
    assert (np.abs(found - mean) < checks.Z_LIMIT * epistemic / np.sqrt(n)).all()
    found_epistemic = reg.predict_std(problem.X, "epistemic")
    error = checks.Z_LIMIT * np.sqrt(2 / n)
    assert (np.abs((found_epistemic / epistemic) ** 2 - 1) < error).all()
    np.testing.assert_allclose(found_total**2, found_epistemic**2 + problem.noise**2)
    assert reg.score_evidence() == pytest.approx(problem.log_evidence, abs=1e-6)


@pytest.mark.parametrize(("weighted", "n_targets"), [(False, 1), (True, 2)])
def test_evidence_chain_rule(weighted, n_targets):
    check_chain_rule(linear_problem(weighted=weighted, n_targets=n_targets))


def test_last_layer_agrees_with_kronecker_on_noise():
    # Layers held at the mode must not count as fitted: the noise would swallow the data.
    X, y = load_diabetes(return_X_y=True)
    noise = {}
    for structure in ("kron", "last_layer"):
        engine = Laplace(structure=structure, max_iter=300)
        reg = BayesianMLPRegressor((10,), inference=engine, random_state=0).fit(X, y)
        noise[structure] = reg.predict_std(X[:1], kind="aleatoric")[0]
    assert abs(noise["last_layer"] / noise["kron"] - 1) < 0.1


def two_targets():
    """Targets of one linear model that are explained to very different degrees."""
    X, y = load_diabetes(return_X_y=True)
    X = X[:60]
    rng = np.random.default_rng(0)
    return X, np.c_[y[:60], X @ rng.normal(size=10) + 0.002 * rng.normal(size=60)]


@pytest.mark.parametrize("engine", [MAP(), *map(Laplace, ("full", "kron", "diag", "last_layer"))])
def test_independent_targets_have_their_own_effective_parameters(engine):
    """With the scale fixed nothing joins the targets of a linear model but their noises."""

    def fit(targets):
        reg = BayesianMLPRegressor(
            (), prior=Normal(scale=0.5), inference=clone(engine), dtype="float64", random_state=0
        )
        return reg.fit(X, targets).sample_posterior(n_samples=1)["noise_scale"][0]

    X, y = two_targets()
    alone = np.concatenate([fit(y[:, 0]), fit(y[:, 1])])
    # Both stop where a log noise moves by less than 1e-6, on a way that contracts.
    assert_allclose(fit(y), alone, rtol=1e-5)


def independent_outputs():
    """A model of two targets of unequal noise, and rows of unequal weight."""
    X, y = (torch.from_numpy((a - a.mean(0)) / a.std(0)) for a in two_targets())
    network = MLPNetwork(10, 2, (4, 3))
    model = Model(network, Normal(scale=0.5), Gaussian(), 2, torch.empty(0).double())
    weight = torch.linspace(0.5, 2, 60, dtype=torch.float64)
    mode = model.init(1, make_generator(0))
    model.tail(mode)[:] = torch.log(torch.tensor([0.8, 0.1]))
    return model, Data(X, y, weight), mode


@pytest.mark.parametrize("structure", sorted({*CURVATURES} - {"last_layer"}))
def test_effective_parameters_of_targets_add_up(structure):
    model, data, mode = independent_outputs()
    fitted = CURVATURES[structure](model, data, mode)
    parts = fitted.effective(model, data, mode)
    torch.testing.assert_close(parts.sum(), (1 - fitted.variance).sum(), rtol=1e-9, atol=0)
    assert parts[0] < parts[1]


def assert_same_curvature(one, other):
    for name in ("log_det", "variance"):
        torch.testing.assert_close(getattr(one, name), getattr(other, name), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("classes", [False, True], ids=["numbers", "classes"])
@pytest.mark.parametrize("structure", sorted(CURVATURES))
def test_blocks_of_rows_add_up(structure, classes, monkeypatch):
    if classes:
        model, data = checks.small_net()
        mode = model.init(1, make_generator(4))
    else:
        model, data, mode = independent_outputs()
    whole = CURVATURES[structure](model, data, mode)
    parts = None if classes else whole.effective(model, data, mode)
    monkeypatch.setattr("skbayes.inference.mode._curvature.JACOBIAN_ELEMENTS", 1)
    rows = CURVATURES[structure](model, data, mode)
    assert_same_curvature(rows, whole)
    if not classes:
        torch.testing.assert_close(rows.effective(model, data, mode), parts, rtol=1e-9, atol=0)


@pytest.mark.parametrize("structure", sorted(CURVATURES))
def test_diagonal_information_is_that_of_its_matrix(structure):
    """A likelihood that gives matrices has the same curvature as one that gives diagonals."""
    model, data, mode = independent_outputs()
    # The most informative first: eigenvalues would come the other way round.
    model.tail(mode)[:] = model.tail(mode).flip(1)

    class Matrices(Likelihood):
        fisher, n_hyper = model.likelihood.fisher, model.likelihood.n_hyper

    other = Model(model.network, model.prior, Matrices(), 2, model.like)
    fitted = [CURVATURES[structure](m, data, mode) for m in (model, other)]
    assert_same_curvature(*fitted)
    parts = [f.effective(m, data, mode) for f, m in zip(fitted, (model, other), strict=True)]
    torch.testing.assert_close(*parts)


def test_diagonal_pullbacks_are_those_of_their_matrices():
    generator = make_generator(0)
    diagonal = torch.rand(3, 5, generator=generator, dtype=torch.float64)
    basis = torch.linalg.qr(torch.randn(3, 3, generator=generator, dtype=torch.float64))[0]
    dense = torch.diag_embed(diagonal.T).permute(1, 2, 0)
    for function in (output_curvature, partial(curvature_along, basis=basis)):
        torch.testing.assert_close(function(diagonal), function(dense))


def test_layer_of_independent_outputs_is_never_laid_out():
    model, data, mode = independent_outputs()
    pullbacks = [part.dim() for _, _, part in layer_factors(model, data, mode)]
    assert pullbacks == [3, 3, 2]


def test_an_identity_for_one_row_is_none_for_all():
    grads = torch.eye(3)[..., None] * torch.tensor([1.0, 2.0])
    assert _pullback(grads, torch.ones(2, 3)).shape == (3, 3, 2)


class Doubled(Network):
    """An MLP whose outputs are doubled behind its last layer."""

    def __init__(self, net):
        self.net, self.layout = net, net.layout
        self.n_inputs, self.n_outputs = net.n_inputs, net.n_outputs

    def forward(self, weights, X):
        return 2 * self.net.forward(weights, X)

    def factors(self, weights, X):
        *before, (last, identity) = self.net.factors(weights, X)
        doubled = (2 * identity[..., :1]).expand_as(identity)
        return [*((inputs, 2 * grads) for inputs, grads in before), (last, doubled)]


def test_outputs_need_not_be_those_of_the_last_layer():
    """Twice the outputs with twice the noise are the same model, up to its Jacobian's scale."""
    model, data, mode = independent_outputs()
    double = Model(Doubled(model.network), model.prior, model.likelihood, 2, model.like)
    noisier = mode.clone()
    sd = 1e-3 + torch.exp(model.tail(mode))
    double.tail(noisier)[:] = torch.log(2 * sd - 1e-3)
    one = CURVATURES["kron"](model, data, mode)
    assert_same_curvature(CURVATURES["kron"](double, data, noisier), one)


def test_what_is_laid_out_comes_in_blocks(monkeypatch):
    """Seven outputs in seven units of a last layer that is not theirs alone: ten rows at once."""
    monkeypatch.setattr("skbayes.inference.mode._curvature.JACOBIAN_ELEMENTS", 7 * 7 * 10)
    net, prior = Doubled(MLPNetwork(10, 7, ())), Normal(scale=1.0)
    model = Model(net, prior, Gaussian(noise=1.0), 7, torch.empty(0))
    data = Data(torch.zeros(60, 10), torch.zeros(60, 7), torch.ones(60))
    parts = layer_factors(model, data, model.init(1, make_generator(0)))
    assert [part.shape for _, _, part in parts] == [(7, 7, 10)] * 6


class Shrunk(Gaussian):
    """Says a quarter of the information, by its matrix alone."""

    def fisher(self, outputs, hyper):
        return super().fisher(outputs, hyper) / 4


def test_a_matrix_of_its_own_is_what_a_likelihood_says():
    model, data, mode = independent_outputs()
    other = Model(model.network, model.prior, Shrunk(), 2, model.like)
    light = replace(data, weight=data.weight / 4)
    for structure in CURVATURES:
        curvature = CURVATURES[structure]
        assert_same_curvature(curvature(other, data, mode), curvature(model, light, mode))


def test_diagonals_come_from_a_matrix_of_its_own():
    outputs, hyper = torch.randn(1, 5, 2, generator=make_generator(0)), torch.zeros(1, 2)
    with pytest.raises(NotImplementedError, match="must define fisher_diagonal"):
        NoisyLikelihood().fisher(outputs, hyper)

    class Matrix(NoisyLikelihood):
        def fisher(self, outputs, hyper):
            return Gaussian().fisher(outputs, hyper)

    expected = Gaussian().fisher_diagonal(outputs, hyper)
    torch.testing.assert_close(Matrix().fisher_diagonal(outputs, hyper), expected)


@pytest.mark.parametrize("structure", ["full", "kron", "last_layer"])
def test_importance_evidence_where_the_normal_is_the_posterior(structure):
    problem = linear_problem()
    _, posterior = run_engine(Laplace(structure, max_iter=50, evidence="importance"), problem)
    assert posterior.evidence_kind == "importance"
    assert posterior.evidence_se < 0.01
    assert abs(posterior.log_evidence - problem.log_evidence) < 4 * posterior.evidence_se


@pytest.mark.parametrize("evidence", ["importance", "laplace"])
def test_evidence_given_the_layers_that_are_held(evidence):
    """Outputs are linear in the last layer: its evidence is a normal density of the targets."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(12, 2)), rng.normal(size=(12, 1))
    data = to_data(X, y, np.ones(12))
    model = Model(MLPNetwork(2, 1, (4,)), Normal(scale=1.0), Gaussian(noise=0.3), 1, LIKE)
    engine = Laplace("last_layer", max_iter=300, hyperparameters="fixed", evidence=evidence)
    posterior = engine.run(model, data, make_run())
    last = model.network.layout[2].start
    mode = torch.from_numpy(posterior.mean)[None]
    jacobian = model.network.jacobian(model.weights(mode)[0], data.X)[:, 0]
    features = (jacobian * model.unit_scales)[:, last:].numpy()
    law = multivariate_normal(np.zeros(12), features @ features.T + 0.09 * np.eye(12))
    # Laplace's volume is exact; its mode is as near as the training came.
    error = 4 * posterior.evidence_se if evidence == "importance" else 1e-2
    assert error < 0.05
    assert posterior.log_evidence == pytest.approx(law.logpdf(y[:, 0]), abs=error)


def test_importance_evidence_of_a_diagonal_normal():
    """A proposal that is not the posterior: within its error, and 0.04 nats, of the truth."""
    problem = linear_problem()
    _, posterior = run_engine(Laplace("diag", max_iter=3000, evidence="importance"), problem)
    assert 0 < posterior.evidence_se < 0.04
    assert abs(posterior.log_evidence - problem.log_evidence) < 4 * posterior.evidence_se


def test_importance_evidence_corrects_a_skewed_posterior():
    """Logistic weight and bias by the trapezoid rule; Laplace is off by several errors."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(15, 1))
    y = (X[:, 0] + 0.5 * rng.normal(size=15) > 0.5).astype(int)
    model, data = (
        Model(MLPNetwork(1, 1, ()), Normal(scale=3.0), Bernoulli(), 2, LIKE),
        to_data(X, y, np.ones(15)),
    )
    axis = torch.linspace(-9, 9, 301, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)
    exact = float(
        torch.logsumexp(model.log_joint(grid, data), 0) + 2 * torch.log(axis[1] - axis[0])
    )
    plain = Laplace("full", max_iter=200).run(model, data, make_run())
    better = Laplace("full", max_iter=200, evidence="importance").run(model, data, make_run())
    error = abs(better.log_evidence - exact)
    assert error < 4 * better.evidence_se
    assert abs(plain.log_evidence - exact) > 4 * better.evidence_se


class Maps(Network):
    """An MLP's numbers under another name, without its layer hooks."""

    def __init__(self, net):
        self.net, self.layout = net, net.layout
        self.n_inputs, self.n_outputs, self.output_bias = 2, net.n_outputs, net.output_bias

    @property
    def hidden_layers(self):
        return self.net.hidden_layers

    def forward(self, weights, X):
        return self.net.forward(weights, X)


class FactoredMaps(Maps):
    """With the factors that Kronecker curvature asks for."""

    def factors(self, weights, X):
        return self.net.factors(weights, X)


def test_kronecker_factors_come_from_any_network_that_has_them():
    model, data = checks.small_net()
    other = Model(FactoredMaps(model.network), model.prior, model.likelihood, 2, LIKE)
    engine = Laplace("kron", max_iter=100)
    engine.check(other)
    values = [engine.run(m, data, make_run()).log_evidence for m in (model, other)]
    assert values[0] == pytest.approx(values[1], abs=1e-6)


def test_a_network_without_factors_is_told_what_to_use():
    model, data = checks.small_net()
    plain = Model(Maps(model.network), model.prior, model.likelihood, 2, LIKE)
    with pytest.raises(IncompatiblePartsError, match=r"Maps does not; use structure='full'"):
        Laplace("kron").check(plain)
    linear = MLPNetwork(2, 2, ())
    engine, values = Laplace("full", max_iter=100), []
    for network in (linear, Maps(linear)):
        model = Model(network, Normal(scale=2.0), model.likelihood, 2, LIKE)
        engine.check(model)
        values.append(engine.run(model, data, make_run()).log_evidence)
    assert values[0] == pytest.approx(values[1], abs=1e-6)


def test_kronecker_product_has_a_scale_for_each_weight():
    """With one output it loses nothing, though a tuned prior has as many scales as weights."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20, 4))
    y = X @ [1.0, -2.0, 0.5, 0.0] + rng.normal(size=20)
    full, kron = (
        BayesianMLPRegressor(
            (),
            prior=Optimized(scale=0.3, tuning_rate=0.02),
            likelihood=Gaussian(noise=2.0),
            inference=Laplace(structure=structure),
            random_state=0,
        ).fit(X, y)
        for structure in ("full", "kron")
    )
    scales = full._model().weight_scales(torch.zeros(1, 0))
    assert scales.max() > 1.5 * scales.min()
    assert_allclose(kron.posterior_.covariance(), full.posterior_.covariance(), atol=1e-5)
    assert_allclose(kron.score_evidence(), full.score_evidence(), rtol=1e-5)


class Products(Normal):
    """Scales that are products of one factor an output and one an input."""

    def weight_factors(self, network, like):
        """One row's factors beside the next's, then those of the biases."""
        table = torch.outer(like.new_tensor([0.5, 3.0]), like.new_tensor([1.0, 0.2, 2.0, 0.7]))
        return torch.cat([table[:, :-1].flatten(), table[:, -1]])


def test_kronecker_product_follows_scales_of_outputs_and_inputs():
    rng = np.random.default_rng(0)
    rows, targets = (torch.from_numpy(rng.normal(size=(20, n))) for n in (3, 2))
    model = Model(MLPNetwork(3, 2, ()), Products(), Gaussian(noise=0.5), 2, torch.empty(0).double())
    data = Data(rows, targets, torch.linspace(0.5, 2, 20, dtype=torch.float64))
    mode = model.init(1, make_generator(0))
    assert_same_curvature(*(CURVATURES[name](model, data, mode) for name in ("kron", "full")))
