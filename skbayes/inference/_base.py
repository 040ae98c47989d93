"""What every engine offers, and the one driver of the engines that run step by step."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from functools import partial
from numbers import Integral, Real
from typing import Any

import torch
from torch import Tensor

from skbayes._model import Model
from skbayes.base._monitor import Monitor, Numbers
from skbayes.data._tensors import Data
from skbayes.exceptions import ConvergenceWarning, IncompatiblePartsError
from skbayes.inference._remedies import smaller_rate
from skbayes.posteriors import Posterior
from skbayes.training._batches import Batches
from skbayes.training._callbacks import check_callbacks
from skbayes.training._resuming import (
    CHECKPOINT_CONSTRAINTS,
    Checkpoint,
    Journal,
    open_checkpoint,
)
from skbayes.training._trainer import History, Objective, Training, train
from skbayes.utils._parameters import Parametrised, validate_params_of
from skbayes.utils._sklearn import Interval, StrOptions
from skbayes.utils._warnings import warn

#: Rows in a batch when ``batch_size="auto"`` and the data are larger than `FULL_BATCH`.
AUTO_BATCH = 512
FULL_BATCH = 2048
#: Multiply-adds of a step of convolutions or recurrences that is large, and rows it has then.
HEAVY_BATCH, LEAST_BATCH = 3e7, 128


@dataclass
class Run:
    """What a run needs besides model and data.

    Parameters
    ----------
    training : torch.Generator
        Source of the engine's randomness.
    evidence : torch.Generator
        Source of the evidence's randomness, so that asking for one changes no draw.
    monitor : Monitor
        Hears of progress; its `update` returns True when the run should stop.
    start : Posterior, optional
        Where a warm start goes on from.
    repeatable : bool, default=True
        Whether the same call would give the same generators again.
    state : optional
        An engine's state to go on from, instead of a first one.
    journal : Checkpoint, optional
        Stores what `train` does.
    trained : Tensor of shape (P,), optional
        Weights of a network that is trained already: the mode that a search would find.

    Examples
    --------
    >>> import torch
    >>> from skbayes.inference import Run
    >>> from skbayes.base._monitor import Monitor
    >>> run = Run(torch.Generator(), torch.Generator(), Monitor("HMC", 0, None))
    >>> run.start is None
    True
    """

    training: torch.Generator
    evidence: torch.Generator
    monitor: Monitor
    start: Posterior | None = None
    repeatable: bool = True
    state: Any = None
    journal: Checkpoint = field(default_factory=Checkpoint)
    trained: Tensor | None = None

    def train(
        self, start: dict[str, Tensor], objective: Objective, data: Data, **options: Any
    ) -> tuple[dict[str, Tensor], int, History]:
        """Train with this run's generator, monitor and journal: see `training.train`."""
        told: dict[str, Any] = {
            "generator": self.training,
            "monitor": self.monitor,
            "checkpoint": self.journal,
        }
        return train(start, objective, data, **told, **options)


class Inference(Parametrised):
    """Base of the engines: turns a model and data into a posterior.

    A subclass sets the class attributes, defines `run`, and is registered by one line in
    ``skbayes/inference/__init__.py``.

    Attributes
    ----------
    consistent : bool
        Whether epistemic variance must fall as rows are added.
    needs : tuple of str
        Requirements checked before any work: "proper_prior", "layers" (a network with
        per-layer hooks, `forward_layers`), "factors" (a network that gives its Jacobian's
        Kronecker factors, `Network.factors`), "shared_scales" (a prior whose learned scales
        are those of several weights). The MLP has all of them.
    evidence_kind : str or None
        Kind of evidence it can give.
    test_params : dict
        Parameters of a fit of a tenth of a second or so, for conformance tests.
    """

    _parameter_constraints: dict = {}
    test_params: dict[str, Any] = {}
    consistent = True
    needs: tuple[str, ...] = ()
    evidence_kind: str | None = None

    def check(self, model: Model) -> None:
        """Raise `IncompatiblePartsError` if the model lacks what the engine needs."""
        validate_params_of(self)
        if "proper_prior" in self.needs and not model.prior.proper:
            raise IncompatiblePartsError(
                f"inference={type(self).__name__} needs a proper prior but "
                f"prior={type(model.prior).__name__} is improper; use prior='normal', or "
                "inference='map' with the improper prior"
            )
        if "layers" in self.needs and not hasattr(model.network, "forward_layers"):
            raise IncompatiblePartsError(
                f"inference={type(self).__name__} needs a network with layer hooks but "
                f"{type(model.network).__name__} has none; use dense layers ('mlp') or "
                "inference='deep_ensemble'"
            )
        if "factors" in self.needs and not hasattr(model.network, "factors"):
            raise IncompatiblePartsError(
                f"inference={type(self).__name__} with this structure needs a network that "
                f"defines factors() but {type(model.network).__name__} does not; use "
                "structure='full' or 'diag', or dense layers ('mlp')"
            )
        if "shared_scales" in self.needs and model.n_scales and model.prior.groups == "weight":
            raise IncompatiblePartsError(
                f"inference={type(self).__name__} sets each prior scale by the evidence of the "
                f"weights that share it, but prior={type(model.prior).__name__} has "
                "groups='weight'; use groups='unit' or 'input', or a sampler, inference='hmc'"
            )

    def run(self, model: Model, data: Data, run: Run) -> Posterior:
        """Infer; returns a `Posterior`."""
        raise NotImplementedError(f"{type(self).__name__} must define run")


