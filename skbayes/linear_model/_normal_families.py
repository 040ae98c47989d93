"""Families of normals over a logistic model's weights, in coordinates around one of them.

Weights (K, r) are standard normal a priori. A family's coordinates are those of a mean and
a triangular root of the covariance, in units of the normal that it is centred on, which
stands at its `origin`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from scipy.linalg import helmert

from skbayes.linear_model._normal_fits import Start, invert, laplace
from skbayes.linear_model._softmax import LabelledRows

#: Nats to which the mode is found that a cold climb begins at, and most steps to it.
ROUGH, MODE_STEPS = 1e-2, 50
#: Rounds of the two sides of a Kronecker product.
N_ROUNDS = 5


class NormalFamily(ABC):
    """Normals in coordinates around one of them.

    Attributes
    ----------
    mean : ndarray of shape (K, r)
    origin : ndarray of shape (n_coordinates,)
        The coordinates of the normal itself.
    relative_tol : float
        A climb ends no later than at steps which gain this share of the bound.
    """

    mean: np.ndarray
    origin: np.ndarray
    relative_tol = 1e-15

    @classmethod
    @abstractmethod
    def begin(cls, data: LabelledRows, start: Start) -> NormalFamily:
        """The family around a start."""

    @abstractmethod
    def moved(self, x: np.ndarray) -> NormalFamily:
        """The family around the normal at coordinates x."""

    @abstractmethod
    def covariance(self) -> np.ndarray:
        """Covariance (K r, K r)."""

    @abstractmethod
    def logit_covariance(self) -> np.ndarray:
        """Covariance (N, K, K) of the rows' logits."""

    @abstractmethod
    def divergence(self) -> float:
        """From the prior, in nats."""

    @abstractmethod
    def pull_back(
        self, at: NormalFamily, mean_gradient: np.ndarray, curvature: np.ndarray
    ) -> np.ndarray:
        """Gradient of the bound in the coordinates of this family.

        From its gradient (K, r) in the mean at the normal ``at``, and minus twice that of
        the mean log likelihood in the covariances of the logits (N, K, K).
        """


class FullNormal(NormalFamily):
    """Any normal: coordinates of the mean, then of a root's lower triangle.

    Of several logits, in the contrasts of the classes: a softmax tells nothing of their
    sum, which stays as it was a priori. Its variance may be many times the contrasts',
    whose digits it would take.
    """

    def __init__(self, data: LabelledRows, inner: np.ndarray, root: np.ndarray) -> None:
        self.data, self.inner, self.root = data, inner, root
        self.contrasts = class_contrasts(data.n_outputs)
        self.mean = self.contrasts.T @ inner
        self.lower = np.tril_indices(len(root))
        self.origin = np.concatenate([np.zeros(len(root)), np.eye(len(root))[self.lower]])

    @classmethod
    def begin(cls, data: LabelledRows, start: Start) -> FullNormal:
        """Around an earlier curvature, else around the mode."""
        mean, curvature = start
        if curvature is None:
            fit = laplace(data, start, ROUGH, MODE_STEPS)
            mean, curvature = fit.mean, fit.curvature
        contrasts = class_contrasts(data.n_outputs)
        covariance, _ = invert(data.information(contrasts @ curvature @ contrasts.T))
        return cls(data, contrasts @ mean, np.linalg.cholesky(covariance))

    def moved(self, x: np.ndarray) -> FullNormal:
        """The family around the normal at coordinates x."""
        size = len(self.root)
        inner = self.inner + (self.root @ x[:size]).reshape(self.inner.shape)
        return FullNormal(self.data, inner, self.root @ triangle(x[size:], size))

    def covariance(self) -> np.ndarray:
        """Covariance (K r, K r)."""
        return with_sum(self.root @ self.root.T, self.contrasts)

    def logit_covariance(self) -> np.ndarray:
        """Covariance (N, K, K) of the rows' logits, less the constant of the sum."""
        if self.data.n_outputs == 1:
            return ((self.data.rows @ self.root) ** 2).sum(axis=1)[:, None, None]
        inner = self.data.logit_covariance(self.root @ self.root.T)
        return self.contrasts.T @ inner @ self.contrasts

    def divergence(self) -> float:
        """From the prior, in nats."""
        trace = (self.inner**2).sum() + (self.root**2).sum() - self.inner.size
        return 0.5 * float(trace) - log_diagonal(self.root)

    def pull_back(
        self, at: NormalFamily, mean_gradient: np.ndarray, curvature: np.ndarray
    ) -> np.ndarray:
        """Gradient of the bound in the coordinates of this family."""
        assert isinstance(at, FullNormal)
        inner = self.contrasts @ curvature @ self.contrasts.T
        slope = self.data.information(inner) @ at.root + at.root
        own = root_gradient(self.root, at.root, slope, 1.0)
        pull = self.contrasts @ mean_gradient
        return np.concatenate([self.root.T @ pull.ravel(), own[self.lower]])


