"""Codes of categories."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np

from skbayes.conjugate._base import Family, State, per_feature, whole_numbers
from skbayes.conjugate._growth import log_rising
from skbayes.utils._sklearn import Interval

#: One table holds as many shares a feature as the largest code says.
MOST_CATEGORIES = 10_000_000


class DirichletCategorical(Family):
    """Independent features with categories 0, 1, 2, ..., whose shares have Dirichlet priors.

    Parameters
    ----------
    concentration : float or array-like of shape (n_features,), default=1
        Rows that the prior is worth, for each category; 1 is uniform over shares.
    n_categories : int or array-like of shape (n_features,), optional
        Number of categories of each feature; by default one more than its largest code in
        the first rows. Evidences of two models compare only at one number.

    References
    ----------
    .. [1] C. M. Bishop (2006), Pattern Recognition and Machine Learning, section 2.2.1.

    Examples
    --------
    >>> from skbayes import ConjugateDensity
    >>> die = ConjugateDensity("dirichlet_categorical").fit([[0], [2], [2]])
    >>> die.posterior_
    {'concentration': array([[2., 1., 3.]])}
    """

    discrete = True
    non_negative = True
    _parameter_constraints: dict = {
        "concentration": [Interval(Real, 0, None, closed="neither"), "array-like"],
        "n_categories": [Interval(Integral, 1, None, closed="left"), "array-like", None],
    }

    def __init__(self, concentration: Any = 1.0, n_categories: Any = None) -> None:
        self.concentration = concentration
        self.n_categories = n_categories

    def check_rows(self, X: np.ndarray) -> np.ndarray:
        """Codes from zero."""
        return whole_numbers("DirichletCategorical", X)

    def prior(self, X: np.ndarray) -> State:
        """Concentration of each category; zero marks those that a feature lacks."""
        n_features = X.shape[1]
        counts = X.max(axis=0) + 1 if self.n_categories is None else self.n_categories
        n_categories = per_feature("n_categories", counts, n_features)
        if n_categories.max() > MOST_CATEGORIES:
            raise ValueError(
                f"column {n_categories.argmax()} of X would have {n_categories.max():.0f} "
                f"categories, as its codes count from zero; more than {MOST_CATEGORIES:,} are not "
                "held: encode X with OrdinalEncoder"
            )
        exists = np.arange(int(n_categories.max())) < n_categories[:, None]
        alpha = per_feature("concentration", self.concentration, n_features)
        return {"concentration": np.where(exists, alpha[:, None], 0.0)}

    def statistics(self, state: State, X: np.ndarray, weight: np.ndarray) -> State:
        """Rows of each category."""
        at = self._cells(state, X)
        size = state["concentration"].size
        each = np.repeat(weight, X.shape[1])
        counts = np.bincount(at.ravel(), each, minlength=size)
        return {"counts": counts.reshape(X.shape[1], -1)}

    def update(self, state: State, seen: State) -> State:
        """Add counts."""
        return {"concentration": state["concentration"] + seen["counts"]}

    @staticmethod
    def _cells(state: State, X: np.ndarray) -> np.ndarray:
        """Index (N, D) of each code's category in the flat table of categories."""
        n_features, n_most = state["concentration"].shape
        n_categories = (state["concentration"] > 0).sum(axis=1)
        unknown = n_categories <= X
        if unknown.any():
            row, feature = np.argwhere(unknown)[0]
            raise ValueError(
                f"X has category {X[row, feature]:.0f} in column {feature}, which was set up for "
                f"{n_categories[feature]} categories; set family__n_categories to at least "
                f"{X[row, feature] + 1:.0f} before fit"
            )
        return X.astype(np.intp) + n_most * np.arange(n_features)

    def log_gain(self, state: State, seen: State) -> float:
        """Of log multivariate beta functions."""
        alpha, counts = state["concentration"], seen["counts"]
        each = log_rising(np.where(alpha > 0, alpha, 1.0), counts)
        gain = each.sum(axis=1) - log_rising(alpha.sum(axis=1), counts.sum(axis=1))
        return float(gain.sum())

    def log_predictive(self, state: State, X: np.ndarray) -> np.ndarray:
        """Log mean shares."""
        alpha = state["concentration"]
        with np.errstate(divide="ignore"):
            log_share = np.log(alpha / alpha.sum(axis=1, keepdims=True))
        return log_share.ravel()[self._cells(state, X)].sum(axis=1)

    def sample(self, state: State, n_samples: int, rng: np.random.RandomState) -> State:
        """Shares of categories, zero for those that a feature lacks."""
        alpha = state["concentration"]
        gamma = rng.gamma(alpha, size=(n_samples, *alpha.shape))
        return {"share": gamma / gamma.sum(axis=2, keepdims=True)}

    def sample_rows(self, parameters: State, rng: np.random.RandomState) -> np.ndarray:
        """Codes."""
        edges = parameters["share"].cumsum(axis=2)
        u = rng.uniform(size=edges.shape[:2]) * edges[:, :, -1]
        return (u[:, :, None] >= edges).sum(axis=2).astype(np.float64)
