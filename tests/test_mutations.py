"""Known bugs, put in one at a time: the exact check that guards against each must go red.

A bug is a replacement in the source of one function, compiled in its own module, so that
a bug whose place has changed is reported and not passed over.
"""

import __future__

import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
import torch

from skbayes import _model
from skbayes.conjugate import NormalGamma, NormalInverseWishart
from skbayes.evidence import _importance
from skbayes.evidence._kernels import Kernels
from skbayes.exceptions import ConvergenceWarning, DivergenceError
from skbayes.inference.mcmc import _chains, _hmc, _mass, _mclmc
from skbayes.inference.mcmc._coordinates import MeanCoordinates, OutputCoordinates
from skbayes.inference.mcmc._mass import DenseMass, DiagonalMass
from skbayes.inference.mcmc._nuts import Points, Subtree, Tree
from skbayes.inference.mode import _curvature, _deep_ensemble, _laplace, _swag
from skbayes.inference.mode import _search as _mode
from skbayes.inference.sgmcmc import _integrators, _sgld
from skbayes.inference.sgmcmc._stochastic import UnadjustedSampler
from skbayes.inference.vi import _mc_dropout
from skbayes.inference.vi import _mean_field as _mean_field_vi
from skbayes.inspection import CoverageDisplay
from skbayes.likelihoods import (
    Categorical,
    Gaussian,
    Heteroscedastic,
    NoisyLikelihood,
    SharedGaussian,
    StudentTLikelihood,
    _heteroscedastic,
)
from skbayes.mixture._components import DiagonalComponents, FullComponents
from skbayes.mixture._stream import Summary
from skbayes.networks import MLPNetwork, _mlp
from skbayes.posteriors import GaussianPosterior, ParticlePosterior, _linearised, _particles
from skbayes.posteriors._dropout import DropoutPosterior
from skbayes.posteriors._factors import KroneckerFactor, LowRankFactor
from skbayes.posteriors._functions import FunctionPredictive
from skbayes.priors import (
    Cauchy,
    HalfCauchy,
    HalfNormal,
    HalfStudentT,
    Normal,
    ScaleMixture,
    StudentT,
    _trained,
)
from skbayes.training import _batches, _trainer
from tests.conjugate.checks import check_normal_gamma, check_normal_inverse_wishart
from tests.evidence.small_nets import BLURRED, SmallNet, check_importance_of_small_net
from tests.inference import checks, draw_checks, sampler_checks, test_swag, tree_checks
from tests.inference.test_coordinates import check_density
from tests.inspection.checks import check_band
from tests.likelihoods import checks as likelihood_checks
from tests.mixture.checks import check_moved_statistics, check_sampled_rows
from tests.networks import test_networks
from tests.posteriors import checks as posterior_checks
from tests.priors import checks as prior_checks
from tests.scale_priors import checks as scale_checks
from tests.scenarios import linear_problem, logistic_problem
from tests.test_model import (
    check_gradient,
    check_log_joint_known,
    check_log_joint_learned,
    problem_of,
)
from tests.training import test_trainer
from tests.utils import test_slices

#: How a check may go red: by its own assertion, or by the engine's own alarm.
RED = (AssertionError, ConvergenceWarning, DivergenceError)


@dataclass(frozen=True)
class Bug:
    """Replace ``old`` by ``new`` in ``owner.name``; ``check`` must then fail."""

    what: str
    owner: Any
    name: str
    old: str
    new: str
    check: Callable[[], None]


def mutate(monkeypatch: pytest.MonkeyPatch, bug: Bug) -> None:
    """Compile the function anew with the bug in it, and put it in its place."""
    static = isinstance(inspect.getattr_static(bug.owner, bug.name), staticmethod)
    function = inspect.unwrap(getattr(bug.owner, bug.name))
    source = textwrap.dedent(inspect.getsource(function))
    assert source.count(bug.old) == 1, f"{bug.what}: {bug.old!r} stands not once in\n{source}"
    flags = __future__.annotations.compiler_flag
    code = compile(source.replace(bug.old, bug.new), f"<{bug.what}>", "exec", flags=flags)
    namespace: dict[str, Any] = {}
    exec(code, function.__globals__, namespace)
    changed = namespace[bug.name]
    if static and not isinstance(changed, staticmethod):
        changed = staticmethod(changed)
    monkeypatch.setattr(bug.owner, bug.name, changed)


