"""Deep ensembles, plain and anchored."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from numbers import Integral

import torch
from torch import Tensor

from skbayes._model import Model
from skbayes.data._tensors import Data
from skbayes.exceptions import IncompatiblePartsError
from skbayes.inference._base import (
    Run,
    TrainedInference,
    starting_points,
)
from skbayes.inference.mode._cross_validation import (
    cross_validated_scale,
    held_out_sharpness,
    n_trained_folds,
    sharpened,
    sharpens,
)
from skbayes.inference.mode._curvature import affordable_curvature
from skbayes.inference.mode._search import find_mode, with_held_out_noise
from skbayes.likelihoods import Gaussian
from skbayes.posteriors import ParticlePosterior, to_numpy
from skbayes.utils._random import randn
from skbayes.utils._sklearn import Interval, StrOptions


class DeepEnsemble(TrainedInference):
    """Modes found from different starting points, trained together as particles.

    Parameters
    ----------
    n_members : int, default=10
        Networks in the ensemble.
    anchored : bool, default=False
        Pull each member towards its own draw from the prior and, under Gaussian noise,
        fit it to its own noisy copy of the targets: for a linear model with a normal prior
        each member is then an exact posterior draw. Without it members share one objective.
    max_iter : int, default=1000
        Optimiser steps, taken by all members at once.
    learning_rate : float, default=0.03
        Adam's first rate, decayed along a cosine.
    batch_size : "auto", int or None, default="auto"
        Rows in a step; None for all, "auto" for all up to 2048 distinct rows, else 512.
    tol : float, default=1e-6
        Stop when the objective improves relatively less than this over five fiftieths
        (of ten steps at least) of the budget.
    hyperparameters : {"auto", "evidence", "cross_validation", "fixed"}, default="auto"
        "evidence" tunes learned scales and noise on a first network, by the Laplace
        evidence, and normal noise then to what rows that are left out find;
        "cross_validation" takes the one scale of 2, 4, 8 and 16 for all layers whose
        networks have the least log loss on held-out thirds of the rows, and is for
        likelihoods without noise. From 1,500 distinct rows on, all members' logits are then
        multiplied by the one of 1, 1.25, 1.5 and 2 with which the average of an ensemble on
        two thirds of the rows has the least log loss on the rest: an average is less sure
        than its members. "fixed" leaves scales at the median of their prior and sets the
        noise by maximum likelihood. "auto" is "cross_validation" for plain ensembles where
        there is no noise to learn (classes), else "evidence".
    callbacks : list of skorch callbacks or None, default=None
        Copies of them hear of every training of the fit: `EarlyStopping`, `LRScheduler` in place
        of the cosine, or classes of one's own. An epoch is a fiftieth of a training's steps.
    checkpoint : str, path-like or None, default=None
        Folder in which the run's state is kept, so that a fit of the same model to the same
        data goes on where the last one stopped; needs an integer ``random_state``.
    checkpoint_every : int, default=1000
        Steps between two states on file.

    Raises
    ------
    IncompatiblePartsError
        If `hyperparameters="cross_validation"` meets a likelihood with learned noise, or a
        prior whose scales are not those of layers.

    References
    ----------
    Lakshminarayanan et al. (2017), Simple and scalable predictive uncertainty estimation;
    Pearce et al. (2020), Uncertainty in neural networks: approximately Bayesian
    ensembling, eq. 9.

    Examples
    --------
    >>> from skbayes.inference import DeepEnsemble
    >>> DeepEnsemble(n_members=5).n_members
    5
    """

    _parameter_constraints: dict = {
        **TrainedInference._parameter_constraints,
        "n_members": [Interval(Integral, 1, None, closed="left")],
        "anchored": ["boolean"],
        "hyperparameters": [StrOptions({"auto", "evidence", "cross_validation", "fixed"})],
    }
    test_params = {
        "n_members": 3,
        "max_iter": 50,
        "learning_rate": 0.1,
        "hyperparameters": "fixed",
    }

    def __init__(
        self,
        n_members: int = 10,
        anchored: bool = False,
        max_iter: int = 1000,
        learning_rate: float = 0.03,
        batch_size: int | str | None = "auto",
        tol: float = 1e-6,
        hyperparameters: str = "auto",
        callbacks: list | None = None,
        checkpoint: str | os.PathLike | None = None,
        checkpoint_every: int = 1000,
    ) -> None:
        self.n_members = n_members
        self.anchored = anchored
        self.max_iter = max_iter
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.tol = tol
        self.hyperparameters = hyperparameters
        self.callbacks = callbacks
        self.checkpoint = checkpoint
        self.checkpoint_every = checkpoint_every

    @property
    def consistent(self) -> bool:  # type: ignore[override]
        """Anchored members are draws from a posterior; plain ones need not spread."""
        return self.anchored

    @property
    def needs(self) -> tuple[str, ...]:  # type: ignore[override]
        """Anchors are prior draws; the evidence sets scales of several weights."""
        tuned = ("shared_scales",) if self.hyperparameters in ("auto", "evidence") else ()
        return ("proper_prior", *tuned) if self.anchored else tuned

    def n_planned_steps(self, model: Model, data: Data, run: Run) -> int:
        """The networks that set the scales, the members, and those that set their sharpness."""
        if self._way(model) == "cross_validation":
            n_trainings = n_trained_folds(model, data) + sharpens(data, self.n_members)
        else:
            n_trainings = int(model.n_hyper > 0)
        return (1 + n_trainings) * self.max_iter

    def infer(self, model: Model, data: Data, run: Run) -> ParticlePosterior:
        """Set scales and noise on networks of their own, then train all members at once."""
        tail, n_iter = self._tail(model, data, run)
        start, _ = starting_points(model, run, self.n_members)
        model.tail(start)[:] = tail
        anchor = None
        if self.anchored:
            shape = (self.n_members, model.n_weights)
            anchor = model.prior.sample_base(shape, model.like, run.training)
            if isinstance(model.likelihood, Gaussian):
                data = replace(data, y=_noisy_targets(model, data, start, run))
        training = self.training_options(data, model)
        trained, steps, history = run.train(
            {"params": start}, MemberObjective(model, anchor), data, **training
        )
        params = trained["params"]
        if self._way(model) == "cross_validation":
            log_scale = float(tail[0, 0])
            training_of = partial(self.training_options, model=model)
            log_factor, more = held_out_sharpness(
                model, data, run, log_scale, self.n_members, training_of
            )
            params, n_iter = sharpened(model, params, log_factor), n_iter + more
        if not self.anchored and self._way(model) == "evidence":
            # No less than what their average leaves, which no Newton steps have polished.
            left = with_held_out_noise(model, data, params, 0 * data.y)
            model.tail(params)[:] = torch.maximum(model.tail(params), model.tail(left))
        posterior = ParticlePosterior(to_numpy(params)[:, None], self.anchored)
        posterior.n_iter = steps + n_iter
        posterior.diagnostics = {"converged": history.converged}
        return posterior

    def _tail(self, model: Model, data: Data, run: Run) -> tuple[Tensor, int]:
        """Scales and noise (1, n_hyper) that all members share, and the steps they took."""
        way = self._way(model)
        if way == "cross_validation":
            training_of = partial(self.training_options, model=model)
            found, n_iter = cross_validated_scale(model, data, run, training_of)
            return model.like.new_full((1, model.n_hyper), found), n_iter
        if not model.n_hyper:
            return model.like.new_empty(1, 0), 0
        tunable = way == "evidence" and model.prior.proper
        curvature = affordable_curvature(model, data) if tunable else None
        training = self.training_options(data, model)
        mode, n_iter, _ = find_mode(model, data, run, curvature=curvature, **training)
        if curvature is not None and model.n_noise and not self.anchored:
            leverages = curvature(model, data, mode).leverages(model, data, mode)
            mode = with_held_out_noise(model, data, mode, leverages)
        return model.tail(mode), n_iter

    def _way(self, model: Model) -> str:
        """How hyperparameters are set for this model."""
        if self.hyperparameters == "cross_validation" and model.n_noise:
            raise IncompatiblePartsError(
                "DeepEnsemble(hyperparameters='cross_validation') chooses scales for "
                "likelihoods without noise, and this likelihood learns its noise; "
                "use hyperparameters='evidence'"
            )
        one_a_layer = model.prior.groups == "layer"
        if self.hyperparameters == "cross_validation" and model.n_scales and not one_a_layer:
            raise IncompatiblePartsError(
                "DeepEnsemble(hyperparameters='cross_validation') chooses one scale for all "
                f"layers, but the prior has groups={model.prior.groups!r}; use "
                "hyperparameters='evidence', or groups='layer'"
            )
        if self.hyperparameters != "auto":
            # Fixed scales leave nothing to choose.
            return self.hyperparameters if model.n_hyper else "fixed"
        predicts_only = model.n_scales and not model.n_noise and not self.anchored
        return "cross_validation" if predicts_only and one_a_layer else "evidence"


class MemberObjective:
    """Negative log joint of each member, its prior centred on its anchor."""

    def __init__(self, model: Model, anchor: Tensor | None) -> None:
        self.model, self.anchor = model, anchor

    def __call__(
        self, params: dict[str, Tensor], batch: Data, scale: float, progress: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        model, packed = self.model, params["params"]
        if batch.y.dim() == 3:
            batch = replace(batch, y=batch.y.transpose(0, 1))
        value, grad = model.likelihood_and_grad(packed, batch)
        z = packed[:, : model.n_weights]
        if self.anchor is not None:
            z = z - self.anchor
        loss = -scale * value - model.prior.log_base(z).sum(1, dtype=torch.float64)
        grad *= -scale
        grad[:, : model.n_weights] -= model.prior.score_base(z)
        grad[:, model.n_weights :] = 0
        return loss, {"params": grad}


def _noisy_targets(model: Model, data: Data, start: Tensor, run: Run) -> Tensor:
    """Each member's noisy copy of the targets, rows first: (N, S, T)."""
    sd = model.likelihood.scale(model.hyper(start), model.like)
    shape = (len(start), *data.y.shape)
    noise = sd * randn(shape, model.like, run.training) / data.weight.sqrt()[:, None]
    return (data.y + noise).transpose(0, 1).contiguous()
