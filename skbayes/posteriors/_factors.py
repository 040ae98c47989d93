"""Square roots of covariance blocks, so that a draw is mean + factor @ noise."""

from __future__ import annotations

from copy import copy

import numpy as np
import torch
from torch import Tensor


class DiagonalFactor:
    """Independent standard deviations for entries start to start + size."""

    def __init__(self, start: int, sd: np.ndarray) -> None:
        self.start, self.sd = start, sd

    @property
    def size(self) -> int:
        """Number of entries."""
        return len(self.sd)

    def multiply(self, noise: Tensor) -> Tensor:
        """Map standard normals (S, size) to deviations (S, size)."""
        return noise * torch.from_numpy(self.sd)

    def covariance(self) -> np.ndarray:
        """Dense covariance (size, size)."""
        return np.diag(self.sd**2)

    def log_volume(self) -> float:
        """Half the log determinant of the covariance."""
        return float(np.log(self.sd.astype(np.float64)).sum())

    def scaled(self, factor: float) -> DiagonalFactor:
        """The root of so many times squared the covariance."""
        return DiagonalFactor(self.start, self.sd * self.sd.dtype.type(factor))


class DenseFactor:
    """Lower-triangular or square root matrix (size, size) of a covariance."""

    def __init__(self, start: int, root: np.ndarray) -> None:
        self.start, self.root = start, root

    @property
    def size(self) -> int:
        """Number of entries."""
        return len(self.root)

    def multiply(self, noise: Tensor) -> Tensor:
        """Map standard normals (S, size) to deviations (S, size)."""
        return noise @ torch.from_numpy(self.root).T

    def covariance(self) -> np.ndarray:
        """Dense covariance (size, size)."""
        return self.root @ self.root.T

    def log_volume(self) -> float:
        """Half the log determinant of the covariance."""
        return float(np.linalg.slogdet(self.root.astype(np.float64))[1])

    def scaled(self, factor: float) -> DenseFactor:
        """The root of so many times squared the covariance."""
        return DenseFactor(self.start, self.root * self.root.dtype.type(factor))


class KroneckerFactor:
    """Covariance of one layer, diagonal in a Kronecker product of two eigenbases.

    Parameters
    ----------
    start : int
    outputs : ndarray of shape (out, out)
    inputs : ndarray of shape (in + 1, in + 1)
        Eigenvectors in columns; the last input is the bias.
    sd : ndarray of shape (out, in + 1)
        Standard deviations in that basis.
    """

    def __init__(self, start: int, outputs: np.ndarray, inputs: np.ndarray, sd: np.ndarray) -> None:
        self.start, self.outputs, self.inputs, self.sd = start, outputs, inputs, sd

    @property
    def size(self) -> int:
        """Number of entries."""
        return int(self.sd.size)

    def multiply(self, noise: Tensor) -> Tensor:
        """Map standard normals (S, size) to deviations (S, size)."""
        rotated = noise.unflatten(1, self.sd.shape) * torch.from_numpy(self.sd)
        outputs, inputs = torch.from_numpy(self.outputs), torch.from_numpy(self.inputs)
        matrix = outputs @ rotated @ inputs.T
        return torch.cat([matrix[..., :-1].flatten(1), matrix[..., -1]], dim=1)

    def covariance(self) -> np.ndarray:
        """Dense covariance (size, size) in the order weight, bias."""
        identity = torch.eye(self.size, dtype=torch.from_numpy(self.sd).dtype)
        root = self.multiply(identity).numpy()
        return root.T @ root

    def log_volume(self) -> float:
        """Half the log determinant of the covariance."""
        return float(np.log(self.sd.astype(np.float64)).sum())

    def scaled(self, factor: float) -> KroneckerFactor:
        """The root of so many times squared the covariance."""
        sd = self.sd * self.sd.dtype.type(factor)
        return KroneckerFactor(self.start, self.outputs, self.inputs, sd)


class LowRankFactor:
    """Independent standard deviations plus a few directions in which entries move together.

    The covariance is S (I + U U') S with S = diag(sd); noise is multiplied by S times the
    symmetric root of what stands in brackets, which stretches a few directions.

    Parameters
    ----------
    start : int
    sd : ndarray of shape (size,)
        Of the independent part.
    directions : ndarray of shape (size, rank)
        The rest of the covariance is directions @ directions.T; 0 where ``sd`` is.
    """

    def __init__(self, start: int, sd: np.ndarray, directions: np.ndarray) -> None:
        wide = sd.astype(np.float64)[:, None]
        relative = np.divide(directions, wide, out=np.zeros(directions.shape), where=wide > 0)
        basis, sizes, _ = np.linalg.svd(relative, full_matrices=False)
        self.start, self.sd = start, sd
        self.basis, self.stretch = basis.astype(sd.dtype), np.hypot(1, sizes).astype(sd.dtype)

    @property
    def size(self) -> int:
        """Number of entries."""
        return len(self.sd)

    def multiply(self, noise: Tensor) -> Tensor:
        """Map standard normals (S, size) to deviations (S, size)."""
        basis, more = torch.from_numpy(self.basis), torch.from_numpy(self.stretch - 1)
        return (noise + noise @ basis * more @ basis.T) * torch.from_numpy(self.sd)

    def covariance(self) -> np.ndarray:
        """Dense covariance (size, size)."""
        root = self.multiply(torch.eye(self.size, dtype=torch.from_numpy(self.sd).dtype)).numpy()
        return root.T @ root

    def log_volume(self) -> float:
        """Half the log determinant of the covariance."""
        numbers = np.concatenate([self.sd, self.stretch]).astype(np.float64)
        return float(np.log(numbers).sum())

    def scaled(self, factor: float) -> LowRankFactor:
        """The root of so many times squared the covariance."""
        scaled = copy(self)
        scaled.sd = self.sd * self.sd.dtype.type(factor)
        return scaled


Factor = DiagonalFactor | DenseFactor | KroneckerFactor | LowRankFactor
