"""SWAG: a normal through the iterates of stochastic gradients around a mode."""

from __future__ import annotations

import math
import os
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skbayes._model import Model
from skbayes.data._tensors import Data
from skbayes.evidence import log_joint_of_draws
from skbayes.inference._base import Run, TrainedInference, batch_rows
from skbayes.inference.mode._curvature import (
    DiagonalCurvature,
    affordable_curvature,
    prior_curvature,
)
from skbayes.inference.mode._search import ModeObjective, find_mode
from skbayes.inference.mode._temperature import (
    cross_validated_temperature,
    temperature_folds,
    temperature_steps,
)
from skbayes.posteriors import GaussianPosterior, LowRankFactor, to_numpy
from skbayes.training._callbacks import Snapshots
from skbayes.utils._sklearn import Interval, StrOptions

#: Batches in a pass over few rows, which give the gradients their noise.
N_BATCHES = 10
#: Iterates that pass before the first one is kept; rounds in which the rate is set, and iterates
#: of a round that tell what is lost; the most that a round moves the rate by, and that it may be
#: over what independent weights ask.
N_FIRST, N_ROUNDS, N_KEPT, MOST, WIDEST = 2, 5, 2, 3.0, 4.0
#: Variances and effective parameters of what rounding leaves of none.
LEAST = 1e-12
REMEDY = "Raise inference__max_iter, so that the search ends at a mode."


