"""Densities with a conjugate prior: every answer is exact."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skbayes.base._density import DensityEstimator
from skbayes.base._fitting import fit_method
from skbayes.base._monitor import Given, Monitor
from skbayes.base._predictive import Estimate, RowDensity, as_float
from skbayes.conjugate._base import Family, State
from skbayes.conjugate._beta_bernoulli import BetaBernoulli
from skbayes.conjugate._dirichlet_categorical import DirichletCategorical
from skbayes.conjugate._gamma_poisson import GammaPoisson
from skbayes.conjugate._normal_gamma import NormalGamma
from skbayes.conjugate._normal_inverse_wishart import NormalInverseWishart
from skbayes.data._tables import validate_data
from skbayes.utils._draws import check_count, private_rng
from skbayes.utils._parameters import validate_params_of
from skbayes.utils._sklearn import (
    StrOptions,
    check_sample_weight,
)

#: Families by the names that `ConjugateDensity` takes.
FAMILIES: dict[str, type[Family]] = {
    "beta_bernoulli": BetaBernoulli,
    "dirichlet_categorical": DirichletCategorical,
    "gamma_poisson": GammaPoisson,
    "normal_gamma": NormalGamma,
    "normal_inverse_wishart": NormalInverseWishart,
}


class ConjugateDensity(DensityEstimator):
    """Density of rows with a conjugate prior, in closed form.

    The posterior after rows is the prior with other numbers, so evidence, predictive
    density, draws and updating by further rows are exact.

    Parameters
    ----------
    family : str or Family, default="normal_inverse_wishart"
        Likelihood and prior: "beta_bernoulli", "dirichlet_categorical", "gamma_poisson",
        "normal_gamma", "normal_inverse_wishart", or an object such as
        ``NormalGamma(mean=10.0)``. A prior of numbers is stated in the units of X.

    Attributes
    ----------
    family_ : Family
        The family that was fitted.
    prior_ : dict of ndarray
        Hyperparameters before the rows, by name.
    posterior_ : dict of ndarray
        Hyperparameters after the rows.
    evidence_kind_ : "exact"
        Kind of the evidence.
    evidence_se_ : float
        Zero.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, where X has string names.

    Examples
    --------
    >>> from skbayes import ConjugateDensity
    >>> coin = ConjugateDensity("beta_bernoulli").fit([[1], [1], [0], [1]])
    >>> round(coin.score_evidence(), 3)  # log of 1 / (5 choose 1) / 4
    -2.996
    >>> coin.score_samples([[1]]).round(3)  # log 4/6
    array([-0.405])
    """

    #: A prior of numbers is stated in the units of X.
    scale_free = False
    _registries: ClassVar[dict[str, dict[str, type]]] = {"family": FAMILIES}
    _parameter_constraints: dict = {"family": [StrOptions(set(FAMILIES)), Family]}

    # Set by fit.
    family_: Family
    prior_: State
    posterior_: State
    _dtype: str
    _log_evidence: float

    def __init__(self, family: str | Family = "normal_inverse_wishart") -> None:
        self.family = family

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.estimator_type = "density_estimator"
        family = FAMILIES.get(self.family) if isinstance(self.family, str) else self.family
        tags.input_tags.categorical = getattr(family, "discrete", False)
        tags.input_tags.positive_only = getattr(family, "non_negative", False)
        return tags

    @fit_method
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> ConjugateDensity:
        """Update the prior by rows.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows that the family's likelihood can give.
        y : Ignored
            Present by convention.
        sample_weight : array-like of shape (n_rows,), optional
            Exponents of the rows' likelihoods: a row of weight 2 counts as two rows.

        Returns
        -------
        self : ConjugateDensity

        Raises
        ------
        ValueError
            If the rows or a parameter are unusable.
        """
        return self._absorb(X, sample_weight, first=True)

    @fit_method
    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> ConjugateDensity:
        """Update the posterior by further rows, as if all had come at once.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Further rows.
        y : Ignored
            Present by convention.
        sample_weight : array-like of shape (n_rows,), optional
            Exponents of the rows' likelihoods.

        Returns
        -------
        self : ConjugateDensity
        """
        return self._absorb(X, sample_weight, first=not hasattr(self, "posterior_"))

    def _absorb(self, X: Any, sample_weight: Any, first: bool) -> ConjugateDensity:
        with Monitor(type(self).__name__, 0, self, Given(X)) as monitor:
            self._update(X, sample_weight, first)
            monitor.ended({})
        return self

    def _update(self, X: Any, sample_weight: Any, first: bool) -> None:
        X = validate_data(self, X, dtype=[np.float64, np.float32], reset=first)
        weight = check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        dtype = str(X.dtype)
        if first:
            family = self._make_part("family")
            validate_params_of(family)
        else:
            self._check_same_family()
            family, dtype = self.family_, self._dtype
        rows = family.check_rows(X)[weight > 0]
        weight = weight[weight > 0]
        prior = family.prior(rows) if first else self.prior_
        before = prior if first else self.posterior_
        posterior, evidence = _condition(family, before, rows, weight)
        self.family_, self.prior_, self.posterior_ = family, prior, posterior
        # The chain rule: of these rows, given those seen before.
        self._log_evidence = evidence + (0.0 if first else self._log_evidence)
        self._dtype, self.evidence_se_ = dtype, 0.0
        self._evidence_ess, self.evidence_kind_ = np.inf, "exact"

    def _check_same_family(self) -> None:
        """Refuse to update a posterior of another family, or from another prior."""
        now, before = self._make_part("family"), self.family_
        given, kept = now.get_params(), before.get_params()
        same = given.keys() == kept.keys() and type(now) is type(before)
        if not same or not all(np.array_equal(given[name], kept[name]) for name in kept):
            raise ValueError(
                f"partial_fit goes on with family={before!r}, but it is {now!r} now; call fit to "
                "start anew"
            )

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "posterior_")

    def _density(self, X: Any, y: Any) -> ConjugateRows:
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        return ConjugateRows(self.family_, self.posterior_, self.family_.check_rows(X), X.dtype)

    def sample(self, n_samples: int = 1, random_state: Any = None) -> np.ndarray:
        """Draw new rows from the posterior predictive, independently.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows.
        random_state : int, RandomState instance or None, default=None
            Equal seeds give equal draws.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            Each row from parameters of its own draw.
        """
        check_is_fitted(self)
        n, rng = check_count(n_samples), private_rng(random_state)
        parameters = self.family_.sample(self.posterior_, n, rng)
        return as_float(self.family_.sample_rows(parameters, rng), np.dtype(self._dtype))

    def _sample_parameters(self, n_samples: int, random_state: Any) -> dict[str, np.ndarray]:
        """Draw the family's parameters, each (n_samples, ...)."""
        return self.family_.sample(self.posterior_, n_samples, private_rng(random_state))

    def _sample_at(self, X: Any, n_samples: int, random_state: Any) -> np.ndarray:
        raise ValueError(
            "rows have no unknowns of their own in ConjugateDensity; call sample_posterior "
            "without X for the parameters"
        )


