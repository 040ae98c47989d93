"""Prior precisions of a logistic model by the evidence of a normal approximation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import minimize

from skbayes.linear_model._normal_fits import NormalFit
from skbayes.linear_model._rows import RowFactor
from skbayes.linear_model._softmax import LabelledRows

Engine = Callable[[LabelledRows, np.ndarray, float, int], NormalFit]
#: Common precisions tried first, in e-folds around the columns' mean squares.
GRID = (-6.0, -3.0, 0.0, 3.0, 6.0)
#: Log precisions stay within so many e-folds of the start: beyond, nothing changes.
FAR = 30.0


@dataclass
class Whitening:
    """Coordinates of the weights in which they are standard normal, and rows diagonal.

    Attributes
    ----------
    sd : ndarray of shape (P,)
        Prior standard deviations.
    values : ndarray of shape (r,)
    vectors : ndarray of shape (r, P)
        Singular values and right vectors of the weighted rows times sd. Weights across
        them stay as they were a priori.
    """

    sd: np.ndarray
    values: np.ndarray
    vectors: np.ndarray

    @classmethod
    def of(cls, factor: RowFactor, sd: np.ndarray) -> Whitening:
        """Rotate so that directions come apart."""
        _, values, vectors = np.linalg.svd(factor.design * sd, full_matrices=False)
        return cls(sd, values, vectors)

    def rows(self, design: np.ndarray) -> np.ndarray:
        """Rows (N, P) in these coordinates (N, r)."""
        return (design * self.sd) @ self.vectors.T


@dataclass
class LogisticProblem:
    """Labelled rows under a normal prior whose precisions may move.

    Parameters
    ----------
    design : ndarray of shape (N, P)
    codes, weight : ndarray of shape (N,)
        Labels, and likelihood exponents.
    n_outputs : int
        Logits K.
    sd : ndarray of shape (P,)
        Prior standard deviations at precision 1.
    groups : ndarray of int of shape (P,)
        Weights of one group share a precision.
    engine : callable
        Makes the normal approximation.
    tol : float
        Nats to which it is worked out.
    max_iter : int
        Its most steps.
    precision_prior : tuple of float
        Shape and rate of the precisions' Gamma prior; (0, 0) for none.
    """

    design: np.ndarray
    codes: np.ndarray
    weight: np.ndarray
    n_outputs: int
    sd: np.ndarray
    groups: np.ndarray
    engine: Engine
    tol: float
    max_iter: int
    precision_prior: tuple[float, float] = (0.0, 0.0)
    _last: np.ndarray | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.factor = RowFactor(self.design.shape[1], 0)
        self.factor.absorb(self.design, np.empty((len(self.design), 0)), self.weight)

    def fit(self, theta: np.ndarray) -> tuple[Whitening, NormalFit]:
        """The approximation at log precisions (n_groups,)."""
        white = Whitening.of(self.factor, self.sd * np.exp(-0.5 * theta[self.groups]))
        data = LabelledRows(white.rows(self.design), self.codes, self.weight, self.n_outputs)
        start = np.zeros((self.n_outputs, len(white.values)))
        if self._last is not None:
            start = (self._last / white.sd) @ white.vectors.T
        fit = self.engine(data, start, self.tol, self.max_iter)
        self._last = fit.mean @ white.vectors * white.sd
        return white, fit

    def objective(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """Log evidence, with the precisions' prior, and its gradient (n_groups,)."""
        white, fit = self.fit(theta)
        pull = self.precision_prior[1] * np.exp(theta) if self.precision_prior[1] else 0 * theta
        value = fit.log_evidence + (self.precision_prior[0] * theta - pull).sum()
        return value, self._slope(white, fit) + self.precision_prior[0] - pull

    def _slope(self, white: Whitening, fit: NormalFit) -> np.ndarray:
        """Gradient of the log evidence: (gamma - m²) / 2, and what the mode's move adds."""
        n_outputs, n_columns = fit.mean.shape
        vectors, u = white.vectors, fit.mean @ white.vectors
        blocks = fit.covariance.reshape(n_outputs, n_columns, n_outputs, n_columns)
        own = np.einsum("kikj->ij", blocks)
        determined = n_outputs * (vectors**2).sum(axis=0) - (vectors * (own @ vectors)).sum(axis=0)
        moved = (fit.covariance @ fit.volume_slope.ravel()).reshape(fit.mean.shape) @ vectors
        each = 0.5 * (determined - (u**2).sum(axis=0) + (moved * u).sum(axis=0))
        return np.bincount(self.groups, each)

    def maximise(self, max_iter: int) -> tuple[np.ndarray, int, bool]:
        """Log precisions (n_groups,) of the largest objective, steps, and whether it settled."""
        size = np.sqrt(np.einsum("ij,ij->j", self.factor.design, self.factor.design))
        size *= self.sd / np.sqrt(self.factor.weight)
        largest = np.array([size[self.groups == g].max() for g in range(self.groups.max() + 1)])
        centre = 2 * np.log(np.maximum(largest, 1e-150))
        best = max(GRID, key=lambda offset: self.objective(centre + offset)[0])
        search = minimize(
            lambda theta: tuple(-x for x in self.objective(theta)),
            centre + best,
            jac=True,
            method="L-BFGS-B",
            bounds=[(c - FAR, c + FAR) for c in centre],
            options={"maxiter": max_iter, "ftol": 1e-13, "gtol": 1e-6},
        )
        return search.x, int(search.nit), search.status != 1
