"""What an engine returns: draws of all unknowns, functions of them, and its bookkeeping."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skbayes._model import Model
from skbayes.posteriors._linearised import Linearised

Function = Callable[[Tensor], Tensor]


class Posterior:
    """A posterior over the packed vector of a `Model`, held as NumPy arrays.

    Attributes
    ----------
    log_evidence : float or None
        log p(training targets) in nats, on the standardised scale, or None.
    evidence_kind : str or None
        How `log_evidence` was obtained: "laplace", "elbo", "importance".
    evidence_se : float
        Standard error of `log_evidence`.
    n_iter : int
        Steps taken by the engine.
    diagnostics : dict
        Plain numbers that the engine reports.
    monte_carlo : bool
        Whether draws estimate the posterior; False where the particles are all of it.
    inefficiency : float
        Draws per independent one, above 1 where a chain is autocorrelated.
    """

    monte_carlo = True
    inefficiency = 1.0

    def __init__(self) -> None:
        self.log_evidence: float | None = None
        self.evidence_kind: str | None = None
        self.evidence_se: float = 0.0
        self.evidence_ess: float = float("inf")
        self.n_iter: int = 1
        self.diagnostics: dict[str, Any] = {}

    @property
    def is_point(self) -> bool:
        """Whether it is one set of weights, which cannot differ from itself."""
        return False

    @property
    def n_params(self) -> int:
        """Length of the packed vector."""
        raise NotImplementedError(f"{type(self).__name__} must define n_params")

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw ``n`` packed vectors (n, n_params)."""
        raise NotImplementedError(f"{type(self).__name__} must define sample")

    def predictive_draws(self, n: int, generator: torch.Generator) -> Tensor:
        """The draws (at most n, n_params) behind predictions; by default fresh ones."""
        return self.sample(n, generator)

    def start(self, n_particles: int, generator: torch.Generator) -> Tensor:
        """Particles (n_particles, n_params) from which a warm start goes on."""
        return self.sample(n_particles, generator)

    def normal_outputs(self, model: Model) -> Linearised | None:
        """The outputs' own normals, row by row; None where they are not known to be normal."""
        return None

    def function(self, model: Model, params: Tensor) -> Function:
        """The function draws that go with ``params``: rows (N, D) to outputs (S, N, K)."""
        return model.network.bind(model.weights(params))


def to_numpy(tensor: Tensor) -> np.ndarray:
    """A NumPy copy that owns its memory."""
    return tensor.detach().cpu().numpy().copy()
