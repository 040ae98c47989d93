"""Masses of the momenta: what the posterior's spread makes of kinetic energy."""

from __future__ import annotations

import torch
from torch import Tensor

from skbayes._model import Model
from skbayes.exceptions import IncompatiblePartsError
from skbayes.inference.mcmc._adaptation import RunningCovariance, RunningVariance

#: Unknowns up to which a dense mass is held: its square is stored, and factored twice.
LARGEST_DENSE = 2000


class DiagonalMass:
    """One mass a coordinate, the inverse of its variance.

    Parameters
    ----------
    inverse : Tensor of shape (n_params,)
        Variances; ones for the identity.
    """

    def __init__(self, inverse: Tensor) -> None:
        self.inverse = inverse

    def momentum(self, noise: Tensor) -> Tensor:
        """Momenta (S, n_params) made of standard normals."""
        return noise * self.inverse.rsqrt()

    def velocity(self, momentum: Tensor) -> Tensor:
        """Change of position in unit time (S, n_params)."""
        return momentum * self.inverse


class DenseMass:
    """The inverse of a full covariance.

    Parameters
    ----------
    inverse : Tensor of shape (n_params, n_params)
        Covariance, positive definite.
    """

    def __init__(self, inverse: Tensor) -> None:
        self.inverse = inverse
        self.root = torch.linalg.cholesky(inverse)

    def momentum(self, noise: Tensor) -> Tensor:
        """Momenta (S, n_params) made of standard normals."""
        return torch.linalg.solve_triangular(self.root, noise, upper=False, left=False)

    def velocity(self, momentum: Tensor) -> Tensor:
        """Change of position in unit time (S, n_params)."""
        return momentum @ self.inverse


Mass = DiagonalMass | DenseMass


def kinetic(momentum: Tensor, mass: Mass) -> Tensor:
    """Kinetic energy (S,) of the momenta, in nats."""
    return 0.5 * (momentum * mass.velocity(momentum)).sum(1, dtype=torch.float64)


def first_mass(like: Tensor) -> DiagonalMass:
    """The identity (n_params,): whitened weights have variance one a priori."""
    return DiagonalMass(torch.ones_like(like))


def first_moments(kind: str, size: int) -> RunningVariance | RunningCovariance:
    """An empty estimate of what the mass of this kind is made of."""
    return (RunningCovariance if kind == "dense" else RunningVariance)(size)


def estimated_mass(moments: RunningVariance | RunningCovariance, like: Tensor) -> Mass:
    """The mass that the draws so far suggest, shrunk."""
    inverse = moments.regularised().to(like)
    return DiagonalMass(inverse) if inverse.ndim == 1 else DenseMass(inverse)


def check_mass(engine: str, kind: str, model: Model) -> None:
    """Raise `IncompatiblePartsError` where a dense mass would be too large."""
    if kind == "dense" and model.n_params > LARGEST_DENSE:
        raise IncompatiblePartsError(
            f"inference={engine}: mass_matrix='dense' holds at most {LARGEST_DENSE} unknowns, "
            f"and the model has {model.n_params}; use mass_matrix='diagonal', or a smaller "
            "network"
        )