class SWAG(TrainedInference):
    """Stochastic weight averaging, Gaussian: a normal fitted to iterates around a mode.

    From the mode that `MAP` finds, Adam goes on at a constant rate, over batches of a tenth of
    the rows at most, in units of each weight's standard deviation at the mode. The rate is set
    beforehand: iterates shall lose as much of the log joint as draws of the posterior do in the
    directions that the data decide, half a nat for each effective parameter. The posterior has
    the mean of the iterates that are kept, and half of their covariance as it is, half of its
    diagonal alone. Scales and noise are held at the mode's. The spread is that of an optimiser's
    path: a cheap guess of the posterior's, and of one mode alone.

    Parameters
    ----------
    n_snapshots : int, default=20
        Iterates that are kept.
    thinning : int, default=25
        Steps between two of them.
    max_iter : int, default=1000
        Optimiser steps to the mode.
    learning_rate : float, default=0.03
        Adam's first rate on the way to the mode, decayed along a cosine.
    batch_size : "auto", int or None, default="auto"
        Rows in a step; None for all, "auto" for all up to 2048 distinct rows, else 512. Around
        the mode no step takes more than a tenth of the rows.
    tol : float, default=1e-6
        End the search when the objective improves relatively less than this over five fiftieths
        (of ten steps at least) of the budget.
    hyperparameters : {"evidence", "fixed"}, default="evidence"
        "evidence" sets learned scales and noise by the Laplace evidence; "fixed" leaves scales
        at the median of their prior and sets the noise by maximum likelihood.
    temperature : "auto" or float, default="auto"
        What iterates lose of the log joint, in units of what draws of the posterior do. At 1
        they are not sure enough of classes that hardly overlap; "auto" is 1 for numbers, and
        for classes what `Laplace` takes: the highest of 1, .3, .1, .03 and .01 that, as a
        factor on the covariance, loses next to nothing on held-out rows.
    callbacks : list of skorch callbacks or None, default=None
        Copies of them hear of the search for the mode: `EarlyStopping`, `LRScheduler` in place
        of the cosine, or classes of one's own. An epoch is a fiftieth of a training's steps.
    checkpoint : str, path-like or None, default=None
        Folder in which the run's state is kept, so that a fit of the same model to the same
        data goes on where the last one stopped; needs an integer ``random_state``.
    checkpoint_every : int, default=1000
        Steps between two states on file.

    References
    ----------
    Maddox et al. (2019), A simple baseline for Bayesian uncertainty in deep learning, eq. 1
    (deviations here are from the mean of all iterates, in the diagonal too); Mandt et al. (2017),
    Stochastic gradient descent as approximate Bayesian inference.

    Examples
    --------
    >>> from skbayes.inference import SWAG
    >>> SWAG(n_snapshots=30).n_snapshots
    30
    """

    _parameter_constraints: dict = {
        **TrainedInference._parameter_constraints,
        "n_snapshots": [Interval(Integral, 2, None, closed="left")],
        "thinning": [Interval(Integral, 1, None, closed="left")],
        "hyperparameters": [StrOptions({"evidence", "fixed"})],
        "temperature": [StrOptions({"auto"}), Interval(Real, 0, None, closed="neither")],
    }
    consistent = False
    test_params = {"n_snapshots": 5, "thinning": 4, "max_iter": 50}

    def __init__(
        self,
        n_snapshots: int = 20,
        thinning: int = 25,
        max_iter: int = 1000,
        learning_rate: float = 0.03,
        batch_size: int | str | None = "auto",
        tol: float = 1e-6,
        hyperparameters: str = "evidence",
        temperature: float | str = "auto",
        callbacks: list | None = None,
        checkpoint: str | os.PathLike | None = None,
        checkpoint_every: int = 1000,
    ) -> None:
        self.n_snapshots = n_snapshots
        self.thinning = thinning
        self.max_iter = max_iter
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.tol = tol
        self.hyperparameters = hyperparameters
        self.temperature = temperature
        self.callbacks = callbacks
        self.checkpoint = checkpoint
        self.checkpoint_every = checkpoint_every

    @property
    def needs(self) -> tuple[str, ...]:  # type: ignore[override]
        """A curvature of the joint, and scales that the evidence can tell."""
        return ("proper_prior", *(("shared_scales",) if self.hyperparameters == "evidence" else ()))

    def n_planned_steps(self, model: Model, data: Data, run: Run) -> int:
        """The search, the rounds that set the rate, and the iterates."""
        around = N_ROUNDS * self._steps(N_KEPT) + self._steps(self.n_snapshots)
        if not self._chooses(model):
            return self.max_iter + around
        n_folds = temperature_folds(data)
        return self.max_iter + (1 + n_folds) * around + temperature_steps(data, self.max_iter)

    def _steps(self, n_kept: int) -> int:
        """Steps behind so many iterates."""
        return (N_FIRST + n_kept) * self.thinning

    def infer(self, model: Model, data: Data, run: Run) -> GaussianPosterior:
        """Find the mode, set the rate, and fit a normal to what the steps pass through."""
        kind, training = affordable_curvature(model, data), self.training_options(data, model)
        tuned = kind if self.hyperparameters == "evidence" else None
        mode, n_found, converged = find_mode(model, data, run, curvature=tuned, **training)
        temperature, n_chosen = self._choose_temperature(model, data, run, mode, training)
        posterior = self._around(model, data, run, mode, temperature)
        posterior.n_iter += n_found + n_chosen
        posterior.diagnostics |= {"converged": converged, "temperature": temperature}
        return posterior

    def _around(
        self, model: Model, data: Data, run: Run, mode: Tensor, temperature: float
    ) -> GaussianPosterior:
        """The normal of iterates around a mode, their rate set first."""
        kind = affordable_curvature(model, data) or DiagonalCurvature
        variance = kind(model, data, mode).variance.clamp_min(LEAST)
        n_effective = max(LEAST, float((1 - prior_curvature(model, mode) * variance).sum()))
        around = AroundMode(model, mode, variance.sqrt())
        rate, n_set = self._rate(data, run, around, temperature * n_effective)
        kept, n_kept = self._iterates(data, run, around, rate, self.n_snapshots)
        posterior = normal_through(kept, model.n_weights)
        posterior.diagnostics["rate"], posterior.n_iter = rate, n_set + n_kept
        return posterior

    def _chooses(self, model: Model) -> bool:
        """Whether the temperature is to be found."""
        return self.temperature == "auto" and model.likelihood.target == "classes"

    def _choose_temperature(
        self, model: Model, data: Data, run: Run, mode: Tensor, training: dict[str, Any]
    ) -> tuple[float, int]:
        """The temperature, and the optimiser steps to the modes that it took."""
        if not self._chooses(model):
            return 1.0 if self.temperature == "auto" else float(self.temperature), 0
        tail, around = model.tail(mode), 0

        def posterior_at(rows: Data, mode: Tensor) -> GaussianPosterior:
            nonlocal around
            posterior = self._around(model, rows, run, mode, 1.0)
            around += posterior.n_iter
            # Hot iterates leave the mode on average, from where no temperature comes back.
            posterior.mean = to_numpy(mode)[0]
            return posterior

        found, n_iter = cross_validated_temperature(
            model, data, tail, run, posterior_at, **training
        )
        return found, n_iter + around

    def _iterates(
        self, data: Data, run: Run, around: AroundMode, rate: float, n_kept: int
    ) -> tuple[Tensor, int]:
        """Iterates (n_kept, n_params) of Adam at a constant rate, and the steps they took."""
        training = {
            **self.training_options(data, around.model),
            "max_iter": self._steps(n_kept),
            "learning_rate": rate,
            "rate": "constant",
            "batch_size": self._batch_rows(data, around.model),
            "tol": 0.0,
            "remedy": REMEDY,
            "callbacks": [Snapshots(self.thinning, after=N_FIRST * self.thinning)],
        }
        start = {"params": around.mode / around.units}
        trained, n_iter, history = run.train(start, around, data, **training)
        # A run that a callback stops may end before the first one.
        kept = [kept["params"] for kept in history.snapshots] or [trained["params"]]
        return torch.cat(kept) * around.units, n_iter

    def _batch_rows(self, data: Data, model: Model) -> int:
        """Rows in a step around the mode."""
        rows = batch_rows(self.batch_size, data, model) or len(data)
        return min(rows, max(1, len(data) // N_BATCHES))

    def _rate(
        self, data: Data, run: Run, around: AroundMode, n_effective: float
    ) -> tuple[float, int]:
        """Rate at which iterates lose half a nat for each effective parameter, and steps taken.

        What they lose goes with the rate: of independent weights, batches whose gradients have
        the noise that their curvature tells leave the variance rate sqrt(batches) / 2.
        """
        model = around.model
        independent = 2 * math.sqrt(self._batch_rows(data, model) / len(data))
        rate, n_iter = independent * n_effective / model.n_weights, 0
        best = log_joint_of_draws(model, data, around.mode).max()
        for _ in range(0 if run.monitor.stopped else N_ROUNDS):
            kept, steps = self._iterates(data, run, around, rate, N_KEPT)
            log_joint, n_iter = log_joint_of_draws(model, data, kept), n_iter + steps
            best = torch.maximum(best, log_joint.max())
            lost = float(best - log_joint.mean()) / (0.5 * n_effective)
            rate = min(rate / min(max(lost, 1 / MOST), MOST), WIDEST * independent)
        return rate, n_iter


class AroundMode:
    """Negative log joint of weights in units (P,) of their own; scales and noise are held."""

    def __init__(self, model: Model, mode: Tensor, units: Tensor) -> None:
        self.model, self.objective, self.mode = model, ModeObjective(model), mode
        self.units = torch.ones_like(mode)
        self.units[0, : model.n_weights] = units

    def __call__(
        self, params: dict[str, Tensor], batch: Data, scale: float, progress: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        packed = {"params": params["params"] * self.units}
        value, grads = self.objective(packed, batch, scale, progress)
        return value, {"params": grads["params"] * self.units}


def normal_through(kept: Tensor, n_weights: int) -> GaussianPosterior:
    """The normal of iterates (K, n_params), whose entries beyond the weights are all the same."""
    mean, n_free = kept.double().mean(0), max(1, len(kept) - 1)
    deviations = to_numpy((kept.double() - mean)[:, :n_weights])
    sd = np.sqrt((deviations**2).sum(0) / (2 * n_free)).astype(to_numpy(kept).dtype)
    directions = deviations.T / math.sqrt(2 * n_free)
    return GaussianPosterior(to_numpy(mean.to(kept)), [LowRankFactor(0, sd, directions)])