class MatrixNormal(NormalFamily):
    """Normals whose covariance is one of classes times one of columns.

    In the contrasts of the classes, the only directions that a softmax can tell apart; the
    sum over classes stays as it was a priori. Coordinates are those of the mean, then of
    the roots' lower triangles, of classes and of columns.
    """

    # Its two sides trade places slowly, and it is not the best normal anyway.
    relative_tol = 1e-5

    def __init__(
        self, data: LabelledRows, inner: np.ndarray, classes: np.ndarray, columns: np.ndarray
    ) -> None:
        self.data, self.inner, self.classes, self.columns = data, inner, classes, columns
        self.contrasts = class_contrasts(data.n_outputs)
        self.mean = self.contrasts.T @ inner
        self.sides = [np.tril_indices(len(root)) for root in (classes, columns)]
        eyes = [np.eye(len(root))[at] for root, at in zip(self._roots, self.sides, strict=True)]
        self.origin = np.concatenate([np.zeros(inner.size), *eyes])

    @property
    def _roots(self) -> tuple[np.ndarray, np.ndarray]:
        return self.classes, self.columns

    @classmethod
    def begin(cls, data: LabelledRows, start: Start) -> MatrixNormal:
        """Best for the curvature at the start, one side after the other."""
        curvature = start.curvature
        if curvature is None:
            curvature = data.curvature(data.probabilities(data.rows @ start.mean.T))
        contrasts = class_contrasts(data.n_outputs)
        inner = contrasts @ curvature @ contrasts.T
        classes, size = np.eye(len(contrasts)), data.rows.shape[1]
        for _ in range(N_ROUNDS):
            each = data.weight * np.einsum("nij,ji->n", inner, classes)
            precision = (data.rows * each[:, None]).T @ data.rows
            precision += np.trace(classes) * np.eye(size)
            columns = np.linalg.inv(precision / len(classes))
            each = data.weight * ((data.rows @ columns) * data.rows).sum(axis=1)
            precision = np.tensordot(each, inner, 1) + np.trace(columns) * np.eye(len(classes))
            classes = np.linalg.inv(precision / size)
        roots = (np.linalg.cholesky(side) for side in (classes, columns))
        return cls(data, contrasts @ start.mean, *roots)

    def moved(self, x: np.ndarray) -> MatrixNormal:
        """The family around the normal at coordinates x."""
        at, n_classes, n_columns = self.inner.size, len(self.classes), len(self.columns)
        inner = self.inner + self.classes @ x[:at].reshape(self.inner.shape) @ self.columns.T
        cut = at + len(self.sides[0][0])
        classes = self.classes @ triangle(x[at:cut], n_classes)
        return MatrixNormal(self.data, inner, classes, self.columns @ triangle(x[cut:], n_columns))

    def covariance(self) -> np.ndarray:
        """Covariance (K r, K r)."""
        inner = np.kron(self.classes @ self.classes.T, self.columns @ self.columns.T)
        return with_sum(inner, self.contrasts)

    def logit_covariance(self) -> np.ndarray:
        """Covariance (N, K, K) of the rows' logits, less the constant of the sum."""
        root = self.contrasts.T @ self.classes
        return self._sizes()[:, None, None] * (root @ root.T)

    def _sizes(self) -> np.ndarray:
        """Variance (N,) of each row, were the classes' 1."""
        return ((self.data.rows @ self.columns) ** 2).sum(axis=1)

    def divergence(self) -> float:
        """From the prior, in nats."""
        trace = (self.classes**2).sum() * (self.columns**2).sum()
        volume = len(self.columns) * log_diagonal(self.classes)
        volume += len(self.classes) * log_diagonal(self.columns)
        return 0.5 * float((self.inner**2).sum() + trace - self.inner.size) - volume

    def pull_back(
        self, at: NormalFamily, mean_gradient: np.ndarray, curvature: np.ndarray
    ) -> np.ndarray:
        """Gradient of the bound in the coordinates of this family."""
        assert isinstance(at, MatrixNormal)
        weight, rows = self.data.weight, self.data.rows
        root = self.contrasts.T @ at.classes
        inner = np.tensordot(weight * at._sizes(), curvature, 1)
        slope = self.contrasts @ inner @ root + (at.columns**2).sum() * at.classes
        classes = root_gradient(self.classes, at.classes, slope, len(at.columns))
        each = weight * np.einsum("nij,ij->n", curvature, root @ root.T)
        slope = (rows * each[:, None]).T @ (rows @ at.columns)
        slope += (at.classes**2).sum() * at.columns
        columns = root_gradient(self.columns, at.columns, slope, len(at.classes))
        mean = self.classes.T @ (self.contrasts @ mean_gradient) @ self.columns
        return np.concatenate([mean.ravel(), classes[self.sides[0]], columns[self.sides[1]]])


def class_contrasts(n_outputs: int) -> np.ndarray:
    """Orthonormal contrasts (K - 1, K) of several logits; one logit is its own."""
    return np.eye(1) if n_outputs == 1 else helmert(n_outputs)


def with_sum(inner: np.ndarray, contrasts: np.ndarray) -> np.ndarray:
    """Covariance (K r, K r) of all logits' weights, their sum as it was a priori.

    From that of the contrasts' weights, ``inner`` (J r, J r).
    """
    n_contrasts, n_outputs = contrasts.shape
    size = len(inner) // n_contrasts
    spread = np.kron(contrasts, np.eye(size))
    covariance = spread.T @ inner @ spread
    if n_contrasts == n_outputs:
        return covariance
    return covariance + np.kron(np.full((n_outputs, n_outputs), 1 / n_outputs), np.eye(size))


def triangle(values: np.ndarray, size: int) -> np.ndarray:
    """Lower triangle (size, size) of values in row order."""
    full = np.zeros((size, size))
    full[np.tril_indices(size)] = values
    return full


def log_diagonal(root: np.ndarray) -> float:
    """Half the log determinant of a covariance; signs of the root are free."""
    with np.errstate(divide="ignore"):
        return float(np.log(np.abs(np.diagonal(root))).sum())


def root_gradient(
    base: np.ndarray, root: np.ndarray, slope: np.ndarray, count: float
) -> np.ndarray:
    """Gradient in T, root = base @ T, of count log|det root| less a function of slope ``slope``."""
    gradient = -base.T @ slope
    ratio = np.diagonal(base) / np.diagonal(root)
    gradient[np.diag_indices(len(root))] += count * ratio
    return gradient
