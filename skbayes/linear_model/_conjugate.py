"""Linear regression by singular values: evidence, posterior and prediction in closed form.

Weights are mean + sd * u with u standard normal in units of the noise. The design times
sd has the thin singular value decomposition U diag(s) V'; the posterior of u has the
precision 1 + s² along V and the prior's elsewhere. Fewer rows than columns need no other
formula, and no difference of large numbers is formed anywhere. Where the precision of the
prior is unknown, the posterior is a mixture over its values, along the same axes V.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.linalg import svd
from scipy.special import logsumexp

from skbayes.linear_model._noise import Noise
from skbayes.linear_model._posterior_mixture import Predictive
from skbayes.linear_model._weighted_rows import RowFactor

#: Numbers of a prediction that are worked on at once.
BLOCK_VALUES = 2**21
#: Rows of a factor are as unequal as this where rounding of the longest may matter to others.
UNEQUAL = 1e4


@dataclass
class Spectrum:
    """Rows seen by a prior: G is the number of targets, or 1 where they share a prior.

    Attributes
    ----------
    values : ndarray of shape (G, r)
        Singular values s.
    vectors : ndarray of shape (G, r, P)
        Rows of V'.
    rotated : ndarray of shape (T, r)
        Targets less what the prior mean predicts, times U'.
    residual : ndarray of shape (T,)
        Norm of what no weights reach.
    weight : float
        Sum of the rows' weights.
    origin : ndarray of shape (G, r) or None
        The mean row along the axes, where there is an intercept.
    """

    values: np.ndarray
    vectors: np.ndarray
    rotated: np.ndarray
    residual: np.ndarray
    weight: float
    origin: np.ndarray | None = None

    @classmethod
    def of(cls, rows: RowFactor, mean: np.ndarray, sd: np.ndarray) -> Spectrum:
        """Decompose rows under prior means (T, P) and standard deviations (G, P)."""
        left, values, vectors = decompose(rows.design * sd[:, None, :])
        targets = rows.targets.T - mean @ rows.design.T
        rotated = (left.swapaxes(1, 2) @ targets[:, :, None])[:, :, 0]
        origin = left[:, 0] * values / rows.design[0, 0] if rows.fit_intercept else None
        return cls(values, vectors, rotated, rows.residual, rows.weight, origin)

    @property
    def log_volume(self) -> np.ndarray:
        """Half the log determinant (G,) of the targets' relative covariance 1 + s²."""
        return np.log(np.hypot(1, self.values)).sum(axis=1)

    @property
    def square(self) -> np.ndarray:
        """Quadratic form (T,) of the targets in their inverse relative covariance."""
        with np.errstate(over="ignore"):
            shrunk = self.rotated / np.hypot(1, self.values)
            return self.residual**2 + (shrunk**2).sum(axis=1)

    def log_evidence(self, noise: Noise) -> np.ndarray:
        """Log density (T,) of the targets, weights (and noise) integrated out."""
        volume, square = self.log_volume[:, None], self.square[:, None]
        return noise.log_marginal(self.weight, volume, square)[:, 0]

    def along(self) -> np.ndarray:
        """Posterior mean (T, r) of u along the axes; across them it is zero."""
        root = np.hypot(1, self.values)
        return self.values / root * (self.rotated / root)

    def weights(self) -> np.ndarray:
        """Posterior mean (T, P) of u."""
        return (self.along()[:, None, :] @ self.vectors)[:, 0]