def mean_field(**params) -> Callable[[], None]:
    """The exact mean-field check at half the usual steps."""
    return partial(checks.check_mean_field, linear_problem(), max_iter=1000, **params)


def laplace(weighted: bool = False) -> Callable[[], None]:
    return partial(checks.check_laplace, linear_problem(weighted=weighted))


def moments(structure: str) -> Callable[[], None]:
    return partial(checks.check_linearised_moments, structure)


def hmc(mass_matrix: str = "identity") -> Callable[[], None]:
    return partial(draw_checks.check_hmc_linear, linear_problem(), mass_matrix)


def nuts(**params) -> Callable[[], None]:
    """Moments under NUTS; two weights, so that short trees reach all of them."""
    problem = linear_problem(n_rows=20, n_features=1)
    return partial(draw_checks.check_nuts_linear, problem, "identity", **params)


def law(scheme: str, batch_size: int | None = None, **more) -> Callable[[], None]:
    """The exact law of a finite step, on fewer passes than the test takes."""
    params = {"batch_size": batch_size, "reach": 0.3, **more} if batch_size else more
    return partial(sampler_checks.check_finite_law, scheme, **params)


def microcanonical(preconditioner: str | None) -> Callable[[], None]:
    """Moments under MCLMC at a fixed step, which no tuning can rescue."""
    params = {"preconditioner": preconditioner, "step_size": 0.02, "energy_variance": 1e-4}
    return partial(sampler_checks.check_microcanonical, linear_problem(n_rows=8, n_features=2),
                   n_samples=60, **params)  # fmt: skip


def third_order() -> None:
    sampler_checks.check_local_order("milstein_tretyakov", 3)


def gradient() -> None:
    check_gradient(*problem_of(Normal(), Gaussian(), 2))


def coordinates() -> None:
    for scale in ("learned", 0.7):
        check_density((Gaussian(), 2, Normal(scale), (5,)))


LIKELIHOOD_BUGS = [
    Bug("sd for variance in the Gaussian's gradient", Gaussian, "grad",
        "/ sd**2", "/ sd", partial(likelihood_checks.check_gradients, Gaussian(), 2)),
    Bug("sd for variance moves the mode", Gaussian, "grad",
        "/ sd**2", "/ sd", partial(draw_checks.check_mode, linear_problem())),
    Bug("sd for variance in the Fisher information", Gaussian, "fisher_diagonal",
        "** -2", "** -1", laplace()),
    Bug("sd for variance in the predictive", NoisyLikelihood, "variance",
        "** 2", "** 1", partial(likelihood_checks.check_numeric_density, Gaussian())),
    Bug("noise clamped for nothing", _heteroscedastic, "_average",
        " + masses", "", partial(likelihood_checks.check_averages_over_normals,
                                 Heteroscedastic(), [0.7, 7.9], [0.3, 1.5])),
    Bug("noise at the mean of its logarithm", _heteroscedastic, "_average",
        "sd[..., None] * z", "0 * z", partial(likelihood_checks.check_averages_over_normals,
                                              Heteroscedastic(), [0.7, 0.4], [0.3, 1.5])),
    Bug("missing constant of the Gaussian", Gaussian, "log_prob_columns",
        " + 0.5 * LOG_2PI", "", partial(likelihood_checks.check_numeric_density, Gaussian())),
    Bug("missing log sd of the Gaussian", Gaussian, "log_prob_columns",
        "torch.log(sd) + ", "", laplace()),
    Bug("shared noise that counts one column", SharedGaussian, "grad",
        " * y.shape[-1]", "", partial(likelihood_checks.check_gradients, SharedGaussian(), 2)),
    Bug("missing constant of the Student-t", StudentTLikelihood, "log_prob_columns",
        "math.lgamma((df + 1) / 2)", "math.lgamma((df + 2) / 2)",
        partial(likelihood_checks.check_numeric_density, StudentTLikelihood())),
    Bug("diagonal Fisher information of a softmax", Categorical, "fisher_root",
        " - p[..., :, None] * root[..., None, :]", "",
        partial(checks.check_laplace_classes, False)),
]  # fmt: skip

