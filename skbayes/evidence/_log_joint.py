"""Log joints of many draws, in blocks of bounded size."""

from __future__ import annotations

import torch
from torch import Tensor

from skbayes._model import Model
from skbayes.data._tensors import Data

#: Units of the widest layer, over rows and draws, that a block may hold.
BLOCK_ELEMENTS = 2**20


@torch.inference_mode()
def log_joint_of_draws(model: Model, data: Data, draws: Tensor) -> Tensor:
    """`Model.log_joint` of draws (S, n_params), in nats, float64 (S,)."""
    return model.log_prior(draws).double() + log_likelihood_of_draws(model, data, draws)


@torch.inference_mode()
def log_likelihood_of_draws(model: Model, data: Data, draws: Tensor) -> Tensor:
    """`Model.log_likelihood` of draws, without holding all rows under all draws at once.

    Parameters
    ----------
    model : Model
        Gives the log joint.
    data : Data
        All rows.
    draws : Tensor of shape (S, n_params)
        Unknowns, packed.

    Returns
    -------
    log_likelihood : Tensor of shape (S,)
        In nats, float64.
    """
    widest = model.network.widest
    n_rows = min(len(data), max(1, BLOCK_ELEMENTS // widest))
    n_draws = max(1, BLOCK_ELEMENTS // (widest * n_rows))
    value = torch.zeros(len(draws), dtype=torch.float64, device=draws.device)
    for start in range(0, len(data), n_rows):
        rows = data.rows(slice(start, start + n_rows))
        for sums, block in zip(value.split(n_draws), draws.split(n_draws), strict=True):
            sums += model.log_likelihood(block, rows)
    return value
