"""What a fitted PPCA says of rows: codes, densities, draws, missing values."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_array, check_is_fitted

from skbayes.base._estimator import RowDensity, as_float
from skbayes.data._tables import validate_data
from skbayes.decomposition._codes import Codes, Patterns, blocks, centre, infer_codes, width
from skbayes.decomposition._factors import Factors
from skbayes.decomposition._laplace import Information
from skbayes.utils._draws import check_count, private_rng
from skbayes.utils._sklearn import in_container

FLOATS = [np.float64, np.float32]


class FactorModel(ClassNamePrefixFeaturesOutMixin, TransformerMixin, RowDensity):
    """Codes, densities and draws given the fitted parameters; missing values are NaN."""

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
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    @property
    def _n_features_out(self) -> int:
        return self.n_components_

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

    def transform(self, X: Any) -> np.ndarray:
        """Posterior mean of the code of each row.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows; missing values are NaN. A row without any value has the code 0.

        Returns
        -------
        Z : ndarray of shape (n_rows, n_components_)
            In the units of X, or with ``whiten=True`` standard normal over rows.
        """
        X = self._rows(X)
        return as_float(self._infer(X)[0].mean * self._unit, X.dtype)

    def predict_std(self, X: Any) -> np.ndarray:
        """Posterior standard deviation of the code of each row.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows; the more values are missing, the larger are their standard deviations.

        Returns
        -------
        std : ndarray of shape (n_rows, n_components_)
        """
        X = self._rows(X)
        codes, patterns = self._infer(X)
        std = np.sqrt(np.diagonal(codes.covariance, axis1=1, axis2=2)) * self._unit
        return as_float(std[patterns.of_row], X.dtype)

    def inverse_transform(self, Z: Any) -> np.ndarray:
        """Rows that codes stand for, without noise.

        Parameters
        ----------
        Z : array-like of shape (n_rows, n_components_)
            Codes.

        Returns
        -------
        X : ndarray of shape (n_rows, n_features)
            Posterior mean of the noise-free row, if Z is what `transform` returned.
        """
        check_is_fitted(self)
        Z = check_array(Z, dtype=FLOATS)
        if Z.shape[1] != self.n_components_:
            raise ValueError(
                f"Z has {Z.shape[1]} columns, but {type(self).__name__} has "
                f"{self.n_components_} components; give codes as transform returns them"
            )
        axes = self._factors.loadings.T if self.whiten else self.components_
        return as_float(self.mean_ + Z @ axes, Z.dtype)

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

    def score_samples(self, X: Any) -> np.ndarray:
        """Log density of each row given the fitted parameters, codes integrated out.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows; where values are missing, the density is that of the observed ones.

        Returns
        -------
        log_density : ndarray of shape (n_rows,)
            In nats, with every constant (Tipping and Bishop, 1999, equation 4).
        """
        return self._infer(self._rows(X))[0].log_density

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

    def sample_posterior(
        self, n_samples: int = 1, X: Any = None, random_state: Any = None
    ) -> dict[str, np.ndarray] | np.ndarray:
        """Draw from the posterior of the parameters, or of the codes of rows.

        Parameters
        ----------
        n_samples : int, default=1
            Number of draws.
        X : array-like of shape (n_rows, n_features), optional
            Rows whose codes to draw, given the fitted parameters.
        random_state : int, RandomState instance or None, default=None
            Equal seeds give equal draws.

        Returns
        -------
        draws : dict of ndarray, or ndarray
            Without X, by the Laplace approximation around the mode of the posterior:
            ``mean`` (n_samples, n_features), ``components`` (n_samples, n_components_,
            n_features), ``explained_variance`` (n_samples, n_components_) and
            ``noise_variance`` (n_samples,). With X, codes
            (n_samples, n_rows, n_components_).
        """
        check_is_fitted(self)
        n, rng = check_count(n_samples), private_rng(random_state)
        if X is None:
            return Information(**self._information).sample(n, rng)
        X = self._rows(X)
        return as_float(_draw_codes(*self._infer(X), n, rng) * self._unit, X.dtype)

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


def _draw_codes(
    codes: Codes, patterns: Patterns, n_samples: int, rng: np.random.RandomState
) -> np.ndarray:
    """Codes (n_samples, N, q) from their posterior."""
    root = np.linalg.cholesky(codes.covariance)[patterns.of_row]
    noise = rng.normal(size=(n_samples, *codes.mean.shape))
    return codes.mean + np.einsum("nij,snj->sni", root, noise)
