"""Averages over a posterior of what a likelihood says of targets, a tile of rows at a time.

They go by the same names whether a posterior comes as draws of the outputs or, where
functions are linear in normal weights, as the outputs' own normals. Numbers (N, T) are on
the standardised scale: ``mean``, ``epistemic`` (its variance), ``aleatoric`` (the average
noise variance), ``total`` (their sum) and ``log_noise`` (the average of half the logarithm
of the noise variance). Of class probabilities p (N, n_classes) they are ``mean``,
``epistemic`` (the variance of p), ``aleatoric`` (the average of p (1 - p)), ``total``, and
``conditional_entropy`` (N,), the label's average entropy in nats.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skbayes.posteriors._linearised import NormalOutputs
from skbayes.utils._logit_normal import LogitMoments
from skbayes.utils._overrides import is_current


class NumbersOfDraws:
    """Averages over draws of the outputs (S, N, K)."""

    def __init__(self, likelihood: Any, outputs: Tensor, hyper: Tensor) -> None:
        self._likelihood, self._arguments = likelihood, (outputs, hyper)

    @cached_property
    def _means(self) -> Tensor:
        return self._likelihood.mean(*self._arguments).double()

    @cached_property
    def _variances(self) -> Tensor:
        return self._likelihood.variance(*self._arguments).double()

    @property
    def mean(self) -> Tensor:
        return self._means.mean(0)

    @property
    def epistemic(self) -> Tensor:
        return self._means.var(0, correction=0)

    @property
    def aleatoric(self) -> Tensor:
        return self._variances.mean(0)

    @property
    def total(self) -> Tensor:
        return self.epistemic + self.aleatoric

    @property
    def log_noise(self) -> Tensor:
        return 0.5 * torch.log(self._variances).mean(0)


class NumbersOfNormals:
    """Averages over normal outputs, by the likelihood's closed forms."""

    def __init__(self, likelihood: Any, outputs: NormalOutputs, hyper: Tensor) -> None:
        self._likelihood, self._arguments = likelihood, (outputs, hyper)

    @staticmethod
    def suit(likelihood: Any) -> bool:
        """Whether a likelihood has closed forms, and they are those of what it says else."""
        return is_current(type(likelihood), "expected_variance", "mean", "variance", "scale")

    @property
    def mean(self) -> Tensor:
        return self._likelihood.expected_mean(*self._arguments)

    @property
    def epistemic(self) -> Tensor:
        return self._likelihood.variance_of_mean(*self._arguments)

    @property
    def aleatoric(self) -> Tensor:
        return self._likelihood.expected_variance(*self._arguments)

    @property
    def total(self) -> Tensor:
        return self.epistemic + self.aleatoric

    @property
    def log_noise(self) -> Tensor:
        return self._likelihood.expected_log_sd(*self._arguments)


class ClassesOfDraws:
    """Averages over draws of the logits (S, N, K)."""

    def __init__(self, likelihood: Any, outputs: Tensor, hyper: Tensor) -> None:
        # Rows last is how the memory lies: sums over draws are ten times faster so.
        self._p = likelihood.probabilities(outputs.double()).transpose(1, 2)

    @cached_property
    def mean(self) -> Tensor:
        return self._p.mean(0).T

    @property
    def epistemic(self) -> Tensor:
        return self._p.var(0, correction=0).T

    @property
    def aleatoric(self) -> Tensor:
        return (self._p * (1 - self._p)).mean(0).T

    @property
    def total(self) -> Tensor:
        return self.mean * (1 - self.mean)

    @property
    def conditional_entropy(self) -> Tensor:
        return torch.special.entr(self._p).sum(1).mean(0)


class ClassesOfNormals:
    """Averages over one normal logit, by quadrature."""

    def __init__(self, likelihood: Any, outputs: NormalOutputs, hyper: Tensor) -> None:
        self._averages: LogitMoments = likelihood.expectations(outputs)

    @staticmethod
    def suit(likelihood: Any) -> bool:
        """Whether a likelihood has one logit, and its quadrature is that of what it says else."""
        return is_current(type(likelihood), "expectations", "log_prob", "probabilities")

    @staticmethod
    def _both(values: Any) -> Tensor:
        return torch.from_numpy(values)[:, None].expand(-1, 2)

    @property
    def mean(self) -> Tensor:
        return torch.from_numpy(np.stack([self._averages.zero, self._averages.one], 1))

    @property
    def total(self) -> Tensor:
        return self._both(self._averages.zero * self._averages.one)

    @property
    def aleatoric(self) -> Tensor:
        # At most the total, up to rounding.
        return torch.minimum(self._both(self._averages.aleatoric), self.total)

    @property
    def epistemic(self) -> Tensor:
        return self.total - self.aleatoric

    @property
    def conditional_entropy(self) -> Tensor:
        return torch.from_numpy(self._averages.entropy)
