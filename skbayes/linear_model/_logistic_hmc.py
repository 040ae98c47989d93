"""Weights of a logistic model by the package's Hamiltonian Monte Carlo; needs torch."""

from __future__ import annotations

import re
import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skbayes._model import Model
from skbayes.base._monitor import Monitor
from skbayes.data._tensors import Data
from skbayes.inference import HMC, Run
from skbayes.likelihoods import Bernoulli, Categorical
from skbayes.linear_model._softmax import LabelledRows
from skbayes.networks import Network
from skbayes.networks._base import Block, Pullback
from skbayes.posteriors import ParticlePosterior
from skbayes.priors import Normal
from skbayes.utils._random import make_generator
from skbayes.utils._threads import limit_threads
from skbayes.utils._warnings import warn


class RotatedLinearMap(Network):
    """One layer without bias whose weights are a rotation of the flat vector.

    A rotation leaves a standard normal prior what it is, and can turn the posterior to
    the axes, where a diagonal mass matrix suits it.

    Parameters
    ----------
    n_inputs, n_outputs : int
        Width of the layer.
    rotation : Tensor of shape (P, P)
        Orthogonal; weights (n_outputs, n_inputs) are ``rotation @ flat``.
    """

    def __init__(self, n_inputs: int, n_outputs: int, rotation: Tensor) -> None:
        self.n_inputs, self.n_outputs, self.rotation = n_inputs, n_outputs, rotation
        shape = (n_outputs, n_inputs)
        self.layout = (Block("layer0.weight", 0, "weight", shape, n_inputs, 0),)

    def forward(self, weights: Tensor, X: Tensor) -> Tensor:
        """Map weights (S, P) and rows (N, D) to outputs (S, N, K)."""
        layer = (weights @ self.rotation.T).view(-1, self.n_inputs)
        return (X @ layer.T).unflatten(1, (len(weights), self.n_outputs)).transpose(0, 1)

    def forward_with_pullback(self, weights: Tensor, X: Tensor) -> tuple[Tensor, Pullback]:
        """Outputs (S, N, K) and the map from their gradient to that of the weights (S, P)."""

        def pullback(grad_outputs: Tensor) -> Tensor:
            return (grad_outputs.transpose(1, 2) @ X).flatten(1) @ self.rotation

        return self.forward(weights, X), pullback


def run_hmc(
    data: LabelledRows,
    covariance: np.ndarray,
    params: dict[str, Any],
    seeds: dict[str, int],
    monitor: Monitor,
) -> tuple[np.ndarray, ParticlePosterior]:
    """Sample whitened weights, standard normal a priori.

    Parameters
    ----------
    data : LabelledRows
        Whitened rows.
    covariance : ndarray of shape (K r, K r)
        About that of the weights, to whose axes the sampler is turned.
    params : dict
        Parameters of `skbayes.inference.HMC`.
    seeds : dict
        Seeds of the streams "training" and "evidence".
    monitor : Monitor
        Hears of the run; its states are draws as they are returned.

    Returns
    -------
    draws : ndarray of shape (S, K, r)
        Draws of one time stand together.
    posterior : ParticlePosterior
        Evidence and diagnostics.
    """
    engine = HMC(**params)
    n_classes = 2 if data.n_outputs == 1 else data.n_outputs
    likelihood = Bernoulli() if data.n_outputs == 1 else Categorical()
    rotation = np.linalg.eigh(covariance)[1]
    network = RotatedLinearMap(data.rows.shape[1], data.n_outputs, torch.from_numpy(rotation))
    prior = Normal(scale=1.0, fan_in_scaling=False)
    tensors = Data(*(torch.from_numpy(a) for a in (data.rows, data.codes, data.weight)))
    model = Model(network, prior, likelihood, n_classes, tensors.X)
    engine.check(model)
    training, evidence = (make_generator(seeds[name]) for name in ("training", "evidence"))

    def turned_back(particles: np.ndarray) -> np.ndarray:
        flat = particles.swapaxes(0, 1).reshape(-1, len(rotation)) @ rotation.T
        return flat.reshape(-1, data.n_outputs, data.rows.shape[1])

    def attributes(state: dict[str, torch.Tensor]) -> dict[str, Any]:
        particles = state["params"].numpy()
        return monitor.attributes(
            turned_back(particles.reshape(len(particles), -1, network.n_weights))
        )

    run = Run(training, evidence, monitor.reading(attributes))
    with (
        limit_threads(float(len(data.rows)) * network.n_weights),
        warnings.catch_warnings(record=True) as caught,
    ):
        warnings.simplefilter("always")
        posterior = engine.run(model, tensors, run)
    for warning in caught:
        # The engine's parameters go by another name here.
        text = re.sub(r"inference__(\w+)", r"hmc_params['\1']", str(warning.message))
        warn(text, warning.category)
    assert isinstance(posterior, ParticlePosterior)
    return turned_back(posterior.particles), posterior
