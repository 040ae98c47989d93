"""What a prior of a scale offers: a density of the scale's logarithm, and draws of it."""

from __future__ import annotations

from numbers import Real

import torch
from torch import Tensor

from skbayes.utils._parameters import Parametrised
from skbayes.utils._sklearn import Interval


class ScalePrior(Parametrised):
    """Prior of a positive scale: a standard deviation or its like, not a variance.

    Engines move the scale's logarithm, and so every method takes or gives logarithms: the
    density is one of the log scale, its Jacobian included.

    Parameters
    ----------
    width : float, default=1.0
        Unit of the scale: twice the width makes draws twice as large. It counts in the
        model's own units: standard deviations of the target for noise; for weights 1, or 10
        where they feed logits.
    """

    _parameter_constraints: dict = {"width": [Interval(Real, 0, None, closed="neither")]}

    def __init__(self, width: float = 1.0) -> None:
        self.width = width

    def log_prob(self, log_scale: Tensor) -> Tensor:
        """Elementwise log density of the log scale, normalised."""
        raise NotImplementedError(f"{type(self).__name__} must define log_prob")

    def score(self, log_scale: Tensor) -> Tensor:
        """Elementwise derivative of `log_prob`."""
        raise NotImplementedError(f"{type(self).__name__} must define score")

    def sample(self, shape, like: Tensor, generator: torch.Generator) -> Tensor:
        """Draw log scales with the dtype and device of ``like``."""
        raise NotImplementedError(f"{type(self).__name__} must define sample")

    @property
    def log_median(self) -> float:
        """Median of the log scale, where engines start."""
        raise NotImplementedError(f"{type(self).__name__} must define log_median")
