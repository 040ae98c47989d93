"""Finding modes of the weights, with scales and noise set by evidence maximisation.

The joint mode of weights and scales is a spike, so engines that seek a mode hold the
hyperparameters while they move the weights, and set them between rounds where the
Laplace evidence times the hyperparameters' own prior (as densities of their logarithms)
is stationary: MacKay's fixed point with a prior.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skbayes._model import Model
from skbayes.data._tensors import Data
from skbayes.evidence import exchangeable_layers
from skbayes.inference._base import Run, starting_points
from skbayes.inference.mode._class_information import is_laborious
from skbayes.inference.mode._curvature import (
    Curvature,
    DualCurvature,
    FullCurvature,
    KroneckerCurvature,
    affordable_curvature,
    prior_curvature,
)
from skbayes.likelihoods import Gaussian
from skbayes.likelihoods._base import NOISE_FLOOR
from skbayes.networks._symmetry import log_n_separate_images
from skbayes.scale_priors import HalfNormal, ScalePrior
from skbayes.training._trainer import History
from skbayes.utils._logs import LOG_2PI

#: Newton steps with backtracking that bring trained weights to their mode.
N_POLISH = 30
#: Moves of hyperparameters up which the evidence is climbed.
N_CLIMB = 30
#: Steps that gain nothing and end them; nats that are nothing, and nats a row by Kronecker
#: factors, along which the gains never end.
PATIENCE, TIE, ROW_TIE = 3, 1e-3, 1e-3
#: Training rounds between which hyperparameters move, and moves of a round.
N_ROUNDS, N_MOVES = 5, 5
#: Moves of a round where a curvature takes as long as dozens of steps.
N_LABORIOUS_MOVES = 2
#: Rounds after which the first start goes on alone, and the best of the others waits.
N_TRIALS = 2
#: Where the search starts: factors on the medians of scales and of noise. All of them where
#: all of the curvature is affordable, else the first two.
STARTS = ((1.0, 1.0), (1.0, 0.15), (3.0, 0.15), (6.0, 0.15), (6.0, 0.5), (12.0, 0.15))
#: Nats below a mode at which it counts as found: weights whose posterior densities are
#: nearer than this the data hardly tell apart.
FOUND = 0.1
#: Leverage of a row that noise in held-out rows still counts with.
MOST_LEVERAGE = 0.95
#: What Newton steps try, in units of the prior's curvature.
DAMPINGS = (0.0, 1.0, 4.0, 16.0, 64.0, 256.0, 1024.0)
LOG_SCALE_RANGE = (-5.0, 4.0)
#: Log noise far below the floor that the likelihoods add to it.
LEAST_LOG_NOISE = -12.0


class ModeObjective:
    """Negative log joint of whitened weights, hyperparameters held, per particle."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def __call__(
        self, params: dict[str, Tensor], batch: Data, scale: float, progress: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        value, grad = self.model.value_and_grad(params["params"], batch, scale)
        grad[:, self.model.n_weights :] = 0
        return -value, {"params": -grad}


