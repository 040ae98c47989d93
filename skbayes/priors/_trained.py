"""Priors whose scales or means come from a network quickly trained on data."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skbayes.base._monitor import Monitor
from skbayes.data._tensors import Data
from skbayes.networks import Network
from skbayes.priors._normal import Normal
from skbayes.training._trainer import train
from skbayes.utils._random import randn
from skbayes.utils._sklearn import Interval

#: Rows in a step; all of them up to `FULL_BATCH` distinct rows.
BATCH, FULL_BATCH = 512, 2048
#: Smallest scale of a block, in units of its fan-in scale: a block that stayed at zero
#: would otherwise be held there.
SMALLEST_SCALE = 1e-3


class TrainedPrior(Normal):
    """Base of the priors that train one network before the posterior is inferred.

    Adam under a decayed rate, from a draw of the 1/fan-in normal prior, on the likelihood
    alone. A penalty on the weights would shrink all that the data leave open, and a prior of
    their sizes would be too narrow: at a mode weights are smaller than in the posterior.
    """

    _parameter_constraints: dict = {
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
    }

    max_iter: int
    learning_rate: float

    def prepare(self, network: Network, likelihood, data: Data, generator) -> TrainedPrior:
        """Return a copy that knows the trained weights, or what it keeps of them."""
        prepared = type(self)(**self.get_params(deep=False))
        prepared._keep(network, self._trained_weights(network, likelihood, data, generator))
        return prepared

    def _keep(self, network: Network, weights: np.ndarray) -> None:
        """Note what the prior needs of trained weights (P,)."""
        raise NotImplementedError(f"{type(self).__name__} must define _keep")

    def _trained_weights(
        self, network: Network, likelihood, data: Data, generator: torch.Generator
    ) -> np.ndarray:
        units = Normal(scale=1.0).weight_factors(network, data.X)
        start = {
            "z": randn((1, network.n_weights), data.X, generator),
            "hyper": data.X.new_full((1, likelihood.n_hyper(data.y.shape[-1])), -1.0),
        }
        batch_size = None if len(data) <= FULL_BATCH else BATCH
        trained, _, _ = train(
            start,
            LikelihoodObjective(network, likelihood, units),
            data,
            batch_size=batch_size,
            generator=generator,
            engine=type(self).__name__,
            remedy=f"Lower prior__learning_rate (now {self.learning_rate:.3g}).",
            max_iter=self.max_iter,
            learning_rate=self.learning_rate,
            tol=0.0,
            monitor=Monitor(type(self).__name__, 0, None),
        )
        return (trained["z"][0] * units).double().cpu().numpy()


class LikelihoodObjective:
    """Negative log likelihood at weights ``z`` times units, and unknowns ``hyper``.

    Only the unknowns have their prior, which keeps the noise from vanishing.
    """

    def __init__(self, network: Network, likelihood: Any, units: Tensor) -> None:
        self.network, self.likelihood, self.units = network, likelihood, units
        self.hyper_prior = likelihood.hyper_prior

    def __call__(
        self, params: dict[str, Tensor], batch: Data, scale: float, progress: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        z, hyper = params["z"].detach(), params["hyper"].detach()
        outputs, pullback = self.network.forward_with_pullback(z * self.units, batch.X)
        value, of_outputs, of_hyper = self.likelihood.value_and_grad(
            outputs, batch.y, batch.weight, hyper
        )
        loss = -scale * value
        grads = {"z": -scale * pullback(of_outputs) * self.units}
        if hyper.shape[1]:
            loss = loss - self.hyper_prior.log_prob(hyper).sum(1)
            grads["hyper"] = -scale * of_hyper - self.hyper_prior.score(hyper)
        return loss.double(), grads


class EmpiricalBayes(TrainedPrior):
    """Zero-mean normal weights of the sizes that a trained network has.

    One scale for the weights and one for the biases of each layer: the root mean square of
    those of a network trained quickly, on rows given for the purpose or on the training
    rows. These are then looked at twice, but only a handful of numbers is taken from them.

    Parameters
    ----------
    scale : float, default=1.0
        Factor on all the scales.
    max_iter : int, default=1000
        Optimiser steps of the training.
    learning_rate : float, default=0.01
        Adam's first rate, decayed along a cosine.

    Examples
    --------
    >>> from skbayes.priors import EmpiricalBayes
    >>> EmpiricalBayes(scale=1.5)
    EmpiricalBayes(scale=1.5)
    """

    _parameter_constraints: dict = {
        **TrainedPrior._parameter_constraints,
        "scale": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self, scale: float = 1.0, max_iter: int = 1000, learning_rate: float = 0.01
    ) -> None:
        self.scale = scale
        self.max_iter = max_iter
        self.learning_rate = learning_rate

    def _keep(self, network: Network, weights: np.ndarray) -> None:
        """The root mean square of each block, in the order of the layout."""
        self.block_scales_ = [
            max(float(np.sqrt(np.mean(weights[b.slice] ** 2))), SMALLEST_SCALE * b.fan_in**-0.5)
            for b in network.layout
        ]

    def weight_factors(self, network: Network, like: Tensor) -> Tensor:
        """Scale (P,) of every weight before the factor ``scale``."""
        factors = torch.empty(network.n_weights, dtype=like.dtype, device=like.device)
        for block, scale in zip(network.layout, self.block_scales_, strict=True):
            factors[block.slice] = scale
        return factors


class Pretrained(TrainedPrior):
    """Normal weights around those of a trained network.

    Meant for a network trained on other rows than those of the posterior: every weight is
    taken from them.

    Parameters
    ----------
    scale : float, default=0.05
        Standard deviation of every weight around its trained value.
    max_iter : int, default=1000
        Optimiser steps of the training.
    learning_rate : float, default=0.01
        Adam's first rate, decayed along a cosine.

    Examples
    --------
    >>> from skbayes.priors import Pretrained
    >>> Pretrained(scale=0.1)
    Pretrained(scale=0.1)
    """

    _parameter_constraints: dict = {
        **TrainedPrior._parameter_constraints,
        "scale": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self, scale: float = 0.05, max_iter: int = 1000, learning_rate: float = 0.01
    ) -> None:
        self.scale = scale
        self.max_iter = max_iter
        self.learning_rate = learning_rate

    def _keep(self, network: Network, weights: np.ndarray) -> None:
        """All of them."""
        self.means_ = weights

    def weight_means(self, network: Network, like: Tensor) -> Tensor:
        """The trained weights (P,)."""
        return torch.as_tensor(self.means_).to(like)

    def weight_factors(self, network: Network, like: Tensor) -> Tensor:
        """One for every weight: ``scale`` is in the units of the weights."""
        return torch.ones(network.n_weights, dtype=like.dtype, device=like.device)
