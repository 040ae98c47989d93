"""Likelihoods of columns beside one another, some of several encoded numbers each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from skbayes.likelihoods._base import IndependentOutputs, Likelihood
from skbayes.likelihoods._bernoulli_columns import BernoulliColumns
from skbayes.likelihoods._gaussian import Gaussian, SharedGaussian
from skbayes.likelihoods._heteroscedastic import Heteroscedastic
from skbayes.utils._random import randn
from skbayes.utils._sklearn import StrOptions

#: Where the log of degrees of freedom above 2 starts.
LOG_DF = math.log(3.0)


#: Normal noise, whose middle and scale a heavy tail may have.
NORMAL: dict[str, type[Likelihood]] = {
    "gaussian": Gaussian,
    "shared_gaussian": SharedGaussian,
    "heteroscedastic": Heteroscedastic,
}


class StudentTColumns(IndependentOutputs):
    """Student-t noise of columns, whose degrees of freedom, above 2, are learned.

    Parameters
    ----------
    noise : {"gaussian", "shared_gaussian", "heteroscedastic"} or one of these likelihoods, \
            default="gaussian"
        Whose middle and scale it has.

    Examples
    --------
    >>> from skbayes.likelihoods import StudentTColumns
    >>> StudentTColumns(noise="shared_gaussian")
    StudentTColumns(noise='shared_gaussian')
    """

    _registries: ClassVar[dict[str, dict[str, type]]] = {"noise": NORMAL}
    _parameter_constraints: dict = {"noise": [StrOptions(set(NORMAL)), *NORMAL.values()]}
    target: Literal["numeric", "unit", "classes"] = "numeric"

    def __init__(self, noise: Any = "gaussian") -> None:
        self.noise = noise

    def prepare(self, target_scale: np.ndarray | None) -> StudentTColumns:
        """Return a copy whose noise knows the scale of the columns."""
        return StudentTColumns(self._checked_part("noise").prepare(target_scale))

    def n_outputs(self, n_targets: int) -> int:
        """Those of the noise."""
        return self.noise.n_outputs(n_targets)

    def n_hyper(self, n_targets: int) -> int:
        """Those of the noise, and the log of the degrees of freedom above 2."""
        return self.noise.n_hyper(n_targets) + 1

    def _parts(self, outputs: Tensor, hyper: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Middle, scale and degrees of freedom."""
        own, log_df = hyper[:, :-1], hyper[:, None, -1:]
        return *self.noise.location_scale(outputs, own), 2 + log_df.exp()

    def log_prob_columns(self, outputs: Tensor, y: Tensor, hyper: Tensor) -> Tensor:
        """Log density of each column (S, N, T)."""
        middle, scale, df = self._parts(outputs, hyper)
        norm = torch.lgamma((df + 1) / 2) - torch.lgamma(df / 2) - 0.5 * (df * math.pi).log()
        kernel = torch.log1p(((y - middle) / scale).square() / df)
        return (norm - torch.log(scale)) - (df + 1) / 2 * kernel

    def fisher_diagonal(self, outputs: Tensor, hyper: Tensor) -> Tensor:
        """Fisher information (S, N, K) of middles, and of log scales where these are outputs."""
        middle, _, df = self._parts(outputs, hyper)
        normal = self.noise.fisher_diagonal(outputs, hyper[:, :-1])
        of_middle, of_scale = normal.split([middle.shape[2], normal.shape[2] - middle.shape[2]], 2)
        shares = (df + 1) / (df + 3), df / (df + 3)
        return torch.cat([of_middle * shares[0], of_scale * shares[1]], 2)

    def mean(self, outputs: Tensor, hyper: Tensor) -> Tensor:
        """Mean of the columns (S, N, T)."""
        return self._parts(outputs, hyper)[0]

    def sample(self, outputs: Tensor, hyper: Tensor, generator: Any) -> Tensor:
        """Draw columns (S, N, T)."""
        middle, scale, df = self._parts(outputs, hyper)
        half = (df / 2).expand_as(middle).contiguous()
        gamma = torch._standard_gamma(half, generator=generator) / half
        return middle + scale * gamma.rsqrt() * randn(middle.shape, middle, generator)


class SampledBernoulliColumns(BernoulliColumns):
    """Bernoulli columns whose values are drawn afresh in training, by their probabilities."""

    def refresh(self, y: Tensor, generator: torch.Generator) -> Tensor:
        """Zeros and ones drawn with the given probabilities."""
        return torch.bernoulli(y, generator=generator)


class CategoricalColumns(Likelihood):
    """Columns of a few levels each: indicators beside one another, as many logits.

    Parameters
    ----------
    counts : list of int, default=()
        Levels of each column, which `fit` finds.

    Examples
    --------
    >>> from skbayes.likelihoods import CategoricalColumns
    >>> CategoricalColumns([3, 2]).n_outputs(5)
    5
    """

    _parameter_constraints: dict = {"counts": ["array-like"]}
    target: Literal["numeric", "unit", "classes"] = "classes"
    output_width = 10.0

    def __init__(self, counts: Sequence[int] = ()) -> None:
        self.counts = counts
        n_columns, n_levels = len(counts), sum(counts)
        # Levels of each column side by side, padded with the index of an impossible one.
        self._padded = torch.full((n_columns, max(counts, default=0)), n_levels)
        starts = [sum(counts[:column]) for column in range(n_columns)]
        for row, start, count in zip(self._padded, starts, counts, strict=True):
            row[:count] = torch.arange(start, start + count)
        self._owner = torch.arange(n_columns).repeat_interleave(
            torch.tensor(counts, dtype=torch.int64)
        )

    def _by_column(self, values: Tensor) -> Tensor:
        """Values of levels (..., n_columns, most levels); minus infinity where there is none."""
        impossible = values.new_full((*values.shape[:-1], 1), -math.inf)
        return torch.cat([values, impossible], dim=-1)[..., self._padded]

    def _log_probabilities(self, outputs: Tensor) -> Tensor:
        normalisers = torch.logsumexp(self._by_column(outputs), dim=-1)
        return outputs - normalisers[..., self._owner]

    def log_prob_columns(self, outputs: Tensor, y: Tensor, hyper: Tensor) -> Tensor:
        """Log probability of each level that is there, else zero (S, N, n_levels)."""
        return y * self._log_probabilities(outputs)

    def mean(self, outputs: Tensor, hyper: Tensor) -> Tensor:
        """Probabilities of levels."""
        return self._log_probabilities(outputs).exp()

    def sample(self, outputs: Tensor, hyper: Tensor, generator: Any) -> Tensor:
        """Indicators of drawn levels: the largest of logits with Gumbel noise."""
        waits = torch.empty_like(outputs, memory_format=torch.contiguous_format)
        waits.exponential_(generator=generator).clamp_min_(1e-30)
        best = self._by_column(outputs - waits.log()).argmax(-1)
        drawn = self._padded[torch.arange(len(self.counts)), best]
        return torch.zeros_like(waits).scatter_(-1, drawn, 1.0)

    def whiten(self, moves: Tensor, outputs: Tensor, hyper: Tensor) -> Tensor:
        """Moves off their mean over levels, times roots of probabilities."""
        p = self.mean(outputs, hyper)
        means = moves.new_zeros(*moves.shape[:-1], len(self.counts))
        means.index_add_(-1, self._owner, moves * p)
        return (moves - means[..., self._owner]) * p.sqrt()
