"""What a likelihood offers: densities of targets given network outputs, in nats.

Shapes: outputs (S, N, K), targets y (N, T) for numbers or (N,) for class codes,
row weights (N,), hyperparameters (S, H), the likelihood's own unconstrained unknowns.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from skbayes.scale_priors import (
    SCALE_CONSTRAINTS,
    SCALE_NAMES,
    HalfNormal,
    ScalePrior,
    as_scale_prior,
)
from skbayes.utils._parameters import Parametrised

#: Learned noise is this plus exp(unknown), in standard deviations of the target: an
#: interpolated data set would otherwise have an infinite likelihood.
NOISE_FLOOR = 1e-3


class NormalOutputs(Protocol):
    """Normal network outputs of N rows, in double precision."""

    @property
    def mean(self) -> Tensor:
        """Means (N, K)."""

    @property
    def variance(self) -> Tensor:
        """Variances (N, K)."""

    @property
    def covariance(self) -> Tensor:
        """Covariances (N, K, K)."""


class Likelihood(Parametrised):
    """Base of the likelihoods; autograd supplies the gradients that a family leaves out."""

    _parameter_constraints: dict = {}
    #: Numbers, numbers from 0 to 1, or class codes.
    target: Literal["numeric", "unit", "classes"]
    #: Unit of the prior on the scale of the layer that feeds the outputs: standardised
    #: targets have spread 1.
    output_width = 1.0

    @property
    def diagonal_fisher(self) -> bool:
        """Whether `fisher_diagonal` is known to say all of the Fisher information."""
        return False

    def prepare(self, target_scale: np.ndarray | None) -> Likelihood:
        """Return the likelihood for standardised targets; ``target_scale`` (T,) divides y."""
        return self

    def n_outputs(self, n_targets: int) -> int:
        """Network outputs needed for so many targets or classes."""
        return n_targets

    def n_hyper(self, n_targets: int) -> int:
        """Number of the likelihood's own unknowns."""
        return 0

    def mean(self, outputs: Tensor, hyper: Tensor) -> Tensor:
        """Mean of the targets (S, N, T), or of indicators of classes."""
        raise NotImplementedError(f"{type(self).__name__} must define mean")

    def variance(self, outputs: Tensor, hyper: Tensor) -> Tensor:
        """Variance of the targets (S, N, T) around their mean."""
        raise NotImplementedError(f"{type(self).__name__} must define variance")

    def cdf(self, y: np.ndarray, outputs: Tensor, hyper: Tensor) -> np.ndarray:
        """Distribution function at y (N, T) for each draw: (S, N, T)."""
        raise NotImplementedError(f"{type(self).__name__} must define cdf")

    def scale(self, hyper: Tensor, like: Tensor) -> Tensor:
        """Scale (S or 1, 1, T) of noise that does not depend on the outputs."""
        raise NotImplementedError(f"{type(self).__name__} must define scale")

    def log_prob_columns(self, outputs: Tensor, y: Tensor, hyper: Tensor) -> Tensor:
        """Log density of each target (S, N, T)."""
        raise NotImplementedError(
            f"{type(self).__name__} must define log_prob_columns, or log_prob of whole rows"
        )

    def log_prob(
        self, outputs: Tensor, y: Tensor, hyper: Tensor, observed: Tensor | None = None
    ) -> Tensor:
        """Log density of each row (S, N): the sum over targets, where ``observed`` (N, T) is 1."""
        terms = self.log_prob_columns(outputs, y, hyper)
        return (terms if observed is None else terms * observed).sum(2)

    def refresh(self, y: Tensor, generator: torch.Generator) -> Tensor:
        """Targets as a training step sees them, drawn afresh where they are shares."""
        return y

    def fisher(self, outputs: Tensor, hyper: Tensor) -> Tensor:
        """Fisher information of the outputs (S, N, K, K): the curvature of Laplace's GGN."""
        raise NotImplementedError(f"{type(self).__name__} must define fisher")

    def fisher_diagonal(self, outputs: Tensor, hyper: Tensor) -> Tensor:
        """Diagonal (S, N, K) of `fisher`."""
        return self.fisher(outputs, hyper).diagonal(dim1=-2, dim2=-1)

    def fisher_root(self, outputs: Tensor, hyper: Tensor) -> Tensor:
        """Square root R (S, N, K, K) of `fisher`, which is RR'."""
        fisher = self.fisher(outputs, hyper)
        diagonal = torch.diagonal(fisher, dim1=-2, dim2=-1)
        if torch.equal(fisher, torch.diag_embed(diagonal)):
            return torch.diag_embed(diagonal.sqrt())
        values, vectors = torch.linalg.eigh(fisher)
        return vectors * values.clamp_min(0).sqrt()[..., None, :]

    def whiten(self, moves: Tensor, outputs: Tensor, hyper: Tensor) -> Tensor:
        """Moves (q, N, K) of outputs (1, N, K) whose squares sum to the Fisher information."""
        if self.diagonal_fisher:
            return moves * self.fisher_diagonal(outputs, hyper).sqrt()
        root = self.fisher_root(outputs, hyper)[0]
        return torch.einsum("qnk,nkj->qnj", moves, root)

    def sample(self, outputs: Tensor, hyper: Tensor, generator) -> Tensor:
        """Draw targets (S, N, T), or class codes (S, N)."""
        raise NotImplementedError(f"{type(self).__name__} must define sample")

    @property
    def hyper_prior(self) -> ScalePrior:
        """Prior of the likelihood's own unknowns, each the logarithm of a scale."""
        return HalfNormal()

    def grad(
        self, outputs: Tensor, y: Tensor, weight: Tensor, hyper: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Gradients of the weighted log likelihood in outputs (S, N, K) and hyper (S, H)."""
        with torch.enable_grad():
            outputs = outputs.detach().requires_grad_()
            hyper = hyper.detach().requires_grad_()
            value = (self.log_prob(outputs, y, hyper) * weight).sum()
            return torch.autograd.grad(value, (outputs, hyper), materialize_grads=True)  # type: ignore[return-value]

    def value_and_grad(
        self, outputs: Tensor, y: Tensor, weight: Tensor, hyper: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Weighted log likelihood (S,), and its gradients as `grad` gives them."""
        value = (self.log_prob(outputs, y, hyper) * weight).sum(1)
        return value, *self.grad(outputs, y, weight, hyper)


class IndependentOutputs(Likelihood):
    """Base of likelihoods whose outputs each have a part of the density to themselves.

    Their Fisher information is diagonal, and curvature asks for no matrix of it: for each
    picture of 784 pixels that would be 614,656 numbers in place of 784.
    """

    @property
    def diagonal_fisher(self) -> bool:
        """Whether `fisher` is made of `fisher_diagonal`: a subclass may define its own."""
        return type(self).fisher is IndependentOutputs.fisher

    def fisher_diagonal(self, outputs: Tensor, hyper: Tensor) -> Tensor:
        """Fisher information (S, N, K) of each output."""
        if self.diagonal_fisher:
            raise NotImplementedError(f"{type(self).__name__} must define fisher_diagonal")
        return super().fisher_diagonal(outputs, hyper)

    def fisher(self, outputs: Tensor, hyper: Tensor) -> Tensor:
        """Fisher information on the diagonal: (S, N, K, K)."""
        return torch.diag_embed(self.fisher_diagonal(outputs, hyper))


class NoisyLikelihood(IndependentOutputs):
    """Shared by likelihoods that add noise of one scale a target to the outputs.

    Under normal outputs they average in closed form: `expected_mean` and its kin.

    Parameters
    ----------
    noise : "learned", ScalePrior, str or float, default="learned"
        Scale of the noise. A number fixes it, in the units of y. An object or a name in
        `SCALE_PRIORS` is its prior, in standard deviations of the target, and it is inferred
        with the weights; "learned" is the half-normal of width 1.
    """

    _parameter_constraints: dict = {"noise": SCALE_CONSTRAINTS}
    _registries: ClassVar[dict[str, dict[str, type]]] = {"noise": SCALE_NAMES}
    target: Literal["numeric", "unit", "classes"] = "numeric"
    #: Learned noise is this plus exp(unknown), in standard deviations of the target.
    floor = NOISE_FLOOR

    def __init__(self, noise: ScalePrior | str | float = "learned") -> None:
        self.noise: Any = noise

    @property
    def learns_noise(self) -> bool:
        """Whether the noise is unknown."""
        return isinstance(self.noise, str | ScalePrior)

    @property
    def hyper_prior(self) -> ScalePrior:
        """Prior of the noise."""
        return as_scale_prior(self.noise) or super().hyper_prior

    @property
    def unit_variance(self) -> float:
        """Variance of the noise at scale 1."""
        raise NotImplementedError(f"{type(self).__name__} must define unit_variance")

    def mean(self, outputs: Tensor, hyper: Tensor) -> Tensor:
        """Mean of the targets (S, N, T)."""
        return outputs

    def variance(self, outputs: Tensor, hyper: Tensor) -> Tensor:
        """Noise variance (S, N, T)."""
        return (self.unit_variance * self.scale(hyper, outputs) ** 2).expand_as(outputs)

    def expected_mean(self, outputs: NormalOutputs, hyper: Tensor) -> Tensor:
        """Average (N, T) of `mean` over normal outputs."""
        return outputs.mean

    def variance_of_mean(self, outputs: NormalOutputs, hyper: Tensor) -> Tensor:
        """Variance (N, T) of `mean` over normal outputs."""
        return outputs.variance

    def expected_variance(self, outputs: NormalOutputs, hyper: Tensor) -> Tensor:
        """Average (N, T) of `variance` over normal outputs."""
        return self.variance(outputs.mean[None], hyper.double())[0]

    def expected_log_sd(self, outputs: NormalOutputs, hyper: Tensor) -> Tensor:
        """Average (N, T) of half the logarithm of `variance` over normal outputs."""
        return 0.5 * torch.log(self.expected_variance(outputs, hyper))

    def prepare(self, target_scale: np.ndarray | None) -> Likelihood:
        """Return a copy that knows the fixed noise in standardised units."""
        prepared = type(self)(**self.get_params(deep=False))
        if not self.learns_noise and target_scale is not None:
            prepared._standardised_noise = (float(self.noise) / target_scale).tolist()
        return prepared

    def n_hyper(self, n_targets: int) -> int:
        """One noise a target if it is learned."""
        return n_targets if self.learns_noise else 0

    def location_scale(self, outputs: Tensor, hyper: Tensor) -> tuple[Tensor, Tensor]:
        """Middle (S, N, T) and scale (S or 1, N or 1, T or 1) of the noise."""
        return outputs, self.scale(hyper, outputs)

    def scale(self, hyper: Tensor, like: Tensor) -> Tensor:
        """Noise scale (S or 1, 1, T) in standardised units."""
        if self.learns_noise:
            return (self.floor + torch.exp(hyper))[:, None, :]
        return torch.as_tensor(
            getattr(self, "_standardised_noise", [float(self.noise)]),
            dtype=like.dtype,
            device=like.device,
        )[None, None, :]
