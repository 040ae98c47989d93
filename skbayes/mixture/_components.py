"""What all covariance types share: prior, posterior and draws of the Gaussian components.

Rows are stored last, (D, N): sums over features and over components then run along
contiguous memory. A component's expected log density is linear in the features
[quadratic terms, x, 1] of a row, and its sufficient statistics are weighted sums of the
same features, so that one update of a mixture is two matrix products.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Components", "Draws", "NormalWishart", "Prior"]


class Prior(NamedTuple):
    """Hyperparameters: mean (D,), its precision factor, degrees of freedom, scatter W0^-1."""

    mean: np.ndarray
    precision: float
    dof: float
    scatter: np.ndarray


@dataclass
class NormalWishart:
    """Posterior over means and precisions of K components.

    ``mean`` (K, D) and its precision factor ``precision`` (K,); ``dof`` and ``scatter`` (the
    inverse of the Wishart's scale) have shapes that depend on the covariance type, with a
    leading axis of 1 where components share one precision.
    """

    mean: np.ndarray
    precision: np.ndarray
    dof: np.ndarray
    scatter: np.ndarray

    @cached_property
    def factor(self) -> np.ndarray:
        """L of scatter = L L', where scatters are matrices."""
        return np.linalg.cholesky(self.scatter)

    @cached_property
    def inverse_factor(self) -> np.ndarray:
        """L^-1."""
        return np.linalg.inv(self.factor)

    @cached_property
    def log_det(self) -> np.ndarray:
        """Log determinants of scatters that are matrices."""
        return 2 * np.log(self.factor.diagonal(axis1=-2, axis2=-1)).sum(-1)


class Draws(NamedTuple):
    """Means (S, K, D) and roots of precisions, with the leading axes (S, K) or (S, 1)."""

    mean: np.ndarray
    root: np.ndarray


class Components:
    """Base of the covariance types.

    Parameters
    ----------
    prior : Prior
        Hyperparameters in the units of the rows.

    Notes
    -----
    A subclass defines the quadratic features and the densities; expectations are under
    q(mu_k, Lambda_k), sources are equations of Bishop (2006), section 10.2.
    """

    #: Whether columns are correlated within a component.
    correlated = False

    def __init__(self, prior: Prior) -> None:
        self.prior = prior
        self.n_columns = len(prior.mean)

    # --- sufficient statistics -------------------------------------------------------

    @property
    def n_quadratic(self) -> int:
        """Number of quadratic features."""
        raise NotImplementedError(f"{type(self).__name__} must define n_quadratic")

    @property
    def n_features(self) -> int:
        """Number of all features of a row."""
        return self.n_quadratic + self.n_columns + 1

    @property
    def n_parameters(self) -> int:
        """Free parameters that one more component brings, its weight among them."""
        return self.n_features

    def fill_quadratic(self, rows: np.ndarray, out: np.ndarray) -> None:
        """Write the quadratic features of rows (D, N) into ``out`` (n_quadratic, N)."""
        raise NotImplementedError(f"{type(self).__name__} must define fill_quadratic")

    def quadratic(self, rows: Any) -> Any:
        """Quadratic features (n_quadratic, N) of rows (D, N), arrays or tensors."""
        raise NotImplementedError(f"{type(self).__name__} must define quadratic")

    def features(self, rows: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Features (n_features, N) of rows (D, N)."""
        if out is None:
            out = np.empty((self.n_features, rows.shape[1]), dtype=rows.dtype)
        quadratic = self.n_quadratic
        self.fill_quadratic(rows, out[:quadratic])
        out[quadratic:-1] = rows
        out[-1] = 1
        return out

    def pack_moments(self, second: np.ndarray) -> np.ndarray:
        """Quadratic part (..., n_quadratic) of second moments (..., D, D)."""
        raise NotImplementedError(f"{type(self).__name__} must define pack_moments")

    def moved(self, moments: np.ndarray, factor: np.ndarray, shift: np.ndarray) -> np.ndarray:
        """Statistics (K, n_features) of rows ``factor * x + shift``, from those of rows x."""
        raise NotImplementedError(f"{type(self).__name__} must define moved")

    def _split(self, moments: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Quadratic sums, sums (K, D) and counts (K,)."""
        quadratic = self.n_quadratic
        return moments[:, :quadratic], moments[:, quadratic:-1], moments[:, -1]

    def _moved_sums(
        self, sums: np.ndarray, counts: np.ndarray, factor: np.ndarray, shift: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Sums (K, D) of rows that are multiplied, and of rows that are shifted as well."""
        sums = factor * sums
        return sums, sums + shift * counts[:, None]

    def _location(self, sums: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Posterior mean and precision factor of the means (eqs. 10.60, 10.61)."""
        precision = self.prior.precision + counts
        mean = (self.prior.precision * self.prior.mean + sums) / precision[:, None]
        return mean, precision

    # --- evidence ---------------------------------------------------------------------

    def log_evidence(self, q: NormalWishart, counts: np.ndarray) -> float:
        """Log density of all allocated rows, means and precisions integrated, in nats."""
        return float(self.log_evidences(q, counts).sum())

    def merge_gains(self, moments: np.ndarray, pairs: np.ndarray) -> np.ndarray:
        """What `log_evidence` gains (n,) when the rows of pairs (n, 2) are put together."""
        merged = moments[pairs].sum(1)
        apart = self.log_evidences(self.posterior(moments), moments[:, -1])
        together = self.log_evidences(self.posterior(merged), merged[:, -1])
        return together - apart[pairs].sum(1)

    # --- what a covariance type defines ----------------------------------------------

    def posterior(self, moments: np.ndarray) -> NormalWishart:
        """Conjugate posterior given expected statistics (K, n_features)."""
        raise NotImplementedError(f"{type(self).__name__} must define posterior")

    def coefficients(self, q: NormalWishart) -> np.ndarray:
        """E[log N(x | mu_k, Lambda_k)] as coefficients (K, n_features) of the features."""
        raise NotImplementedError(f"{type(self).__name__} must define coefficients")

    def precision_diagonal(self, factors: np.ndarray) -> np.ndarray:
        """Diagonals (K, D) of the expected precisions, read from `coefficients`."""
        raise NotImplementedError(f"{type(self).__name__} must define precision_diagonal")

    def variances(self, q: NormalWishart) -> np.ndarray:
        """Variances (K or 1, D or 1) of the columns, from the inverse expected precisions."""
        raise NotImplementedError(f"{type(self).__name__} must define variances")

    def log_evidences(self, q: NormalWishart, counts: np.ndarray) -> np.ndarray:
        """Log densities (K,) of the rows allocated to each component, in nats.

        Means and precisions are integrated. Of a precision that components share each
        has a Kth.
        """
        raise NotImplementedError(f"{type(self).__name__} must define log_evidences")

    def expected_precision(self, q: NormalWishart) -> np.ndarray:
        """E[Lambda_k]: (K or 1, D, D) of matrices, or (K, D) of their diagonals."""
        raise NotImplementedError(f"{type(self).__name__} must define expected_precision")

    def log_predictive(self, q: NormalWishart, rows: np.ndarray) -> np.ndarray:
        """Log Student-t densities (K, N) of rows (D, N) (eqs. 10.81, 10.82)."""
        raise NotImplementedError(f"{type(self).__name__} must define log_predictive")

    def sample(self, q: NormalWishart, n_samples: int, rng: np.random.Generator) -> Draws:
        """Draw means and precisions of every component."""
        raise NotImplementedError(f"{type(self).__name__} must define sample")

    def precision(self, draws: Draws) -> np.ndarray:
        """Precisions of draws, shaped as scikit-learn's ``precisions_`` with draws first."""
        raise NotImplementedError(f"{type(self).__name__} must define precision")

    def log_density(self, draws: Draws, rows: np.ndarray) -> np.ndarray:
        """Normal log densities (S, K, N) of rows (D, N) under each draw."""
        raise NotImplementedError(f"{type(self).__name__} must define log_density")

    def marginal(self, q: NormalWishart, columns: np.ndarray) -> NormalWishart:
        """The posterior's part that says what `log_predictive` needs of some columns."""
        raise NotImplementedError(f"{type(self).__name__} must define marginal")

    def marginal_draws(self, draws: Draws, columns: np.ndarray) -> Draws:
        """Draws of the normals' marginals over some columns."""
        raise NotImplementedError(f"{type(self).__name__} must define marginal_draws")

    def sample_predictive(
        self, q: NormalWishart, labels: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """Draw a row (N, D) from the Student-t density of each label (N,)."""
        raise NotImplementedError(f"{type(self).__name__} must define sample_predictive")

    def mean_covariance(self, q: NormalWishart) -> np.ndarray:
        """Inverses of the expected precisions, shaped as scikit-learn's ``covariances_``."""
        raise NotImplementedError(f"{type(self).__name__} must define mean_covariance")

    def inverse(self, covariance: np.ndarray, scale: np.ndarray) -> np.ndarray:
        """Precisions of columns multiplied by ``scale`` that have these covariances before."""
        raise NotImplementedError(f"{type(self).__name__} must define inverse")

    def rescaled(self, scatter: np.ndarray, scale: np.ndarray) -> np.ndarray:
        """Scatter, or a covariance, of columns multiplied by ``scale`` (D,)."""
        raise NotImplementedError(f"{type(self).__name__} must define rescaled")

    def rescaled_precision(self, precision: np.ndarray, scale: np.ndarray) -> np.ndarray:
        """Precisions as `precision` returns them, of columns multiplied by ``scale``."""
        raise NotImplementedError(f"{type(self).__name__} must define rescaled_precision")
