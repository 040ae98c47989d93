"""The exact law of a sampler with a finite step on a Gaussian target, batches and all.

On a linear model every step is an affine map of (position, momentum, stored gradient, 1)
plus normal noise. A pass over the rows applies the maps of its batches one after the
other; averaged over all equally likely passes, means and second moments follow a linear
recursion, whose fixed point is the law at the ends of passes.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.linalg import expm


@dataclass(frozen=True)
class Step:
    """Moves x to matrix @ x plus noise of that covariance."""

    matrix: np.ndarray
    noise: np.ndarray

    def then(self, other: Step) -> Step:
        carried = other.matrix @ self.noise @ other.matrix.T
        return Step(other.matrix @ self.matrix, carried + other.noise)


@dataclass(frozen=True)
class Scheme:
    """Elementary moves of (position, momentum, gradient, 1), P coordinates each."""

    scale: np.ndarray
    h: float
    friction: float

    def blank(self) -> tuple[np.ndarray, np.ndarray]:
        size = 3 * len(self.scale) + 1
        return np.eye(size), np.zeros((size, size))

    def blocks(self) -> tuple[slice, slice, slice]:
        n = len(self.scale)
        return slice(0, n), slice(n, 2 * n), slice(2 * n, 3 * n)

    def drift(self, time: float) -> Step:
        matrix, noise = self.blank()
        q, p, _ = self.blocks()
        matrix[q, p] = time * np.diag(self.scale)
        return Step(matrix, noise)

    def kick(self, time: float) -> Step:
        matrix, noise = self.blank()
        _, p, g = self.blocks()
        matrix[p, g] = time * np.diag(self.scale)
        return Step(matrix, noise)

    def damp(self, factor: float, variance: float) -> Step:
        matrix, noise = self.blank()
        _, p, _ = self.blocks()
        matrix[p, p] *= factor
        noise[p, p] = variance * np.eye(len(self.scale))
        return Step(matrix, noise)

    def exact_friction(self, time: float) -> Step:
        return self.damp(np.exp(-self.friction * time), -np.expm1(-2 * self.friction * time))

    def evaluate(self, precision: np.ndarray, pull: np.ndarray) -> Step:
        """Store the gradient, pull - precision @ position."""
        matrix, noise = self.blank()
        q, _, g = self.blocks()
        matrix[g, g] = 0
        matrix[g, q], matrix[g, -1] = -precision, pull
        return Step(matrix, noise)

    def langevin_averaged(self) -> Step:
        """The overdamped equation with the mean of two noises, the last one in p's place."""
        matrix, noise = self.blank()
        q, p, g = self.blocks()
        spread = np.sqrt(self.h / 2) * np.diag(self.scale)
        matrix[p, p] = 0
        matrix[q, g], matrix[q, p] = self.h * np.diag(self.scale**2), spread
        noise[q, q], noise[p, p] = spread**2, np.eye(len(self.scale))
        noise[q, p] = noise[p, q] = spread
        return Step(matrix, noise)

    def langevin(self) -> Step:
        """Euler's rule for the overdamped equation, which has no momentum."""
        matrix, noise = self.blank()
        q, p, g = self.blocks()
        matrix[p, p] = 0
        matrix[q, g] = self.h * np.diag(self.scale**2)
        noise[q, q] = 2 * self.h * np.diag(self.scale**2)
        return Step(matrix, noise)

    def euler_kick(self) -> Step:
        damped = self.damp(1 - self.h * self.friction, 2 * self.friction * self.h)
        return damped.then(self.kick(self.h))

    def third_order(self, look: Step) -> Step:
        """Ruth's stages for exp(friction t) p, a third of the noise before them."""
        h, f, n = self.h, self.friction, len(self.scale)
        covariance = free_covariance(h, f)
        # Noise enters as (position, momentum) shifts; both come from the same two normals.
        root = np.linalg.cholesky(covariance[::-1, ::-1])[::-1, ::-1]
        size = 3 * n + 1
        lift = np.zeros((size, 2 * n))
        kept = lift.copy()
        q, p, _ = self.blocks()
        share = root[1] / 3
        lift[p] = np.kron(share, np.eye(n))
        kept[q] = np.kron(root[0] - (1 - np.exp(-f * h)) / f * share, np.diag(self.scale))
        kept[p] = np.kron(root[1] - np.exp(-f * h) * share, np.eye(n))
        stages = [
            self.drift(7 / 24 * h),
            look,
            self.kick(2 / 3 * h * np.exp(f * 7 / 24 * h)),
            self.drift(3 / 4 * h * np.exp(-f * 2 / 3 * h)),
            look,
            self.kick(-2 / 3 * h * np.exp(f * 25 / 24 * h)),
            self.drift(-1 / 24 * h),
            look,
            self.kick(h * np.exp(f * h)),
            self.damp(np.exp(-f * h), 0.0),
        ]
        matrix = chain(stages).matrix
        spread = matrix @ lift + kept
        return Step(matrix, spread @ spread.T)

    def step(self, integrator: str, precision: np.ndarray, pull: np.ndarray) -> Step:
        """One step of a scheme on one batch."""
        look, h = self.evaluate(precision, pull), self.h
        if integrator == "milstein_tretyakov":
            return self.third_order(look)
        moves = {
            "sgld": [look, self.langevin_averaged()],
            "sgld_euler": [look, self.langevin()],
            "euler": [look, self.euler_kick(), self.drift(h)],
            "leapfrog": [self.drift(h / 2), look, self.euler_kick(), self.drift(h / 2)],
            "obabo": [
                self.exact_friction(h / 2),
                self.kick(h / 2),
                self.drift(h),
                look,
                self.kick(h / 2),
                self.exact_friction(h / 2),
            ],
            "baoab": [
                self.kick(h / 2),
                self.drift(h / 2),
                self.exact_friction(h),
                self.drift(h / 2),
                look,
                self.kick(h / 2),
            ],
        }
        return chain(moves[integrator])


