"""Normal posteriors: Laplace and variational."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from skbayes._model import Model
from skbayes.posteriors._base import Function, Posterior
from skbayes.posteriors._factors import Factor
from skbayes.posteriors._linearised import Linearised
from skbayes.utils._overrides import is_current
from skbayes.utils._random import randn


class GaussianPosterior(Posterior):
    """A normal over the packed vector, its covariance block by block.

    Parameters
    ----------
    mean : ndarray of shape (n_params,)
    factors : sequence of Factor
        Entries that no factor covers are fixed at their mean.
    linearised : bool
        Predict with the network's first-order expansion around the mean, the model
        under which a generalised Gauss-Newton Laplace posterior is the exact one.
    """

    def __init__(
        self, mean: np.ndarray, factors: Sequence[Factor], linearised: bool = False
    ) -> None:
        super().__init__()
        self.mean, self.factors, self.linearised = mean, list(factors), linearised

    @property
    def n_params(self) -> int:
        """Length of the packed vector."""
        return len(self.mean)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw ``n`` packed vectors (n, n_params)."""
        draws, _ = self._draw(n, generator)
        return draws

    def sample_with_density(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draws (n, n_params), and the log density (n,) of the entries that factors cover."""
        draws, squares = self._draw(n, generator)
        size = sum(factor.size for factor in self.factors)
        volume = sum(factor.log_volume() for factor in self.factors)
        return draws, -0.5 * squares - volume - 0.5 * size * math.log(2 * math.pi)

    def _draw(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draws (n, n_params), and the squared norms (n,) of the normals behind them."""
        draws = torch.from_numpy(self.mean).repeat(n, 1)
        squares = torch.zeros(n, dtype=torch.float64)
        for factor in self.factors:
            noise = randn((n, factor.size), draws, generator)
            draws[:, factor.start : factor.start + factor.size] += factor.multiply(noise)
            squares += (noise.double() ** 2).sum(1)
        return draws, squares

    def start(self, n_particles: int, generator: torch.Generator) -> Tensor:
        """The mean, repeated."""
        return torch.from_numpy(self.mean).repeat(n_particles, 1)

    def covariance(self) -> np.ndarray:
        """Dense covariance (n_params, n_params)."""
        covariance = np.zeros((len(self.mean),) * 2, dtype=self.mean.dtype)
        for factor in self.factors:
            block = slice(factor.start, factor.start + factor.size)
            covariance[block, block] = factor.covariance()
        return covariance

    def normal_outputs(self, model: Model) -> Linearised | None:
        """The outputs' own normals, row by row, where functions are linear in the weights."""
        of_weights = all(f.start + f.size <= model.n_weights for f in self.factors)
        as_written = is_current(type(self), "normal_outputs", "sample", "function")
        if not (self.linearised and of_weights and as_written):
            return None
        return Linearised(model, torch.from_numpy(self.mean), self.factors)

    def function(self, model: Model, params: Tensor) -> Function:
        """The function draws that go with ``params``: rows (N, D) to outputs (S, N, K)."""
        if not self.linearised:
            return super().function(model, params)
        mean = torch.as_tensor(self.mean).to(params)[None]
        centre = model.weights(mean)
        tangents = model.weights(params) - centre

        def linear(X: Tensor) -> Tensor:
            outputs, moves = model.network.jvp(centre[0], tangents, X)
            return outputs + moves

        return linear
