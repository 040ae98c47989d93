"""Second moments under a scheme's own stationary law on a Gaussian target.

There a step is an affine map with normal noise. Both are read off the package's own step
functions, with unit vectors as chains; a pass over the batches multiplies the maps, and
the second moments averaged over the orders of batches are a fixed point.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import permutations

import numpy as np
import torch

from benchmarks.studies._ergodic import Step, draws_of
from skbayes.inference.sgmcmc._integrators import Dynamics, Phase


@dataclass(frozen=True)
class RandomFeatures:
    """Regression on 256 random cosines, in the basis that the rows span.

    The remaining directions of the weights have the prior as posterior and add nothing to
    functions at the rows.
    """

    n_rows: int = 60
    n_batches: int = 3
    noise_variance: float = 0.3

    @cached_property
    def design(self) -> np.ndarray:
        """Rows in an orthonormal basis of their span: (N, P) with P at most N."""
        rng = np.random.default_rng(0)
        x = np.linspace(-3, 3, self.n_rows)[rng.permutation(self.n_rows)]
        features = np.sqrt(2 / 256) * np.cos(
            x[:, None] * 2 * rng.normal(size=256) + rng.uniform(0, 2 * np.pi, 256)
        )
        left, values, _ = np.linalg.svd(features, full_matrices=False)
        kept = values > 1e-6 * values[0]
        return left[:, kept] * values[kept]

    @cached_property
    def targets(self) -> np.ndarray:
        rng = np.random.default_rng(1)
        weights = rng.normal(size=self.design.shape[1])
        return self.design @ weights + np.sqrt(self.noise_variance) * rng.normal(size=self.n_rows)

    def batch(self, index: int | None) -> tuple[np.ndarray, np.ndarray]:
        """Precision and pull of a batch that stands for all rows, or of all."""
        rows = slice(None) if index is None else slice(index, None, self.n_batches)
        factor = (1 if index is None else self.n_batches) / self.noise_variance
        A, y = self.design[rows], self.targets[rows]
        return np.eye(A.shape[1]) + factor * A.T @ A, factor * A.T @ y

    @cached_property
    def covariance(self) -> np.ndarray:
        return np.linalg.inv(self.batch(None)[0])

    @cached_property
    def mean(self) -> np.ndarray:
        return self.covariance @ self.batch(None)[1]

    @property
    def stiffness(self) -> float:
        """Largest curvature."""
        return float(np.linalg.eigvalsh(self.batch(None)[0])[-1])

    # --- the law ----------------------------------------------------------------------

    def affine(self, step: Step, h: float, friction: float, index) -> tuple[np.ndarray, np.ndarray]:
        """Map of (position - mean, momentum, gradient, 1) and covariance of its noise."""
        n, m = len(self.mean), 3 * len(self.mean) + 1
        units = np.vstack([np.eye(m)[:-1], np.zeros((1, m))])
        images = self._step(step, h, friction, index, units, None)
        matrix = np.zeros((m, m))
        matrix[-1, -1] = 1
        matrix[:-1, -1] = images[-1]
        matrix[:-1, :-1] = (images[:-1] - images[-1]).T
        n_draws = draws_of(step)
        normals = np.eye(n_draws * n).reshape(-1, n_draws, n)
        origin = np.zeros((len(normals), m))
        root = np.zeros((len(normals), m))
        root[:, :-1] = self._step(step, h, friction, index, origin, normals) - images[-1]
        return matrix, root.T @ root

    def _step(self, step, h, friction, index, start, normals) -> np.ndarray:
        n = len(self.mean)
        precision, pull = (torch.from_numpy(part) for part in self.batch(index))
        offset = pull - precision @ torch.from_numpy(self.mean)
        position, momentum, grad = (
            torch.from_numpy(start[:, i * n : (i + 1) * n].copy()) for i in range(3)
        )
        queue = iter(range(9))

        def noise() -> torch.Tensor:
            if normals is None:
                return torch.zeros_like(position)
            return torch.from_numpy(normals[:, next(queue)].copy())

        phase = Phase(position, momentum, grad, torch.zeros((), dtype=torch.int64))
        dynamics = Dynamics(
            gradient=lambda q: offset - q @ precision,
            noise=noise,
            step_size=h,
            friction=friction,
            scale=torch.ones(n, dtype=torch.float64),
            limit=float("inf"),
        )
        step(phase, dynamics)
        return torch.cat([phase.position, phase.momentum, phase.grad], dim=1).numpy()

    def error(self, step: Step, h: float, friction: float, batching: str) -> float:
        """Relative error of the second moments of function values at the rows."""
        indices = [None] if batching == "full" else list(range(self.n_batches))
        steps = {index: self.affine(step, h, friction, index) for index in indices}
        orders = list(permutations(indices)) if batching == "permuted" else [(i,) for i in indices]
        passes = [_compose([steps[index] for index in order]) for order in orders]
        moments = _fixed_point(passes)[: len(self.mean), : len(self.mean)]
        found = np.einsum("ni,ij,nj->n", self.design, moments, self.design)
        exact = np.einsum("ni,ij,nj->n", self.design, self.covariance, self.design)
        return float(np.linalg.norm(found - exact) / np.linalg.norm(exact))


def _compose(steps) -> tuple[np.ndarray, np.ndarray]:
    """Affine maps one after the other."""
    matrix, noise = steps[0]
    for following, extra in steps[1:]:
        matrix, noise = following @ matrix, following @ noise @ following.T + extra
    return matrix, noise


def _fixed_point(passes, tol: float = 1e-11, max_iter: int = 60_000) -> np.ndarray:
    """Second moments (m, m) that a pass, each equally likely, leaves as they are."""
    matrices = np.stack([matrix for matrix, _ in passes])
    noise = np.mean([noise for _, noise in passes], axis=0)
    moments = np.zeros_like(noise)
    moments[-1, -1] = 1.0
    for _ in range(max_iter):
        moved = (matrices @ moments @ matrices.transpose(0, 2, 1)).mean(0) + noise
        change = np.abs(moved - moments).max()
        moments = moved
        if change < tol * np.abs(moments).max():
            return moments
    raise RuntimeError("no stationary law found: the scheme is unstable at this step")