PRIOR_BUGS = [
    Bug("missing constant of the normal prior", Normal, "log_base",
        " - 0.5 * math.log(2 * math.pi)", "", laplace()),
    Bug("missing constant of the Student-t prior", StudentT, "log_base",
        " - 0.5 * math.log(df * math.pi)", "", partial(prior_checks.check_normalised, StudentT())),
    Bug("prior's score without its sign", Normal, "score_base",
        "-z", "z", partial(prior_checks.check_score, Normal())),
    Bug("half-normal without the Jacobian of the logarithm", HalfNormal, "log_prob",
        " + log_scale", "", partial(scale_checks.check_density, HalfNormal())),
    Bug("half-Cauchy of the squared scale", HalfStudentT, "_log_ratio",
        "2 * log_scale", "log_scale", partial(scale_checks.check_density, HalfCauchy())),
    Bug("forgotten prior term in the gradient", _model.Model, "prior_score",
        "self.prior.score_base(params)", "torch.zeros_like(params)", gradient),
    Bug("forgotten prior term moves the mode", _model.Model, "prior_score",
        "self.prior.score_base(params)", "torch.zeros_like(params)",
        partial(draw_checks.check_mode, linear_problem())),
    Bug("forgotten prior term in the log joint", _model.Model, "log_prior",
        "self.log_prior_weights(params) + ", "", check_log_joint_known),
    Bug("forgotten prior of scales and noise", _model.Model, "log_prior",
        " + self.log_prior_hyper(params)", "",
        check_log_joint_learned),
    Bug("forgotten chain rule through the scales", _model.Model, "add_chain",
        "of_weights.mul_(deviations)", "of_weights", gradient),
]  # fmt: skip

LAPLACE_BUGS = [
    Bug("forgotten prior in the curvature", _curvature, "prior_curvature",
        ".double()", ".double() * 0", laplace()),
    Bug("row weights forgotten in the curvature", _curvature, "likelihood_root",
        "[0] * weight)", "[0])", laplace(weighted=True)),
    Bug("row weights forgotten in the curvature of classes", _curvature, "likelihood_root",
        " * weight.sqrt()[..., None]", "", partial(checks.check_laplace_classes, True)),
    Bug("forgotten log determinant", _laplace, "laplace_evidence",
        " - 0.5 * curvature.log_det", "", laplace()),
    Bug("log determinant's sign", _laplace, "laplace_evidence",
        " - 0.5 * curvature.log_det", " + 0.5 * curvature.log_det", laplace()),
    Bug("forgotten volume of the normal", _laplace, "laplace_evidence",
        "LOG_2PI", "0.0", laplace()),
    Bug("forgotten prior in the evidence", _laplace, "laplace_evidence",
        " + log_prior", "", laplace()),
    Bug("noise without effective parameters", _mode, "_noise_move",
        "total - n_effective.to(misfit)", "misfit * 0 + total", checks.check_evidence_maximisation),
    Bug("scale without effective parameters", _mode, "_move_hyperparameters",
        "sums(n_effective)", "sums(0 * n_effective + 1)", checks.check_evidence_maximisation),
    Bug("scales and noise without their own prior", _mode, "_log_move",
        "slope = slope.detach()", "slope = 0 * slope.detach()",
        checks.check_evidence_maximisation),
    Bug("linearised draws around twice the mean", GaussianPosterior, "function",
        "model.weights(params) - centre", "model.weights(params)",
        partial(checks.check_linearised_draws, "full")),
    Bug("one side of a Kronecker product not squared", _linearised.LayerRoot, "part",
        "inputs**2", "inputs", moments("kron")),
    Bug("covariance of outputs without the other side", _linearised.Part, "covariance",
        "left * self.diagonal.T[:, None, :]", "left", moments("diag")),
    Bug("last layer without its bias", _linearised.FeatureRoot, "part",
        "self._bias", "self._bias * 0", moments("last_layer")),
    Bug("moments in whitened units", _linearised.DenseRoot, "part",
        "self._root.T", "torch.from_numpy(self._factor.root).T", moments("full")),
    Bug("forgotten derivative of the activation", MLPNetwork, "_backward",
        "activation.pullback(grad, value)", "grad", gradient),
]  # fmt: skip