def find_mode(
    model: Model,
    data: Data,
    run: Run,
    *,
    curvature: type[Curvature] | None,
    start_only: bool = False,
    **training: Any,
) -> tuple[Tensor, int, bool | None]:
    """Train from several starts, tune their hyperparameters, and go on to the best mode.

    From one start the search can end where all is noise: weights that explain nothing yet
    leave the noise large and the scales small, which keep them from learning. Starts under
    little noise and with wide scales learn to fit first, their scales held; the one of them
    with the most evidence then waits for the first start, which is tuned from the beginning.
    Both climb the evidence by Newton steps, and the better one is kept. Where one curvature
    of many classes takes as long as dozens of training steps, there is one start, whose scales
    move twice a round, and no Newton step. Weights that are trained already are the mode: only
    scales and noise are set.

    Parameters
    ----------
    model, data, run
        What the engine was given.
    curvature : type of Curvature or None
        What the evidence is made of; None holds the scales and sets the noise to its
        maximum likelihood.
    start_only : bool, default=False
        Whether an engine starts there that needs no mode: Newton steps are then left out where
        all of the curvature is too much for them.
    **training
        What `Run.train` takes.

    Returns
    -------
    mode : Tensor of shape (1, n_params)
    n_iter : int
    converged : bool or None
        Whether one more Newton step would gain at most a tenth of a nat; as the training tells
        it where the model has no such steps.
    """
    if model.n_scales and model.prior.groups == "weight":
        curvature = None  # one weight doesn't tell its own scale
    if run.trained is not None:
        at = model.packed(run.trained, model.init(1, run.training))
        quick = quick_curvature(model, curvature)
        return tune(model, data, at, quick, N_CLIMB) if model.n_hyper else at, 0, None
    params, n_iter, history = train_starts(model, data, run, curvature, training)
    newton = newton_curvature(model, data, curvature)
    rough = newton is KroneckerCurvature and (start_only or is_laborious(model, data))
    if newton is None or rough or run.monitor.stopped:
        return most_likely(model, data, params, curvature), n_iter, history.converged
    if model.n_hyper and curvature is not None:
        climbed = [climb_evidence(model, data, p, curvature, newton) for p in params.split(1)]
        params = torch.cat(climbed)
    best = most_likely(model, data, params, curvature)
    mode, expected = settle(model, data, best, newton)
    return mode, n_iter, expected <= FOUND


def near_mode(model: Model, data: Data, run: Run, training: dict[str, Any]) -> tuple[Tensor, int]:
    """A point (1, n_params) near a mode, for engines that need none, and the steps it took.

    In a quarter of the steps that ``training``, what `Run.train` takes, gives the engine.
    """
    quarter = {**training, "max_iter": near_mode_steps(training["max_iter"]), "tol": 0.0}
    curvature = affordable_curvature(model, data)
    mode, n_iter, _ = find_mode(model, data, run, curvature=curvature, start_only=True, **quarter)
    return mode, n_iter


