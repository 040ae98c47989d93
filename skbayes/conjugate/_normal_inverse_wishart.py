"""A normal of unknown mean and covariance."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from scipy.linalg import solve_triangular

from skbayes.conjugate._base import Family, State, per_feature, weighted_mean
from skbayes.conjugate._growth import log_det, log_det_growth, log_growth, log_rising
from skbayes.utils._logs import LOG_2PI, log1p_square
from skbayes.utils._sklearn import Interval

#: Least eigenvalue, a column, of the scale matrix as a correlation: a hundred roundings.
LEAST_CORRELATED = 100 * float(np.finfo(float).eps)


class NormalInverseWishart(Family):
    """Correlated normal features; mean and covariance have a normal-inverse-Wishart prior.

    Parameters
    ----------
    mean : float or array-like of shape (n_features,), default=0
        Prior mean, in the units of X.
    mean_weight : float, default=1
        Rows that the prior mean is worth.
    dof : float, optional
        Degrees of freedom of the covariance, more than n_features - 1; by default
        n_features + 2, the least integer with a prior mean, which is then ``scale``.
    scale : float or array-like of shape (n_features, n_features), default=1
        Scale matrix, or the number on its diagonal, in squared units of X.

    References
    ----------
    .. [1] K. P. Murphy (2007), Conjugate Bayesian analysis of the Gaussian distribution,
       section 9.

    Examples
    --------
    >>> from skbayes import ConjugateDensity
    >>> plane = ConjugateDensity("normal_inverse_wishart").fit([[1.0, 2.0], [3.0, 2.0]])
    >>> plane.posterior_["dof"], plane.posterior_["mean"].round(2)
    (array(6.), array([1.33, 1.33]))
    """

    _parameter_constraints: dict = {
        "mean": [Real, "array-like"],
        "mean_weight": [Interval(Real, 0, None, closed="neither")],
        "dof": [Interval(Real, 0, None, closed="neither"), None],
        "scale": [Interval(Real, 0, None, closed="neither"), "array-like"],
    }

    def __init__(
        self,
        mean: Any = 0.0,
        mean_weight: float = 1.0,
        dof: float | None = None,
        scale: Any = 1.0,
    ) -> None:
        self.mean = mean
        self.mean_weight = mean_weight
        self.dof = dof
        self.scale = scale

    def prior(self, X: np.ndarray) -> State:
        """Mean, its weight, degrees of freedom and scale matrix."""
        n = X.shape[1]
        dof = n + 2.0 if self.dof is None else float(self.dof)
        if not dof > n - 1:
            raise ValueError(f"dof={self.dof!r} must exceed n_features - 1 = {n - 1}")
        return {
            "mean": per_feature("mean", self.mean, n, positive=False),
            "mean_weight": np.array(float(self.mean_weight)),
            "dof": np.array(dof),
            "scale": _scale_matrix(self.scale, n),
        }

    def statistics(self, state: State, X: np.ndarray, weight: np.ndarray) -> State:
        """Rows, their mean, and what they add to the scale matrix."""
        total, centre = weight.sum(), weighted_mean(X, weight)
        pull = state["mean_weight"] / (state["mean_weight"] + total)
        shift, centred = centre - state["mean"], X - centre
        squares = centred.T @ (centred * weight[:, None]) + pull * total * np.outer(shift, shift)
        return {"rows": total, "mean": centre, "squares": squares}

    def update(self, state: State, seen: State) -> State:
        """Murphy's equations 217 to 220."""
        kappa = state["mean_weight"] + seen["rows"]
        return {
            "mean": state["mean"] + seen["rows"] / kappa * (seen["mean"] - state["mean"]),
            "mean_weight": np.array(kappa),
            "dof": np.array(state["dof"] + seen["rows"]),
            "scale": _resolved(state["scale"] + seen["squares"]),
        }

    def log_gain(self, state: State, seen: State) -> float:
        """Of log inverse-Wishart and normal integrals."""
        nu, n, half = state["dof"], len(state["mean"]), seen["rows"] / 2
        gain = log_rising((nu - np.arange(n)) / 2, half).sum()
        gain += half * (n * np.log(2) - log_det(state["scale"]))
        gain -= (nu / 2 + half) * log_det_growth(state["scale"], seen["squares"])
        return float(gain - 0.5 * n * log_growth(state["mean_weight"], seen["rows"]))

    def log_base(self, X: np.ndarray) -> np.ndarray:
        """The normal's constant."""
        return np.full(len(X), -0.5 * X.shape[1] * LOG_2PI)

    def log_predictive(self, state: State, X: np.ndarray) -> np.ndarray:
        """Student-t of dof - D + 1 degrees of freedom (Murphy's equation 232)."""
        n = X.shape[1]
        dof = state["dof"] - n + 1
        root = np.linalg.cholesky(state["scale"] * (1 + 1 / state["mean_weight"]) / dof)
        white = solve_triangular(root, (X - state["mean"]).T, lower=True)
        constant = log_rising(dof / 2, n / 2) - 0.5 * n * np.log(dof * np.pi)
        constant -= np.log(np.diagonal(root)).sum()
        return constant - (dof + n) / 2 * log1p_square(white / np.sqrt(dof), axis=0)

    def sample(self, state: State, n_samples: int, rng: np.random.RandomState) -> State:
        """Means and covariances, by Bartlett's decomposition."""
        n, nu = len(state["mean"]), state["dof"]
        factor = np.tril(rng.normal(size=(n_samples, n, n)), -1)
        chi = np.sqrt(rng.chisquare(nu - np.arange(n), size=(n_samples, n)))
        factor[:, np.arange(n), np.arange(n)] = chi
        # The precision is L A A' L' for L L' the inverse scale: its inverse root is upper.
        root = np.linalg.cholesky(np.linalg.inv(state["scale"]))
        spread = np.linalg.inv(root @ factor).swapaxes(1, 2)
        noise = (spread @ rng.normal(size=(n_samples, n, 1)))[..., 0]
        mean = state["mean"] + noise / np.sqrt(state["mean_weight"])
        return {"mean": mean, "covariance": spread @ spread.swapaxes(1, 2)}

    def sample_rows(self, parameters: State, rng: np.random.RandomState) -> np.ndarray:
        """Normals."""
        mean, root = parameters["mean"], np.linalg.cholesky(parameters["covariance"])
        return mean + (root @ rng.normal(size=(*mean.shape, 1)))[..., 0]


