"""Bayesian linear regression with exact answers."""

from __future__ import annotations

from dataclasses import replace
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np

from skbayes.base._fitting import fit_method
from skbayes.base._monitor import Given, Monitor
from skbayes.data._canonical import canonical_rows
from skbayes.exceptions import ConvergenceWarning
from skbayes.linear_model._conjugate import LinearPosterior, Spectrum
from skbayes.linear_model._linear_evidence import EvidenceProblem
from skbayes.linear_model._noise import WEAK, GammaNoise, KnownNoise, Noise
from skbayes.linear_model._prior import gamma_parameters, weight_prior
from skbayes.linear_model._range import check_evidence, check_reach, check_weights
from skbayes.linear_model._regression import LinearPredictions
from skbayes.linear_model._scale import integrate
from skbayes.linear_model._weighted_rows import RowFactor
from skbayes.utils._sklearn import Interval, StrOptions, check_sample_weight
from skbayes.utils._warnings import warn


class BayesianLinearRegression(LinearPredictions):
    """Linear regression with a normal prior: posterior, predictive and evidence are exact.

    ``y = intercept + X @ coef + noise``. The precisions of weights, intercept and noise are
    integrated out, as each doubt about them widens predictions: on a few rows much, on many
    not at all. The intercept has a proper prior of its own, so that ``score_evidence()`` is
    the log of a normalised density of y; a flat prior has no evidence.

    Parameters
    ----------
    alpha : float or array-like of shape (n_features,), default=1.0
        Prior precision of the weights, used as it is under ``hyperparameters="fixed"``.
        Where precisions are unknown, those of an array keep their proportions.
    beta : float, default=1.0
        Noise precision under ``hyperparameters="fixed"``.
    prior_mean : float or array-like of shape (n_features,) or (n_targets, n_features), \
            default=0.0
        Prior mean of the weights.
    prior_covariance : array-like of shape (n_features,) or (n_features, n_features), \
            default=None
        Prior covariance C (variances, or a matrix) at ``alpha=1``; it is divided by alpha.
        Where alpha is an array, entry (i, j) is C_ij / sqrt(alpha_i alpha_j). None is the
        identity.
    fit_intercept : bool, default=True
        Add an intercept.
    intercept_mean : float, default=0.0
        Prior mean of the intercept.
    intercept_alpha : float, default=None
        Prior precision of the intercept, where alpha is not learned; None takes the mean
        of alpha.
    hyperparameters : {"bayes", "evidence", "fixed"}, default="bayes"
        "bayes" integrates alpha, the intercept's precision and beta out: weights have the
        prior covariance ``prior_covariance / (alpha * beta)``, and predictions are mixtures
        of Student-t. "evidence" takes the values of the largest evidence, which is too sure
        of itself on few rows. "fixed" takes the values given.
    ard : bool, default=False
        Learn one precision for each weight (automatic relevance determination); takes no
        ``prior_covariance`` under which weights covary. Under "bayes", alpha then has an
        independent Gamma posterior (variational Bayes).
    alpha_prior : {"weak"}, tuple of float or None, default="weak"
        Prior of alpha under "bayes". "weak": the share R² of variance that the columns
        explain is uniform on (0, 1), in any units (under ``ard``: each log alpha is uniform).
        A tuple is the shape and rate of a Gamma prior. None holds alpha (in units of beta) at
        its value.
    beta_prior : {"weak"} or tuple of float, default="weak"
        Prior of beta under "bayes". "weak": log beta is uniform over all doubles. A tuple is
        the shape and rate of a Gamma prior, in the units of y.
    max_iter : int, default=200
        Most steps of the search for precisions.
    tol : float, default=1e-9
        The search ends when a step promises fewer nats.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,) or (n_targets, n_features)
        Posterior mean of the weights.
    intercept_ : float or ndarray of shape (n_targets,)
        Posterior mean of the intercept.
    alpha_, intercept_alpha_, beta_ : float or ndarray
        Precisions, one entry a target where y has two axes (alpha_ a further axis of
        features under ``ard``, or where alpha is an array). Under "bayes" alpha_ and
        intercept_alpha_ are in units of beta: geometric means over alpha of alpha_ and beta_,
        and the intercept_alpha_ that shrinks the intercept, at the columns' means, as the
        posterior does. Under ``ard``, or with alpha held, means.
    posterior_ : LinearPosterior
        The posterior, in units of its own.
    evidence_kind_ : str
        "exact": precisions integrated, or given, also where "evidence" chose them;
        "plugin" where it chose one for every weight, so that a further column never lowers
        it; "elbo" (a lower bound) under "bayes" with ``ard``.
    evidence_se_ : float
        Zero.
    n_iter_ : int
        Most steps that a target's search took; 1 where there is none.
    n_features_in_ : int
        Columns seen in fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, if all were strings.

    See Also
    --------
    BayesianLogisticRegression : The same for class labels.
    BayesianMLPRegressor : For functions that are not linear.

    References
    ----------
    Bishop (2006), Pattern Recognition and Machine Learning, sections 3.3 to 3.5;
    Liang et al. (2008), Mixtures of g priors for Bayesian variable selection, section 3;
    MacKay (1992), Bayesian interpolation; Drugowitsch (2013), Variational Bayesian
    inference for linear and logistic regression, section 2.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skbayes import BayesianLinearRegression
    >>> X, y = load_diabetes(return_X_y=True)
    >>> reg = BayesianLinearRegression().fit(X[:300], y[:300])
    >>> mean, std = reg.predict(X[300:], return_std=True)
    >>> print(reg.evidence_kind_, round(reg.score_evidence()))
    exact -1661
    """

    #: Parameters of scikit-learn's BayesianRidge and ARDRegression, whose alpha is the noise's.
    _namesakes: ClassVar[dict[str, str]] = {
        "alpha_1": "beta_prior=(shape, rate), of the noise precision",
        "alpha_2": "beta_prior=(shape, rate), of the noise precision",
        "lambda_1": "alpha_prior=(shape, rate), of the weights' precision",
        "lambda_2": "alpha_prior=(shape, rate), of the weights' precision",
        "alpha_init": "beta, the noise precision, with hyperparameters='fixed'",
        "lambda_init": "alpha, the weights' precision, with hyperparameters='fixed'",
        "compute_score": "score_evidence(), which is always there",
        "threshold_lambda": "ard=True, which needs no threshold",
    }
    _parameter_constraints: dict = {
        "alpha": ["array-like", Interval(Real, 0, None, closed="neither")],
        "beta": [Interval(Real, 0, None, closed="neither")],
        "prior_mean": ["array-like", Interval(Real, None, None, closed="neither")],
        "prior_covariance": ["array-like", None],
        "fit_intercept": ["boolean"],
        "intercept_mean": [Interval(Real, None, None, closed="neither")],
        "intercept_alpha": [Interval(Real, 0, None, closed="neither"), None],
        "hyperparameters": [StrOptions({"evidence", "fixed", "bayes"})],
        "ard": ["boolean"],
        "alpha_prior": [StrOptions({"weak"}), tuple, list, None],
        "beta_prior": [StrOptions({"weak"}), tuple, list],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
    }
    _rows: RowFactor
    _theta: np.ndarray | None
    _log_alpha: np.ndarray | None
    #: The prior is stated in the units of y; see `check_bayesian_estimator`.
    scale_targets = False

    def __init__(
        self,
        alpha: Any = 1.0,
        beta: float = 1.0,
        *,
        prior_mean: Any = 0.0,
        prior_covariance: Any = None,
        fit_intercept: bool = True,
        intercept_mean: float = 0.0,
        intercept_alpha: float | None = None,
        hyperparameters: str = "bayes",
        ard: bool = False,
        alpha_prior: tuple[float, float] | str | None = "weak",
        beta_prior: tuple[float, float] | str = "weak",
        max_iter: int = 200,
        tol: float = 1e-9,
    ) -> None:
        self.alpha = alpha
        self.beta = beta
        self.prior_mean = prior_mean
        self.prior_covariance = prior_covariance
        self.fit_intercept = fit_intercept
        self.intercept_mean = intercept_mean
        self.intercept_alpha = intercept_alpha
        self.hyperparameters = hyperparameters
        self.ard = ard
        self.alpha_prior = alpha_prior
        self.beta_prior = beta_prior
        self.max_iter = max_iter
        self.tol = tol

    @fit_method
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> BayesianLinearRegression:
        """Infer the posterior over weights and noise.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows, used as they are.
        y : array-like of shape (n_rows,) or (n_rows, n_targets)
            Targets; each is a regression of its own on the same rows.
        sample_weight : array-like of shape (n_rows,), optional
            Exponents of the rows' likelihoods: a row of weight 2 counts as two rows, so
            the scale of the weights matters.

        Returns
        -------
        self : estimator

        Raises
        ------
        ValueError
            If the data or a parameter is unusable.
        IncompatiblePartsError
            If ``ard=True`` is to learn precisions of weights that covary a priori.
        """
        with Monitor(type(self).__name__, 0, self, Given(X, y, sample_weight)) as monitor:
            self._absorb(X, y, sample_weight, reset=True)
            monitor.ended({})
        return self

    @fit_method
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> BayesianLinearRegression:
        """Take in further rows: the result is that of one fit to all rows.

        Only a triangular factor of the rows is kept, whose size does not grow. Precisions
        that are learned are learned anew from all of it.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows, used as they are.
        y : array-like of shape (n_rows,) or (n_rows, n_targets)
            Targets.
        sample_weight : array-like of shape (n_rows,), optional
            Exponents of the rows' likelihoods.

        Returns
        -------
        self : estimator

        Raises
        ------
        ValueError
            If the rows do not fit those seen before, or a parameter is unusable.
        """
        return self._absorb(X, y, sample_weight, reset=not hasattr(self, "posterior_"))

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "posterior_")

    def _absorb(self, X: Any, y: Any, sample_weight: Any, reset: bool) -> BayesianLinearRegression:
        X, y, n_targets = self._validate_training(X, y, reset=reset)
        weight = check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        self._check_gamma_priors()
        prior = weight_prior(
            X.shape[1],
            n_targets,
            alpha=self.alpha,
            prior_mean=self.prior_mean,
            prior_covariance=self.prior_covariance,
            fit_intercept=self.fit_intercept,
            intercept_mean=self.intercept_mean,
            intercept_alpha=self.intercept_alpha,
            ard=self.ard and self._learns_alpha(),
        )
        # Weighted and repeated rows become the same bits, in whatever order they come.
        X, y, weight = canonical_rows(X, y, weight)
        columns = prior.columns(X)
        new = RowFactor(columns.shape[1], n_targets, self.fit_intercept)
        rows = new if reset else self._rows.copy()
        if rows.n_columns != columns.shape[1]:
            raise ValueError(
                f"fit_intercept={self.fit_intercept} differs from the rows seen before; set it "
                "back, or call fit to start anew"
            )
        rows.absorb(columns, y, weight)
        self._prior, self._n_targets, self._rows = prior, n_targets, rows
        self._infer()
        return self

    def _learns_alpha(self) -> bool:
        held = self.hyperparameters == "bayes" and self.alpha_prior is None
        return self.hyperparameters != "fixed" and not held

    def _infer(self) -> None:
        """Posterior, precisions and evidence from the rows seen."""
        if self.hyperparameters == "fixed":
            self._fit_fixed()
        elif self.hyperparameters == "evidence":
            self._fit_evidence()
        elif self.alpha_prior is None:
            self._fit_conjugate()
        elif self.ard:
            self._fit_variational()
        else:
            self._fit_integrated()
        self._set_coefficients()

    # --- the five treatments of the precisions -----------------------------------------

    def _fit_fixed(self) -> None:
        """Precisions as given, in the units of y."""
        noise = KnownNoise(np.full((self._n_targets, 1), float(self.beta)))
        sd = self._prior.sd * np.sqrt(float(self.beta) / self._prior.alpha)
        self._condition(np.ones(self._n_targets), sd[None], noise, "exact")
        self._set_precisions(np.broadcast_to(self._prior.alpha, self._shape_of_weights()))

    def _fit_conjugate(self) -> None:
        """Weights relative to a noise of Gamma precision: normal-Gamma, exact."""
        unit = self._bayes_unit()
        sd = self._prior.sd / np.sqrt(self._prior.alpha)
        self._condition(unit, sd[None], self._noise_prior(unit), "exact")
        self._set_precisions(np.broadcast_to(self._prior.alpha, self._shape_of_weights()))

    def _fit_evidence(self) -> None:
        """Precisions of the largest evidence, target by target, as each has its own."""
        unit = self._rows.target_size
        problems = [self._problem(t, unit, None) for t in range(self._n_targets)]
        theta = self._search(problems)
        pairs = list(zip(problems, theta, strict=True))
        sd = np.stack([problem.scales(x) for problem, x in pairs])
        beta = np.array([problem.best_noise_precision(x) for problem, x in pairs])
        self._condition(unit, sd, KnownNoise(beta[:, None]), "plugin" if self.ard else "exact")
        self._set_learned(theta + np.log(beta)[:, None] - 2 * np.log(unit)[:, None])

    def _fit_integrated(self) -> None:
        """A common precision of the weights, the intercept's and the noise's integrated out."""
        unit = self._bayes_unit()
        rows = self._rows.in_basis(self._prior.basis).in_units(unit)
        self._centre_prior()
        found = integrate(
            rows,
            self._prior.mean / unit[:, None],
            self._prior.sd / np.sqrt(self._prior.proportions(ard=False)),
            self.fit_intercept,
            self._noise_prior(unit),
            None if self.alpha_prior == "weak" else self._alpha_gamma(),
        )
        self._settle(found.posterior, found.log_evidence, unit, "exact")
        log_alpha = (found.posterior.mass * found.log_alpha).sum(axis=1, keepdims=True)
        own = [np.log(found.intercept_alpha)[:, None]] if self.fit_intercept else []
        self._set_learned(np.hstack([*own, log_alpha]))
        self._log_alpha = found.log_alpha

    def _fit_variational(self) -> None:
        """Factorised posteriors of weights with noise, and of precisions."""
        unit = self._bayes_unit()
        noise = self._noise_prior(unit)
        problems = [self._problem(t, unit, noise) for t in range(self._n_targets)]
        theta = self._search(problems)
        pairs = list(zip(problems, theta, strict=True))
        sd = np.stack([problem.scales(x) for problem, x in pairs])
        self._condition(unit, sd, noise, "elbo")
        bounds = np.array([problem.elbo(x) for problem, x in pairs])
        self._settle(self.posterior_, bounds, unit, "elbo")
        self._set_learned(theta)
        self._theta = theta

    def _search(self, problems: list[EvidenceProblem]) -> np.ndarray:
        """Log precisions (T, n_groups) at the top of each target's objective."""
        tops = [problem.maximise(self.tol, self.max_iter) for problem in problems]
        self.n_iter_ = max(top.n_iter for top in tops)
        if not all(top.converged for top in tops):
            warn(
                f"the search for precisions did not settle in {self.max_iter} steps; raise "
                "max_iter or tol",
                ConvergenceWarning,
            )
        return np.stack([top.x for top in tops])

    def _set_learned(self, log_alpha: np.ndarray) -> None:
        """Public precisions of the groups' logs (T, n_groups)."""
        with np.errstate(over="ignore", under="ignore"):
            alpha = np.exp(log_alpha)[:, self._prior.groups(self.ard)]
            self._set_precisions(alpha * self._prior.proportions(self.ard))

    def _problem(self, target: int, unit: np.ndarray, noise: GammaNoise | None) -> EvidenceProblem:
        problem = EvidenceProblem(
            self._rows.in_basis(self._prior.basis).pick(target, unit[target]),
            self._prior.mean[target] / unit[target],
            self._prior.sd / np.sqrt(self._prior.proportions(self.ard)),
            self._prior.groups(self.ard),
            self._prior.fit_intercept,
        )
        if noise is None:
            return problem
        shape, log_rate = float(noise.shape[target, 0]), float(noise.log_rate[target, 0])
        precision = self._alpha_gamma()
        return replace(problem, noise_prior=(shape, log_rate), precision_prior=precision)

    def _alpha_gamma(self) -> tuple[float, float]:
        """Shape and rate of the Gamma prior of each precision; zeros for the weak one."""
        weak = self.alpha_prior == "weak"
        return (0.0, 0.0) if weak else gamma_parameters("alpha_prior", self.alpha_prior)

    def _bayes_unit(self) -> np.ndarray:
        """Size of the targets, or of the noise that the prior expects if that is larger."""
        size = self._rows.target_size
        if self.beta_prior == "weak":
            return size
        log_size = 0.5 * np.log(gamma_parameters("beta_prior", self.beta_prior)[1])
        return np.maximum(size, 2.0 ** np.round(log_size / np.log(2)))

    def _check_gamma_priors(self) -> None:
        """Refuse bad ones before any row is taken in."""
        if self.beta_prior != "weak":
            gamma_parameters("beta_prior", self.beta_prior)
        if self.alpha_prior not in (None, "weak"):
            gamma_parameters("alpha_prior", self.alpha_prior)

    def _noise_prior(self, unit: np.ndarray) -> GammaNoise:
        shape, log_rate = WEAK
        if self.beta_prior != "weak":
            shape, rate = gamma_parameters("beta_prior", self.beta_prior)
            log_rate = np.log(rate)
        floor = self._rows.in_units(unit).rounding[:, None]
        log_rates = log_rate - 2 * np.log(unit)[:, None]
        return GammaNoise(np.full((len(unit), 1), shape), log_rates, floor)

    def _centre_prior(self) -> None:
        """Measure columns from their means, and the intercept there."""
        if self.fit_intercept:
            self._prior = self._prior.centred(self._rows.centre)

    # --- results -----------------------------------------------------------------------

    def _condition(self, unit: np.ndarray, sd: np.ndarray, noise: Noise, kind: str) -> None:
        """Set posterior and evidence of targets measured in ``unit`` (T,)."""
        prior = f"alpha={self.alpha!r}, prior_covariance={self.prior_covariance!r}"
        check_reach(self._rows, self._prior.basis, sd, prior)
        rows = self._rows.in_basis(self._prior.basis).in_units(unit)
        spectrum = Spectrum.of(rows, self._prior.mean / unit[:, None], sd)
        self._centre_prior()
        posterior = LinearPosterior.of(spectrum, self._prior.mean / unit[:, None], sd, noise)
        self._settle(posterior, spectrum.log_evidence(noise), unit, kind)

    def _settle(
        self, posterior: LinearPosterior, log_evidence: np.ndarray, unit: np.ndarray, kind: str
    ) -> None:
        """Set posterior and evidence (T,) of targets measured in ``unit`` (T,)."""
        value = log_evidence - self._rows.weight * np.log(unit)
        check_evidence(value, self._rows, self.beta)
        self.posterior_, self._unit = posterior, unit
        self._log_evidence, self.evidence_kind_ = float(value.sum()), kind
        self.evidence_se_, self._evidence_ess = 0.0, np.inf
        if kind == "exact" and self.hyperparameters != "evidence":
            self.n_iter_ = 1

    def _shape_of_weights(self) -> tuple[int, int]:
        return self._n_targets, len(self._prior.sd)

    def _set_precisions(self, alpha: np.ndarray) -> None:
        """Public precisions of alpha (T, P), the intercept's first."""
        self._theta = self._log_alpha = None
        if self._prior.fit_intercept:
            self.intercept_alpha_ = self._per_target(alpha[:, 0])
            alpha = alpha[:, 1:]
        else:
            self.intercept_alpha_ = None
        each = self.ard and self.hyperparameters != "fixed"
        shared = not each and np.ndim(self.alpha) == 0
        self.alpha_ = self._per_target(alpha[:, 0] if shared else alpha)
        beta = self.posterior_.noise.precision
        if beta.shape[1] > 1:
            # Of fewer rows than weights, where there may be no noise, the mean is infinite.
            beta = np.exp((self.posterior_.mass * np.log(beta)).sum(axis=1, keepdims=True))
        self.beta_ = self._per_target(self._in_units_of_y(beta[:, 0]))

    def _in_units_of_y(self, precision: np.ndarray) -> np.ndarray:
        """Precisions (..., T); of targets of size 1e200 they underflow to zero."""
        with np.errstate(over="ignore", under="ignore"):
            return precision / self._unit / self._unit

    def _set_coefficients(self) -> None:
        with np.errstate(over="ignore", invalid="ignore"):
            coef, intercept = self._prior.weights(self.posterior_.mean * self._unit[:, None])
        check_weights(coef, self._rows)
        self.coef_, self.intercept_ = self._per_target(coef), self._per_target(intercept)

    def _per_target(self, values: np.ndarray) -> Any:
        """A target's entry where y has one axis: an array, or a float."""
        if self._y_ndim == 2:
            return np.array(values)
        return float(values[0]) if np.ndim(values[0]) == 0 else np.array(values[0])

    def _sample_precisions(
        self, precision: np.ndarray, component: np.ndarray, rng: np.random.Generator
    ) -> dict[str, np.ndarray]:
        if self.hyperparameters != "bayes":
            return {}
        named = {"beta": self._in_units_of_y(precision)}
        if self._log_alpha is not None:
            at = np.arange(self._n_targets), component
            return {**named, "alpha": np.exp(self._log_alpha[at])}
        if self._theta is None:
            return named
        groups = self._prior.groups(self.ard)
        shape = self._alpha_gamma()[0] + 0.5 * np.bincount(groups)
        draws = rng.standard_gamma(shape, size=(len(precision), *self._theta.shape))
        draws *= np.exp(self._theta) / shape
        if self._prior.fit_intercept:
            named["intercept_alpha"], draws = draws[..., 0], draws[..., 1:]
        return {**named, "alpha": draws}
