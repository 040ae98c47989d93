"""Laplace approximation with generalised Gauss-Newton curvature."""

from __future__ import annotations

from skbayes._model import Data, Model
from skbayes.evidence import corrected_evidence
from skbayes.inference._base import (
    TRAINING_CONSTRAINTS,
    Inference,
    Run,
    batch_rows,
)
from skbayes.inference._curvature import (
    CURVATURES,
    KroneckerCurvature,
    LastLayerCurvature,
)
from skbayes.inference._mode import find_mode, laplace_evidence
from skbayes.posteriors import GaussianPosterior, to_numpy
from skbayes.utils._sklearn import StrOptions


class Laplace(Inference):
    """Normal posterior around a mode, with the evidence that goes with it.

    Scales and noise are set by evidence maximisation, then held.

    Parameters
    ----------
    structure : {"full", "kron", "diag", "last_layer"}, default="kron"
        How much of the curvature is kept: all of it, a Kronecker product a layer, its
        diagonal, or the last layer's block with the weights below held at the mode (the
        evidence is then conditional on them: compare it within this structure alone).
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
        Stop when the objective improves relatively less than this over five fiftieths of
        the budget.
    hyperparameters : {"evidence", "fixed"}, default="evidence"
        "fixed" leaves learned scales at the median of their prior and sets the noise by
        maximum likelihood.
    evidence : {"auto", "importance"} or None, default="auto"
        "auto" is this approximation's own; "importance" corrects it by importance sampling
        from the posterior, 2000 draws, with a standard error, given the same scales and
        noise; None skips the evidence.

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
        **TRAINING_CONSTRAINTS,
        "structure": [StrOptions(set(CURVATURES))],
        "predictive": [StrOptions({"linearised", "sampled"})],
        "hyperparameters": [StrOptions({"evidence", "fixed"})],
        "evidence": [StrOptions({"auto", "importance"}), None],
    }
    evidence_kind = "laplace"

    def __init__(
        self,
        structure: str = "kron",
        predictive: str = "linearised",
        max_iter: int = 1000,
        learning_rate: float = 0.03,
        batch_size: int | str | None = "auto",
        tol: float = 1e-6,
        hyperparameters: str = "evidence",
        evidence: str | None = "auto",
    ) -> None:
        self.structure = structure
        self.predictive = predictive
        self.max_iter = max_iter
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.tol = tol
        self.hyperparameters = hyperparameters
        self.evidence = evidence

    @property
    def needs(self) -> tuple[str, ...]:  # type: ignore[override]
        """Kronecker factors where they are kept, or set the scales."""
        tuned = self.structure == "last_layer" and self.hyperparameters == "evidence"
        factors = ("factors",) if self.structure == "kron" or tuned else ()
        return ("proper_prior", *factors)

    def run(self, model: Model, data: Data, run: Run) -> GaussianPosterior:
        """Find the mode, tune the hyperparameters, factorise the curvature."""
        kind = CURVATURES[self.structure]
        # Layers that a structure holds have no curvature there to set their scales by.
        covers = KroneckerCurvature if kind is LastLayerCurvature else kind
        tuned = covers if self.hyperparameters == "evidence" else None
        mode, n_iter, converged = find_mode(
            model,
            data,
            run,
            engine="Laplace",
            max_iter=self.max_iter,
            learning_rate=self.learning_rate,
            batch_size=batch_rows(self.batch_size, data),
            tol=self.tol,
            curvature=tuned,
        )
        curvature = kind(model, data, mode)
        posterior = GaussianPosterior(
            to_numpy(mode)[0], curvature.factors(), linearised=self.predictive == "linearised"
        )
        posterior.n_iter, posterior.diagnostics = n_iter, {"converged": converged}
        if self.evidence == "importance":
            random = (curvature.variance > 0).to(model.like.device)
            corrected_evidence(model, data, posterior, random, run.evidence)
        elif self.evidence is not None:
            posterior.log_evidence = laplace_evidence(model, data, mode, curvature)
            posterior.evidence_kind = "laplace"
        return posterior
