"""Hidden units that a model doesn't tell apart."""

from __future__ import annotations

import torch

from skbayes._model import Model
from skbayes.data._tensors import Data
from skbayes.networks._symmetry import HiddenLayer, reversed_image
from skbayes.utils._random import make_generator

#: Rows on which outputs are compared.
N_ROWS = 8


@torch.inference_mode()
def exchangeable_layers(model: Model, data: Data) -> tuple[HiddenLayer, ...]:
    """The network's hidden layers, if neither it nor the prior tells their units apart.

    A prior tuned weight by weight does. So that this holds for every prior and network, log
    prior and outputs are looked at in random weights and in an image of them. Units that have
    scales of their own are told apart but for their signs: each is a layer then.
    """
    layers = model.network.hidden_layers
    if not layers:
        return ()
    if units_have_scales(model):
        layers = tuple(
            HiddenLayer(incoming[None], outgoing[None], layer.odd)
            for layer in layers
            for incoming, outgoing in zip(layer.incoming, layer.outgoing, strict=True)
        )
    generator = make_generator(0, str(model.like.device))
    params = model.init(1, generator).repeat(2, 1)
    weights = params[1:, : model.n_weights]
    weights[:] = torch.from_numpy(reversed_image(layers, weights.numpy(force=True)))
    log_prior = model.log_prior_weights(params)
    outputs = model.network.forward(model.weights(params), data.X[:N_ROWS])
    same = torch.isclose(log_prior[0], log_prior[1], rtol=1e-6, atol=1e-6)
    # Images differ by rounding; other functions differ by about their own size.
    error = (outputs[0] - outputs[1]).abs().max()
    return layers if same and error <= 1e-3 * outputs.abs().max() else ()


def units_have_scales(model: Model) -> bool:
    """Whether hidden units of a layer differ in the learned scales of their weights."""
    if not model.n_scales:
        return False
    groups = model.groups.numpy(force=True)
    of_units = (groups[places] for layer in model.network.hidden_layers for places in layer[:2])
    return any((own != own[:1]).any() for own in of_units)
