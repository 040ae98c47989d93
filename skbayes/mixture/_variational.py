"""The estimator: a Bayesian Gaussian mixture by variational inference."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from copy import copy
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning

from skbayes.base._fitting import fit_method
from skbayes.base._monitor import Given, Monitor
from skbayes.data._tables import validate_data
from skbayes.exceptions import InsufficientMemoryError
from skbayes.mixture._ascent import Ascent, Callback, fit_rows
from skbayes.mixture._components import COVARIANCE_TYPES
from skbayes.mixture._mixture import Mixture, Statistics
from skbayes.mixture._rows import MATRICES, RowMoments, canonical, check_observed
from skbayes.mixture._stream import Held, Stream, Summary, fit_passes, gathered
from skbayes.mixture._verbs import MixtureVerbs
from skbayes.mixture._weights import WEIGHT_PRIORS
from skbayes.utils._device import check_device
from skbayes.utils._draws import seed_streams
from skbayes.utils._memory import GIB, available_bytes
from skbayes.utils._sklearn import Interval, StrOptions, check_sample_weight
from skbayes.utils._warnings import warn

__all__ = ["VariationalGMM"]

#: Components with less expected weight than this count as empty.
LIVE = 1.0
#: Matrices (D, D) of doubles that a fit holds at its peak: for each component (scatters, their
#: factors and inverses, precisions, moments of the best state and of a trial), and beside them
#: (a block of rows' products). Measured at 400 and 1,000 columns.
OF_COMPONENT, BESIDE = 20, 56
#: Bytes from which on a fit says what it takes.
MUCH = 2 * GIB


class VariationalGMM(ClassNamePrefixFeaturesOutMixin, TransformerMixin, MixtureVerbs):
    """Gaussian mixture with a posterior over weights, means and precisions.

    Coordinate ascent on the evidence lower bound, which is complete: it ranks numbers of
    components, priors and covariance types, and moves with the units of X as a log density
    must. Births and merges of components, kept where the bound rises, take the ascent out
    of poor optima.

    Parameters
    ----------
    n_components : int, default=10
        Largest number of components K; those that the data don't support stay empty.
    covariance_type : {"full", "tied", "diag", "spherical"}, default="full"
        A precision matrix each; one common matrix; one precision a column; one precision.
        Every type has its own conjugate posterior.
    weight_prior : {"dirichlet", "dirichlet_process"}, default="dirichlet"
        Symmetric Dirichlet, or a stick-breaking process cut off at K.
    weight_concentration : float, default=None
        Concentration of that prior: below 1 favours few components. None takes 1 / K for
        the Dirichlet, 1.0 for the process.
    mean_prior : array-like of shape (n_features,), default=None
        m0; None takes the mean of the data.
    mean_precision_prior : float, default=1.0
        beta0: the prior on a component's mean is worth so many of its rows.
    degrees_of_freedom_prior : float, default=None
        nu0, above n_features - 1 for matrices and above 0 otherwise; None takes the number
        that leaves each variance alone one degree of freedom: n_features, and 1.
    covariance_prior : array-like, default=None
        Scatter W0^-1, in the squared units of X: (n_features, n_features) for "full" and
        "tied", (n_features,) for "diag", a number for "spherical"; precisions have the prior
        mean nu0 W0. None takes the covariance of the data.
    tol : float, default=1e-5
        The ascent stops when the bound gains less, in nats a row.
    max_iter : int, default=200
        Largest number of updates, or of passes over chunks.
    n_init : int, default=1
        Number of starts, of which the one with the best bound goes on.
    n_moves : int, default=10
        Births and merges are tried until so many in a row don't raise the bound; 0 for none.
    learning_decay : float, default=1.0
        Share, as a power, with which later rows of a stream enter, a hundred a component at a
        time: 1.0 counts every row alike; down to 0.5 earlier rows are gradually forgotten,
        and there is no evidence.
    n_predictive_samples : int, default=200
        Posterior draws behind ``predict_std(kind="epistemic")``.
    device : str, default="cpu"
        Where the updates over all complete rows run: "cpu" is NumPy, any other name a torch
        device such as "cuda". Starts, moves, chunks and predictions stay on the CPU.
    random_state : int, RandomState instance or None, default=None
        Source of the starts, and of the draws behind predictions.

    Attributes
    ----------
    weights_ : ndarray of shape (n_components,)
        Posterior means of the mixing weights; components are sorted by size.
    means_ : ndarray of shape (n_components, n_features)
        Posterior means of the means.
    precisions_, covariances_ : ndarray
        Posterior means of the precisions and their inverses, shaped as in
        `sklearn.mixture.GaussianMixture`.
    mean_precision_, degrees_of_freedom_ : ndarray
        Posterior beta_k and nu_k (one nu for "tied").
    counts_ : ndarray of shape (n_components,)
        Expected number of rows N_k.
    n_live_ : int
        Components with N_k of at least 1.
    lower_bound_ : float
        The evidence lower bound, in nats: what `score_evidence` returns.
    lower_bounds_ : list of float
        The bound after each update of the last ascent that was kept.
    converged_ : bool
        Whether it settled within ``max_iter``.
    n_iter_ : int
        Its number of updates, kept or not.
    n_moves_ : int
        Births and merges that were kept.
    evidence_kind_ : {"elbo", None}
        Kind of the evidence.
    evidence_se_ : float or None
        Its standard error, zero for a bound.
    n_features_in_ : int
        Columns seen in fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, if all were strings.

    Notes
    -----
    Updates and bound are those of Bishop (2006), Pattern Recognition and Machine Learning,
    equations 10.46 to 10.77; the predictive density is equation 10.81. Starts and moves look
    at no more than 10,000 rows (100 for each component, if that is more).

    Assignments and parameters are taken to be independent, so that error bars of parameters
    are too narrow where components overlap: 90% intervals of two means hold the truth in .90
    of cases six standard deviations apart, .82 at four and .67 at three (200 rows; less with
    more rows).

    ``score_evidence(X)`` of new rows sums over their allocations, parameters integrated:
    over all of few rows, without error, over those that particle filters draw of more.
    The filters' spread is the standard error; time grows with rows times components.

    Examples
    --------
    >>> import numpy as np
    >>> from skbayes import VariationalGMM
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(-2, 1, (150, 1)), rng.normal(3, 0.5, (150, 1))])
    >>> gmm = VariationalGMM(random_state=0).fit(X)
    >>> gmm.n_live_, np.sort(gmm.means_[:2, 0]).round()
    (2, array([-2.,  3.]))
    >>> bounds = [VariationalGMM(k, random_state=0).fit(X).score_evidence() for k in (1, 2, 3)]
    >>> int(np.argmax(bounds)) + 1
    2
    """

    #: Parameters of scikit-learn's GaussianMixture and BayesianGaussianMixture.
    _namesakes: ClassVar[dict[str, str]] = {
        "weight_concentration_prior": "weight_concentration",
        "weight_concentration_prior_type": "weight_prior, 'dirichlet' or 'dirichlet_process'",
        "reg_covar": "covariance_prior, which keeps covariances from vanishing",
        "init_params": "n_init, the number of starts; births and merges do the rest",
        "warm_start": "partial_fit for further rows",
    }
    _parameter_constraints: dict = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "covariance_type": [StrOptions(set(COVARIANCE_TYPES))],
        "weight_prior": [StrOptions(set(WEIGHT_PRIORS))],
        "weight_concentration": [Interval(Real, 0, None, closed="neither"), None],
        "mean_prior": ["array-like", None],
        "mean_precision_prior": [Interval(Real, 0, None, closed="neither")],
        "degrees_of_freedom_prior": [Interval(Real, 0, None, closed="neither"), None],
        "covariance_prior": ["array-like", Interval(Real, 0, None, closed="neither"), None],
        "tol": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "n_moves": [Interval(Integral, 0, None, closed="left")],
        "learning_decay": [Interval(Real, 0.5, 1, closed="both")],
        "n_predictive_samples": [Interval(Integral, 1, None, closed="left")],
        "device": [str],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        n_components: int = 10,
        *,
        covariance_type: str = "full",
        weight_prior: str = "dirichlet",
        weight_concentration: float | None = None,
        mean_prior: Any = None,
        mean_precision_prior: float = 1.0,
        degrees_of_freedom_prior: float | None = None,
        covariance_prior: Any = None,
        tol: float = 1e-5,
        max_iter: int = 200,
        n_init: int = 1,
        n_moves: int = 10,
        learning_decay: float = 1.0,
        n_predictive_samples: int = 200,
        device: str = "cpu",
        random_state: Any = None,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.weight_prior = weight_prior
        self.weight_concentration = weight_concentration
        self.mean_prior = mean_prior
        self.mean_precision_prior = mean_precision_prior
        self.degrees_of_freedom_prior = degrees_of_freedom_prior
        self.covariance_prior = covariance_prior
        self.tol = tol
        self.max_iter = max_iter
        self.n_init = n_init
        self.n_moves = n_moves
        self.learning_decay = learning_decay
        self.n_predictive_samples = n_predictive_samples
        self.device = device
        self.random_state = random_state

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.estimator_type = "density_estimator"
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_state")

    # --- fitting ---------------------------------------------------------------------

    @fit_method
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> VariationalGMM:
        """Infer the posterior.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features), iterator or callable
            Rows; NaN is missing. An iterator of chunks is read once, by `partial_fit`. A
            callable returns an iterable of the same chunks at every call: passes are
            repeated until the bound settles. A chunk is an array or a pair of an array and
            its sample weights.
        y : Ignored
            Present by convention.
        sample_weight : array-like of shape (n_rows,), optional
            Exponents of the rows' likelihoods: a row of weight 2 counts as two rows.

        Returns
        -------
        self : estimator

        Raises
        ------
        ValueError
            If the data or a parameter is unusable.
        """
        if callable(X) or isinstance(X, Iterator):
            if sample_weight is not None:
                raise ValueError(
                    "sample_weight goes with an array X; let chunks be pairs of rows and weights"
                )
            return self._fit_passes(X) if callable(X) else self._fit_once(X)
        return self._fit_rows(*self._training_rows(X, sample_weight, reset=True), Given(X))

    @fit_method
    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> VariationalGMM:
        """Update the posterior by a chunk of rows, of one row or of many.

        How rows are cut into chunks does not matter. The first 10,000 distinct rows (100 for
        each component, if that is more) are kept and fitted as by `fit`: at every row up to
        127, then at each hundredth or so more. Others, and later ones, join with the
        assignments of earlier rows as they are, a thousand (100 for each component, if that
        is more) at a time. Default priors are those of all rows so far; a column without
        any value yet is taken to have mean 0 and variance 1. With one component and complete
        rows the result is exact. After `fit`, its rows count as earlier ones.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            New rows; NaN is missing.
        y : Ignored
            Present by convention.
        sample_weight : array-like of shape (n_rows,), optional
            Exponents of the rows' likelihoods.

        Returns
        -------
        self : estimator
        """
        fresh = not hasattr(self, "_state")
        if not fresh:
            self._check_same_model()
        X, weight = self._training_rows(X, sample_weight, reset=fresh)
        stream = self._new_stream(X) if fresh else Stream.from_state(self, self._seed, self._state)
        stream.add(X, weight)
        return self._finish_stream(stream)

    def fit_predict(self, X: Any, y: Any = None, sample_weight: Any = None) -> np.ndarray:
        """Fit, and give the most probable component of each row.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows; NaN is missing.
        y : Ignored
            Present by convention.
        sample_weight : array-like of shape (n_rows,), optional
            Exponents of the rows' likelihoods.

        Returns
        -------
        labels : ndarray of shape (n_rows,)
        """
        return self.fit(X, sample_weight=sample_weight).predict(X)

    @property
    def _n_features_out(self) -> int:
        return len(self.weights_)

    def transform(self, X: Any) -> np.ndarray:
        """Compute responsibilities, as features for the next step of a Pipeline.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows; NaN is missing.

        Returns
        -------
        responsibilities : ndarray of shape (n_rows, n_components)
            What `predict_proba` returns.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.linear_model import LogisticRegression
        >>> from sklearn.pipeline import make_pipeline
        >>> from skbayes import VariationalGMM
        >>> X, y = load_iris(return_X_y=True)
        >>> pipe = make_pipeline(VariationalGMM(4, random_state=0), LogisticRegression())
        >>> pipe.fit(X, y)[:-1].transform(X).shape
        (150, 4)
        """
        return self.predict_proba(X)

    def _training_rows(
        self, X: Any, sample_weight: Any, reset: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Validated rows that count."""
        X = validate_data(
            self, X, dtype=[np.float64, np.float32], reset=reset, ensure_all_finite="allow-nan"
        )
        if reset:
            check_memory(self, X.shape[1])
        weight = check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        return (X, weight) if weight.all() else (X[weight > 0], weight[weight > 0])

    def _fit_rows(self, X: np.ndarray, weight: np.ndarray, given: Given) -> VariationalGMM:
        check_device(self.device)
        check_observed(~np.isnan(X).all(axis=0))
        seed = seed_streams(self.random_state)["init"]
        dtype = X.dtype

        def follow(mixture: Mixture, data: RowMoments) -> Callback:
            return lambda statistics: monitor.step((mixture, statistics, data))

        def attributes(state: tuple[Mixture, Statistics, RowMoments]) -> dict[str, Any]:
            trial = copy(self)
            trial._keep(*state, seed, dtype)
            return dict(vars(trial))

        with Monitor(type(self).__name__, 0, self, given, attributes) as monitor:
            fitted = fit_rows(self, *canonical(X, weight), seed, follow)
            self._finish(*fitted, "elbo", seed, dtype)
            monitor.ended({})
        return self

    def _fit_once(self, chunks: Iterator[Any]) -> VariationalGMM:
        stream = None
        for X, weight in gathered(self._read(chunks, reset=True)):
            stream = stream or self._new_stream(X)
            stream.add(X, weight)
        if stream is None:
            raise ValueError("the iterator X gave no chunk; give at least one array of rows")
        return self._finish_stream(stream, ended=True)

    def _new_stream(self, X: np.ndarray) -> Stream:
        check_device(self.device)
        none = Held(np.empty_like(X[:0]), np.empty(0))
        return Stream(self, seed_streams(self.random_state)["init"], none, none)

    def _finish_stream(self, stream: Stream, ended: bool = False) -> VariationalGMM:
        mixture, ascent, data = stream.result()
        if ended:
            check_observed(data.n_observed > 0)
        ascent.converged &= stream.converged
        kind = None if stream.forgets_now else "elbo"
        dtype, state = stream.latest.X.dtype, stream.state
        return self._finish(mixture, ascent, data, kind, stream.seed, dtype, state)

    def _fit_passes(self, chunks: Any) -> VariationalGMM:
        check_device(self.device)
        seed, fresh = seed_streams(self.random_state)["init"], iter([True])

        def read() -> Iterator[tuple[np.ndarray, np.ndarray]]:
            return self._read(chunks(), reset=next(fresh, False))

        mixture, ascent, data, dtype = fit_passes(self, read, seed)
        return self._finish(mixture, ascent, data, "elbo", seed, dtype)

    def _read(self, chunks: Iterable[Any], reset: bool) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for chunk in chunks:
            X, weight = chunk if isinstance(chunk, tuple) else (chunk, None)
            yield self._training_rows(X, weight, reset=reset)
            reset = False

    def _check_same_model(self) -> None:
        state = self._state
        now = (self.weight_prior, self.covariance_type, self.n_components)
        before = (state["weight_prior"], state["covariance_type"], len(state["moments"]))
        if now != before:
            raise ValueError(
                f"partial_fit goes on with weight_prior, covariance_type, n_components = "
                f"{before}, but they are {now} now; call fit to start anew"
            )

    # --- the fitted attributes -------------------------------------------------------

    def _finish(
        self,
        mixture: Mixture,
        ascent: Ascent,
        data: RowMoments,
        kind: str | None,
        seed: int,
        dtype: np.dtype,
        stream: dict[str, Any] | None = None,
    ) -> VariationalGMM:
        """Store what was learned, and how the ascent went."""
        statistics = self._keep(mixture, ascent.statistics, data, seed, dtype, stream)
        jacobian = data.log_jacobian
        self.lower_bounds_ = [float(bound + jacobian) for bound in ascent.bounds]
        self.lower_bound_ = float(mixture.bound(mixture.m_step(statistics)) + jacobian)
        self._log_evidence, self.evidence_se_, self._evidence_ess = self.lower_bound_, 0.0, np.inf
        self.evidence_kind_ = kind
        self.converged_, self.n_iter_ = ascent.converged, ascent.n_iter
        self.n_moves_ = ascent.n_moves
        if not ascent.converged:
            warn(
                f"{type(self).__name__}: the bound still rose after {self.n_iter_} updates. "
                f"Raise max_iter (now {self.max_iter}) or tol (now {self.tol:g})",
                ConvergenceWarning,
            )
        return self

    def _keep(
        self,
        mixture: Mixture,
        statistics: Statistics,
        data: RowMoments,
        seed: int,
        dtype: np.dtype,
        stream: dict[str, Any] | None = None,
    ) -> Statistics:
        """Store a posterior; returns its statistics, components by size."""
        if not mixture.weights.ordered:
            order = np.argsort(-statistics.counts, kind="stable")
            statistics = statistics._replace(moments=statistics.moments[order])
        self._state = {
            "weight_prior": self.weight_prior,
            "covariance_type": self.covariance_type,
            "concentration": float(mixture.weights.concentration),
            **mixture.components.prior._asdict(),
            **Summary(statistics, data).state,
            "dtype": str(dtype),
            "stream": stream,
        }
        self._seed = seed
        # In the units of X.
        units, components, q = data.units, mixture.components, mixture.m_step(statistics).q
        self.counts_ = statistics.counts.copy()
        self.n_live_ = int((self.counts_ >= LIVE).sum())
        self.weights_ = mixture.weights.mean(statistics.counts)
        self.mean_precision_, self.degrees_of_freedom_ = q.precision, q.dof
        # Units beyond 1e154 overflow when squared, and only these attributes are in them.
        with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
            self.means_ = q.mean * units.scale + units.centre
            covariance = components.mean_covariance(q)
            self.covariances_ = components.rescaled(covariance, units.scale)
            self.precisions_ = components.rescaled_precision(
                components.inverse(covariance), units.scale
            )
        return statistics


def bytes_needed(n_columns: int, n_components: int) -> int:
    """Bytes of all components' matrices at the peak of a fit."""
    return 8 * n_columns**2 * (OF_COMPONENT * n_components + BESIDE)


def check_memory(gmm: Any, n_columns: int) -> None:
    """Raise `InsufficientMemoryError` if the matrices would not fit; warn of very large ones."""
    if gmm.covariance_type not in MATRICES:
        return
    needed, free = bytes_needed(n_columns, gmm.n_components), available_bytes()
    if needed <= min(MUCH, needed if free is None else free):
        return
    text = (
        f"covariance_type={gmm.covariance_type!r} takes about {needed / GIB:.2g} GiB for "
        f"n_components={gmm.n_components} matrices of {n_columns} x {n_columns} columns, and time "
        "as their cube; use covariance_type='diag', fewer components, or fewer columns, by "
        "make_pipeline(PPCA(50), VariationalGMM())"
    )
    if free is not None and needed > free:
        raise InsufficientMemoryError(f"{text}: {free / GIB:.2g} GiB are free")
    warn(text)