VARIATIONAL_BUGS = [
    Bug("dropped rows over batch", _batches.Batches, "next",
        "n / self.size", "1.0",
        mean_field(batch_size=10, mean_within=0.4, sd_within=0.1)),
    Bug("mean instead of sum in the KL", _mean_field_vi.NegativeELBO, "divergence",
        "kl_base(mean[0, :n], sd[0, :n]).sum()", "kl_base(mean[0, :n], sd[0, :n]).mean()",
        mean_field()),
    Bug("forgotten log sd in the KL", Normal, "kl_base",
        " - torch.log(sd)", "", partial(prior_checks.check_kl, Normal())),
    Bug("sd for variance in the local draws", _mean_field_vi.NegativeELBO, "_fit",
        "(sd[:, : model.n_weights] * scales) ** 2", "(sd[:, : model.n_weights] * scales)",
        mean_field()),
    Bug("bound without the entropy's constant", _mean_field_vi.MeanFieldVI, "_evidence",
        " - 0.5 * LOG_2PI", "", mean_field()),
]  # fmt: skip

SAMPLER_BUGS = [
    Bug("every proposal accepted", _hmc, "metropolis_accept",
        "rand((len(accept),), accept, state.generator) < accept", "accept >= 0", hmc()),
    Bug("energy change with the wrong sign", _hmc, "metropolis_accept",
        "torch.exp(-change)", "torch.exp(change)", hmc()),
    Bug("momentum too large", _hmc, "leapfrog_and_accept",
        "state.mass.momentum(noise)", "1.1 * state.mass.momentum(noise)", hmc()),
    Bug("mass upside down", DiagonalMass, "momentum",
        "self.inverse.rsqrt()", "self.inverse.sqrt()", hmc("diagonal")),
    Bug("root of the wrong side", DenseMass, "momentum",
        "torch.linalg.solve_triangular(self.root, noise, upper=False, left=False)",
        "torch.linalg.solve_triangular(self.root, noise.T, upper=False).T", hmc("dense")),
    Bug("full last momentum step", _hmc, "leapfrog_trajectory",
        "momentum.addcmul_(steps, grad, value=0.5)", "momentum.addcmul_(steps, grad)", hmc()),
    Bug("gradient of a refused proposal kept", _hmc, "metropolis_accept",
        "torch.where(taken[:, None], end.grad, state.grad)", "end.grad",
        partial(draw_checks.check_hmc_logistic, logistic_problem())),
    Bug("kinetic energy without its half", _mass, "kinetic",
        "0.5 * ", "", draw_checks.check_kinetic_energy),
    Bug("forgotten volume of the coordinates", MeanCoordinates, "evaluate",
        " + log_volume", "", coordinates),
    Bug("forgotten volume in the coordinates' gradient", OutputCoordinates, "_with_pullback",
        " + bias.shape[1]", "", coordinates),
    Bug("mean output taken for fixed", OutputCoordinates, "_with_pullback",
        "through -= (of_bias / self.unit)", "through -= 0 * (of_bias / self.unit)", coordinates),
    Bug("mean output taken for fixed, scales too", MeanCoordinates, "_with_pullback",
        "of_mean, value=-1)", "of_mean, value=0)", coordinates),
    Bug("draws left in the sampler's coordinates", _hmc.HMC, "position",
        "state.packed", "state.params", hmc()),
    Bug("forgotten prior in the energy", _model.Model, "log_prior_weights",
        ".log_base(params[..., : self.n_weights])", ".log_base(0 * params[..., :1])", hmc()),
    Bug("missing constant of the proposal", Kernels, "sample_with_density",
        "0.5 * LOG_2PI + ", "",
        partial(draw_checks.check_importance_evidence, linear_problem())),
    Bug("forgotten inflation of the proposal", Kernels, "sample_with_density",
        "WIDTH * INFLATION)", "WIDTH)",
        partial(draw_checks.check_importance_evidence, linear_problem())),
    Bug("forgotten images of hidden units", _importance, "_weighed",
        " + log_n_images(layers)", "", partial(check_importance_of_small_net, SmallNet((1,)))),
    Bug("points of all images weighed", _importance, "_weighed",
        "some[~own]", "some[:0]", partial(check_importance_of_small_net, BLURRED)),
    Bug("autocorrelation left out of the error of new rows", FunctionPredictive, "log_prob_joint",
        "inefficiency=inefficiency", "inefficiency=1.0", draw_checks.check_error_of_new_rows),
    Bug("autocorrelation not measured", _chains.ChainSampler, "finish",
        'max(report["ess_bulk"] or 0.0, 1.0)', "n_kept", draw_checks.check_error_of_new_rows),
]  # fmt: skip

