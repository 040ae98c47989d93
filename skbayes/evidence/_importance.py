"""Evidence by importance sampling, from a normal posterior or from kernels about draws."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from skbayes._model import Model
from skbayes.data._tensors import Data
from skbayes.evidence._kernels import Kernels
from skbayes.evidence._log_joint import log_joint_of_draws, log_likelihood_of_draws
from skbayes.evidence._units import exchangeable_layers, units_have_scales
from skbayes.networks._symmetry import HiddenLayer, log_n_images, nearest_image
from skbayes.posteriors import GaussianPosterior, Posterior
from skbayes.posteriors._factors import Factor
from skbayes.utils._logs import LOG_2PI, MIN_EFFECTIVE_DRAWS, log_mean_exp
from skbayes.utils._random import randn

#: Proposals made at once, and the most of such blocks that small problems get.
N_DRAWS, N_BLOCKS = 2000, 20
#: Rows times unknowns times blocks up to which there are more blocks than one.
WORK = 500_000
#: Degrees of freedom of the tails about a normal posterior.
DF = 3.0
#: Unknowns up to which one of so many draws is from far and wide; among more, none would meet
#: the posterior.
FEW_UNKNOWNS, ONE_IN = 60, 4
#: Rounds in which images of draws are chosen about their own mean, and units of a layer up
#: to which that is worth its time.
N_ROUNDS, MOST_UNITS = 10, 32
#: Nats below the largest weight at which one is of no account.
NEGLIGIBLE = 50.0


class Proposal(Protocol):
    """Where importance sampling draws from."""

    def sample_with_density(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draws (n, n_params) and the log density of each (n,)."""
        ...


def importance_evidence(
    model: Model, data: Data, draws: Tensor, generator: torch.Generator, posterior: Posterior
) -> None:
    """Set the log evidence of ``posterior``, with its standard error, from its draws.

    Hidden units change places and signs until all draws lie about one of the posterior's
    equal parts. The proposal is made of normal kernels about some of them; its weights count
    within that part, and it as often as there are parts. Unbiased for the evidence. With
    fewer than `MIN_EFFECTIVE_DRAWS` behind it there is none, nor where hidden units have
    learned scales of their own.

    Parameters
    ----------
    model : Model
        Gives the log joint.
    data : Data
        Training rows.
    draws : Tensor of shape (n, n_params)
        Posterior draws of all unknowns.
    generator : torch.Generator
        Source of the proposals.
    posterior : Posterior
        Where the numbers go.

    References
    ----------
    West (1993), Approximating posterior distributions by mixtures, section 2.
    """
    if units_have_scales(model):
        return  # their scales change places with them, and such images are not counted
    layers = exchangeable_layers(model, data)
    gathered = _gathered(layers, draws.double(), model.n_weights)
    found = _weighed(
        Kernels(model, gathered),
        lambda points: log_joint_of_draws(model, data, points.to(model.like)),
        layers,
        gathered[:, : model.n_weights].mean(0),
        _n_blocks(model, data),
        generator,
    )
    _store(posterior, *found)


def corrected_evidence(
    model: Model,
    data: Data,
    posterior: GaussianPosterior,
    generator: torch.Generator,
    random: Tensor | None = None,
) -> None:
    """Set the log evidence of a normal posterior by importance sampling from it, and about it.

    Half of the draws are the normal's own, half have its covariance in a Student-t's tails.
    A quarter of all, for at most 60 unknowns, is spread as a normal prior is: what the posterior
    leaves out they meet now and then, and the standard error tells of it. As in
    `importance_evidence`, images of hidden units are counted, and with few effective draws there
    is no evidence. What lies far from the normal and its images may yet go unseen.

    Parameters
    ----------
    model : Model
        Gives likelihood and prior.
    data : Data
        Training rows.
    posterior : GaussianPosterior
        Proposal, and where the numbers go.
    generator : torch.Generator
        Source of the proposals.
    random : Tensor of bool of shape (n_weights,), optional
        Weights that the posterior does not hold; the evidence is given the others and the
        hyperparameters. By default it holds nothing.

    References
    ----------
    Hesterberg (1995), Weighted average importance sampling and defensive mixture
    distributions, section 2.
    """
    if random is None and units_have_scales(model):
        return  # see `importance_evidence`
    # Weights that are held tell units apart.
    free = random is None or bool(random.all())
    layers = exchangeable_layers(model, data) if free else ()

    def log_target(points: Tensor) -> Tensor:
        points = points.to(model.like)
        if random is None:
            return log_joint_of_draws(model, data, points)
        log_prior = model.prior.log_base(points[:, : model.n_weights][:, random])
        return log_likelihood_of_draws(model, data, points) + log_prior.sum(1).double()

    centre = torch.from_numpy(posterior.mean[: model.n_weights]).double()
    n_blocks = _n_blocks(model, data)
    few = sum(factor.size for factor in posterior.factors) <= FEW_UNKNOWNS
    about = Widened(posterior)
    proposal = Defended(about, model) if few else about
    _store(posterior, *_weighed(proposal, log_target, layers, centre, n_blocks, generator))