def chain(steps: list[Step]) -> Step:
    """Steps one after the other."""
    whole = steps[0]
    for step in steps[1:]:
        whole = whole.then(step)
    return whole


def free_covariance(h: float, friction: float) -> np.ndarray:
    """Covariance (2, 2) of (position, momentum) after free motion, by Van Loan's method."""
    drift = np.array([[0.0, 1.0], [0.0, -friction]])
    source = np.diag([0.0, 2 * friction])
    block = expm(h * np.block([[-drift, source], [np.zeros((2, 2)), drift.T]]))
    return block[2:, 2:].T @ block[:2, 2:]


def orders(n_rows: int, batch_size: int) -> list[list[tuple[int, ...]]]:
    """Every way to cut the rows into an ordered sequence of whole batches.

    Rows that do not fill a batch sit the pass out.
    """
    if n_rows == batch_size:
        return [[tuple(range(n_rows))]]

    def cut(left: frozenset[int]) -> list[list[tuple[int, ...]]]:
        if len(left) < batch_size:
            return [[]]
        return [
            [batch, *rest]
            for batch in combinations(sorted(left), batch_size)
            for rest in cut(left - set(batch))
        ]

    return cut(frozenset(range(n_rows)))


def stationary_law(passes: list[Step]) -> tuple[np.ndarray, np.ndarray]:
    """Mean (n,) and second moments (n, n) at the ends of passes, all equally likely."""
    size = len(passes[0].matrix)
    square = sum(np.kron(step.matrix, step.matrix) for step in passes) / len(passes)
    noise = sum(step.noise for step in passes) / len(passes)
    # The last coordinate is always 1: solve for the fixed point with that entry given.
    system = np.eye(size**2) - square
    known = size**2 - 1
    free = np.arange(known)
    right = noise.ravel()[free] - system[free, known]
    moments = np.append(np.linalg.solve(system[np.ix_(free, free)], right), 1.0)
    moments = moments.reshape(size, size)
    return moments[:-1, -1], moments[:-1, :-1]