TREE_BUGS = [
    Bug("every point of a subtree of one weight", Subtree, "_leapfrog_step",
        "(torch.log(uniform) < -error - self.log_weight)",
        "(uniform < 1 / self.n_points)", nuts()),
    Bug("later subtree always taken", Tree, "_join",
        "whole & later", "whole", nuts(max_depth=1, n_samples=250)),
    Bug("weight of a subtree forgotten", Tree, "_join",
        "torch.logaddexp(self.log_weight[chains], part.log_weight)", "self.log_weight[chains]",
        nuts(n_samples=300)),
    Bug("energy of points with the wrong sign", Subtree, "_leapfrog_step",
        "kinetic(momentum, tree.mass) - value - self.energy",
        "self.energy - kinetic(momentum, tree.mass) + value", nuts()),
    Bug("momentum of a tree too large", Tree, "__init__",
        "momentum = self.mass.momentum(", "momentum = 1.1 * self.mass.momentum(", nuts()),
    Bug("full last momentum step of a tree's points", Subtree, "_leapfrog_step",
        "momentum = torch.addcmul(momentum, self.steps, grad, value=0.5)\n    self.end",
        "momentum = torch.addcmul(momentum, self.steps, grad)\n    self.end", nuts()),
    Bug("trees that only grow forwards", Tree, "double",
        "(rand((len(chains),), self.energy, self.generator) < 0.5)", "(chains >= 0)", nuts()),
    Bug("subtrees that turned are taken", Subtree, "grow",
        "self.whole &= ~turning", "self.whole | turning", nuts(max_depth=3)),
    Bug("U-turns backwards in time", Subtree, "grow",
        "(position - first) * self.steps", "position - first", tree_checks.check_subtrees),
    Bug("U-turns of the last pair alone", Subtree, "grow",
        "n_ended = (~leaf & (leaf + 1)).bit_length() - 1", "n_ended = 1",
        tree_checks.check_subtrees),
    Bug("gradient of a point not drawn kept", Points, "put",
        "vars(self).items()", "list(vars(self).items())[:3]",
        partial(draw_checks.check_nuts_logistic, logistic_problem())),
]  # fmt: skip

