"""Bayesian logistic regression."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np

from skbayes.base._estimator import few_draws
from skbayes.base._fitting import fit_method
from skbayes.base._monitor import Given, Monitor
from skbayes.data._canonical import canonical_rows
from skbayes.exceptions import ConvergenceWarning, IncompatiblePartsError
from skbayes.linear_model._classification import LARGEST_LOGIT, LogisticPredictions
from skbayes.linear_model._cost import check_cost
from skbayes.linear_model._gaussian_vi import variational
from skbayes.linear_model._linear_evidence import gamma_gap
from skbayes.linear_model._logistic_evidence import LogisticProblem, Whitening
from skbayes.linear_model._logit_posterior import DrawnLogits, NormalLogits
from skbayes.linear_model._normal_fits import NormalFit, laplace
from skbayes.linear_model._prior import gamma_parameters, weight_prior
from skbayes.linear_model._softmax import LabelledRows
from skbayes.linear_model._weighted_rows import RowFactor
from skbayes.utils._draws import seed_streams
from skbayes.utils._logs import MIN_EFFECTIVE_DRAWS
from skbayes.utils._sklearn import Interval, StrOptions, check_sample_weight
from skbayes.utils._warnings import warn

#: Training rows at which Laplace's normal is compared with its mode, and the share of them
#: that may get another label.
CHECKED_ROWS, MOST_TURNED = 1000, 0.05
#: Probabilities as near as this are a tie, as where weights are zero.
TIE = 0.01
KINDS = {"laplace": "laplace", "variational": "elbo", "hmc": "importance"}


class BayesianLogisticRegression(LogisticPredictions):
    """Logistic regression with a normal prior and a posterior over its weights.

    Two classes have one logit, that of the second class; more have one each, under a
    softmax, with independent priors. Predictions integrate the weights out: by exact
    quadrature of the normal logit for two classes, over 1024 quasi-random draws of a row's
    logits for more, over the sampler's draws under ``inference="hmc"``. The prior is stated
    in the units of X as given, and the intercept has a proper one of its own.

    Parameters
    ----------
    alpha : float or array-like of shape (n_features,), default=1.0
        Prior precision of the weights, used as it is under ``hyperparameters="fixed"``.
        Where precisions are learned, those of an array keep their proportions.
    prior_covariance : array-like of shape (n_features,) or (n_features, n_features), \
            default=None
        Prior covariance C (variances, or a matrix) at ``alpha=1``; it is divided by alpha.
        Where alpha is an array, entry (i, j) is C_ij / sqrt(alpha_i alpha_j). None is the
        identity.
    fit_intercept : bool, default=True
        Add an intercept.
    intercept_alpha : float, default=None
        Prior precision of the intercept, where alpha is not learned; None takes the mean
        of alpha.
    inference : {"variational", "laplace", "hmc"}, default="variational"
        "variational": the normal of the largest evidence lower bound, its expectations by
        quadrature for two classes, by Knowles and Minka's tilted bound for more; its
        evidence is a true lower bound. More than 200 weights of several classes have a
        Kronecker product for a covariance, classes times columns. "laplace": a normal at
        the mode, right where rows outnumber weights by far, too wide where classes are
        separable. "hmc": Hamiltonian Monte Carlo, the posterior itself up to Monte Carlo
        error (imports torch).
    hyperparameters : {"evidence", "fixed", "bayes"}, default="evidence"
        "evidence" maximises the evidence over alpha and the intercept's precision, from
        each peak that a walk from narrow to wide priors meets, the intercept being the
        logit at the columns' means, so that a shift of columns changes nothing;
        "bayes" gives them Gamma priors and factorised Gamma posteriors; "fixed" takes
        them as given. The precisions of "hmc" are those of "laplace".
    ard : bool, default=False
        Learn one precision for each feature (automatic relevance determination); takes no
        ``prior_covariance`` under which weights covary.
    alpha_prior : tuple of float, default=(1e-6, 1e-6)
        Shape and rate of the precisions' Gamma prior under "bayes".
    max_iter : int, default=200
        Most steps of the search for the weights, and of that for precisions.
    tol : float, default=1e-9
        The search for the weights ends when a step promises fewer nats.
    n_predictive_samples : int, default=1024
        Draws behind a prediction where it rests on draws.
    hmc_params : dict, default=None
        Parameters of `skbayes.inference.HMC`, where that is the engine.
    random_state : int, RandomState instance or None, default=None
        Seeds the sampler and the draws of predictions.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels, in the order of the columns of `predict_proba`.
    coef_ : ndarray of shape (1, n_features) or (n_classes, n_features)
        Posterior mean of the weights (under "laplace" the mode).
    intercept_ : ndarray of shape (1,) or (n_classes,)
        Posterior mean of the intercept.
    alpha_ : float or ndarray of shape (n_features,)
        Prior precision used.
    intercept_alpha_ : float or None
        The intercept's, at the columns' means where it is learned.
    posterior_ : NormalLogits or DrawnLogits
        The posterior.
    evidence_kind_ : str or None
        "laplace", "elbo" or "importance"; "plugin" where ``ard`` maximises the evidence
        over one precision a feature. None where HMC had too many unknowns for importance
        sampling.
    evidence_se_ : float or None
        Standard error in nats; zero but for "importance".
    diagnostics_ : dict
        What the sampler reports.
    n_iter_ : int
        Steps of the last search for the weights, or of the sampler.
    n_features_in_ : int
        Columns seen in fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, if all were strings.

    See Also
    --------
    BayesianLinearRegression : The same for numbers.
    BayesianMLPClassifier : For boundaries that are not linear.

    References
    ----------
    Bishop (2006), Pattern Recognition and Machine Learning, section 4.5; Challis and Barber
    (2013), Gaussian Kullback-Leibler approximate inference; Knowles and Minka (2011),
    Non-conjugate variational message passing for multinomial and binary regression.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skbayes import BayesianLogisticRegression
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = BayesianLogisticRegression(random_state=0).fit(X, y)
    >>> clf.predict_proba(X[:1]).shape
    (1, 3)
    >>> clf.evidence_kind_
    'elbo'
    """

    intercept_alpha_: float | None
    evidence_kind_: str | None
    evidence_se_: float | None
    diagnostics_: dict[str, Any]
    _log_evidence: float | None
    #: Parameters of scikit-learn's LogisticRegression.
    _namesakes: ClassVar[dict[str, str]] = {
        "C": "alpha=1/C, the weights' precision, with hyperparameters='fixed'",
        "penalty": "alpha, the weights' precision; the prior is normal",
        "solver": "inference: 'variational', 'laplace' or 'hmc'",
        "class_weight": "sample_weight in fit",
        "inference=HMC": "inference='hmc' and hmc_params={...}",
        "inference=Laplace": "inference='laplace'",
        "inference='vi'": "inference='variational'",
    }
    _parameter_constraints: dict = {
        "alpha": ["array-like", Interval(Real, 0, None, closed="neither")],
        "prior_covariance": ["array-like", None],
        "fit_intercept": ["boolean"],
        "intercept_alpha": [Interval(Real, 0, None, closed="neither"), None],
        "inference": [StrOptions(set(KINDS))],
        "hyperparameters": [StrOptions({"evidence", "fixed", "bayes"})],
        "ard": ["boolean"],
        "alpha_prior": [tuple, list],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "n_predictive_samples": [Interval(Integral, 1, None, closed="left")],
        "hmc_params": [dict, None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        alpha: Any = 1.0,
        *,
        prior_covariance: Any = None,
        fit_intercept: bool = True,
        intercept_alpha: float | None = None,
        inference: str = "variational",
        hyperparameters: str = "evidence",
        ard: bool = False,
        alpha_prior: tuple[float, float] = (1e-6, 1e-6),
        max_iter: int = 200,
        tol: float = 1e-9,
        n_predictive_samples: int = 1024,
        hmc_params: dict[str, Any] | None = None,
        random_state: Any = None,
    ) -> None:
        self.alpha = alpha
        self.prior_covariance = prior_covariance
        self.fit_intercept = fit_intercept
        self.intercept_alpha = intercept_alpha
        self.inference = inference
        self.hyperparameters = hyperparameters
        self.ard = ard
        self.alpha_prior = alpha_prior
        self.max_iter = max_iter
        self.tol = tol
        self.n_predictive_samples = n_predictive_samples
        self.hmc_params = hmc_params
        self.random_state = random_state

    @fit_method
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> BayesianLogisticRegression:
        """Infer the posterior over weights.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows, used as they are.
        y : array-like of shape (n_rows,)
            Class labels.
        sample_weight : array-like of shape (n_rows,), optional
            Exponents of the rows' likelihoods: a row of weight 2 counts as two rows, so
            the scale of the weights matters.

        Returns
        -------
        self : estimator

        Raises
        ------
        ValueError
            If the data or a parameter is unusable, or the prior leaves logits a range that
            double precision cannot hold.
        IncompatiblePartsError
            If ``hyperparameters="bayes"`` meets ``inference="hmc"``, or ``ard=True`` is to
            learn precisions of weights that covary a priori.
        InsufficientMemoryError
            If so many classes, rows and columns take more memory than is free. A fit that
            takes long for them warns.
        """
        given = Given(X, y, sample_weight)
        if self.inference == "hmc" and self.hyperparameters == "bayes":
            raise IncompatiblePartsError(
                "inference='hmc' samples weights at given precisions and does not fit "
                "hyperparameters='bayes'; use hyperparameters='evidence', or "
                "inference='variational'"
            )
        X, codes, n_classes = self._validate_training(X, y, reset=True)
        weight = check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        self._prior = weight_prior(
            X.shape[1],
            1,
            alpha=self.alpha,
            prior_mean=0.0,
            prior_covariance=self.prior_covariance,
            fit_intercept=self.fit_intercept,
            intercept_mean=0.0,
            intercept_alpha=self.intercept_alpha,
            ard=self.ard and self.hyperparameters != "fixed",
        )
        # Weighted and repeated rows become the same bits, in whatever order they come.
        X, codes, weight = canonical_rows(X, codes, weight)
        n_outputs = 1 if n_classes == 2 else n_classes
        check_cost(len(X), n_outputs, len(self._prior.sd), self.inference == "variational")
        seeds = seed_streams(self.random_state)
        self._prediction_seed = seeds["prediction"]
        problem = self._problem(X, codes, weight, n_outputs)
        with Monitor(type(self).__name__, 0, self, given, _attributes) as monitor:
            problem.heard = monitor.step
            try:
                self._fit_problem(problem, seeds, monitor)
            except np.linalg.LinAlgError as error:
                raise ValueError(self._out_of_range(X, weight)) from error
            monitor.ended({})
        if self.inference == "laplace":
            self._warn_of_wide_normal(problem)
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "posterior_")

    def _fit_problem(
        self, problem: LogisticProblem, seeds: dict[str, int], monitor: Monitor
    ) -> None:
        fixed = self.hyperparameters == "fixed"
        if fixed and np.abs(problem.factor.design * problem.sd).max() > LARGEST_LOGIT:
            raise np.linalg.LinAlgError("squares of logits overflow")
        self._fit_weights(problem, self._log_precisions(problem), seeds, monitor)

    def _problem(
        self, X: np.ndarray, codes: np.ndarray, weight: np.ndarray, n_outputs: int
    ) -> LogisticProblem:
        bayes = self.hyperparameters == "bayes"
        prior, fixed = self._prior, self.hyperparameters == "fixed"
        ratios = prior.alpha if fixed else prior.proportions(self.ard)
        columns = prior.columns(X)
        rows = RowFactor(columns.shape[1], 0, prior.fit_intercept)
        rows.absorb(columns, np.empty((len(X), 0)), weight)
        if prior.fit_intercept:
            self._prior = prior.centred(rows.centre)
            # A precision that is learned is that of the intercept at the columns' means.
            rows = rows if fixed else rows.centred()
        return LogisticProblem(
            rows.in_basis(prior.basis),
            self._prior.design(X),
            codes,
            weight,
            n_outputs,
            prior.sd / np.sqrt(ratios),
            np.zeros(len(prior.sd), dtype=int) if fixed else prior.groups(self.ard),
            prior.fit_intercept,
            variational if self.inference == "variational" else laplace,
            self.tol,
            self.max_iter,
            gamma_parameters("alpha_prior", self.alpha_prior) if bayes else (0.0, 0.0),
        )

    def _log_precisions(self, problem: LogisticProblem) -> np.ndarray:
        """Log precisions (n_groups,), and the public attributes that show them."""
        theta = np.zeros(1)
        if self.hyperparameters != "fixed":
            theta, _, settled = problem.maximise(self.max_iter)
            if not settled:
                self._warn("precisions")
        with np.errstate(over="ignore", under="ignore"):
            alpha = np.exp(theta)[problem.groups] * (self._prior.sd / problem.sd) ** 2
        if self._prior.fit_intercept:
            self.intercept_alpha_, alpha = float(alpha[0]), alpha[1:]
        else:
            self.intercept_alpha_ = None
        each = np.ndim(self.alpha) > 0 or (self.ard and self.hyperparameters != "fixed")
        self.alpha_ = alpha if each else float(alpha[0])
        return theta

    def _fit_weights(
        self,
        problem: LogisticProblem,
        theta: np.ndarray,
        seeds: dict[str, int],
        monitor: Monitor,
    ) -> None:
        white, fit = problem.fit(theta)
        self._weight_sd = white.sd
        if not fit.converged:
            self._warn("weights")
        posterior: NormalLogits | DrawnLogits
        if self.inference == "hmc":
            posterior = self._sample(problem, white, fit.covariance, seeds, monitor)
        else:
            posterior = self._approximate(problem, white, fit, theta)
        coef, intercept = self._prior.weights(posterior.weights())
        self.coef_, self.intercept_ = map(np.ascontiguousarray, (coef, intercept))
        if self.ard and self.hyperparameters == "evidence" and self.evidence_kind_:
            self.evidence_kind_ = "plugin"
        self.posterior_ = posterior

    def _approximate(
        self, problem: LogisticProblem, white: Whitening, fit: NormalFit, theta: np.ndarray
    ) -> NormalLogits:
        self.evidence_kind_, self.n_iter_ = KINDS[self.inference], fit.n_iter
        self.evidence_se_, self._evidence_ess, self.diagnostics_ = 0.0, np.inf, {}
        self._log_evidence = fit.log_evidence
        if self.hyperparameters == "bayes":
            count = problem.n_outputs * np.bincount(problem.groups)
            self._log_evidence += gamma_gap(theta, count, problem.precision_prior)
        return NormalLogits(white.sd, white.vectors, fit.mean, fit.covariance, white.origin)

    def _sample(
        self,
        problem: LogisticProblem,
        white: Whitening,
        covariance: np.ndarray,
        seeds: dict[str, int],
        monitor: Monitor,
    ) -> DrawnLogits:
        from skbayes.linear_model._logistic_hmc import run_hmc

        def logits(draws: np.ndarray, inefficiency: float) -> DrawnLogits:
            weights = draws @ white.vectors
            if len(white.values) < len(white.sd):
                free = np.random.default_rng(seeds["init"]).standard_normal(weights.shape)
                weights += free - (free @ white.vectors.T) @ white.vectors
            weights *= white.sd
            if white.origin is not None:
                weights[..., 0] = draws @ white.origin
            return DrawnLogits(weights, inefficiency)

        def attributes(draws: np.ndarray) -> dict[str, Any]:
            return {"posterior_": logits(draws, 1.0), "_weight_sd": white.sd}

        rows = white.rows(problem.design)
        data = LabelledRows(rows, problem.codes, problem.weight, problem.n_outputs)
        monitor = monitor.reading(attributes)
        draws, found = run_hmc(data, covariance, self.hmc_params or {}, seeds, monitor)
        self.evidence_kind_, self.n_iter_ = found.evidence_kind, found.n_iter
        self.evidence_se_ = found.evidence_se if found.evidence_kind else None
        self._log_evidence, self._evidence_ess = found.log_evidence, found.evidence_ess
        self.diagnostics_ = found.diagnostics
        return logits(draws, found.inefficiency)

    def _out_of_range(self, X: np.ndarray, weight: np.ndarray) -> str:
        """What to say of a fit whose logits, or their curvature, overflowed."""
        reach = f"columns of X that reach {np.abs(X).max():.3g}"
        if self.hyperparameters == "fixed":
            return (
                f"{reach} give logits whose range under the prior (alpha={self.alpha!r}) exceeds "
                "double precision; scale X, for example by StandardScaler"
            )
        return (
            f"{reach}, with weights up to {weight.max():.3g} a row, lead the search for "
            f"precisions where logits exceed double precision; use inference='variational', "
            "hyperparameters='fixed', smaller weights, or StandardScaler"
        )

    def _warn_of_wide_normal(self, problem: LogisticProblem) -> None:
        """Say so where averaging over Laplace's normal gives other labels than its mode."""
        if problem.n_outputs == 1:  # one logit keeps its sign
            return
        design, seed = problem.design[:CHECKED_ROWS], self._prediction_seed
        at_mode = (design @ self.posterior_.weights().T).argmax(1)
        averaged = self.posterior_.predict(design, self.n_predictive_samples, seed).mean
        behind = averaged.max(axis=1) - np.take_along_axis(averaged, at_mode[:, None], 1)[:, 0]
        share = float(np.average(behind > TIE, weights=problem.weight[:CHECKED_ROWS]))
        if share > MOST_TURNED:
            warn(
                f"Laplace's normal is too wide to average over: {share:.0%} of the training rows "
                "get another label by it than at its mode; use inference='variational' or 'hmc', "
                "or ard=False",
                ConvergenceWarning,
            )

    def _warn(self, what: str) -> None:
        warn(
            f"the search for {what} did not settle in {self.max_iter} steps; raise max_iter or tol",
            ConvergenceWarning,
        )

    def _no_evidence(self) -> str:
        if self._evidence_ess < MIN_EFFECTIVE_DRAWS:
            return (
                f"{few_draws(self._evidence_ess)}; raise hmc_params['n_samples'], or use "
                "inference='laplace'"
            )
        return (
            "HMC had too many unknowns for an evidence by importance sampling; set "
            "hmc_params={'evidence': 'importance'} for a rough one, or use inference='laplace'"
        )


def _attributes(state: tuple[Whitening, NormalFit]) -> dict[str, Any]:
    """What predictions need of a normal that the search came by."""
    white, fit = state
    posterior = NormalLogits(white.sd, white.vectors, fit.mean, fit.covariance, white.origin)
    return {"posterior_": posterior, "_weight_sd": white.sd}
