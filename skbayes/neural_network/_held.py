"""Networks of which some weights are held at a mode of all of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from skbayes._model import Model
from skbayes.base._monitor import Monitor
from skbayes.data._tensors import Data
from skbayes.inference import MAP, Run
from skbayes.likelihoods import Likelihood
from skbayes.networks import Network
from skbayes.priors import Prior

#: Rows that go through the held layers at once.
N_ROWS = 512


def mode_of_all(
    network: Network,
    prior: Prior,
    likelihood: Likelihood,
    n_targets: int,
    data: Data,
    generator: torch.Generator,
    engine: Any,
) -> Tensor:
    """Weights (P,) of a mode of a whole network, by the training that an engine has."""
    prior = prior.prepare(network, likelihood, data, generator)
    model = Model(network, prior, likelihood, n_targets, data.X)
    names = set(MAP._get_param_names()) - {"checkpoint", "checkpoint_every", "hyperparameters"}
    given = engine.get_params(deep=False) if hasattr(engine, "max_iter") else {}
    mode = MAP(**{name: value for name, value in given.items() if name in names})
    if given.get("hyperparameters") == "fixed" or prior.groups == "weight":
        mode.hyperparameters = "fixed"
    mode.check(model)
    run = Run(generator, generator, Monitor("MAP", 0, None))
    found = mode.infer(model, data, run)
    packed = torch.from_numpy(found.particles[0]).to(model.like)
    return model.weights(packed)[0]


def with_features(network: Any, data: Data) -> Data:
    """Rows as the last layer is given them, where it alone is free."""
    if not hasattr(network, "head"):
        return data
    return replace(data, X=torch.cat([network.features(rows) for rows in data.X.split(N_ROWS)]))


def reduced(model: Model, data: Data) -> tuple[Model, Data]:
    """The last layer alone, and what it is given, where it alone is free."""
    head = getattr(model.network, "head", None)
    if head is None:
        return model, data
    data = with_features(model.network, data)
    return Model(head, model.prior, model.likelihood, model.n_targets, data.X), data