UNADJUSTED_BUGS = [
    Bug("noise of half the variance", _integrators.Dynamics, "damped_kick",
        "2 * friction * h", "friction * h", law("leapfrog")),
    Bug("noise two per cent large", _integrators.Dynamics, "damped_kick",
        "math.sqrt(2 * friction * h)", "1.02 * math.sqrt(2 * friction * h)", law("euler")),
    Bug("noise two per cent large in a splitting", _integrators.Dynamics, "refresh",
        "math.sqrt(1 - decay**2)", "1.02 * math.sqrt(1 - decay**2)", law("baoab")),
    Bug("noise of Langevin's equation without its 2", _integrators.Dynamics, "diffuse",
        "math.sqrt(2 * h)", "math.sqrt(h)", law("sgld_euler")),
    Bug("noise of Langevin's equation two per cent large", _integrators.Dynamics, "diffuse",
        "math.sqrt(2 * h)", "1.02 * math.sqrt(2 * h)", law("sgld")),
    Bug("scale once in the drift of Langevin's equation", _integrators.Dynamics, "diffuse",
        "self.scale * self.scale", "self.scale", law("sgld_euler")),
    Bug("gradient five per cent small in Langevin's equation", _integrators.Dynamics, "diffuse",
        "value=h)", "value=0.95 * h)", law("sgld")),
    Bug("forgotten rows over batch in Langevin's equation", _batches.Batches, "next",
        "n / self.size", "1.0", law("sgld", 2)),
    Bug("forgotten prior in Langevin's equation", _model.Model, "prior_score",
        "self.prior.score_base(params)", "torch.zeros_like(params)", law("sgld")),
    Bug("noise not handed on", _sgld.SGLD, "advance",
        "phase.momentum.copy_(noise)", "phase.momentum.copy_(dynamics.noise())", law("sgld")),
    Bug("gradient five per cent small", _integrators.Dynamics, "damped_kick",
        "value=h)", "value=0.95 * h)", law("leapfrog")),
    Bug("gradient five per cent small in a splitting", _integrators.Dynamics, "kick",
        "value=share", "value=0.95 * share", law("obabo")),
    Bug("gradient without its scale", _integrators.Dynamics, "kick",
        "phase.grad, self.scale,", "phase.grad, torch.ones_like(self.scale),", law("baoab")),
    Bug("forgotten rows over batch", _batches.Batches, "next",
        "n / self.size", "1.0", law("leapfrog", 2)),
    Bug("rows over batch rounded down", _batches.Batches, "next",
        "n / self.size", "n // self.size", law("leapfrog", 4, n_passes=800)),
    Bug("rows drawn with replacement", _batches.Batches, "next",
        "torch.randperm(n,", "torch.randint(n, (n,),", law("leapfrog", 2)),
    Bug("forgotten prior under a sampler", _model.Model, "prior_score",
        "self.prior.score_base(params)", "torch.zeros_like(params)", law("leapfrog")),
    Bug("momentum forgotten at every step", _integrators.Dynamics, "damped_kick",
        "mul_(1 - h * friction)", "mul_(0)", law("leapfrog")),
    Bug("momentum without friction", _integrators.Dynamics, "refresh",
        "mul_(decay)", "mul_(1)", law("obabo")),
    Bug("full drift at both ends", _integrators.Dynamics, "drift",
        "share * self.step_size", "self.step_size", law("leapfrog")),
    Bug("position noise without its correlation", _integrators, "free_noise",
        "covariance = lost**2 / f", "covariance = 0.0", law("milstein_tretyakov")),
    Bug("unadjusted draws left in the sampler's coordinates", UnadjustedSampler, "to_model",
        "self.coordinates(model, data).to_model(points)", "points",
        partial(sampler_checks.check_skewed, "baoab", logistic_problem(), 0.1, 8)),
    Bug("all noise before the stages", _integrators, "milstein_tretyakov",
        "alpha=1 / 3", "alpha=1.0", third_order),
]  # fmt: skip

MICROCANONICAL_BUGS = [
    Bug("one direction too many", _mclmc, "turn",
        "time * length / free", "time * length / (free + 1)", sampler_checks.check_turn),
    Bug("turn without its second order", _mclmc, "turn",
        "sinh + along * (cosh - decay)", "sinh", sampler_checks.check_turn),
    Bug("energy without the present direction", _mclmc, "turn",
        "cosh + along * sinh", "cosh", sampler_checks.check_turn),
    Bug("gradient of the wrong unit", _mclmc, "microcanonical_step",
        "turn(direction, grad * state.scale, half)", "turn(direction, grad, half)",
        microcanonical("adaptive")),
    Bug("drift of the wrong unit", _mclmc, "microcanonical_step",
        "state.step_size * state.scale * direction", "state.step_size * direction",
        microcanonical("adaptive")),
    Bug("gradient a tenth small under microcanonical moves", _mclmc, "turn",
        "angle = grad / length, time * length / free",
        "angle = grad / length, 0.9 * time * length / free", sampler_checks.check_turn),
    Bug("directions forgotten too soon", _mclmc, "noisy_turn",
        "math.expm1(2 * share)", "math.expm1(4 * share)", sampler_checks.check_noisy_turn),
    Bug("microcanonical draws left in the sampler's coordinates", _mclmc.MCLMC, "to_model",
        "sampling_coordinates(model, data).to_model(points)", "points", microcanonical(None)),
    Bug("one turn for two", _mclmc, "microcanonical_step",
        "turn(direction, grad * state.scale, half)", "(direction, first)", microcanonical(None)),
    Bug("forgotten prior under microcanonical moves", _model.Model, "prior_score",
        "self.prior.score_base(params)", "torch.zeros_like(params)", microcanonical(None)),
]  # fmt: skip

