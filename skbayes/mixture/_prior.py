"""Units of the computation, and the prior in them: the user's, or scaled by the data."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from skbayes.mixture._components import Prior
from skbayes.mixture._rows import Rows
from skbayes.mixture._update import COVARIANCE_TYPES, Mixture
from skbayes.mixture._weights import WEIGHT_PRIORS

__all__ = ["Units", "make_mixture", "make_prior"]

#: Least variance of a column in the default prior, relative to that of the data.
LEAST_VARIANCE = 1e-6


class Units(NamedTuple):
    """Rows are computed with as (X - centre) / scale; both (D,), in double precision."""

    centre: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, X: np.ndarray, weight: np.ndarray, one_scale: bool) -> Units:
        """Mean and standard deviation of the observed values.

        Columns are divided by their largest magnitude first, so that no square overflows;
        a constant column is divided by its magnitude alone.
        """
        X = X.astype(np.float64)
        observed = ~np.isnan(X)
        _check_observed(observed)
        X = np.where(observed, X, 0.0)
        largest = np.abs(X).max(axis=0)
        largest = np.where(largest > 0, largest, 1.0)
        total = weight @ observed
        mean = weight @ (X / largest) / total
        spread = np.sqrt(weight @ np.where(observed, X / largest - mean, 0.0) ** 2 / total)
        # A constant column of rounded numbers has a spread of rounding errors.
        spread = np.where(spread < 1e-12, 0.0, spread)
        scale = spread * largest
        if one_scale:
            scale = np.full(len(scale), np.sqrt(np.mean((scale / largest.max()) ** 2)))
            scale *= largest.max()
        return cls(mean * largest, np.where(scale > 0, scale, largest))

    def apply(self, X: np.ndarray, weight: np.ndarray) -> Rows:
        """Standardised rows in the precision of X."""
        table = (X.astype(np.float64) - self.centre) / self.scale
        return Rows.of(table.astype(X.dtype, copy=False), weight)

    def log_jacobian(self, rows: Rows) -> np.ndarray:
        """Log of d(standardised row) / d(row), over the observed columns (N,)."""
        log_scale = np.log(self.scale)
        if rows.observed is None:
            return np.full(len(rows), -log_scale.sum())
        return -(log_scale @ rows.observed)


def _check_observed(observed: np.ndarray) -> None:
    empty = np.flatnonzero(~observed.any(axis=0))
    if len(empty):
        raise ValueError(
            f"X has no observed value in column {empty[0]}; drop the column, or impute it"
        )


def make_prior(estimator: Any, units: Units, rows: Rows) -> Prior:
    """The components' prior in units of the computation."""
    n_columns, type_ = len(units.centre), estimator.covariance_type
    mean = _checked(estimator, "mean_prior", (n_columns,))
    mean = np.zeros(n_columns) if mean is None else (mean - units.centre) / units.scale
    return Prior(
        mean,
        float(estimator.mean_precision_prior),
        _dof(estimator, n_columns),
        _scatter(estimator, units, rows, type_),
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


def _scatter(estimator: Any, units: Units, rows: Rows, type_: str) -> np.ndarray:
    n_columns = len(units.centre)
    shapes = {"diag": (n_columns,), "spherical": ()}
    given = _checked(estimator, "covariance_prior", shapes.get(type_, (n_columns, n_columns)))
    if given is None:
        return _default_scatter(rows, type_)
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


def _default_scatter(rows: Rows, type_: str) -> np.ndarray:
    """Covariance of the data, missing values at their means but variances of the observed."""
    values, weight = rows.values.astype(np.float64), rows.weight
    total = weight.sum() if rows.observed is None else rows.observed @ weight
    variance = values**2 @ weight / total
    if type_ == "spherical":
        return np.maximum(variance.mean(keepdims=True), LEAST_VARIANCE)
    variance = variance + LEAST_VARIANCE
    if type_ == "diag":
        return variance
    covariance = (values * weight) @ values.T / weight.sum()
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
