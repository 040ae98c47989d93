"""Bernoulli likelihood of every column of a row, such as the pixels of a picture."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import softplus

from skbayes.likelihoods._base import IndependentOutputs, NormalOutputs
from skbayes.utils._logit_normal import logit_moments
from skbayes.utils._random import rand
from skbayes.utils._sklearn import StrOptions


class BernoulliColumns(IndependentOutputs):
    """One logit a column; columns are independent given the network's outputs.

    A log probability of zeros and ones. Numbers between them are taken as shares of ones,
    so that the log density is the negative cross-entropy: good to train on, but no density.

    Parameters
    ----------
    binarize : {"threshold", "sample"} or None, default=None
        What a variational autoencoder does to values between 0 and 1: rounds them at one
        half, draws them afresh whenever training sees them, or leaves them alone, and then
        claims no density.

    Examples
    --------
    >>> from skbayes.likelihoods import BernoulliColumns
    >>> BernoulliColumns().n_outputs(64)
    64
    """

    _parameter_constraints: dict = {"binarize": [StrOptions({"threshold", "sample"}), None]}
    target: Literal["numeric", "unit", "classes"] = "unit"
    # Logits of pixels that are nearly always off are far from zero, as those of classes.
    output_width = 10.0

    def __init__(self, binarize: str | None = None) -> None:
        self.binarize = binarize

    def log_prob_columns(self, outputs: Tensor, y: Tensor, hyper: Tensor) -> Tensor:
        """Log probability of each column (S, N, T)."""
        return y * outputs - softplus(outputs)

    def grad(
        self, outputs: Tensor, y: Tensor, weight: Tensor, hyper: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Gradients of the weighted log likelihood in outputs (S, N, K) and hyper (S, H)."""
        return (y - torch.sigmoid(outputs)) * weight[..., None], hyper

    def fisher_diagonal(self, outputs: Tensor, hyper: Tensor) -> Tensor:
        """Variances p (1 - p) (S, N, K)."""
        return self.variance(outputs, hyper)

    def mean(self, outputs: Tensor, hyper: Tensor) -> Tensor:
        """Probabilities of a one (S, N, T)."""
        return torch.sigmoid(outputs)

    def variance(self, outputs: Tensor, hyper: Tensor) -> Tensor:
        """Variance p (1 - p) of each column (S, N, T)."""
        p = torch.sigmoid(outputs)
        return p * (1 - p)

    def expected_mean(self, outputs: NormalOutputs, hyper: Tensor) -> Tensor:
        """Average (N, T) of `mean` over normal outputs."""
        return self._average(outputs)[1]

    def variance_of_mean(self, outputs: NormalOutputs, hyper: Tensor) -> Tensor:
        """Variance (N, T) of `mean` over normal outputs."""
        zero, one, within, _ = self._average(outputs)
        # The two differ by rounding alone where the logit is known.
        return (zero * one - within).clamp_min(0.0)

    def expected_variance(self, outputs: NormalOutputs, hyper: Tensor) -> Tensor:
        """Average (N, T) of `variance` over normal outputs."""
        return self._average(outputs)[2]

    @staticmethod
    def _average(outputs: NormalOutputs) -> Tensor:
        """Averages (4, N, T) of 1 - p, p, p (1 - p) and the entropy."""
        mean, variance = outputs.mean, outputs.variance
        found = logit_moments(mean.flatten().numpy(), variance.flatten().numpy())
        return torch.from_numpy(np.stack(found)).view(-1, *mean.shape)

    def sample(self, outputs: Tensor, hyper: Tensor, generator) -> Tensor:
        """Draw zeros and ones (S, N, T)."""
        return (rand(outputs.shape, outputs, generator) < torch.sigmoid(outputs)).to(outputs)
