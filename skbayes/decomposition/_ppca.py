"""Probabilistic principal component analysis."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np

from skbayes.base._fitting import fit_method
from skbayes.base._monitor import Given, Monitor
from skbayes.data._tables import validate_data
from skbayes.decomposition._base import FLOATS, FactorModel
from skbayes.decomposition._codes import Patterns
from skbayes.decomposition._em import Heard
from skbayes.decomposition._fits import Fit, Table, fit_moments, fit_rows
from skbayes.decomposition._loadings import Factors
from skbayes.decomposition._moments import Moments
from skbayes.decomposition._relevance import complete_moments
from skbayes.utils._sklearn import Interval, StrOptions, check_sample_weight

#: Sums of squares of larger numbers overflow.
LARGEST = 1e150
#: Columns that reach no further have variances beside which the least noise underflows.
SMALLEST = 1e-140


class PPCA(FactorModel):
    """Probabilistic principal component analysis, with missing values.

    Each row is a linear map of a few normal codes, plus noise of one variance in every
    direction. The directions and the units of codes are those of PCA; beside them there
    are densities, error bars on codes, new rows, and a way with missing values (NaN), in
    `fit` as in `transform`, that never fills them in.

    Parameters
    ----------
    n_components : int, "evidence", "mle" or "ard", default="evidence"
        Number of codes. "evidence" takes the number of the largest log evidence (Laplace's
        approximation, after Minka, 2001; "mle", scikit-learn's name for it, does the same),
        "ard" starts from the most that the data allow and shrinks those away that they don't
        need (automatic relevance determination, Bishop, 1999).
    whiten : bool, default=False
        Scale codes to standard normal; by default they are in the units of X, as PCA's.
    solver : {"auto", "closed_form", "em"}, default="auto"
        Eigenvalues where nothing is missing, otherwise parameter-expanded EM; or one of
        the two. They agree on complete rows.
    evidence : {"laplace", "plugin"}, default="laplace"
        What `score_evidence` returns: with the parameters integrated out, or the log
        likelihood of the fitted ones, which rises with every component and must not be
        compared over them.
    prior_scale : float, default=1.0
        Median of the prior of each standard deviation, of the components and of the noise,
        in units of the root of the data's mean variance. The prior is half-Cauchy: a
        deviation r times smaller or larger than that costs about log(r) nats, so that data
        outweigh it soon.
    max_iter : int, default=500
        Most steps of EM, to the fit and from there to the mode of the posterior.
    tol : float, default=1e-4
        EM stops when a step gains less, in nats a row ("ard": when the noise variance
        moves by a smaller share).

    Attributes
    ----------
    components_ : ndarray of shape (n_components_, n_features)
        Orthonormal principal axes by falling variance; the largest entry of each is
        positive.
    mean_ : ndarray of shape (n_features,)
        Mean of a row.
    explained_variance_ : ndarray of shape (n_components_,)
        Model variance along each axis, noise included; of maximum likelihood, so with the
        divisor n where PCA has n - 1.
    explained_variance_ratio_ : ndarray of shape (n_components_,)
        Its share of the total variance.
    noise_variance_ : float
        Variance of the noise in each feature; never below what rounding of X hides.
    n_components_ : int
        Number of components.
    n_iter_ : int
        Steps of EM to the fit; 1 for the closed form.
    log_evidences_ : ndarray of shape (n_candidates,)
        Log evidence of 1, 2, ... components, with ``n_components="evidence"``. Where values
        are missing the peak is sought by doubling and bisection: NaN marks what was not
        tried, and figures are of climbs cut short.
    evidence_kind_ : {"laplace", "plugin"} or None
        None after a `partial_fit` of rows with missing values.
    evidence_se_ : float or None
        Zero: the evidence holds no random numbers.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, where X has string names.

    Notes
    -----
    Densities, codes and new rows are given the fitted parameters. The prior behind the
    evidence and `sample_posterior` moves with the data's mean and scale, so that evidence
    changes by exactly the Jacobian in other units: axes uniform, standard deviations
    half-Cauchy, the mean normal around the data's with the mean variance in every
    direction. Both expand around the mode of the posterior, and count the degrees of
    freedom that axes and mean take: draws of the noise lie above `noise_variance_`, which
    is of maximum likelihood. Where values are missing, a second climb finds the mode, and
    the information about parameters is reduced to its diagonal, except for the mean.

    Columns that depend on one another exactly leave no noise: then as many components as
    there are directions are allowed, and `noise_variance_` is what rounding hides, or 1e-12
    of the mean variance where EM climbs. Fewer rows than columns are no such case.

    Cost: a D x D eigenproblem for complete rows. With missing values each step of EM solves
    one q x q system for every distinct pattern of missing features.

    References
    ----------
    .. [1] M. E. Tipping and C. M. Bishop (1999), Probabilistic principal component
       analysis, J. R. Statist. Soc. B 61(3).
    .. [2] C. M. Bishop (1999), Bayesian PCA, NIPS 11.
    .. [3] T. P. Minka (2001), Automatic choice of dimensionality for PCA, NIPS 13.
    .. [4] A. Gelman (2006), Prior distributions for variance parameters in hierarchical
       models, Bayesian Analysis 1(3).
    .. [5] A. Kume and A. T. A. Wood (2005), Saddlepoint approximations for the Bingham and
       Fisher-Bingham normalising constants, Biometrika 92(2).
    .. [6] C. Liu, D. B. Rubin and Y. N. Wu (1998), Parameter expansion to accelerate EM:
       the PX-EM algorithm, Biometrika 85(4).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from skbayes import PPCA
    >>> X = load_iris().data
    >>> X[::3, 2] = np.nan
    >>> ppca = PPCA(n_components=2).fit(X)
    >>> ppca.transform(X[:3]).round(1)
    array([[-2.5,  0.2],
           [-2.7, -0.1],
           [-2.9, -0.1]])
    >>> ppca.predict_std(X[:3]).round(2)
    array([[0.46, 0.21],
           [0.23, 0.21],
           [0.23, 0.21]])
    """

    #: Parameters of scikit-learn's PCA, and numbers of components that need no noise.
    _namesakes: ClassVar[dict[str, str]] = {
        "svd_solver": "solver, 'closed_form' or 'em'",
        "random_state": "no seed: nothing is drawn in fit",
        "n_components=float": "a number, or 'evidence'; the share of variance that they explain "
        "is the sum of explained_variance_ratio_",
        "n_components=NoneType": "a number below that of the columns, for noise needs one, or "
        "'evidence'",
    }
    _parameter_constraints: dict = {
        "n_components": [
            Interval(Integral, 1, None, closed="left"),
            StrOptions({"evidence", "mle", "ard"}),
        ],
        "whiten": ["boolean"],
        "solver": [StrOptions({"auto", "closed_form", "em"})],
        "evidence": [StrOptions({"laplace", "plugin"})],
        "prior_scale": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self,
        n_components: int | str = "evidence",
        *,
        whiten: bool = False,
        solver: str = "auto",
        evidence: str = "laplace",
        prior_scale: float = 1.0,
        max_iter: int = 500,
        tol: float = 1e-4,
    ) -> None:
        self.n_components = n_components
        self.whiten = whiten
        self.solver = solver
        self.evidence = evidence
        self.prior_scale = prior_scale
        self.max_iter = max_iter
        self.tol = tol

    @fit_method
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> PPCA:
        """Fit the axes, their variances, the mean and the noise.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows; missing values are NaN.
        y : Ignored
            Present by convention.
        sample_weight : array-like of shape (n_rows,), optional
            Exponents of the rows' likelihoods: a row of weight 2 counts as two rows.

        Returns
        -------
        self : PPCA

        Raises
        ------
        ValueError
            If the rows or a parameter are unusable.
        DivergenceError
            If the components explain every observed value, so that the density is infinite.
        """
        given = Given(X)
        X, weight = self._validate(X, sample_weight, reset=True)
        with Monitor(type(self).__name__, 0, self, given, _attributes) as monitor:
            self._store(self._fit_to(X, weight, monitor.step))
            monitor.ended({})
        return self

    def _fit_to(self, X: np.ndarray, weight: np.ndarray, heard: Heard) -> Fit:
        """In closed form where no value is missing, else by EM, each of whose steps is heard."""
        if self.solver != "em" and not np.isnan(X).any():
            moments = Moments.of_rows(X, weight)
            return fit_moments(moments, self._number(), self.prior_scale)
        if self.solver == "closed_form":
            raise ValueError(
                "solver='closed_form' takes no missing values, but X contains NaN; use "
                "solver='auto' or impute them first"
            )
        climb = self.max_iter, self.tol, self.prior_scale
        table = Table(X, weight, Patterns.of_rows(X), *climb, heard)
        return fit_rows(table, self._number())

    @fit_method
    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> PPCA:
        """Learn from further rows, which need not be kept.

        Complete rows give what one `fit` on all of them gives, since their moments add up.
        Rows with missing values add their expected moments under the parameters so far: an
        approximation, without an evidence.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows; missing values are NaN.
        y : Ignored
            Present by convention.
        sample_weight : array-like of shape (n_rows,), optional
            Exponents of the rows' likelihoods.

        Returns
        -------
        self : PPCA
        """
        if not hasattr(self, "components_"):
            return self.fit(X, y, sample_weight)
        X, weight = self._validate(X, sample_weight, reset=False)
        if not len(X):
            return self
        before, missing = Moments(**self._moments), np.isnan(X).any()
        if missing:
            patterns = Patterns.of_rows(X)
            moments = before.merge(complete_moments(self._factors, X, patterns, weight))
        else:
            moments = before.merge(Moments.of_rows(X, weight))
        complete = self._has_evidence and not missing
        return self._store(fit_moments(moments, self._number(), self.prior_scale), complete)

    def _validate(self, X: Any, sample_weight: Any, reset: bool) -> tuple[np.ndarray, np.ndarray]:
        """Rows of positive weight that hold a value, in double precision."""
        X = validate_data(
            self,
            X,
            dtype=FLOATS,
            ensure_all_finite="allow-nan",
            ensure_min_samples=2 if reset else 1,
            reset=reset,
        )
        weight = check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        n_features = X.shape[1]
        if n_features < 2:
            raise ValueError("PPCA takes noise from a feature to spare; X has 1 feature(s)")
        if isinstance(self.n_components, Integral) and self.n_components >= n_features:
            raise ValueError(
                f"n_components={self.n_components} leaves no direction for the noise of "
                f"{n_features} features; use at most {n_features - 1}"
            )
        if reset:
            self._dtype = str(X.dtype)
        held = (weight > 0) & ~np.isnan(X).all(axis=1)
        X = X[held].astype(np.float64)
        if reset and not len(X):
            raise ValueError("X has no value in any row of positive weight")
        if (np.abs(X) > LARGEST).any():
            raise ValueError(
                f"X holds a number beyond {LARGEST:g}, whose square overflows double precision; "
                "divide X by np.nanmax(np.abs(X))"
            )
        largest = np.nanmax(np.abs(X), initial=0.0)
        if reset and 0 < largest < SMALLEST:
            raise ValueError(
                f"X reaches {largest:.3g} at most, and such small numbers' squares underflow "
                "double precision; divide X by np.nanmax(np.abs(X))"
            )
        return X, weight[held]

    def _number(self) -> int | str:
        """The number of components asked for; PCA's name for the choice by evidence is known."""
        return "evidence" if self.n_components == "mle" else self.n_components

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "components_")

    def _store(self, fit: Fit, has_evidence: bool = True) -> PPCA:
        """Set the fitted attributes, all in one step."""
        laplace = self.evidence == "laplace"
        fitted = {
            **_attributes(fit.factors),
            "n_iter_": fit.n_iter,
            "evidence_kind_": self.evidence if has_evidence else None,
            "evidence_se_": 0.0 if has_evidence else None,
            "_log_evidence": fit.log_evidence if laplace else fit.log_likelihood,
            "_evidence_ess": np.inf,
            "_has_evidence": has_evidence,
            "_information": dict(vars(fit.information)),
            "_moments": dict(vars(fit.moments)),
        }
        if fit.log_evidences is not None:
            fitted["log_evidences_"] = fit.log_evidences
        self.__dict__.pop("log_evidences_", None)
        self.__dict__.update(fitted)
        return self

    def _no_evidence(self) -> str:
        return (
            "PPCA met missing values in partial_fit, which keeps no rows to compute an evidence "
            "from; use fit on all rows"
        )


def _attributes(factors: Factors) -> dict[str, Any]:
    """What factors are called once fitted."""
    n_codes = len(factors.variances)
    rest = factors.noise * (len(factors.mean) - n_codes)
    return {
        "mean_": factors.mean,
        "components_": factors.components,
        "explained_variance_": factors.variances,
        "explained_variance_ratio_": factors.variances / (factors.variances.sum() + rest),
        "noise_variance_": factors.noise,
        "n_components_": n_codes,
    }
