"""Labels of several sites of a row: pixels, steps, or labels that do not exclude one another."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from skbayes.likelihoods._base import Likelihood
from skbayes.likelihoods._categorical import Bernoulli, Categorical


class Sites(Likelihood):
    """A likelihood of labels at each of several sites, independent given the outputs.

    Outputs are (S, N, K * T): those of a class for all T sites, class by class, as a network
    of pixels (K, height, width) gives them. Targets are codes (N, T); a negative one is left
    out. Estimators make it where y has labels of sites, or several labels a row.

    Parameters
    ----------
    of : Likelihood
        At one site.
    n_sites : int
        Number T of sites.

    Examples
    --------
    >>> from skbayes.likelihoods import Categorical, Sites
    >>> Sites(Categorical(), 64).n_outputs(3)
    192
    """

    _parameter_constraints: dict = {"of": [Likelihood], "n_sites": [int]}
    target: Literal["numeric", "unit", "classes"] = "classes"

    def __init__(self, of: Categorical, n_sites: int) -> None:
        self.of = of
        self.n_sites = n_sites

    @property
    def output_width(self) -> float:  # type: ignore[override]
        """That of one site."""
        return self.of.output_width

    @property
    def diagonal_fisher(self) -> bool:
        """Of one logit a site."""
        return isinstance(self.of, Bernoulli)

    def n_outputs(self, n_targets: int) -> int:
        """So many for each site."""
        return self.of.n_outputs(n_targets) * self.n_sites

    def fold(self, outputs: Tensor) -> Tensor:
        """Outputs (S, N T, K) whose rows are sites."""
        by_class = outputs.unflatten(2, (-1, self.n_sites))
        return by_class.transpose(2, 3).flatten(1, 2)

    def unfold(self, values: Tensor) -> Tensor:
        """Outputs (S, N, K T) of values (S, N T, K)."""
        return values.unflatten(1, (-1, self.n_sites)).transpose(2, 3).flatten(2)

    def log_prob_columns(self, outputs: Tensor, y: Tensor, hyper: Tensor) -> Tensor:
        """Log probability of each site's label: (S, N, T), 0 where it is left out."""
        flat = y.clamp_min(0).flatten()
        found = self.of.log_prob_columns(self.fold(outputs), flat, hyper)
        return found[..., 0].unflatten(1, y.shape) * (y >= 0)

    def grad(
        self, outputs: Tensor, y: Tensor, weight: Tensor, hyper: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Gradients of the weighted log likelihood in outputs (S, N, K T) and hyper (S, H)."""
        counted = (weight[..., None] * (y >= 0)).flatten(-2)
        flat = y.clamp_min(0).flatten()
        grad, _ = self.of.grad(self.fold(outputs), flat, counted, hyper)
        return self.unfold(grad), hyper

    def fisher_diagonal(self, outputs: Tensor, hyper: Tensor) -> Tensor:
        """Fisher information (S, N, K T) of each output."""
        return self.unfold(self.of.fisher_diagonal(self.fold(outputs), hyper))

    def fisher(self, outputs: Tensor, hyper: Tensor) -> Tensor:
        """Information of the logits (S, N, K T, K T), none between sites."""
        at_sites = self.of.fisher(self.fold(outputs), hyper)
        by_class = at_sites.unflatten(1, (-1, self.n_sites)).movedim(2, -1)
        return torch.diag_embed(by_class).transpose(3, 4).flatten(4, 5).flatten(2, 3)

    def probabilities(self, outputs: Tensor) -> Tensor:
        """Class probabilities (S, N T, n_classes) of each site."""
        return self.of.probabilities(self.fold(outputs))

    def sample(self, outputs: Tensor, hyper: Tensor, generator: Any) -> Tensor:
        """Draw codes (S, N, T)."""
        drawn = self.of.sample(self.fold(outputs), hyper, generator)
        return drawn.unflatten(1, (-1, self.n_sites))
