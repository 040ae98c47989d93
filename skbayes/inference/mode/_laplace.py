"""Laplace approximation with generalised Gauss-Newton curvature."""

from __future__ import annotations

import os
from numbers import Real
from typing import Any

from torch import Tensor

from skbayes._model import Model
from skbayes.data._tensors import Data
from skbayes.evidence import corrected_evidence
from skbayes.exceptions import IncompatiblePartsError
from skbayes.inference._base import (
    Run,
    TrainedInference,
)
from skbayes.inference.mode._class_information import has_many_sites
from skbayes.inference.mode._curvature import (
    CURVATURES,
    Curvature,
    KroneckerCurvature,
    LastLayerCurvature,
    affordable_curvature,
)
from skbayes.inference.mode._search import find_mode, laplace_evidence, log_images
from skbayes.inference.mode._temperature import cross_validated_temperature, temperature_steps
from skbayes.posteriors import GaussianPosterior, to_numpy
from skbayes.utils._sklearn import Interval, StrOptions

#: Weights, and distinct rows times outputs times squared weights, up to which all of the
#: curvature takes at most a third more time than a Kronecker product a layer.
FULL_WEIGHTS, FULL_WORK = 500, 2e8


class Laplace(TrainedInference):
    """Normal posterior around a mode, with the evidence that goes with it.

    Scales and noise are set by evidence maximisation, then held.

    Parameters
    ----------
    structure : {"auto", "full", "kron", "diag", "last_layer"}, default="auto"
        How much of the curvature is kept: all of it, a Kronecker product a layer, its
        diagonal, or the last layer's block with the weights below held at the mode (the
        evidence is then conditional on them). "auto" keeps all of it up to 500 weights and
        2e8 distinct rows times outputs times squared weights, else a Kronecker product;
        ``diagnostics_["structure"]`` says which. Evidences of different structures may not
        be compared: on small networks they differ by many nats.
        Of more than 50 classes, where a Kronecker product takes more than 1e9 operations (rows
        times classes times classes and squared hidden units), the search has one start, moves
        scales twice a round and takes no Newton step, and ``converged`` is the training's.
    predictive : {"linearised", "sampled"}, default="linearised"
        Push draws through the network's first-order expansion, the model under which this
        posterior is exact, or through the network itself, which underfits.
    max_iter : int, default=1000
        Optimiser steps to the mode.
    learning_rate : float, default=0.03
        Adam's first rate, decayed along a cosine.
    batch_size : "auto", int or None, default="auto"
        Rows in a step; None for all, "auto" for all up to 2048 distinct rows, else 512.
    tol : float, default=1e-6
        Stop when the objective improves relatively less than this over five fiftieths
        (of ten steps at least) of the budget.
    hyperparameters : {"evidence", "fixed"}, default="evidence"
        "fixed" leaves learned scales at the median of their prior and sets the noise by
        maximum likelihood.
    temperature : "auto" or float, default="auto"
        Factor on the posterior's covariance. 1 is Laplace's approximation, which is not sure
        enough of classes that hardly overlap; "auto" is 1 for numbers, and for classes the
        highest of 1, .3, .1, .03 and .01 that loses at most .005 nats a held-out row to the
        best, by three-fold cross-validation at the scales of the whole (one fold from 900
        distinct rows on). ``diagnostics_["temperature"]`` says which. The evidence is that
        at 1.
    evidence : {"auto", "importance"} or None, default="auto"
        "auto" is this approximation's own; "importance" corrects it by importance sampling
        from the posterior, 2000 draws, with a standard error, given the same scales and
        noise, and there is none where fewer than 50 effective draws carry it (modes apart
        from this one, as ReLU units have, are not seen: it is then too low); None skips the
        evidence.
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
    MacKay (1992), A practical Bayesian framework for backpropagation networks; Immer et
    al. (2021), Improving predictions of Bayesian neural nets via local linearization.

    Examples
    --------
    >>> from skbayes.inference import Laplace
    >>> Laplace(structure="full").structure
    'full'
    """

    _parameter_constraints: dict = {
        **TrainedInference._parameter_constraints,
        "structure": [StrOptions({"auto", *CURVATURES})],
        "predictive": [StrOptions({"linearised", "sampled"})],
        "hyperparameters": [StrOptions({"evidence", "fixed"})],
        "temperature": [StrOptions({"auto"}), Interval(Real, 0, None, closed="neither")],
        "evidence": [StrOptions({"auto", "importance"}), None],
    }
    test_params = {"max_iter": 50, "hyperparameters": "fixed", "temperature": 1.0}
    evidence_kind = "laplace"

    def __init__(
        self,
        structure: str = "auto",
        predictive: str = "linearised",
        max_iter: int = 1000,
        learning_rate: float = 0.03,
        batch_size: int | str | None = "auto",
        tol: float = 1e-6,
        hyperparameters: str = "evidence",
        temperature: float | str = "auto",
        evidence: str | None = "auto",
        callbacks: list | None = None,
        checkpoint: str | os.PathLike | None = None,
        checkpoint_every: int = 1000,
    ) -> None:
        self.structure = structure
        self.predictive = predictive
        self.max_iter = max_iter
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.tol = tol
        self.hyperparameters = hyperparameters
        self.temperature = temperature
        self.evidence = evidence
        self.callbacks = callbacks
        self.checkpoint = checkpoint
        self.checkpoint_every = checkpoint_every

    @property
    def needs(self) -> tuple[str, ...]:  # type: ignore[override]
        """Kronecker factors where they are asked for."""
        factors = ("factors",) if self.structure == "kron" else ()
        tuned = ("shared_scales",) if self.hyperparameters == "evidence" else ()
        return ("proper_prior", *factors, *tuned)

    def _structure(self, model: Model, data: Data) -> str:
        """The structure to use: all of the curvature while it costs little more time."""
        if has_many_sites(model):
            if self.structure in ("auto", "diag"):
                return "diag"
            raise IncompatiblePartsError(
                f"Laplace(structure={self.structure!r}) takes a matrix of all outputs of a row, "
                f"{model.network.n_outputs} of them for its labelled sites; use structure='diag'"
            )
        if self.structure != "auto":
            return self.structure
        work = len(data) * model.network.n_outputs * model.n_weights**2
        if model.n_weights <= FULL_WEIGHTS and work <= FULL_WORK:
            return "full"
        if hasattr(model.network, "factors"):
            return "kron"
        return "diag" if model.network.last_layer is None else "last_layer"

    def n_planned_steps(self, model: Model, data: Data, run: Run) -> int:
        """The search, and the network of the temperature."""
        more = temperature_steps(data, self.max_iter) if self._chooses(model) else 0
        return self.max_iter + more

    def _chooses(self, model: Model) -> bool:
        """Whether the temperature is to be found."""
        return self.temperature == "auto" and model.likelihood.target == "classes"

    def infer(self, model: Model, data: Data, run: Run) -> GaussianPosterior:
        """Find the mode, tune the hyperparameters, factorise the curvature."""
        structure = self._structure(model, data)
        kind = CURVATURES[structure]
        # Layers that a structure holds have no curvature there to set their scales by.
        covers: type[Curvature] | None = kind
        if self.structure == "auto" or kind is LastLayerCurvature:
            factored = hasattr(model.network, "factors")
            covers = KroneckerCurvature if kind is LastLayerCurvature and factored else None
            covers = covers or affordable_curvature(model, data)
        if has_many_sites(model):
            covers = None
        tuned = covers if self.hyperparameters == "evidence" else None
        training = self.training_options(data, model)
        mode, n_iter, converged = find_mode(model, data, run, curvature=tuned, **training)
        curvature = kind(model, data, mode)
        posterior = self._posterior(mode, curvature)
        temperature, steps = self._choose_temperature(model, data, run, mode, kind, training)
        posterior.n_iter = n_iter + steps
        posterior.diagnostics = {
            "converged": converged,
            "structure": structure,
            "temperature": temperature,
        }
        if self.evidence == "importance":
            random = (curvature.variance > 0).to(model.like.device)
            corrected_evidence(model, data, posterior, run.evidence, random)
        elif self.evidence is not None:
            posterior.log_evidence = laplace_evidence(model, data, mode, curvature)
            posterior.log_evidence += log_images(model, data, mode, curvature)
            posterior.evidence_kind = "laplace"
        if temperature != 1:
            posterior.factors = [factor.scaled(temperature**0.5) for factor in posterior.factors]
        return posterior

    def _choose_temperature(
        self,
        model: Model,
        data: Data,
        run: Run,
        mode: Tensor,
        kind: type[Curvature],
        training: dict[str, Any],
    ) -> tuple[float, int]:
        """The temperature, and the optimiser steps that it took."""
        if not self._chooses(model):
            return 1.0 if self.temperature == "auto" else float(self.temperature), 0

        def posterior_at(rows: Data, mode: Tensor) -> GaussianPosterior:
            return self._posterior(mode, kind(model, rows, mode))

        return cross_validated_temperature(
            model, data, model.tail(mode), run, posterior_at, **training
        )

    def _posterior(self, mode: Tensor, curvature: Curvature) -> GaussianPosterior:
        linearised = self.predictive == "linearised"
        return GaussianPosterior(to_numpy(mode)[0], curvature.factors(), linearised=linearised)