ENSEMBLE_BUGS = [
    Bug("noise of weighted targets", _deep_ensemble, "_noisy_targets",
        " / data.weight.sqrt()[:, None]", "",
        partial(draw_checks.check_anchored, linear_problem(weighted=True))),
    Bug("anchors forgotten", _deep_ensemble.MemberObjective, "__call__",
        "z = z - self.anchor", "pass",
        partial(draw_checks.check_anchored, linear_problem(n_rows=8))),
    Bug("kept units not scaled up", _mc_dropout.DropoutObjective, "_mask",
        " / (1 - self.rate)", "", partial(draw_checks.check_dropout, linear_problem())),
    Bug("one mask for all rows", _mc_dropout.DropoutObjective, "_mask",
        "torch.full_like(value,", "torch.full_like(value[..., :1],",
        partial(draw_checks.check_dropout, linear_problem())),
]  # fmt: skip

SWAG_BUGS = [
    Bug("the iterates' whole covariance beside their diagonal", _swag, "normal_through",
        "deviations.T / math.sqrt(2 * n_free)", "deviations.T / math.sqrt(n_free)",
        test_swag.check_moments),
    Bug("the whole diagonal", _swag, "normal_through",
        "(deviations**2).sum(0) / (2 * n_free)", "(deviations**2).sum(0) / n_free",
        test_swag.check_moments),
    Bug("as many degrees of freedom as iterates", _swag, "normal_through",
        "len(kept) - 1", "len(kept)", test_swag.check_moments),
    Bug("a rate in the weights' own units", _swag.AroundMode, "__call__",
        'grads["params"] * self.units', 'grads["params"]', test_swag.check_units),
    Bug("a low rank without its root", LowRankFactor, "__init__",
        "np.hypot(1, sizes)", "(1 + sizes**2)", posterior_checks.check_low_rank),
    Bug("a volume without the low rank", LowRankFactor, "log_volume",
        "np.concatenate([self.sd, self.stretch])", "self.sd",
        posterior_checks.check_normal_density),
]  # fmt: skip

CLOSED_FORM_BUGS = [
    Bug("rows sampled as if means were known", FullComponents, "sample_predictive",
        "(1 + 1 / q.precision[labels])", "1", partial(check_sampled_rows, "full")),
    Bug("rows sampled as if means were known, by column", DiagonalComponents, "sample_predictive",
        " * (1 + 1 / q.precision[labels])[:, None]", " * np.ones((1, 1))",
        partial(check_sampled_rows, "diag")),
    Bug("chi-squared of sampled rows with a degree too many", FullComponents, "sample_predictive",
        "q.dof + 1 - n", "q.dof + 2 - n", partial(check_sampled_rows, "full")),
    Bug("entropy of missing values without units", Summary, "moved",
        " + float(np.log(factor) @ n_missing)", "", partial(check_moved_statistics, "full")),
    Bug("weight for its root in an inverse Wishart's means", NormalInverseWishart, "sample",
        "np.sqrt(state[\"mean_weight\"])", "state[\"mean_weight\"]",
        partial(check_normal_inverse_wishart, 9.0)),
    Bug("one number of degrees of freedom for every column", NormalInverseWishart, "sample",
        "nu - np.arange(n), size", "nu + 0 * np.arange(n), size",
        partial(check_normal_inverse_wishart, 9.0)),
    Bug("weight for its root in means beside precisions", NormalGamma, "sample",
        "np.sqrt(state[\"mean_weight\"] * precision)",
        "(state[\"mean_weight\"] * np.sqrt(precision))", partial(check_normal_gamma, 9.0)),
]  # fmt: skip


def net(check: Callable, *args: Any) -> Callable[[], None]:
    """A check of derivatives or values on a network of two hidden layers."""
    return partial(check, MLPNetwork(3, 2, (4, 3)), *args)


