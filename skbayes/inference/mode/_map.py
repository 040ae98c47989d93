"""Maximum a posteriori: one weight vector."""

from __future__ import annotations

import os

from skbayes._model import Model
from skbayes.data._tensors import Data
from skbayes.inference._base import (
    Run,
    TrainedInference,
)
from skbayes.inference.mode._curvature import affordable_curvature
from skbayes.inference.mode._search import find_mode, with_held_out_noise
from skbayes.posteriors import ParticlePosterior, to_numpy
from skbayes.utils._sklearn import StrOptions


class MAP(TrainedInference):
    """Maximum a posteriori weights: penalised maximum likelihood, no weight uncertainty.

    Parameters
    ----------
    max_iter : int, default=1000
        Optimiser steps.
    learning_rate : float, default=0.03
        Adam's first rate, decayed along a cosine.
    batch_size : "auto", int or None, default="auto"
        Rows in a step; None for all, "auto" for all up to 2048 distinct rows, else 512.
    tol : float, default=1e-6
        Stop when the objective improves relatively less than this over five fiftieths
        (of ten steps at least) of the budget.
    hyperparameters : {"evidence", "fixed"}, default="evidence"
        "evidence" sets learned scales and noise by the Laplace evidence, and normal noise then
        to what rows that are left out find, since a mode has no other spread; "fixed" leaves
        scales at the median of their prior and sets the noise by maximum likelihood.
    callbacks : list of skorch callbacks or None, default=None
        Copies of them hear of every training of the fit: `EarlyStopping`, `LRScheduler` in place
        of the cosine, or classes of one's own. An epoch is a fiftieth of a training's steps.
    checkpoint : str, path-like or None, default=None
        Folder in which the run's state is kept, so that a fit of the same model to the same
        data goes on where the last one stopped; needs an integer ``random_state``.
    checkpoint_every : int, default=1000
        Steps between two states on file.

    Examples
    --------
    >>> from skbayes.inference import MAP
    >>> MAP(max_iter=200).max_iter
    200
    """

    _parameter_constraints: dict = {
        **TrainedInference._parameter_constraints,
        "hyperparameters": [StrOptions({"evidence", "fixed"})],
    }
    test_params = {"max_iter": 50, "hyperparameters": "fixed"}
    consistent = False

    def __init__(
        self,
        max_iter: int = 1000,
        learning_rate: float = 0.03,
        batch_size: int | str | None = "auto",
        tol: float = 1e-6,
        hyperparameters: str = "evidence",
        callbacks: list | None = None,
        checkpoint: str | os.PathLike | None = None,
        checkpoint_every: int = 1000,
    ) -> None:
        self.max_iter = max_iter
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.tol = tol
        self.hyperparameters = hyperparameters
        self.callbacks = callbacks
        self.checkpoint = checkpoint
        self.checkpoint_every = checkpoint_every

    @property
    def needs(self) -> tuple[str, ...]:  # type: ignore[override]
        """Scales that the evidence can set."""
        return ("shared_scales",) if self.hyperparameters == "evidence" else ()

    def infer(self, model: Model, data: Data, run: Run) -> ParticlePosterior:
        """Train one particle."""
        tunable = self.hyperparameters == "evidence" and model.prior.proper
        curvature = affordable_curvature(model, data) if tunable else None
        mode, n_iter, converged = find_mode(
            model, data, run, curvature=curvature, **self.training_options(data, model)
        )
        if curvature is not None and model.n_noise:
            leverages = curvature(model, data, mode).leverages(model, data, mode)
            mode = with_held_out_noise(model, data, mode, leverages)
        posterior = ParticlePosterior(to_numpy(mode)[None], monte_carlo=False)
        posterior.n_iter, posterior.diagnostics = n_iter, {"converged": converged}
        return posterior