class SteppedInference(Inference):
    """Engines that advance a state: `init`, `step`, `finish`, driven by `run`.

    The state is one object that holds everything, so that the driver can stop, store and
    resume it between steps. An engine with parameters ``checkpoint`` and
    ``checkpoint_every`` names in ``state_types`` the classes that its states are made of;
    the state names in ``growing`` its lists that are only appended to.
    """

    state_types: tuple[type, ...] = ()
    #: Folder of the run's files, and steps between two of them; set by __init__.
    checkpoint: str | os.PathLike | None = None
    checkpoint_every: int

    def init(self, model: Model, data: Data, run: Run) -> Any:
        """Make the first state."""
        raise NotImplementedError(f"{type(self).__name__} must define init")

    def step(self, model: Model, data: Data, state: Any) -> Any:
        """Advance the state by one step."""
        raise NotImplementedError(f"{type(self).__name__} must define step")

    def remaining(self, model: Model, data: Data, state: Any) -> int:
        """Steps still to take from this state; 0 ends the run."""
        raise NotImplementedError(f"{type(self).__name__} must define remaining")

    def n_planned_steps(self) -> int:
        """Steps that a new run is expected to take, those of `init` among them."""
        return 0

    def report(self, state: Any) -> dict[str, float]:
        """Numbers of a state to be shown beside the progress bar."""
        return {}

    def progress(self, model: Model, data: Data, state: Any, shown: Numbers) -> Numbers:
        """What is shown as the run goes, after what was shown last."""
        return self.report(state)

    def networks(self, model: Model, data: Data, state: Any) -> dict[str, Tensor]:
        """The model's parameters at a state, "params" (S, n_params) or (S, n_draws, n_params).

        Callbacks that score the fit as it goes are given a posterior of these.
        """
        raise NotImplementedError(f"{type(self).__name__} must define networks")

    def finish(self, model: Model, data: Data, state: Any, run: Run) -> Posterior:
        """Turn the last state into a posterior."""
        raise NotImplementedError(f"{type(self).__name__} must define finish")

    def run(self, model: Model, data: Data, run: Run) -> Posterior:
        """Drive the engine until nothing remains or a callback asks to stop."""
        with open_checkpoint(self, model, data, run) as checkpoint:
            state = checkpoint.resume() or run.state
            if state is None:
                run.monitor.plan(self.n_planned_steps())
                state = self.init(model, data, run)
            with checkpoint.watching(state):
                state = self._drive(model, data, state, run, checkpoint)
                checkpoint.save(state)
        return self.finish(model, data, state, run)

    def _drive(self, model: Model, data: Data, state: Any, run: Run, checkpoint: Checkpoint) -> Any:
        """Take the remaining steps; returns the last state."""
        while remaining := self.remaining(model, data, state):
            run.monitor.plan(remaining)
            run.monitor.start(remaining)
            for _ in range(remaining):
                state = self.step(model, data, state)
                checkpoint.passed(state)
                try:
                    stop = run.monitor.update(
                        1,
                        partial(self.progress, model, data, state),
                        partial(self.networks, model, data, state),
                    )
                except KeyboardInterrupt:  # a callback's, between two steps
                    checkpoint.save(state)
                    raise
                if stop:
                    return state
        return state