PART_BUGS = [
    Bug("curvature of a Student-t without its one", StudentT, "curvature_base",
        "(self.df + 1)", "self.df", partial(prior_checks.check_curvature, StudentT())),
    Bug("half the curvature of a Cauchy", Cauchy, "curvature_base",
        "2 /", "1 /", partial(prior_checks.check_curvature, Cauchy())),
    Bug("precision of a spike from its deviation", ScaleMixture, "_precision",
        "self.narrow**2", "self.narrow", partial(prior_checks.check_score, ScaleMixture())),
    Bug("noise of a quick training without rows over batch", _trained.LikelihoodObjective,
        "__call__", "-scale * of_hyper", "-of_hyper", prior_checks.check_trained_objective),
    Bug("quick training without its units", _trained.LikelihoodObjective, "__call__",
        "pullback(of_outputs) * self.units", "pullback(of_outputs)",
        prior_checks.check_trained_objective),
    Bug("spread of trained weights for their size", _trained.EmpiricalBayes, "_keep",
        "np.sqrt(np.mean(weights[b.slice] ** 2))", "np.std(weights[b.slice])",
        prior_checks.check_empirical_scales),
    Bug("log noise that moves its floor", Heteroscedastic, "fisher_diagonal",
        "(sd - self.floor) / sd", "sd / sd", likelihood_checks.check_log_noise_information),
    Bug("log noise cut off at twice the spread", Heteroscedastic, "_heads",
        "-MAX_LOG_SCALE, MAX_LOG_SCALE", "-MAX_LOG_SCALE, 2.0",
        likelihood_checks.check_range_of_log_noise),
    Bug("one width for every layer's scale", _model.Model, "_group",
        "= self.likelihood.output_width", "= 1.0", likelihood_checks.check_width_before_logits),
    Bug("derivative along a bias forgotten", MLPNetwork, "jvp",
        "db.unsqueeze(2)", "0 * db.unsqueeze(2)", net(test_networks.test_jvp_equals_torch_func)),
    Bug("mean for sum in a bias's gradient", _mlp, "_joined",
        "g.sum(2)", "g.mean(2)", net(test_networks.check_pullback)),
    Bug("tanh by sigmoids of half the height", _mlp, "_through_sigmoids",
        "W.sum(2), 2 * W", "W.sum(2), W",
        net(test_networks.test_bound_function_equals_forward, torch.float64)),
    Bug("predictions from one chain", _particles, "chains_in_turn",
        "+ draw % n_chains", "", posterior_checks.check_thinning),
    Bug("predictions from the early draws", _particles, "chains_in_turn",
        "(2 * n)", "(3 * n)", posterior_checks.check_thinning),
    Bug("a warm start from the first draws", ParticlePosterior, "start",
        "[:, -1]", "[:, 0]", posterior_checks.check_start),
    Bug("masks that forget the biases between", DropoutPosterior, "sample",
        "n_out * n_in + n_out", "n_out * n_in", posterior_checks.check_dropout_masks),
    Bug("density of entries that are fixed", GaussianPosterior, "sample_with_density",
        "0.5 * size", "0.5 * self.n_params", posterior_checks.check_normal_density),
    Bug("biases among the weights", KroneckerFactor, "multiply",
        "torch.cat([matrix[..., :-1].flatten(1), matrix[..., -1]], dim=1)", "matrix.flatten(1)",
        posterior_checks.check_kronecker_order),
    Bug("a band of eight curves of ten", CoverageDisplay, "plot",
        "binom.interval(0.9,", "binom.interval(0.8,", check_band),
    Bug("a rate that falls half the way", _trainer._Run, "decay",
        "epoch / self.n_epochs", "epoch / 2 / self.n_epochs", test_trainer.check_decay),
    Bug("sum for mean in a report of the training", _trainer.Trainer, "run_epoch",
        "float(training.total) / (training.n_steps - first)", "float(training.total)",
        test_trainer.check_decay),
    Bug("a direction's cosine with itself", test_slices, "mean_cosine",
        "(n * (n - 1))", "n**2", test_slices.test_mean_cosine_leaves_out_a_direction_with_itself),
]  # fmt: skip

BUGS = [
    *CLOSED_FORM_BUGS,
    *LIKELIHOOD_BUGS,
    *PRIOR_BUGS,
    *LAPLACE_BUGS,
    *VARIATIONAL_BUGS,
    *SAMPLER_BUGS,
    *TREE_BUGS,
    *UNADJUSTED_BUGS,
    *MICROCANONICAL_BUGS,
    *ENSEMBLE_BUGS,
    *SWAG_BUGS,
    *PART_BUGS,
]


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.what.replace(" ", "-"))
def test_bug_is_caught(monkeypatch, bug):
    mutate(monkeypatch, bug)
    with pytest.raises(RED):
        bug.check()


def test_a_bug_that_has_lost_its_place_is_reported(monkeypatch):
    lost = Bug("lost", Gaussian, "fisher", "no such code", "", lambda: None)
    with pytest.raises(AssertionError, match="stands not once"):
        mutate(monkeypatch, lost)