@dataclass(frozen=True)
class Widened:
    """A normal posterior and a Student-t of the same centre and covariance, half and half."""

    posterior: GaussianPosterior

    def sample_with_density(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draws (n, n_params), and the log density (n,) of the entries that are random."""
        points, log_normal = self.posterior.sample_with_density(n, generator)
        size = sum(factor.size for factor in self.posterior.factors)
        volume = sum(factor.log_volume() for factor in self.posterior.factors)
        squares = -2 * (log_normal + volume + 0.5 * size * LOG_2PI)
        half = torch.full((n // 2,), DF / 2, dtype=torch.float64)
        stretch = torch.ones(n, dtype=torch.float64)
        stretch[: n // 2] = (half / torch._standard_gamma(half, generator=generator)).sqrt()
        mean = torch.from_numpy(self.posterior.mean)
        points = mean + (points - mean) * stretch[:, None].to(points)
        return points, self._log_density(squares * stretch**2, size, volume)

    def log_density(self, points: Tensor) -> Tensor:
        """Log density (n,) of the random entries of points (n, n_params)."""
        away = points.double() - torch.from_numpy(self.posterior.mean).double()
        squares = torch.zeros(len(points), dtype=torch.float64)
        for factor in self.posterior.factors:
            like = torch.from_numpy(self.posterior.mean)
            root = factor.multiply(torch.eye(factor.size, dtype=like.dtype)).double().T
            white = torch.linalg.solve(root, away[:, _entries(factor)].T)
            squares += (white**2).sum(0)
        size = sum(factor.size for factor in self.posterior.factors)
        volume = sum(factor.log_volume() for factor in self.posterior.factors)
        return self._log_density(squares, size, volume)

    @staticmethod
    def _log_density(squares: Tensor, size: int, volume: float) -> Tensor:
        log_normal = -0.5 * squares - 0.5 * size * LOG_2PI
        log_t = math.lgamma((DF + size) / 2) - math.lgamma(DF / 2)
        log_t -= 0.5 * size * math.log(DF * math.pi)
        log_student = log_t - (DF + size) / 2 * torch.log1p(squares / DF)
        return torch.logaddexp(log_normal, log_student) - math.log(2) - volume


@dataclass(frozen=True)
class Defended:
    """A widened posterior, and a share of draws from far and wide.

    These are standard normal weights, whitened, and scales and noise from their prior: the
    prior, or about as wide.
    """

    about: Widened
    model: Model

    def sample_with_density(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draws (n, n_params), and the log density (n,) of the entries that are random."""
        n_wide = n // ONE_IN
        points, log_about = self.about.sample_with_density(n - n_wide, generator)
        wide = torch.from_numpy(self.about.posterior.mean).repeat(n_wide, 1)
        noise = randn(wide.shape, wide, generator)
        self.model.tail(noise)[:] = self.model.sample_prior_hyper(n_wide, noise, generator)
        for factor in self.about.posterior.factors:
            wide[:, _entries(factor)] = noise[:, _entries(factor)]
        points = torch.cat([points, wide])
        log_about = torch.cat([log_about, self.about.log_density(wide)])
        share = n_wide / n
        log_wide = self._log_wide(points.double()) + math.log(share)
        return points, torch.logaddexp(log_about + math.log1p(-share), log_wide)

    def _log_wide(self, points: Tensor) -> Tensor:
        """Log density (n,) of the random entries of points (n, n_params), far and wide."""
        log_density = -0.5 * points**2 - 0.5 * LOG_2PI
        of_hyper = self.model.hyper_terms(points.to(self.model.like.device))
        self.model.tail(log_density)[:] = torch.cat(of_hyper, 1).to(points)
        parts = [log_density[:, _entries(factor)].sum(1) for factor in self.about.posterior.factors]
        return torch.stack(parts).sum(0)


def _entries(factor: Factor) -> slice:
    return slice(factor.start, factor.start + factor.size)


def _n_blocks(model: Model, data: Data) -> int:
    return min(N_BLOCKS, max(1, WORK // (len(data) * model.n_params)))


def _weighed(
    proposal: Proposal,
    log_target: Callable[[Tensor], Tensor],
    layers: tuple[HiddenLayer, ...],
    centre: Tensor,
    n_blocks: int,
    generator: torch.Generator,
) -> tuple[float, float, float]:
    """Log evidence, standard error and effective draws.

    Only points that are their own nearest image to ``centre`` count: each point of the target
    has just one such image, so that its integral over them is an equal share of the whole.
    """
    log_weights = []
    for _ in range(n_blocks):
        points, log_density = proposal.sample_with_density(N_DRAWS, generator)
        log_weight = (log_target(points).to(log_density) - log_density).numpy(force=True)
        some = np.flatnonzero(log_weight > np.nanmax(log_weight, initial=-np.inf) - NEGLIGIBLE)
        _, own = nearest_image(layers, *_arrays(points[some][:, : len(centre)], centre))
        log_weight[some[~own]] = -np.inf
        log_weights.append(log_weight)
    value, se, ess = log_mean_exp(np.concatenate(log_weights))
    return value + log_n_images(layers), se, ess


def _store(posterior: Posterior, value: float, se: float, ess: float) -> None:
    """Keep an evidence that rests on enough draws, and on how many in any case."""
    posterior.evidence_ess = ess
    if ess >= MIN_EFFECTIVE_DRAWS:
        posterior.log_evidence, posterior.evidence_se = value, se
        posterior.evidence_kind = "importance"


def _arrays(*tensors: Tensor) -> list[np.ndarray]:
    return [tensor.double().numpy(force=True) for tensor in tensors]


def _gathered(layers: tuple[HiddenLayer, ...], draws: Tensor, n_weights: int) -> Tensor:
    """Draws (n, n_params) whose units are in the order and signs nearest to their mean."""
    (weights,) = _arrays(draws[:, :n_weights])
    centre = weights[-1]
    few = all(len(layer.incoming) <= MOST_UNITS for layer in layers)
    for _ in range(N_ROUNDS if layers and few else 0):
        weights, own = nearest_image(layers, weights, centre)
        if own.all():
            break
        centre = weights.mean(0)
    return torch.cat([torch.from_numpy(weights).to(draws), draws[:, n_weights:]], 1)
