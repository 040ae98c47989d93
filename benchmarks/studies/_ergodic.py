"""Averages of functions of position under a scheme's own stationary law, without sampling.

A step's transition operator is written as a matrix on polynomials that are orthonormal
under the target, by Gauss quadrature over position, momentum and noise; its left
eigenvector is the stationary density. Batches multiply such matrices, averaged over the
orders they come in. The package's own step functions are what is integrated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import permutations, product

import numpy as np
import torch
from scipy.linalg import eigh_tridiagonal

from skbayes.inference.sgmcmc._integrators import Dynamics, Phase

Step = Callable[[Phase, Dynamics], None]


@dataclass(frozen=True)
class SkewedTarget:
    """Standard normal prior on one weight, and rows that say it is large: one-sided."""

    rows: np.ndarray

    def gradient(self, batch: tuple[int, ...], q: np.ndarray) -> np.ndarray:
        """Of the log joint, the rows of a batch standing for all."""
        x = self.rows[list(batch)]
        pulls = x / (1 + np.exp(q[..., None] * x))
        return -q + len(self.rows) / len(batch) * pulls.sum(-1)

    def log_density(self, q: np.ndarray) -> np.ndarray:
        return -0.5 * q**2 - np.logaddexp(0, -q[..., None] * self.rows).sum(-1)

    @cached_property
    def stiffness(self) -> float:
        """Largest curvature."""
        return float(1 + 0.25 * (self.rows**2).sum())


def orthonormal(log_density: Callable, degree: int, reach: float = 12.0, n_grid: int = 6001):
    """Recurrence (diagonal, off-diagonal) of a density's polynomials, by Stieltjes' method."""
    grid = np.linspace(-reach, reach, n_grid)
    weight = np.exp(log_density(grid) - log_density(grid).max())
    weight /= weight.sum()
    diagonal, off = np.zeros(degree), np.zeros(degree)
    before, now = np.zeros(n_grid), np.ones(n_grid)
    for k in range(degree):
        diagonal[k] = (weight * grid * now**2).sum()
        after = (grid - diagonal[k]) * now - (off[k - 1] * before if k else 0)
        off[k] = np.sqrt((weight * after**2).sum())
        before, now = now, after / off[k]
    return diagonal, off


def gauss(recurrence) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights (Golub and Welsch 1969)."""
    diagonal, off = recurrence
    nodes, vectors = eigh_tridiagonal(diagonal, off[:-1])
    return nodes, vectors[0] ** 2


def polynomials(recurrence, points: np.ndarray, degree: int) -> np.ndarray:
    """Values (..., degree + 1)."""
    diagonal, off = recurrence
    values = [np.ones_like(points)]
    before = np.zeros_like(points)
    for k in range(degree):
        after = ((points - diagonal[k]) * values[-1] - (off[k - 1] * before if k else 0)) / off[k]
        before = values[-1]
        values.append(after)
    return np.stack(values, axis=-1)