class LinearPosterior:
    """Posterior of weights and noise, one a target: a mixture of C along common axes.

    Given a component and the noise, weights are normal with the mean
    ``mean + sd * (offset @ vectors)`` and the relative standard deviations ``sd * std``
    along the rows of ``vectors``, ``sd * rest`` across them. With an ``origin``, the first
    weight is the function's value at the mean row, and is ``origin @ u`` about its mean.

    Parameters
    ----------
    mean : ndarray of shape (T, P)
        Posterior means.
    sd : ndarray of shape (G, P)
        Units of the weights; G is 1 or T.
    vectors : ndarray of shape (G, r, P)
        Orthonormal axes.
    offset, std : ndarray of shape (T, C, r)
    rest, mass : ndarray of shape (T, C)
    noise : KnownNoise or GammaNoise
    origin : ndarray of shape (G, r), optional
        The mean row along the axes.
    """

    def __init__(
        self,
        mean: np.ndarray,
        sd: np.ndarray,
        vectors: np.ndarray,
        offset: np.ndarray,
        std: np.ndarray,
        rest: np.ndarray,
        mass: np.ndarray,
        noise: Noise,
        origin: np.ndarray | None = None,
    ) -> None:
        self.mean, self.sd, self.vectors, self.noise = mean, sd, vectors, noise
        self.origin = origin
        self.offset, self.std, self.rest, self.mass = offset, std, rest, mass

    @classmethod
    def of(
        cls, spectrum: Spectrum, mean: np.ndarray, sd: np.ndarray, noise: Noise
    ) -> LinearPosterior:
        """Condition a prior on rows: one component.

        ``mean`` (T, P) is the prior's, of the function at the mean row if there is an intercept.
        """
        after = noise.update(spectrum.weight, spectrum.square[:, None])
        moved, one = mean + sd * spectrum.weights(), np.ones((len(mean), 1))
        if spectrum.origin is not None:
            moved[:, 0] = mean[:, 0] + (spectrum.origin * spectrum.along()).sum(axis=1)
        std = np.broadcast_to(1 / np.hypot(1, spectrum.values), spectrum.rotated.shape)
        std = np.ascontiguousarray(std)[:, None]
        axes, still = spectrum.vectors, np.zeros_like(std)
        return cls(moved, sd, axes, still, std, one, one, after, spectrum.origin)

    def noise_variance(self) -> np.ndarray:
        """Mean noise variance (T,)."""
        return (self.mass * self.noise.variance()).sum(axis=1)

    def locations(self, design: np.ndarray) -> np.ndarray:
        """Means (N, T) of the function values."""
        return design @ self.mean.T

    def variances(self, design: np.ndarray) -> np.ndarray:
        """Variances (N, T) of the function values."""
        noise = self.mass * self.noise.variance()
        within = (noise[:, :, None] * self.std**2).sum(axis=1)
        beyond = (noise * self.rest**2).sum(axis=1)
        between = np.sqrt(self.mass)[:, :, None] * self.offset
        found = np.empty((len(design), len(self.mean)))
        for at in self._blocks(design):
            for g, mine in self._groups():
                along, across = self._coordinates(design[at], g)
                widest = self.std[mine].max(axis=(0, 1))
                found[at, mine] = (along * widest) ** 2 @ (within[mine] / widest**2).T
                found[at, mine] += (across**2).sum(axis=1)[:, None] * beyond[mine]
                if self.mass.shape[1] > 1:
                    spread = np.tensordot(along, between[mine], axes=(1, 2))
                    found[at, mine] += (spread**2).sum(axis=2)
        return found

    def predictives(self, design: np.ndarray) -> Iterator[tuple[slice, Predictive]]:
        """Laws of new targets, block by block of rows."""
        noise, mean = self.noise.scale(), self.locations(design)
        for at in self._blocks(design):
            shape = (at.stop - at.start, *self.mass.shape)
            location, scale = np.empty(shape), np.empty(shape)
            for g, mine in self._groups():
                along, across = self._coordinates(design[at], g)
                location[:, mine] = np.tensordot(along, self.offset[mine], axes=(1, 2))
                widest = self.std[mine].max(axis=(0, 1))
                narrower = (self.std[mine] / widest) ** 2
                relative = np.tensordot((along * widest) ** 2, narrower, axes=(1, 2))
                relative += (across**2).sum(axis=1)[:, None, None] * self.rest[mine] ** 2
                scale[:, mine] = np.sqrt(1 + relative)
            location += mean[at, :, None]
            yield at, Predictive(location, scale * noise, self.mass, self.noise)

    def _blocks(self, design: np.ndarray) -> list[slice]:
        size = max(1, BLOCK_VALUES // max(design.shape[1], self.mass.size))
        return [slice(i, min(i + size, len(design))) for i in range(0, len(design), size)]

    def _groups(self) -> list[tuple[int, slice]]:
        """Targets that share axes."""
        if len(self.sd) == 1:
            return [(0, slice(None))]
        return [(g, slice(g, g + 1)) for g in range(len(self.sd))]

    def _coordinates(self, design: np.ndarray, g: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows along the axes (n, r), and what of them (n, P) is across; (n, 0) if nothing."""
        origin = None if self.origin is None else self.origin[g]
        return coordinates(design, self.sd[g], self.vectors[g], origin)

    def covariance(self) -> np.ndarray:
        """Covariance (T, P, P) of the weights."""
        noise = self.mass * self.noise.variance()
        parts = []
        for g, mine in self._groups():
            # Columns of these are the weights; rows are independent, or components.
            along, across = self._coordinates(np.eye(self.mean.shape[1]), g)
            for t in range(len(self.mean))[mine]:
                within = along * np.sqrt(noise[t] @ self.std[t] ** 2)
                between = along @ (np.sqrt(self.mass[t])[:, None] * self.offset[t]).T
                beyond = across * np.sqrt(noise[t] @ self.rest[t] ** 2)
                parts.append(sum(root @ root.T for root in (within, between, beyond)))
        return np.stack(parts)

    def sample(self, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Draws of the weights (n, T, P), noise precisions and components (n, T)."""
        n_targets, n_columns = self.mean.shape
        component = np.zeros((n, n_targets), dtype=int)
        if self.mass.shape[1] > 1:
            level = np.cumsum(self.mass, axis=1)
            for t, u in enumerate(rng.random((n_targets, n))):
                component[:, t] = np.searchsorted(level[t], u * level[t, -1], side="right")
        precision = self.noise.sample(component, rng)
        normal = rng.standard_normal((n_targets, n, n_columns))
        weights = np.empty((n, n_targets, n_columns))
        for g, mine in self._groups():
            for t in range(n_targets)[mine]:
                pick, noise = component[:, t], 1 / np.sqrt(precision[:, t])[:, None]
                along, across = split_along(normal[t], self.vectors[g])
                along = self.offset[t, pick] + along * self.std[t, pick] * noise
                move = along @ self.vectors[g]
                if across.shape[1]:
                    move += across * self.rest[t, pick][:, None] * noise
                weights[:, t] = self.mean[t] + self.sd[g] * move
                if self.origin is not None:
                    weights[:, t, 0] = self.mean[t, 0] + along @ self.origin[g]
        return weights, precision, component

    def log_joint(self, design: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Log density (T,) of new rows jointly: this posterior is their prior."""
        errors = targets - self.locations(design)
        log_volume, square = np.empty(self.mass.shape), np.empty(self.mass.shape)
        for g, mine in self._groups():
            rows = np.column_stack(self._coordinates(design, g))
            width = rows.shape[1] - self.std.shape[2]
            for t in range(len(self.mean))[mine]:
                seen = RowFactor(rows.shape[1], 1).absorb(rows, errors[:, t : t + 1])
                for c in range(self.mass.shape[1]):
                    mean = np.append(self.offset[t, c], np.zeros(width))
                    sd = np.append(self.std[t, c], np.full(width, self.rest[t, c]))
                    spectrum = Spectrum.of(seen, mean[None], sd[None])
                    log_volume[t, c], square[t, c] = spectrum.log_volume[0], spectrum.square[0]
        each = self.noise.log_marginal(len(design), log_volume, square)
        return logsumexp(each, axis=1, b=self.mass)


def decompose(matrices: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Thin singular value decompositions of matrices (G, r, P).

    Where the first row, an intercept's beside columns far from zero, is much longer than the
    others, rounding of its size must not reach them: it is turned to the first axis, and a
    method is used that keeps small singular values as exact as large ones.
    """
    sizes = np.abs(matrices).max(axis=2, initial=0.0)
    others = sizes[:, 1:].max(axis=1, initial=0.0)
    if not (sizes[:, :1].max(axis=1, initial=0.0) > UNEQUAL * others).any():
        return np.linalg.svd(matrices, full_matrices=False)  # type: ignore[return-value]
    parts = [_decompose_unequal(matrix) for matrix in matrices]
    left, values, vectors = (np.stack(part) for part in zip(*parts, strict=True))
    return left, values, vectors


def _decompose_unequal(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same of one matrix (r, P), after a reflection that turns its first row."""
    first = matrix[0] / np.abs(matrix[0]).max()
    mirror = first / np.linalg.norm(first)
    mirror[0] += np.copysign(1.0, mirror[0])
    mirror /= np.linalg.norm(mirror)
    turned = matrix - np.outer(2 * (matrix @ mirror), mirror)
    turned[0, 1:] = 0.0
    left, values, vectors = svd(
        turned, full_matrices=False, check_finite=False, lapack_driver="gesvd"
    )
    return left, values, vectors - np.outer(2 * (vectors @ mirror), mirror)


def coordinates(
    design: np.ndarray, sd: np.ndarray, vectors: np.ndarray, origin: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Rows (n, P) along the axes (n, r), and what of them (n, P) is across; (n, 0) if nothing.

    With an ``origin`` (r,), rows are measured from the mean row, which has these coordinates.
    """
    rows = design * sd
    if origin is None:
        return split_along(rows, vectors)
    rows[:, 0] = 0.0
    along, across = split_along(rows, vectors)
    return along + design[:, :1] * origin, across


def split_along(rows: np.ndarray, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows (n, P) along axes (n, r), and what of them (n, P) is across; (n, 0) if nothing."""
    along = rows @ vectors.T
    if len(vectors) == vectors.shape[1]:
        return along, np.zeros((len(rows), 0))
    return along, rows - along @ vectors