def _resolved(scale: np.ndarray) -> np.ndarray:
    """The scale matrix, whose least direction rounding of its others must not hide."""
    if not np.isfinite(scale).all():
        return scale  # said to overflow by the caller
    root = np.sqrt(np.diagonal(scale))
    least = np.linalg.eigvalsh(scale / root / root[:, None])[0]
    if least < LEAST_CORRELATED * len(scale):
        column = int(root.argmax())
        raise ValueError(
            f"X lies too far from the prior mean beside its spread, or has columns too much "
            f"alike, for the posterior's scale matrix in double precision (column {column} "
            f"adds {scale[column, column]:.3g}); subtract X.mean(axis=0) or set mean, and drop "
            "columns that others determine, or raise scale"
        )
    return scale


def _scale_matrix(scale: Any, n_features: int) -> np.ndarray:
    array = np.asarray(scale, dtype=np.float64)
    if array.shape == ():
        return array * np.eye(n_features)
    if array.shape != (n_features, n_features) or not np.allclose(array, array.T):
        raise ValueError(
            f"scale must be one number or a symmetric matrix of {n_features} rows and columns, "
            f"got shape {array.shape}"
        )
    if not np.linalg.eigvalsh(array)[0] > 0:
        raise ValueError("scale must be positive definite; add a small multiple of the identity")
    return array
