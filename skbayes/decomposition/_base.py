"""What a fitted PPCA says of rows: latents, densities, draws, missing values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skbayes.base._density import DensityEstimator
from skbayes.base._latent import LatentTransformer
from skbayes.base._predictive import LatentDistribution, RowDensity, as_float
from skbayes.data._tables import validate_data
from skbayes.decomposition._codes import Codes, Patterns, blocks, centre, infer_codes, width
from skbayes.decomposition._laplace import Information
from skbayes.decomposition._loadings import Factors
from skbayes.utils._draws import check_count, private_rng
from skbayes.utils._sklearn import in_container

FLOATS = [np.float64, np.float32]


class FactorModel(LatentTransformer, DensityEstimator):
    """Latents, densities and draws given the fitted parameters; missing values are NaN."""

    # Set by fit.
    mean_: np.ndarray
    components_: np.ndarray
    explained_variance_: np.ndarray
    noise_variance_: float
    n_components_: int
    whiten: bool
    _information: dict[str, Any]
    _dtype: str

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    @property
    def _factors(self) -> Factors:
        return Factors(self.mean_, self.components_, self.explained_variance_, self.noise_variance_)

    @property
    def _unit(self) -> np.ndarray:
        """What a standard normal code is multiplied by (q,)."""
        if self.whiten:
            return np.ones(self.n_components_)
        return np.sqrt(self._factors.strength)

    def _rows(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        return validate_data(self, X, dtype=FLOATS, ensure_all_finite="allow-nan", reset=False)

    def _infer(self, X: np.ndarray) -> tuple[Codes, Patterns]:
        """Posterior of the codes of validated rows, block by block."""
        factors, patterns = self._factors, Patterns.of_rows(X)
        mean, density = np.empty((len(X), self.n_components_)), np.empty(len(X))
        covariance = np.empty((len(patterns.observed), *(2 * mean.shape[1:])))
        for at in blocks(len(X), width(factors)):
            used = np.unique(patterns.of_row[at])
            found = infer_codes(factors, centre(X[at], factors.mean), patterns[at])
            mean[at], density[at] = found.mean, found.log_density
            covariance[used] = found.covariance
        return Codes(mean, covariance, density), patterns

    def _latent(self, X: Any, y: Any) -> FactorLatents:
        X = self._rows(X)
        return FactorLatents(*self._infer(X), self._unit, X.dtype)

    def _rows_of(self, Z: np.ndarray, y: Any) -> np.ndarray:
        """The posterior mean of the noise-free rows whose latents have this mean."""
        axes = self._factors.loadings.T if self.whiten else self.components_
        return self.mean_ + Z @ axes

    def _density(self, X: Any, y: Any) -> FactorDensity:
        X = self._rows(X)
        return FactorDensity(self._infer(X)[0].log_density, X.dtype)

    def impute(self, X: Any, n_samples: int | None = None, random_state: Any = None) -> Any:
        """Fill missing values with their posterior mean, or with draws.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows; missing values are NaN.
        n_samples : int, optional
            Number of draws from the joint posterior of a row's missing values (multiple
            imputation); by default their mean.
        random_state : int, RandomState instance or None, default=None
            Equal seeds give equal draws.

        Returns
        -------
        X : ndarray of shape (n_rows, n_features) or (n_samples, n_rows, n_features)
            Observed values are as they were given. Without ``n_samples`` a frame where
            `set_output` asks for one, as `transform` has it.
        """
        given, X = X, self._rows(X)
        codes, patterns = self._infer(X)
        values = codes.mean
        noise: np.ndarray | float = 0.0
        if n_samples is not None:
            rng, n = private_rng(random_state), check_count(n_samples)
            values = _draw_codes(codes, patterns, n, rng)
            noise = np.sqrt(self.noise_variance_) * rng.normal(size=(n, *X.shape))
        filled = self.mean_ + values @ self._factors.loadings.T + noise
        rows = np.where(np.isnan(X), as_float(filled, X.dtype), X)
        return in_container(self, rows, given) if n_samples is None else rows

    def sample(self, n_samples: int = 1, random_state: Any = None) -> np.ndarray:
        """Draw new rows.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows.
        random_state : int, RandomState instance or None, default=None
            Equal seeds give equal draws.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
        """
        check_is_fitted(self)
        n, rng = check_count(n_samples), private_rng(random_state)
        codes = rng.normal(size=(n, self.n_components_))
        noise = np.sqrt(self.noise_variance_) * rng.normal(size=(n, len(self.mean_)))
        rows = self.mean_ + codes @ self._factors.loadings.T + noise
        return as_float(rows, np.dtype(self._dtype))

    def _sample_parameters(self, n_samples: int, random_state: Any) -> dict[str, np.ndarray]:
        """Draw the parameters by Laplace's approximation around their posterior's mode.

        ``mean`` (n_samples, n_features), ``components`` (n_samples, n_components_,
        n_features), ``explained_variance`` (n_samples, n_components_), ``noise_variance``
        (n_samples,).
        """
        return Information(**self._information).sample(n_samples, private_rng(random_state))

    def get_covariance(self) -> np.ndarray:
        """Covariance of a row under the fitted model.

        Returns
        -------
        covariance : ndarray of shape (n_features, n_features)
        """
        check_is_fitted(self)
        return self._factors.covariance

    def get_precision(self) -> np.ndarray:
        """Inverse of the covariance of a row under the fitted model.

        Returns
        -------
        precision : ndarray of shape (n_features, n_features)
        """
        check_is_fitted(self)
        return self._factors.precision


class FactorLatents(LatentDistribution):
    """Normal latents of rows, in units of the caller's.

    Parameters
    ----------
    codes : Codes
        Standard normal a priori.
    patterns : Patterns
        Which rows share a covariance.
    unit : ndarray of shape (q,)
    dtype : dtype
        Precision of the caller's rows.
    """

    def __init__(self, codes: Codes, patterns: Patterns, unit: np.ndarray, dtype: np.dtype) -> None:
        self.codes, self.patterns, self.unit, self.dtype = codes, patterns, unit, dtype

    def mean(self) -> np.ndarray:
        """Compute the means (N, q)."""
        return self.codes.mean * self.unit

    def std(self) -> np.ndarray:
        """Compute the standard deviations (N, q)."""
        std = np.sqrt(np.diagonal(self.codes.covariance, axis1=1, axis2=2)) * self.unit
        return std[self.patterns.of_row]

    def sample(self, n_samples: int, random_state: Any) -> np.ndarray:
        """Draw latents (n_samples, N, q)."""
        drawn = _draw_codes(self.codes, self.patterns, n_samples, private_rng(random_state))
        return drawn * self.unit


@dataclass(frozen=True)
class FactorDensity(RowDensity):
    """Density of rows given the parameters, latents integrated out.

    Tipping and Bishop (1999, equation 4), with every constant.
    """

    log_density: np.ndarray
    dtype: np.dtype

    def log_prob(self) -> np.ndarray:
        """Return the log density (N,) of each row."""
        return self.log_density


def _draw_codes(
    codes: Codes, patterns: Patterns, n_samples: int, rng: np.random.RandomState
) -> np.ndarray:
    """Codes (n_samples, N, q) from their posterior."""
    root = np.linalg.cholesky(codes.covariance)[patterns.of_row]
    noise = rng.normal(size=(n_samples, *codes.mean.shape))
    return codes.mean + np.einsum("nij,snj->sni", root, noise)
