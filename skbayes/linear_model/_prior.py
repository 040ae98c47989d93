"""The normal prior of a linear model's weights, from the parameters that users give."""

from __future__ import annotations

from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

import numpy as np

from skbayes.exceptions import IncompatiblePartsError


@dataclass
class WeightPrior:
    """Weights are basis @ v with v independent normals; the intercept, if any, comes first.

    Attributes
    ----------
    mean : ndarray of shape (T, P)
        Means of v.
    sd : ndarray of shape (P,)
        Standard deviations of v at precision 1.
    alpha : ndarray of shape (P,)
        Precisions as given.
    basis : ndarray of shape (P, P) or None
        None for the identity: of weights that are independent a priori.
    fit_intercept : bool
    centre : tuple of ndarray of shape (P,) or None
        What columns are measured from, in two parts that are subtracted one after another;
        the intercept's from zero.
    """

    mean: np.ndarray
    sd: np.ndarray
    alpha: np.ndarray
    basis: np.ndarray | None
    fit_intercept: bool
    centre: tuple[np.ndarray, np.ndarray] | None = None

    def columns(self, X: np.ndarray) -> np.ndarray:
        """Rows (N, D) as they are, in float64, with a one before them for the intercept."""
        X = np.asarray(X, dtype=np.float64)
        return np.column_stack([np.ones(len(X)), X]) if self.fit_intercept else X

    def design(self, X: np.ndarray) -> np.ndarray:
        """Rows (N, D) in the coordinates of v, in float64 (N, P)."""
        columns = self.columns(X)
        for part in self.centre or ():
            columns = columns - part
        return columns if self.basis is None else columns @ self.basis

    def centred(self, centre: tuple[np.ndarray, np.ndarray]) -> WeightPrior:
        """The prior of an intercept that is measured where the columns are ``centre``.

        It expects the same there as this prior does.
        """
        mean = self.mean.copy()
        raw = mean if self.basis is None else mean @ self.basis.T
        mean[:, 0] += raw @ (centre[0] + centre[1])
        return replace(self, mean=mean, centre=centre)

    def weights(self, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Weights (..., D) and intercepts (...) of v (..., P)."""
        raw = v if self.basis is None else v @ self.basis.T
        if self.centre is not None:
            raw = np.concatenate(
                [raw[..., :1] - raw @ (self.centre[0] + self.centre[1])[:, None], raw[..., 1:]], -1
            )
        if self.fit_intercept:
            return raw[..., 1:], raw[..., 0]
        return raw, np.zeros(raw.shape[:-1])

    def raw_covariance(self, covariance: np.ndarray) -> np.ndarray:
        """Covariance (..., P, P) of intercept and weights, from that of v."""
        weights, intercept = self.weights(np.eye(len(self.sd)))
        raw = np.column_stack([intercept, weights]) if self.fit_intercept else weights
        return raw.T @ covariance @ raw

    def groups(self, ard: bool) -> np.ndarray:
        """Number (P,) of the precision that each weight shares; the intercept has its own."""
        n_columns = len(self.sd)
        if ard:
            return np.arange(n_columns)
        return (
            np.minimum(np.arange(n_columns), 1) if self.fit_intercept else np.zeros(n_columns, int)
        )

    def proportions(self, ard: bool) -> np.ndarray:
        """Fixed ratios (P,) of the precisions that a group's own one multiplies."""
        ratios = np.ones_like(self.alpha)
        own = slice(int(self.fit_intercept), None)
        if not ard and (self.alpha[own] != self.alpha[-1]).any():
            ratios[own] = self.alpha[own]
        return ratios


def weight_prior(
    n_features: int,
    n_targets: int,
    *,
    alpha: Any,
    prior_mean: Any,
    prior_covariance: Any,
    fit_intercept: bool,
    intercept_mean: float,
    intercept_alpha: float | None,
    ard: bool,
) -> WeightPrior:
    """Check and assemble; errors name the parameter, what it is and what it should be.

    ``ard`` says whether one precision a weight is to be learned, which weights that covary
    do not have.
    """
    precision = _vector("alpha", alpha, n_features)
    if (precision <= 0).any() or not np.isfinite(precision).all():
        raise ValueError(f"alpha must be positive and finite, got {alpha!r}")
    sd, basis = _covariance(prior_covariance, n_features)
    mean = _mean(prior_mean, n_targets, n_features)
    if basis is not None:
        if ard:
            _refuse_ard(np.asarray(prior_covariance))
        basis = _between_precisions(basis, precision)
        mean = np.linalg.solve(basis, mean.T).T
    if fit_intercept:
        own = float(precision.mean()) if intercept_alpha is None else float(intercept_alpha)
        precision, sd = np.append(own, precision), np.append(1.0, sd)
        mean = np.column_stack([np.full(n_targets, float(intercept_mean)), mean])
        basis = None if basis is None else _with_corner(basis)
    return WeightPrior(mean, sd, precision, basis, fit_intercept)


def _vector(name: str, value: Any, n_features: int) -> np.ndarray:
    array = np.asarray(value, dtype=np.float64)
    if array.ndim == 0:
        return np.full(n_features, float(array))
    if array.shape != (n_features,):
        raise ValueError(
            f"{name} must be a number or have one entry a feature, shape ({n_features},), got "
            f"shape {array.shape}"
        )
    return array.copy()


def _mean(value: Any, n_targets: int, n_features: int) -> np.ndarray:
    array = np.asarray(value, dtype=np.float64)
    if array.shape not in ((), (n_features,), (n_targets, n_features)):
        raise ValueError(
            f"prior_mean must be a number or an array of shape ({n_features},) or "
            f"({n_targets}, {n_features}), got shape {array.shape}"
        )
    if not np.isfinite(array).all():
        raise ValueError("prior_mean must be finite; use 0.0 where nothing is known")
    return np.broadcast_to(array, (n_targets, n_features)).copy()


def _covariance(value: Any, n_features: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Standard deviations (D,), and a lower Cholesky factor where weights covary."""
    if value is None:
        return np.ones(n_features), None
    array = np.asarray(value, dtype=np.float64)
    if array.shape == (n_features, n_features):
        factor = _cholesky(array)
        if not np.tril(factor, -1).any():
            return np.diagonal(factor).copy(), None
        return np.ones(n_features), factor
    variances = _vector("prior_covariance", array, n_features)
    if (variances <= 0).any() or not np.isfinite(variances).all():
        raise ValueError("prior_covariance must hold positive, finite variances")
    return np.sqrt(variances), None


def _cholesky(covariance: np.ndarray) -> np.ndarray:
    scale = np.abs(covariance).max()
    if not np.allclose(covariance, covariance.T, rtol=1e-8, atol=1e-12 * scale):
        raise ValueError("prior_covariance must be symmetric; use (S + S.T) / 2")
    try:
        return np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError as error:
        raise ValueError(
            "prior_covariance must be positive definite; add a small multiple of the identity"
        ) from error


def _between_precisions(factor: np.ndarray, precision: np.ndarray) -> np.ndarray:
    """The basis in which weights covary as ``factor @ factor.T`` says, each at its precision.

    v has the precisions of the weights. Through L alone the weights would covary as
    L diag(1 / alpha) L', which depends on the order of the columns; through D L / D, where
    D = diag(alpha)^-1/2, they do as D L L' D.
    """
    root = np.sqrt(precision)
    return factor * root / root[:, None]


def _refuse_ard(covariance: np.ndarray) -> None:
    row, column = np.argwhere(np.tril(covariance, -1))[0]
    raise IncompatiblePartsError(
        f"ard=True learns one precision for each weight, which needs independent priors, but "
        f"prior_covariance[{row}][{column}] is {float(covariance[row, column])!r}; leave "
        "prior_covariance at None, give variances (or a diagonal matrix), or set ard=False"
    )


def _with_corner(basis: np.ndarray) -> np.ndarray:
    """The factor with a one for the intercept before it."""
    grown = np.eye(len(basis) + 1)
    grown[1:, 1:] = basis
    return grown


def gamma_parameters(name: str, value: Any) -> tuple[float, float]:
    """Shape and rate of a Gamma prior."""
    pair = tuple(value)
    if len(pair) != 2 or not all(isinstance(x, Real) and 0 < float(x) < np.inf for x in pair):
        raise ValueError(
            f"{name} must be the positive shape and rate of a Gamma prior, got {value!r}"
        )
    return float(pair[0]), float(pair[1])
