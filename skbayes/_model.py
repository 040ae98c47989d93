"""A model: network, prior and likelihood as one log joint over one flat vector.

The vector packs, in this order, whitened weights z (n_weights), the log scales of the
prior (n_layers, where learned) and the likelihood's own unknowns (log noise, where
learned). Engines that integrate run over all of it; engines that seek a mode move z
and hold the tail, because the joint mode of scales and weights is a spike.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from skbayes.data._tensors import Data
from skbayes.likelihoods import Likelihood
from skbayes.networks import Network
from skbayes.priors import Prior
from skbayes.utils._random import randn

#: Median of a half-normal(1): where learned scales and noise start, and where engines
#: that do not infer them leave them.
LOG_HALF_NORMAL_MEDIAN = math.log(0.6744897501960817)


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
        self.n_scales = network.n_layers if prior.learns_scale else 0
        self.n_noise = likelihood.n_hyper(n_targets)
        self.like = torch.empty(0, dtype=like.dtype, device=like.device)
        self._layers = torch.zeros(self.n_weights, network.n_layers).to(self.like)
        for block in network.layout:
            self._layers[block.slice, block.layer] = 1
        #: Scale of every weight (n_layers, P) at layer scales one; fixed scales are in it.
        self.unit_scales = self._layers.T * prior.weight_factors(network, self.like)
        if not self.n_scales:
            self.unit_scales = (self.unit_scales * float(prior.scale)).sum(0, keepdim=True)
        #: Means (P,) of the weights; None where all are zero.
        self.means = prior.weight_means(network, self.like)
        #: Log widths (n_scales,) of the half-normal priors of the layer scales.
        self.log_widths = self.like.new_zeros(self.n_scales)
        self.log_widths[-1:] = math.log(likelihood.output_width)

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
        params = self.like.new_full((n_particles, self.n_params), LOG_HALF_NORMAL_MEDIAN)
        z, log_scales, _ = self.split(params)
        z[:] = spread * randn(z.shape, self.like, generator)
        log_scales += self.log_widths
        return params

    def tail(self, params: Tensor) -> Tensor:
        """View on the hyperparameters: log scales and noise unknowns."""
        return params[..., self.n_weights :]

    def weight_scales(self, log_scales: Tensor) -> Tensor:
        """Scale of every weight, (S, P) if learned else (1, P)."""
        if self.n_scales:
            return torch.exp(log_scales) @ self.unit_scales
        return self.unit_scales

    def weights(self, params: Tensor) -> Tensor:
        """Network weights (S, P) in the network's own coordinates."""
        z, log_scales, _ = self.split(params)
        return self.located(z * self.weight_scales(log_scales))

    def located(self, deviations: Tensor) -> Tensor:
        """Weights (S, P) at deviations from their prior means."""
        return deviations if self.means is None else deviations + self.means

    def hyper(self, params: Tensor) -> Tensor:
        """The likelihood's unknowns (S, n_noise)."""
        return params[..., self.n_weights + self.n_scales :]

    def log_prior_weights(self, params: Tensor) -> Tensor:
        """Log prior density (S,) of z given the hyperparameters."""
        return self.prior.log_base(params[..., : self.n_weights]).sum(-1, dtype=torch.float64)

    def log_prior_hyper(self, params: Tensor) -> Tensor:
        """Log prior density (S,) of the hyperparameters' unconstrained form."""
        _, scales, noise = self.split(params)
        value = self.prior.log_scale_prior(scales - self.log_widths).sum(-1, dtype=torch.float64)
        return value + self.likelihood.log_hyper_prior(noise)

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
            score_scales.copy_(self.prior.score_scale_prior(log_scales - self.log_widths))
        if self.n_noise:
            score_noise.copy_(self.likelihood.score_hyper_prior(noise))
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
            log_scales.addmm_(of_weights.mul_(deviations), self._layers, alpha=factor)
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
            named["noise_scale"] = self.likelihood.scale(noise, noise)[:, 0]  # type: ignore[attr-defined]
        return named
