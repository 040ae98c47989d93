"""Which weights share a learned scale."""

from __future__ import annotations

from itertools import groupby

import torch
from torch import Tensor

from skbayes.exceptions import IncompatiblePartsError
from skbayes.networks import Network

GROUPS = ("layer", "network", "unit", "input", "weight")


def group_index(groups: str, network: Network) -> Tensor:
    """The group (P,) of every weight, numbered from 0 in the order of the layout.

    Parameters
    ----------
    groups : {"layer", "network", "unit", "input", "weight"}
        "unit" are the weights and the bias that enter a unit; "input" the weights that leave
        an input of the network, one group more for the first layer's biases and one for each
        later layer.
    network : Network
        Its layout tells the blocks of weights apart.

    Raises
    ------
    IncompatiblePartsError
        If units or inputs are asked for and a layer is no matrix of units by inputs.
    """
    if groups == "weight":
        return torch.arange(network.n_weights)
    index = torch.zeros(network.n_weights, dtype=torch.long)
    if groups == "network":
        return index
    if groups == "layer":
        for block in network.layout:
            index[block.slice] = block.layer
        return index
    _check_dense(groups, network)
    n_groups = 0
    for layer, blocks in groupby(network.layout, key=lambda block: block.layer):
        weight, bias = blocks
        n_units, n_inputs = weight.shape
        if groups == "unit":
            units = n_groups + torch.arange(n_units)
            index[weight.slice] = units.repeat_interleave(n_inputs)
            index[bias.slice] = units
        elif layer == 0:
            index[weight.slice] = torch.arange(n_inputs).repeat(n_units)
            index[bias.slice] = n_inputs
        else:
            index[weight.slice] = index[bias.slice] = n_groups
        n_groups = int(index[bias.slice].max()) + 1
    return index


def _check_dense(groups: str, network: Network) -> None:
    """Refuse layers that are no matrices with a bias a unit."""
    roles = [(block.role, len(block.shape)) for block in network.layout]
    if roles != [("weight", 2), ("bias", 1)] * network.n_layers:
        raise IncompatiblePartsError(
            f"prior with groups={groups!r} needs dense layers but {type(network).__name__} has "
            "others; use groups='layer', 'network' or 'weight'"
        )
