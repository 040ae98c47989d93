"""The prior whose draws reconstruct rows that are distributed as the data."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skbayes.base._monitor import Monitor
from skbayes.data._tensors import Data
from skbayes.exceptions import IncompatiblePartsError
from skbayes.networks import Network
from skbayes.priors._trained import TrainedPrior
from skbayes.training._trainer import train
from skbayes.utils._random import randn
from skbayes.utils._sklearn import Interval
from skbayes.utils._slices import SlicingDistribution

#: Draws of the weights, rows, and directions behind one estimate of the distance.
N_DRAWS, N_ROWS, N_DIRECTIONS = 8, 64, 100
#: Steps of the directions' law before the prior's first: what falls from then on is the
#: distance, not what is known of it.
FIRST_SLICING = 100


class Optimized(TrainedPrior):
    """Normal weights, each mean and variance tuned on the prior's own reconstructions.

    From the weights of a network trained on the rows, all means and standard deviations
    move so that rows reconstructed by draws of the prior come as near to the rows as they
    can: in the distributional sliced 2-Wasserstein distance, whose directions are learned
    with them (Tran et al., 2021, Model selection for Bayesian autoencoders, section 4).
    Meant for other rows than those of the posterior, as `Pretrained`: every weight is taken
    from them. Tuned on the training rows themselves, the posterior uses these twice and is
    narrower than the data allow.

    Parameters
    ----------
    scale : float, default=0.05
        Standard deviation of every weight before it is tuned.
    max_iter : int, default=1000
        Optimiser steps of the network's training.
    learning_rate : float, default=0.01
        Adam's first rate in the training, decayed along a cosine.
    tuning_iter : int, default=300
        Optimiser steps of the tuning.
    tuning_rate : float, default=1e-3
        Adam's first rate in the tuning, of means and of logarithms of deviations.
    slicing_iter : int, default=2
        Steps of the directions' law for one of the prior.
    alignment_penalty : float, default=2.0
        Price of the mean absolute cosine between directions, in units of the (standardised)
        rows: 0 looks along the one direction of the largest distance, a large number along
        all alike.

    Attributes
    ----------
    wasserstein_curve_ : list of float
        Distance at each step of the tuning, in units of the (standardised) rows.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skbayes import BayesianAutoencoder
    >>> from skbayes.priors import Optimized
    >>> X = load_iris().data
    >>> prior = Optimized(max_iter=100, tuning_iter=20)
    >>> bae = BayesianAutoencoder(prior=prior, inference="map", random_state=0)
    >>> len(bae.fit(X[:100], X_prior=X[100:]).wasserstein_curve_)
    20
    """

    _parameter_constraints: dict = {
        **TrainedPrior._parameter_constraints,
        "scale": [Interval(Real, 0, None, closed="neither")],
        "tuning_iter": [Interval(Integral, 1, None, closed="left")],
        "tuning_rate": [Interval(Real, 0, None, closed="neither")],
        "slicing_iter": [Interval(Integral, 0, None, closed="left")],
        "alignment_penalty": [Interval(Real, 0, None, closed="left")],
    }

    means_: np.ndarray

    def __init__(
        self,
        scale: float = 0.05,
        max_iter: int = 1000,
        learning_rate: float = 0.01,
        tuning_iter: int = 300,
        tuning_rate: float = 1e-3,
        slicing_iter: int = 2,
        alignment_penalty: float = 2.0,
    ) -> None:
        self.scale = scale
        self.max_iter = max_iter
        self.learning_rate = learning_rate
        self.tuning_iter = tuning_iter
        self.tuning_rate = tuning_rate
        self.slicing_iter = slicing_iter
        self.alignment_penalty = alignment_penalty

    def prepare(
        self, network: Network, likelihood: Any, data: Data, generator: torch.Generator
    ) -> Optimized:
        """Return a copy that knows the tuned means and deviations.

        Raises
        ------
        IncompatiblePartsError
            If the targets are labels, whose distances mean nothing.
        """
        if likelihood.target == "classes":
            raise IncompatiblePartsError(
                "prior=Optimized compares reconstructions with rows, but likelihood="
                f"{type(likelihood).__name__} is one of labels; use prior='normal'"
            )
        prepared = type(self)(**self.get_params(deep=False))
        prepared.means_ = self._trained_weights(network, likelihood, data, generator)
        prepared._tune(network, likelihood, data, generator)
        return prepared

    def _tune(
        self, network: Network, likelihood: Any, data: Data, generator: torch.Generator
    ) -> None:
        means = torch.as_tensor(self.means_).to(data.X)[None]
        slices = SlicingDistribution(data.y, self.alignment_penalty, N_DIRECTIONS, generator)
        distance = PredictiveDistance(network, likelihood, slices, self)
        tuned, _, _ = train(
            {"means": means, "log_factors": torch.zeros_like(means)},
            distance,
            # All rows: the objective draws its own, in proportion to their weights.
            data,
            batch_size=None,
            generator=generator,
            engine=type(self).__name__,
            remedy=f"Lower prior__tuning_rate (now {self.tuning_rate:.3g}).",
            max_iter=self.tuning_iter,
            learning_rate=self.tuning_rate,
            tol=0.0,
            monitor=Monitor(type(self).__name__, 0, None),
        )
        self.means_ = _array(tuned["means"])
        self.factors_ = np.exp(_array(tuned["log_factors"]))
        self.wasserstein_curve_ = np.sqrt(distance.squares).tolist()

    def weight_means(self, network: Network, like: Tensor) -> Tensor:
        """The tuned means (P,)."""
        return torch.as_tensor(self.means_).to(like)

    def weight_factors(self, network: Network, like: Tensor) -> Tensor:
        """Tuned deviations (P,) in units of ``scale``."""
        return torch.as_tensor(self.factors_).to(like)


class PredictiveDistance:
    """Squared distance between rows and what draws of the prior make of them.

    Called at means and log factors (1, P) of the prior's weights; notes its ``squares``.
    Rows are repeated for each draw of the weights, so that a prior that reconstructs them
    without error has distance zero.
    """

    def __init__(
        self, network: Network, likelihood: Any, slices: SlicingDistribution, prior: Optimized
    ) -> None:
        self.network, self.likelihood, self.slices = network, likelihood, slices
        self.scale, self.slicing_iter = float(prior.scale), prior.slicing_iter
        self.squares: list[float] = []

    def __call__(
        self, params: dict[str, Tensor], batch: Data, scale: float, progress: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        generator = self.slices.generator
        drawn = torch.multinomial(batch.weight, N_ROWS, replacement=True, generator=generator)
        rows = batch.rows(drawn)
        means, deviations = params["means"].detach(), self.scale * params["log_factors"].exp()
        steps = deviations * randn((N_DRAWS, means.shape[1]), means, generator)
        outputs, pullback = self.network.forward_with_pullback(means + steps, rows.X)
        square, of_outputs = self._distance(outputs, rows.y)
        self.squares.append(float(square))
        of_weights = pullback(of_outputs)
        of_factors = (of_weights * steps).sum(0, keepdim=True)
        grads = {"means": of_weights.sum(0, keepdim=True), "log_factors": of_factors}
        return square[None].double(), grads

    def _distance(self, outputs: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Squared distance and its gradient in the outputs, after a step of the directions."""
        with torch.enable_grad():
            outputs = outputs.detach().requires_grad_()
            hyper = outputs.new_zeros(1, self.likelihood.n_hyper(y.shape[1]))
            made = self.likelihood.mean(outputs, hyper).flatten(0, 1)
            first = 0 if self.squares or not self.slicing_iter else FIRST_SLICING
            self.slices.learn(y, made, first + self.slicing_iter)
            square = self.slices.squared_distance(y, made)
            return square.detach(), torch.autograd.grad(square, outputs)[0]


def _array(tensor: Tensor) -> np.ndarray:
    """A trained (1, P) tensor as doubles (P,)."""
    return tensor[0].double().cpu().numpy()
