"""Where the chains of a sampler start."""

from __future__ import annotations

from torch import Tensor

from skbayes._model import Data, Model
from skbayes.inference._base import Run, batch_rows, starting_points
from skbayes.inference._mode import ModeObjective

#: First rate of the optimiser that starts the chains.
INIT_RATE = 0.03


def optimised_start(
    model: Model, data: Data, run: Run, n_chains: int, max_iter: int, engine: str
) -> Tensor:
    """Each chain's weights fitted from its own random start, scales and noise held.

    Letting go of the noise would start the chains in the joint mode's spike, from which a
    short warm-up does not come back. A warm start stays where its posterior was.

    Returns
    -------
    params : Tensor of shape (n_chains, n_params)
    """
    start, n_earlier = starting_points(model, run, n_chains)
    if n_earlier >= n_chains or not max_iter:
        return start
    trained, _, _ = run.train(
        {"params": start},
        ModeObjective(model),
        data,
        batch_size=batch_rows("auto", data),
        engine=engine,
        remedy="Set inference__init_steps=0, which starts the chains at draws from the prior.",
        max_iter=max_iter,
        learning_rate=INIT_RATE,
        tol=0.0,
    )
    return trained["params"]
