"""Monte Carlo dropout."""

from __future__ import annotations

import os
from numbers import Real

import torch
from torch import Tensor

from skbayes._model import Model
from skbayes.data._tensors import Data
from skbayes.inference._base import (
    Run,
    TrainedInference,
    starting_points,
)
from skbayes.inference.mode._search import near_mode, near_mode_steps
from skbayes.posteriors import DropoutPosterior, to_numpy
from skbayes.utils._sklearn import Interval


class MCDropout(TrainedInference):
    """Train with dropped units, predict with dropped units.

    Every unit that feeds a layer (inputs too) is dropped with probability ``rate``.
    Scales are those of a mode that the evidence chooses; the noise maximises the objective. The
    spread of predictions does not vanish with more data: a heuristic, not a posterior.

    Parameters
    ----------
    rate : float, default=0.02
        Probability of dropping a unit.
    max_iter : int, default=2000
        Optimiser steps.
    learning_rate : float, default=0.02
        Adam's first rate, decayed along a cosine.
    batch_size : "auto", int or None, default="auto"
        Rows in a step; None for all, "auto" for all up to 2048 distinct rows, else 512.
    tol : float, default=0.0
        Stop when the objective improves relatively less than this over five fiftieths
        (of ten steps at least) of the budget.
    callbacks : list of skorch callbacks or None, default=None
        Copies of them hear of every training of the fit: `EarlyStopping`, `LRScheduler` in place
        of the cosine, or classes of one's own. An epoch is a fiftieth of a training's steps.
    checkpoint : str, path-like or None, default=None
        Folder in which the run's state is kept, so that a fit of the same model to the same
        data goes on where the last one stopped; needs an integer ``random_state``.
    checkpoint_every : int, default=1000
        Steps between two states on file.

    References
    ----------
    Gal and Ghahramani (2016), Dropout as a Bayesian approximation.

    Examples
    --------
    >>> from skbayes.inference import MCDropout
    >>> MCDropout(rate=0.2).rate
    0.2
    """

    _parameter_constraints: dict = {
        **TrainedInference._parameter_constraints,
        "rate": [Interval(Real, 0, 1, closed="neither")],
    }
    test_params = {"max_iter": 60, "learning_rate": 0.1}
    consistent = False
    needs = ("layers", "shared_scales")

    def __init__(
        self,
        rate: float = 0.02,
        max_iter: int = 2000,
        learning_rate: float = 0.02,
        batch_size: int | str | None = "auto",
        tol: float = 0.0,
        callbacks: list | None = None,
        checkpoint: str | os.PathLike | None = None,
        checkpoint_every: int = 1000,
    ) -> None:
        self.rate = rate
        self.max_iter = max_iter
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.tol = tol
        self.callbacks = callbacks
        self.checkpoint = checkpoint
        self.checkpoint_every = checkpoint_every

    def n_planned_steps(self, model: Model, data: Data, run: Run) -> int:
        """The mode to start from, and the training under masks."""
        return self.max_iter + (near_mode_steps(self.max_iter) if self._seeks(model, run) else 0)

    def _seeks(self, model: Model, run: Run) -> bool:
        """Whether there is a mode to start from."""
        return run.start is None and model.prior.proper

    def infer(self, model: Model, data: Data, run: Run) -> DropoutPosterior:
        """Train one particle under row-wise masks, from a mode that has none."""
        start, n_found = self._mode(model, data, run)
        objective = DropoutObjective(model, self.rate, run.training)
        trained, n_iter, history = run.train(
            {"params": start}, objective, data, **self.training_options(data, model)
        )
        sizes = [int(n) for n in model.network.sizes]  # type: ignore[attr-defined]
        origin = to_numpy(_origin(model, trained["params"]))[0]
        posterior = DropoutPosterior(to_numpy(trained["params"])[0], sizes, self.rate, origin)
        posterior.n_iter = n_iter + n_found
        posterior.diagnostics = {"converged": history.converged}
        return posterior

    def _mode(self, model: Model, data: Data, run: Run) -> tuple[Tensor, int]:
        """A mode to start from, or an earlier posterior; and the steps it took."""
        if not self._seeks(model, run):
            return starting_points(model, run, 1)[0], 0
        return near_mode(model, data, run, self.training_options(data, model))


def _origin(model: Model, params: Tensor) -> Tensor:
    """Prior means in packed coordinates (1, n_params): masks are those of whole weights."""
    origin = torch.zeros_like(params)
    if model.means is not None:
        scales = model.weight_scales(model.split(params)[1])
        origin[:, : model.n_weights] = model.means / scales
    return origin


class DropoutObjective:
    """Negative log joint under fresh masks for every row, layer scales held."""

    def __init__(self, model: Model, rate: float, generator: torch.Generator) -> None:
        self.model, self.rate, self.generator = model, rate, generator

    def __call__(
        self, params: dict[str, Tensor], batch: Data, scale: float, progress: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        model = self.model
        with torch.enable_grad():
            packed = params["params"]
            layers = model.network.unpack(model.weights(packed))  # type: ignore[attr-defined]

            def linear(layer: int, value: Tensor) -> Tensor:
                W, b = layers[layer]
                return W @ (value * self._mask(value)) + b[..., None]

            outputs = model.network.forward_layers(linear, batch.X)  # type: ignore[attr-defined]
            log_prob = model.likelihood.log_prob(outputs, batch.y, model.hyper(packed))
            loss = -model.log_prior(packed) - scale * (log_prob * batch.weight).sum(1)
            grad = torch.autograd.grad(loss.sum(), packed)[0]
        held = slice(model.n_weights, model.n_weights + model.n_scales)
        grad[:, held] = 0
        return loss.detach(), {"params": grad}

    def _mask(self, value: Tensor) -> Tensor:
        keep = torch.full_like(value, 1 - self.rate, requires_grad=False)
        return torch.bernoulli(keep, generator=self.generator) / (1 - self.rate)
