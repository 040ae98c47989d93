"""The model in units of the computation, its prior the user's or scaled by the data."""

from __future__ import annotations

from typing import Any

import numpy as np

from skbayes.mixture._components import Prior
from skbayes.mixture._spread import Spread
from skbayes.mixture._update import COVARIANCE_TYPES, Mixture
from skbayes.mixture._weights import WEIGHT_PRIORS

__all__ = ["check_observed", "make_mixture", "make_prior", "model_of"]

#: Least variance of a column in the default prior, relative to that of the data.
LEAST_VARIANCE = 1e-6


def check_observed(observed: np.ndarray) -> None:
    """Refuse rows with a column that has no value, of which ``observed`` (D,) is False."""
    empty = np.flatnonzero(~observed)
    if len(empty):
        raise ValueError(
            f"X has no observed value in column {empty[0]}; drop the column, or impute it"
        )


def model_of(estimator: Any, spread: Spread) -> Mixture:
    """The model of an estimator's parameters and, where these are None, of the rows' spread."""
    n_components, concentration = estimator.n_components, estimator.weight_concentration
    if concentration is None:
        concentration = 1 / n_components if estimator.weight_prior == "dirichlet" else 1.0
    return make_mixture(
        estimator.weight_prior,
        n_components,
        concentration,
        estimator.covariance_type,
        make_prior(estimator, spread),
    )


def make_prior(estimator: Any, spread: Spread) -> Prior:
    """The components' prior in units of the computation."""
    units, type_ = spread.units, estimator.covariance_type
    n_columns = len(units.centre)
    mean = _checked(estimator, "mean_prior", (n_columns,))
    mean = np.zeros(n_columns) if mean is None else (mean - units.centre) / units.scale
    return Prior(
        mean,
        float(estimator.mean_precision_prior),
        _dof(estimator, n_columns),
        _scatter(estimator, spread, type_),
    )


def _dof(estimator: Any, n_columns: int) -> float:
    """Degrees of freedom; by default every variance alone has one."""
    least = n_columns - 1 if estimator.covariance_type in ("full", "tied") else 0
    dof = estimator.degrees_of_freedom_prior
    if dof is None:
        return least + 1.0
    if dof <= least:
        raise ValueError(
            f"degrees_of_freedom_prior={dof!r} leaves no density: with {n_columns} columns and "
            f"covariance_type={estimator.covariance_type!r} it must exceed {least}"
        )
    return float(dof)


def _scatter(estimator: Any, spread: Spread, type_: str) -> np.ndarray:
    units = spread.units
    n_columns = len(units.centre)
    shapes = {"diag": (n_columns,), "spherical": ()}
    given = _checked(estimator, "covariance_prior", shapes.get(type_, (n_columns, n_columns)))
    if given is None:
        return _default_scatter(spread, type_)
    if type_ == "spherical":
        scatter = np.atleast_1d(given) / units.scale[0] ** 2
    elif type_ == "diag":
        scatter = given / units.scale**2
    else:
        scatter = given / units.scale / units.scale[:, None]
        if not np.allclose(scatter, scatter.T):
            raise ValueError("covariance_prior must be symmetric; use (C + C.T) / 2")
    least = np.linalg.eigvalsh(scatter)[0] if scatter.ndim == 2 else scatter.min()
    if not least > 0:
        raise ValueError(
            "covariance_prior must be positive definite; add a small multiple of the identity"
        )
    return scatter


def _default_scatter(spread: Spread, type_: str) -> np.ndarray:
    """Covariance of the data; of a column without a value so far, a variance of one."""
    known = spread.n_observed > 0
    variance = np.where(known, spread.moments()[1], 1.0)
    if type_ == "spherical":
        common = variance[known] if known.any() else variance
        return np.maximum(common.mean(keepdims=True), LEAST_VARIANCE)
    variance = variance + LEAST_VARIANCE
    if type_ == "diag":
        return variance
    covariance = spread.covariance()
    np.fill_diagonal(covariance, variance)
    return covariance


def _checked(estimator: Any, name: str, shape: tuple[int, ...]) -> np.ndarray | None:
    """A parameter as a finite array of the right shape, or None."""
    value = getattr(estimator, name)
    if value is None:
        return None
    array = np.asarray(value, dtype=np.float64)
    if array.shape != shape:
        raise ValueError(
            f"{name} has shape {array.shape}, but covariance_type="
            f"{estimator.covariance_type!r} and the columns of X need {shape}"
        )
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, got {value!r}")
    return array


def make_mixture(
    weight_prior: str, n_components: int, concentration: float, covariance_type: str, prior: Prior
) -> Mixture:
    """The model of the estimator's parameters."""
    return Mixture(
        WEIGHT_PRIORS[weight_prior](n_components, concentration),
        COVARIANCE_TYPES[covariance_type](prior),
    )