class TrainedInference(Inference):
    """Engines that train networks by gradient steps, through `Run.train`.

    What they train is on file where ``checkpoint`` names a folder: a fit that was stopped goes
    on from there to the same bits.

    Examples
    --------
    >>> from skbayes.inference import INFERENCES, TrainedInference
    >>> sorted(name for name, kind in INFERENCES.items() if issubclass(kind, TrainedInference))
    ['deep_ensemble', 'gaussian_vi', 'laplace', 'map', 'mc_dropout', 'mean_field_vi', 'swag']
    """

    _parameter_constraints: dict = {
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left"), None],
        "tol": [Interval(Real, 0, None, closed="left")],
        "callbacks": [list, tuple, None],
        **CHECKPOINT_CONSTRAINTS,
    }
    state_types = (Training, Batches)

    # Set by subclasses' __init__.
    max_iter: int
    learning_rate: float
    batch_size: int | str | None
    tol: float
    callbacks: list | None = None
    checkpoint: str | os.PathLike | None
    checkpoint_every: int

    def check(self, model: Model) -> None:
        """Raise if the model lacks what the engine needs, or the training what a callback does."""
        super().check(model)
        check_callbacks(self.callbacks, type(self).__name__, self.checkpoint)

    def infer(self, model: Model, data: Data, run: Run) -> Posterior:
        """Train, and make a posterior of what was trained."""
        raise NotImplementedError(f"{type(self).__name__} must define infer")

    def run(self, model: Model, data: Data, run: Run) -> Posterior:
        """Infer, from where a stopped run stood."""
        with open_checkpoint(self, model, data, run, Journal) as journal:
            run.monitor.plan(self.n_planned_steps(model, data, run))
            return self.infer(model, data, replace(run, journal=journal))

    def n_planned_steps(self, model: Model, data: Data, run: Run) -> int:
        """Most steps that `infer` takes, all trainings together: what progress is a share of."""
        return self.max_iter

    def training_options(self, data: Data, model: Model) -> dict[str, Any]:
        """What `Run.train` takes, in the parameters' own words."""
        return {
            "engine": type(self).__name__,
            "remedy": smaller_rate(self.learning_rate),
            "max_iter": self.max_iter,
            "learning_rate": self.learning_rate,
            "batch_size": batch_rows(self.batch_size, data, model),
            "tol": self.tol,
            "callbacks": self.callbacks or (),
        }


def batch_rows(batch_size: int | str | None, data: Data, model: Model) -> int | None:
    """Rows in a batch; None for all. "auto" goes by the canonical number of rows.

    And by what a row costs, where weights are used at several places of it: then all rows
    take a step that is worth several of a part.
    """
    if batch_size != "auto":
        return batch_size  # type: ignore[return-value]
    network = model.network
    if network.row_work > 2 * network.n_weights and len(data) * network.row_work > HEAVY_BATCH:
        rows = AUTO_BATCH if AUTO_BATCH * network.row_work <= HEAVY_BATCH else LEAST_BATCH
        return min(rows, len(data))
    return None if len(data) <= FULL_BATCH else AUTO_BATCH


def warn_not_converged(engine: str, what: str, remedy: str) -> None:
    """Issue a `ConvergenceWarning` with the number and what to type."""
    warn(f"{engine}: {what}. {remedy}", ConvergenceWarning)


def starting_points(model: Model, run: Run, n_particles: int) -> tuple[Tensor, int]:
    """Distinct particles to start from: an earlier posterior's, topped up by random ones.

    Copies of one particle would stay copies under a shared objective, and chains that
    start as one say nothing by agreeing.

    Returns
    -------
    start : Tensor of shape (n_particles, n_params)
    n_earlier : int
        How many of them the earlier posterior gave.
    """
    start = model.init(n_particles, run.training)
    if run.start is None:
        return start, 0
    earlier = run.start.start(n_particles, run.training).to(model.like)
    earlier = torch.unique(earlier, dim=0)
    start[: len(earlier)] = earlier
    return start, len(earlier)