class Laboratory:
    """Stationary averages on one target, for any scheme, step and way of batching.

    Parameters
    ----------
    target : SkewedTarget
    degree : int
        Total degree of the polynomials in position and momentum.
    """

    N_NODES, N_NOISE = 32, 14

    def __init__(self, target: SkewedTarget, degree: int) -> None:
        self.target, self.degree = target, degree
        self.q_rule = orthonormal(target.log_density, self.N_NODES)
        self.p_rule = orthonormal(lambda p: -0.5 * p**2, self.N_NODES)
        (q, wq), (p, wp) = gauss(self.q_rule), gauss(self.p_rule)
        self.q, self.p = (a.ravel() for a in np.meshgrid(q, p, indexing="ij"))
        self.weight = np.outer(wq, wp).ravel()
        short = tuple(part[: self.N_NOISE] for part in self.p_rule)
        self.noise, self.noise_weight = gauss(short)
        self.at_nodes = self.basis(self.q, self.p)

    def basis(self, q: np.ndarray, p: np.ndarray) -> np.ndarray:
        """All products of polynomials up to the total degree."""
        values = polynomials(self.q_rule, q, self.degree), polynomials(self.p_rule, p, self.degree)
        pairs = [(i, j) for i in range(self.degree + 1) for j in range(self.degree + 1 - i)]
        first, second = np.array(pairs).T
        return values[0][..., first] * values[1][..., second]

    def operator(self, step: Step, h: float, friction: float, last, batch) -> np.ndarray:
        """Matrix <psi_m, T psi_n>; ``last`` is the batch whose gradient is stored."""
        n_draws = draws_of(step)
        grid = [a.ravel() for a in np.meshgrid(*[self.noise] * n_draws, indexing="ij")]
        weights = [a.ravel() for a in np.meshgrid(*[self.noise_weight] * n_draws, indexing="ij")]
        average = np.zeros_like(self.at_nodes)
        for index in range(len(grid[0])):
            q, p = self._move(step, h, friction, last, batch, [g[index] for g in grid])
            average += np.prod([w[index] for w in weights]) * self.basis(q, p)
        return self.at_nodes.T @ (self.weight[:, None] * average)

    def _move(self, step, h, friction, last, batch, draws) -> tuple[np.ndarray, np.ndarray]:
        def column(values: np.ndarray) -> torch.Tensor:
            return torch.from_numpy(np.ascontiguousarray(values))[:, None].clone()

        queue = iter(draws)
        like = column(self.q)
        dynamics = Dynamics(
            gradient=lambda position: column(self.target.gradient(batch, position[:, 0].numpy())),
            noise=lambda: torch.full_like(like, float(next(queue))),
            step_size=h,
            friction=friction,
            scale=torch.ones(1, dtype=torch.float64),
            limit=float("inf"),
        )
        stored = column(self.target.gradient(last, self.q))
        phase = Phase(like, column(self.p), stored, torch.zeros((), dtype=torch.int64))
        step(phase, dynamics)
        return phase.position[:, 0].numpy(), phase.momentum[:, 0].numpy()

    def stationary(self, step: Step, h: float, friction: float, batching: str) -> np.ndarray:
        """Averages of q, q² and q³, in standard deviations off the truth: (3,)."""
        n = self.at_nodes.shape[1]
        whole = tuple(range(len(self.target.rows)))
        batches = [whole] if batching == "full" else [(i,) for i in whole]
        k = len(batches)
        moves = {
            (a, b): self.operator(step, h, friction, batches[a], batches[b])
            for a, b in product(range(k), repeat=2)
            if needs_last(step) or a == 0
        }
        move = {
            (a, b): moves[a if needs_last(step) else 0, b] for a, b in product(range(k), repeat=2)
        }
        chain = np.zeros((k, n, k, n))
        orders = (
            [(b,) for b in range(k)] if batching != "permuted" else list(permutations(range(k)))
        )
        for start in range(k):
            for order in orders:
                at, matrix = start, np.eye(n)
                for batch in order:
                    matrix = matrix @ move[at, batch]
                    at = batch
                chain[start, :, at, :] += matrix / len(orders)
        return self._averages(chain.reshape(k * n, k * n), k, n)

    def _averages(self, chain: np.ndarray, k: int, n: int) -> np.ndarray:
        """From the left eigenvector of eigenvalue 1, total mass 1."""
        mass = np.zeros(k * n)
        mass[::n] = 1
        system = np.vstack([(chain - np.eye(k * n)).T, mass])
        right = np.append(np.zeros(k * n), 1.0)
        density = np.linalg.lstsq(system, right, rcond=None)[0].reshape(k, n).sum(0)
        powers = np.stack([self.q, self.q**2, self.q**3], axis=1)
        exact = self.weight @ powers
        sd = np.sqrt(self.weight @ (powers - exact) ** 2)
        found = density @ (self.at_nodes.T @ (self.weight[:, None] * powers))
        return (found - exact) / sd


def draws_of(step: Step) -> int:
    """Normals that a step takes of each coordinate."""
    return 2 if step.__name__ in ("obabo", "milstein_tretyakov") else 1


def needs_last(step: Step) -> bool:
    """Whether a step begins with the gradient of the last one."""
    return step.__name__ in ("obabo", "baoab")