@dataclass(frozen=True)
class ConjugateRows(RowDensity):
    """Posterior predictive density of rows, parameters integrated out.

    Attributes
    ----------
    family : Family
    posterior : dict
        Its hyperparameters.
    rows : ndarray of shape (N, D)
    dtype : dtype
        Precision of the caller's rows.
    """

    family: Family
    posterior: State
    rows: np.ndarray
    dtype: np.dtype

    def log_prob(self) -> np.ndarray:
        """Compute the log density (N,), or log probability, of each row."""
        return self.family.log_predictive(self.posterior, self.rows)

    def log_prob_joint(self) -> Estimate:
        """Compute the log density of all rows together: exact."""
        weight = np.ones(len(self.rows))
        _, evidence = _condition(self.family, self.posterior, self.rows, weight)
        return evidence, 0.0, np.inf


def _condition(
    family: Family, state: State, rows: np.ndarray, weight: np.ndarray
) -> tuple[State, float]:
    """Hyperparameters after rows, and the rows' log evidence under those before."""
    with np.errstate(over="ignore", invalid="ignore"):
        seen = family.statistics(state, rows, weight)
        posterior = family.update(state, seen)
    _require_finite(posterior)
    evidence = family.log_gain(state, seen) + float(weight @ family.log_base(rows))
    return posterior, evidence


def _require_finite(posterior: State) -> None:
    for name, value in posterior.items():
        if not np.isfinite(value).all():
            raise ValueError(
                f"the posterior's {name} overflows double precision; divide X by "
                "np.abs(X).max() or remove the largest numbers"
            )
