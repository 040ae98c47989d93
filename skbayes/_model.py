"""A model: network, prior and likelihood as one log joint over one flat vector.

The vector packs, in this order, whitened weights z (n_weights), the log scales of the
prior (one a group of weights, where learned) and the likelihood's own unknowns (log
noise, where learned). Engines that integrate run over all of it; engines that seek a mode move z
and hold the tail, because the joint mode of scales and weights is a spike.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property

import torch
from torch import Tensor

from skbayes.data._tensors import Data
from skbayes.likelihoods import Likelihood
from skbayes.networks import Network
from skbayes.priors import Prior
from skbayes.scale_priors import HalfNormal
from skbayes.utils._random import randn

#: Groups of weights up to which matrix products are quicker than gather and scatter.
FEW_GROUPS = 32


class Spread:
    """From one number a group to one a weight, times the weight's own unit, and back in sums.

    Parameters
    ----------
    groups : Tensor of int of shape (P,)
        Group of every weight.
    units : Tensor of shape (P,)
        Units of the weights.
    """

    def __init__(self, groups: Tensor, units: Tensor) -> None:
        self.groups, self.units = groups, units
        self.n_groups = int(groups.max()) + 1
        self._members = None
        if self.n_groups <= FEW_GROUPS:
            self._members = torch.nn.functional.one_hot(groups).to(units.dtype)
            self._spread = self._members.T * units

    def __call__(self, values: Tensor, plus: Tensor | None = None) -> Tensor:
        """Each weight's own (S, P) of values (S, n_groups), times its unit, and ``plus`` (1, P)."""
        if self._members is not None:
            return values @ self._spread if plus is None else plus.addmm(values, self._spread)
        own = self.gather(values) * self.units
        return own if plus is None else own + plus

    def gather(self, values: Tensor) -> Tensor:
        """Each weight's own (S, P) of values (S, n_groups)."""
        return values.index_select(1, self.groups)

    def add_sums(self, total: Tensor, values: Tensor, factor: float = 1.0) -> None:
        """Add ``factor`` times the sums over groups of values (S, P) to ``total`` (S, n_groups)."""
        if self._members is not None:
            total.addmm_(values, self._members, alpha=factor)
        else:
            total.add_(self.sums(values), alpha=factor)

    def sums(self, values: Tensor) -> Tensor:
        """Sums (..., n_groups) over groups of values (..., P)."""
        if self._members is not None:
            return values @ self._members.to(values)
        total = values.new_zeros(*values.shape[:-1], self.n_groups)
        return total.scatter_add_(-1, self.groups.expand_as(values), values)


