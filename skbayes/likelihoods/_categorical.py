"""Likelihoods of class labels: categorical (one logit a class) and Bernoulli (one logit)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from skbayes.exceptions import IncompatiblePartsError
from skbayes.likelihoods._base import Likelihood, NormalOutputs
from skbayes.utils._logit_normal import LogitMoments, logit_moments
from skbayes.utils._random import rand


class Categorical(Likelihood):
    """Softmax over one logit a class.

    Examples
    --------
    >>> from skbayes.likelihoods import Categorical
    >>> Categorical().n_outputs(3)
    3
    """

    target: Literal["numeric", "unit", "classes"] = "classes"
    # Chosen on iris, wine, vehicle, German credit and banana (docs/benchmarks.md).
    output_width = 10.0

    def log_prob_columns(self, outputs: Tensor, y: Tensor, hyper: Tensor) -> Tensor:
        """Log probability of each row's class: (S, N, 1)."""
        logp = torch.log_softmax(outputs, 2)
        return logp.gather(2, y.expand(len(outputs), -1)[..., None])

    def grad(
        self, outputs: Tensor, y: Tensor, weight: Tensor, hyper: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Gradients of the weighted log likelihood in outputs (S, N, K) and hyper (S, H)."""
        grad = -torch.softmax(outputs, 2)
        index = y.expand(outputs.shape[0], -1)[..., None]
        grad.scatter_add_(2, index, torch.ones_like(grad[..., :1]).expand(index.shape))
        return grad * weight[..., None], hyper

    def fisher(self, outputs: Tensor, hyper: Tensor) -> Tensor:
        """diag(p) - p p' of the logits: (S, N, K, K)."""
        p = torch.softmax(outputs, 2)
        return torch.diag_embed(p) - p[..., :, None] * p[..., None, :]

    def fisher_root(self, outputs: Tensor, hyper: Tensor) -> Tensor:
        """diag(r) - p r' with r the roots of the probabilities p: (S, N, K, K)."""
        if type(self).fisher is not Categorical.fisher:
            return super().fisher_root(outputs, hyper)
        # In closed form: eigenvectors of every row's matrix took longer than all the rest.
        p = torch.softmax(outputs, 2)
        root = p.sqrt()
        return torch.diag_embed(root) - p[..., :, None] * root[..., None, :]

    def probabilities(self, outputs: Tensor) -> Tensor:
        """Class probabilities (S, N, n_classes)."""
        # Networks keep rows last in memory, where a softmax over classes is ten times faster.
        return torch.softmax(outputs.transpose(1, 2), 1).transpose(1, 2)

    def sample(self, outputs: Tensor, hyper: Tensor, generator) -> Tensor:
        """Draw class codes (S, N)."""
        cumulative = self.probabilities(outputs).cumsum(2)
        u = rand(outputs.shape[:2], outputs, generator)[..., None]
        return (u > cumulative[..., :-1]).sum(2)


class Bernoulli(Categorical):
    """One logit for the second of two classes.

    Examples
    --------
    >>> from skbayes.likelihoods import Bernoulli
    >>> Bernoulli().n_outputs(2)
    1
    """

    def n_outputs(self, n_targets: int) -> int:
        """One logit; two classes only."""
        if n_targets != 2:
            raise IncompatiblePartsError(
                f"likelihood='bernoulli' has two classes but y has {n_targets}; "
                "use likelihood='categorical'"
            )
        return 1

    def log_prob_columns(self, outputs: Tensor, y: Tensor, hyper: Tensor) -> Tensor:
        """Log probability of each row's class: (S, N, 1)."""
        return logsigmoid(outputs * (2 * y - 1)[:, None])

    def grad(
        self, outputs: Tensor, y: Tensor, weight: Tensor, hyper: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Gradients of the weighted log likelihood in outputs (S, N, K) and hyper (S, H)."""
        sign = (2 * y - 1).to(outputs.dtype)
        return (torch.sigmoid(-outputs[..., 0] * sign) * (sign * weight))[..., None], hyper

    def fisher(self, outputs: Tensor, hyper: Tensor) -> Tensor:
        """Variance p (1 - p) of the label: (S, N, 1, 1)."""
        p = torch.sigmoid(outputs)
        return (p * (1 - p))[..., None]

    def probabilities(self, outputs: Tensor) -> Tensor:
        """Class probabilities (S, N, 2)."""
        logits = outputs.transpose(1, 2)
        return torch.sigmoid(torch.cat([-logits, logits], 1)).transpose(1, 2)

    def expectations(self, outputs: NormalOutputs) -> LogitMoments:
        """Averages (N,) of the probabilities, their spread and entropy over normal outputs."""
        return logit_moments(outputs.mean[:, 0].numpy(), outputs.variance[:, 0].numpy())