def near_mode_steps(max_iter: int) -> int:
    """Steps that `near_mode` takes of an engine's."""
    return max(1, max_iter // 4)


def train_starts(
    model: Model,
    data: Data,
    run: Run,
    curvature: type[Curvature] | None,
    training: dict[str, Any],
) -> tuple[Tensor, int, History]:
    """Points (S, n_params) that may be near the best mode, steps taken, and the last losses.

    Arguments are those of `find_mode`; ``training`` holds what every round takes.
    """
    tuned, max_iter = model.n_hyper > 0, training["max_iter"]
    rounds = N_ROUNDS if tuned and max_iter >= 2 * N_ROUNDS else 1
    quick, waiting = quick_curvature(model, curvature), list[Tensor]()
    laborious = quick is KroneckerCurvature and is_laborious(model, data)
    several = rounds > 1 and not laborious
    params, n_iter = first_points(model, run, curvature if several else None), 0
    n_moves = N_LABORIOUS_MOVES if laborious else N_MOVES
    for index in range(rounds):
        share = max_iter // rounds + (max_iter % rounds if index == rounds - 1 else 0)
        trained, steps, history = run.train(
            {"params": params}, ModeObjective(model), data, **{**training, "max_iter": share}
        )
        params, n_iter = trained["params"], n_iter + steps
        if not tuned or run.monitor.stopped or index == rounds - 1:
            break
        if index == N_TRIALS - 1 and len(params) > 1:
            # The one with the most evidence waits for the first start, which trains on.
            waiting = [most_likely(model, data, params[1:], curvature)]
            params = params[:1]
        on_trial = index < N_TRIALS - 1
        params = torch.cat(
            [
                tune(model, data, p, quick, n_moves, scales=not on_trial or number == 0)
                for number, p in enumerate(params.split(1))
            ]
        )
    return torch.cat([params, *waiting]), n_iter, history


def quick_curvature(model: Model, curvature: type[Curvature] | None) -> type[Curvature] | None:
    """What hyperparameters move by in training: Kronecker factors for all of the curvature.

    They take less time, and see fewer effective parameters: moves by all of the curvature, which
    hold the network's slopes, run past the most evidence to noise that is too small.
    """
    dense = curvature is not None and issubclass(curvature, FullCurvature | DualCurvature)
    return KroneckerCurvature if dense and hasattr(model.network, "factors") else curvature


def first_points(model: Model, run: Run, curvature: type[Curvature] | None) -> Tensor:
    """Points (S, n_params) to start from: one where no evidence would choose among several.

    A warm start goes on from where it was, from there alone.
    """
    if curvature is None or run.start is not None:
        return starting_points(model, run, 1)[0]
    starts = [(s if model.n_scales else 1.0, n if model.n_noise else 1.0) for s, n in STARTS]
    starts = list(dict.fromkeys(starts))
    if not issubclass(curvature, FullCurvature | DualCurvature):
        starts = starts[:2]
    points = model.init(len(starts), run.training)
    factors = torch.tensor(starts).log().to(points)
    _, log_scales, log_noise = model.split(points)
    log_scales += factors[:, :1]
    log_noise += factors[:, 1:]
    return points


def most_likely(
    model: Model, data: Data, params: Tensor, curvature: type[Curvature] | None
) -> Tensor:
    """The point (1, n_params) with the most evidence, the hyperparameters' prior included."""
    if curvature is None or len(params) == 1:
        return params[:1]
    best = int(np.argmax([log_evidence(model, data, p, curvature) for p in params.split(1)]))
    return params[best : best + 1]


def log_evidence(model: Model, data: Data, mode: Tensor, curvature: type[Curvature]) -> float:
    """Log evidence in nats of a mode's hyperparameters, times their prior."""
    return _log_evidence(model, data, mode, curvature(model, data, mode))


def _log_evidence(model: Model, data: Data, mode: Tensor, fitted: Curvature) -> float:
    """The same with the curvature at hand; units in use are worth their images."""
    log_evidence = laplace_evidence(model, data, mode, fitted)
    return log_evidence + log_images(model, data, mode, fitted) + float(model.log_prior_hyper(mode))


def laplace_evidence(model: Model, data: Data, mode: Tensor, curvature: Curvature) -> float:
    """Log evidence in nats at the hyperparameters of a mode.

    log p(y | z*) + log p(z*) + (d / 2) log 2 pi - (1/2) log det H over the entries that
    the structure treats as random; the rest are conditioned on.
    """
    random = curvature.variance > 0
    z = mode[0, : model.n_weights]
    log_prior = float(model.prior.log_base(z)[random].sum(dtype=torch.float64))
    log_likelihood = float(model.log_likelihood(mode, data))
    volume = 0.5 * int(random.sum()) * LOG_2PI - 0.5 * curvature.log_det
    return log_likelihood + log_prior + volume


def log_images(model: Model, data: Data, mode: Tensor, curvature: Curvature) -> float:
    """Log of how many images of the mode under exchanged units and signs lie apart.

    Each has as much of the evidence (MacKay, 1992, section 4; Bishop, 2006, section 5.7.3).
    """
    if not (curvature.variance > 0).all():
        return 0.0
    z = mode[0, : model.n_weights]
    mean, variance = (t.double().numpy(force=True) for t in (z, curvature.variance))
    return log_n_separate_images(exchangeable_layers(model, data), mean, variance)


def newton_curvature(
    model: Model, data: Data, curvature: type[Curvature] | None
) -> type[Curvature] | None:
    """What Newton steps take: all of the curvature, else Kronecker factors; None for no steps."""
    if not model.prior.proper:
        return None
    dense = curvature in (FullCurvature, DualCurvature)
    return curvature if dense else affordable_curvature(model, data)


def climb_evidence(
    model: Model, data: Data, mode: Tensor, curvature: type[Curvature], newton: type[Curvature]
) -> Tensor:
    """Take Newton steps and hyperparameter moves in turns while the evidence rises.

    Parameters
    ----------
    model, data
        The log joint.
    mode : Tensor of shape (1, n_params)
        Where to start.
    curvature : type of Curvature
        What the evidence is made of, as in `find_mode`.
    newton : type of Curvature
        What preconditions the steps.
    """
    # Evidences are those of modes: off them they promise too much.
    mode, _ = settle(model, data, mode, newton)
    best, most, n_worse = mode, -math.inf, 0
    nothing = ROW_TIE * data.total_weight if newton is KroneckerCurvature else -TIE
    for _ in range(N_CLIMB):
        fitted: Curvature = newton(model, data, mode)
        value = _log_evidence(model, data, mode, fitted)
        n_worse = 0 if value > most + nothing else n_worse + 1
        if value > most - TIE:
            best, most = mode, max(most, value)
        if n_worse > PATIENCE:
            break
        before = model.tail(mode).clone()
        known = fitted if newton is curvature else curvature(model, data, mode)
        mode = _move_hyperparameters(model, data, mode, known, move_scales=True)
        # The curvature before the move turns the step well enough: where both end, there is one.
        mode, gain, _ = newton_step(model, data, mode, fitted)
        if gain < 1e-9 and float((model.tail(mode) - before).abs().amax()) < 1e-6:
            break
    return best


def settle(
    model: Model, data: Data, mode: Tensor, newton: type[Curvature], enough: float = FOUND
) -> tuple[Tensor, float]:
    """Newton steps to the mode, hyperparameters held, and what one more would gain in nats.

    They end where that is ``enough``, or where steps in a row have gained next to nothing.
    """
    n_idle = 0
    nothing = ROW_TIE * data.total_weight if newton is KroneckerCurvature else 1e-9
    for _ in range(N_POLISH):
        mode, gain, expected = newton_step(model, data, mode, newton(model, data, mode))
        n_idle = 0 if gain > nothing else n_idle + 1
        if expected <= enough or gain < 1e-9 or n_idle > PATIENCE:
            break
    return mode, expected


def newton_step(
    model: Model, data: Data, mode: Tensor, curvature: Curvature
) -> tuple[Tensor, float, float]:
    """One Gauss-Newton step on the whitened weights, damped until the joint rises.

    Returns
    -------
    mode : Tensor of shape (1, n_params)
    gain : float
        What the joint rose by, in nats.
    expected : float
        What the whole step would gain were the joint quadratic, with this curvature.
    """
    value, grad = model.value_and_grad(mode, data)
    slope = grad[0, : model.n_weights]
    expected = 0.5 * float(curvature.solve(slope).to(slope) @ slope)
    for damping in DAMPINGS:
        trial = mode.clone()
        trial[0, : model.n_weights] += curvature.solve(slope, damping).to(mode)
        gain = float(model.log_joint(trial, data) - value)
        if gain > 0:
            return trial, gain, expected
    return mode, 0.0, expected


def with_held_out_noise(model: Model, data: Data, params: Tensor, leverages: Tensor) -> Tensor:
    """Points (S, n_params) with normal noise as wide as rows that are left out find it.

    A prediction from modes alone has no other spread. Left out, a row's residual is its own
    over one less its leverage, as in a linear model.

    Parameters
    ----------
    model, data
        The log joint; noise of other likelihoods stays as it is.
    params : Tensor of shape (S, n_params)
        Modes.
    leverages : Tensor of shape (N, K)
        Of the rows, at one of them.

    References
    ----------
    Allen (1974), The relationship between variable selection and data augmentation (PRESS);
    Golub et al. (1979), Generalized cross-validation, where leverages are all their average.
    """
    if not (model.n_noise and isinstance(model.likelihood, Gaussian)):
        return params
    of_one = (leverages / data.weight.to(leverages)[:, None]).clamp(max=MOST_LEVERAGE)
    residual = data.y - model.network.forward(model.weights(params), data.X).mean(0)
    squares = (residual.double() / (1 - of_one)) ** 2 * data.weight.double()[:, None]
    mean = squares.sum(0) / data.total_weight
    if model.n_noise == 1:
        mean = mean.mean(0, keepdim=True)
    params = params.clone()
    log_noise = (mean.sqrt() - NOISE_FLOOR).clamp_min(math.exp(LEAST_LOG_NOISE)).log()
    model.split(params)[2][:] = log_noise
    return params


def tune(
    model: Model,
    data: Data,
    mode: Tensor,
    curvature: type[Curvature] | None,
    n_moves: int = N_MOVES,
    scales: bool = True,
) -> Tensor:
    """Move scales and noise to where evidence times prior is stationary, the network held.

    ``scales=False`` moves the noise alone, the effective parameters held with the network.

    References
    ----------
    MacKay (1992), A practical Bayesian framework for backpropagation networks, eq. 3.
    """
    fitted = None
    for index in range(n_moves):
        if curvature is not None and (scales or index == 0):
            fitted = curvature(model, data, mode)
        mode = _move_hyperparameters(model, data, mode, fitted, scales)
    return mode


def _move_hyperparameters(
    model: Model, data: Data, mode: Tensor, fitted: Curvature | None, move_scales: bool
) -> Tensor:
    """One fixed-point step of every log scale and log noise.

    Without hyperpriors it is s² <- s² (-z score(z)) / gamma and noise² <- misfit / (N - gamma),
    sums over a scale's own weights; their slopes are added to those of the evidence.
    """
    n_effective = torch.zeros(model.n_weights, dtype=torch.float64, device=mode.device)
    of_targets = n_effective.new_zeros(model.n_noise)
    if fitted is not None:
        prior = prior_curvature(model, mode)
        n_effective = (1 - prior * fitted.variance).clamp_min(0)
        several = model.n_noise > 1
        of_targets += fitted.effective(model, data, mode) if several else n_effective.sum()
    mode = mode.clone()
    z, scales, noise = model.split(mode)
    if model.n_noise:
        noise += _noise_move(model, data, mode, of_targets)
        noise.clamp_(min=LEAST_LOG_NOISE)
    if model.n_scales and fitted is not None and move_scales:
        strain = model.spread.sums((-z[0] * model.prior.score_base(z[0])).double())
        gamma = model.spread.sums(n_effective).clamp_min(1e-3)
        move = _log_move(strain, gamma, model.scale_prior, scales[0] - model.log_widths).to(mode)
        before = scales.clone()
        # Wherever the prior says that scales lie.
        shift = model.scale_prior.log_median - HalfNormal().log_median
        scales.add_(move).clamp_(*(end + shift for end in LOG_SCALE_RANGE))
        # The network stays where it is: z shrinks as its scale grows.
        z *= torch.exp(model.spread.gather(before - scales))
    return mode


def _log_move(outward: Tensor, inward: Tensor, prior: ScalePrior, log_scale: Tensor) -> Tensor:
    """Change of log scales towards where the pulls of evidence and prior are even.

    Where ``outward`` less ``inward`` and the prior's slope sum to 0. A prior that is much
    steeper than the evidence shortens the move, which would else go to and fro about it.
    """
    with torch.enable_grad():
        at = log_scale.detach().clone().requires_grad_()
        slope = prior.score(at)
        (bend,) = torch.autograd.grad(slope.sum(), at)
    slope = slope.detach()
    most = slope.clamp_min(1)
    outward, inward = outward + most, inward + most - slope
    steepness = -0.5 * bend / torch.maximum(outward, inward)
    return (0.5 * torch.log(outward / inward) / steepness.clamp_min(1)).clamp(-0.7, 0.7)


def _noise_move(model: Model, data: Data, mode: Tensor, n_effective: Tensor) -> Tensor:
    """Change (n_noise,) of the log noise, given each target's effective parameters."""
    outputs = model.network.forward(model.weights(mode), data.X)
    hyper = model.hyper(mode)
    _, grad = model.likelihood.grad(outputs, data.y, data.weight, hyper)
    # A noise that several targets share has the values of all of them.
    total = data.total_weight * model.n_targets / model.n_noise
    scale = model.likelihood.scale(hyper, hyper)[:, 0]
    # A perfect fit leaves rounding errors, of either sign.
    misfit = (grad[0] * (scale / torch.exp(hyper))[0] + total).clamp_min(1e-6 * total)
    free = (total - n_effective.to(misfit)).clamp_min(0.05 * total)
    return _log_move(misfit, free, model.noise_prior, hyper[0])