class Model:
    """Log joint density of data and unknowns; every method is batched over particles S.

    Parameters
    ----------
    network, prior, likelihood
        The parts, prepared.
    n_targets : int
        Targets, or classes.
    like : Tensor
        Gives dtype and device.
    """

    def __init__(
        self, network: Network, prior: Prior, likelihood: Likelihood, n_targets: int, like: Tensor
    ) -> None:
        self.network, self.prior, self.likelihood = network, prior, likelihood
        self.n_targets = n_targets
        self.n_weights = network.n_weights
        self.n_noise = likelihood.n_hyper(n_targets)
        self.like = torch.empty(0, dtype=like.dtype, device=like.device)
        #: Priors of the scales and of the likelihood's unknowns. Fixed scales have none.
        self.scale_prior = prior.scale_prior or HalfNormal()
        self.noise_prior = likelihood.hyper_prior
        #: Means (P,) of the weights; None where all are zero.
        self.means = prior.weight_means(network, self.like)
        #: Scale of every weight (P,) at group scales one; fixed scales are in it.
        self.unit_scales = prior.weight_factors(network, self.like)
        self.n_scales = 0
        #: Log units (n_scales,) of the scales' priors.
        self.log_widths = self.like.new_zeros(0)
        if prior.scale_prior is None:
            self.unit_scales = self.unit_scales * float(prior.scale)
        else:
            self._group(prior.scale_groups(network).to(self.like.device))

    def _group(self, groups: Tensor) -> None:
        """Note which weights (P,) share a scale, and the units of the scales' priors.

        A layer's unit is 1, or the likelihood's for the one that feeds the outputs. A group
        over layers has the least of theirs, and is so many times wider in a wider layer.
        """
        widths = self.like.new_ones(self.n_weights)
        for block in self.network.layout:
            if block.layer == self.network.n_layers - 1:
                widths[block.slice] = self.likelihood.output_width
        least = self.like.new_full((int(groups.max()) + 1,), math.inf)
        least.scatter_reduce_(0, groups, widths, "amin")
        self.n_scales, self.log_widths = len(least), least.log()
        self.unit_scales = self.unit_scales * (widths / least[groups])
        #: Group (P,) of every weight.
        self.groups = groups
        self.spread = Spread(groups, self.unit_scales)

    @cached_property
    def output_group(self) -> int | None:
        """The group of weights that is the output layer and nothing else, if there is one."""
        if not self.n_scales:
            return None
        last = torch.zeros(self.n_weights, dtype=torch.bool, device=self.like.device)
        for block in self.network.layout:
            last[block.slice] = block.layer == self.network.n_layers - 1
        group = int(self.groups[last][0])
        return group if torch.equal(self.groups == group, last) else None

    @cached_property
    def inner_spread(self) -> Spread:
        """That of all weights but the output layer's, where this has a group of its own."""
        return Spread(self.groups, self.unit_scales * (self.groups != self.output_group))

    @property
    def n_params(self) -> int:
        """Length of the packed vector."""
        return self.n_weights + self.n_scales + self.n_noise

    @property
    def n_hyper(self) -> int:
        """Length of the packed vector's tail: scales and noise."""
        return self.n_scales + self.n_noise

    def split(self, params: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Views on whitened weights, log scales and noise unknowns."""
        first, second = self.n_weights, self.n_weights + self.n_scales
        return params[..., :first], params[..., first:second], params[..., second:]

    def init(self, n_particles: int, generator, spread: float = 1.0) -> Tensor:
        """Starting points (S, n_params): standard normal z, hyperparameters at the median."""
        params = self.like.new_empty(n_particles, self.n_params)
        z, log_scales, noise = self.split(params)
        z[:] = spread * randn(z.shape, self.like, generator)
        log_scales[:] = self.scale_prior.log_median
        log_scales += self.log_widths
        noise[:] = self.noise_prior.log_median
        return params

    def sample_prior(self, n: int, generator) -> Tensor:
        """Draws (n, n_params) from the prior."""
        z = self.prior.sample_base((n, self.n_weights), self.like, generator)
        return torch.cat([z, self.sample_prior_hyper(n, self.like, generator)], 1)

    def sample_prior_hyper(self, n: int, like: Tensor, generator) -> Tensor:
        """Draws (n, n_hyper) of the hyperparameters from their prior, of ``like``'s type."""
        log_scales = self.scale_prior.sample((n, self.n_scales), like, generator)
        log_noise = self.noise_prior.sample((n, self.n_noise), like, generator)
        return torch.cat([log_scales + self.log_widths.to(like), log_noise], 1)

    def tail(self, params: Tensor) -> Tensor:
        """View on the hyperparameters: log scales and noise unknowns."""
        return params[..., self.n_weights :]

    def weight_scales(self, log_scales: Tensor) -> Tensor:
        """Scale of every weight, (S, P) if learned else (1, P)."""
        if self.n_scales:
            return self.spread(torch.exp(log_scales))
        return self.unit_scales[None]

    def weights(self, params: Tensor) -> Tensor:
        """Network weights (S, P) in the network's own coordinates."""
        z, log_scales, _ = self.split(params)
        return self.located(z * self.weight_scales(log_scales))

    def located(self, deviations: Tensor) -> Tensor:
        """Weights (S, P) at deviations from their prior means."""
        return deviations if self.means is None else deviations + self.means

    def packed(self, weights: Tensor, params: Tensor) -> Tensor:
        """Packed vectors (S, n_params) of weights (P,) at the hyperparameters of ``params``."""
        params = params.clone()
        z, log_scales, _ = self.split(params)
        deviations = weights if self.means is None else weights - self.means
        z[:] = deviations / self.weight_scales(log_scales)
        return params

    def hyper(self, params: Tensor) -> Tensor:
        """The likelihood's unknowns (S, n_noise)."""
        return params[..., self.n_weights + self.n_scales :]

    def log_prior_weights(self, params: Tensor) -> Tensor:
        """Log prior density (S,) of z given the hyperparameters."""
        return self.prior.log_base(params[..., : self.n_weights]).sum(-1, dtype=torch.float64)

    def log_prior_hyper(self, params: Tensor) -> Tensor:
        """Log prior density (S,) of the hyperparameters' unconstrained form."""
        of_scales, of_noise = self.hyper_terms(params)
        return of_scales.sum(-1, dtype=torch.float64) + of_noise.sum(1)

    def hyper_terms(self, params: Tensor) -> tuple[Tensor, Tensor]:
        """Its terms: of the scales (S, n_scales), and of the likelihood's unknowns (S, n_noise)."""
        _, scales, noise = self.split(params)
        of_scales = self.scale_prior.log_prob(scales - self.log_widths)
        return of_scales, self.noise_prior.log_prob(noise)

    def log_prior(self, params: Tensor) -> Tensor:
        """Log prior density (S,) of all unknowns."""
        return self.log_prior_weights(params) + self.log_prior_hyper(params)

    def row_log_likelihood(self, params: Tensor, data: Data) -> Tensor:
        """Unweighted log density (S, N) of each row."""
        outputs = self.network.forward(self.weights(params), data.X)
        return self.likelihood.log_prob(outputs, data.y, self.hyper(params))

    def log_likelihood(self, params: Tensor, data: Data) -> Tensor:
        """Weighted log likelihood (S,)."""
        rows = self.row_log_likelihood(params, data) * data.weight
        return rows.sum(1, dtype=torch.float64)

    def log_joint(self, params: Tensor, data: Data, scale: float = 1.0) -> Tensor:
        """Log prior plus ``scale`` times the log likelihood: (S,), differentiable."""
        return self.log_prior(params) + scale * self.log_likelihood(params, data)

    @torch.no_grad()
    def value_and_grad(
        self, params: Tensor, data: Data, scale: float = 1.0
    ) -> tuple[Tensor, Tensor]:
        """`log_joint` (S,) and its gradient (S, n_params), by the network's own pullback."""
        score = self.prior_score(params)
        value, grad = self.likelihood_and_grad(params, data, scale, score)
        return self.log_prior(params) + scale * value.double(), grad

    @torch.no_grad()
    def grad(self, params: Tensor, data: Data, scale: float = 1.0) -> Tensor:
        """Gradient (S, n_params) of `log_joint`, without its value."""
        outputs, to_grad = self.outputs_with_pullback(params, data)
        grads = self.likelihood.grad(outputs, data.y, data.weight, self.hyper(params))
        return to_grad(*grads, scale, self.prior_score(params))

    def prior_score(self, params: Tensor) -> Tensor:
        """Gradient (S, n_params) of `log_prior`."""
        # Elementwise, on the hyperparameters too, whose places are filled in after.
        score = self.prior.score_base(params)
        if not self.n_hyper:
            return score
        _, log_scales, noise = self.split(params)
        _, score_scales, score_noise = self.split(score)
        if self.n_scales:
            score_scales.copy_(self.scale_prior.score(log_scales - self.log_widths))
        if self.n_noise:
            score_noise.copy_(self.noise_prior.score(noise))
        return score

    @torch.no_grad()
    def likelihood_and_grad(
        self, params: Tensor, data: Data, scale: float = 1.0, score: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """`log_likelihood` (S,), and ``scale`` times its gradient added to ``score`` or to 0."""
        outputs, to_grad = self.outputs_with_pullback(params, data)
        value, of_outputs, of_noise = self.likelihood.value_and_grad(
            outputs, data.y, data.weight, self.hyper(params)
        )
        score = torch.zeros_like(params) if score is None else score
        return value, to_grad(of_outputs, of_noise, scale, score)

    def outputs_with_pullback(
        self, params: Tensor, data: Data
    ) -> tuple[Tensor, Callable[[Tensor, Tensor, float, Tensor], Tensor]]:
        """Outputs (S, N, K), and what adds gradients in them and the noise: see `add_chain`."""
        z, log_scales, _ = self.split(params)
        scales = self.weight_scales(log_scales)
        deviations = z * scales
        outputs, pullback = self.network.forward_with_pullback(self.located(deviations), data.X)

        def to_grad(of_outputs: Tensor, of_noise: Tensor, factor: float, score: Tensor) -> Tensor:
            of_weights = pullback(of_outputs)
            return self.add_chain(score, of_weights, deviations, scales, of_noise, factor)

        return outputs, to_grad

    def add_chain(
        self,
        score: Tensor,
        of_weights: Tensor,
        deviations: Tensor,
        scales: Tensor,
        of_noise: Tensor,
        factor: float = 1.0,
    ) -> Tensor:
        """Add ``factor`` times a gradient in weights and noise to ``score`` (S, n_params).

        ``deviations`` (S, P) are those of the weights from their prior means, ``scales``
        what they are over the whitened weights.
        """
        z, log_scales, noise = self.split(score)
        z.addcmul_(of_weights, scales, value=factor)
        if self.n_scales:
            self.spread.add_sums(log_scales, of_weights.mul_(deviations), factor)
        if self.n_noise:
            noise.add_(of_noise, alpha=factor)
        return score

    def named(self, params: Tensor) -> dict[str, Tensor]:
        """Split draws (n, n_params) into named arrays: weights by block, scales, noise."""
        weights = self.weights(params)
        blocks = self.network.layout
        named = {b.name: weights[:, b.slice].unflatten(1, b.shape) for b in blocks}
        _, scales, noise = self.split(params)
        if self.n_scales:
            named["prior_scale"] = torch.exp(scales)
        if self.n_noise:
            named["noise_scale"] = self.likelihood.scale(noise, noise)[:, 0]
        return named
