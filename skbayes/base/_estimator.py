"""The contract that every estimator keeps: parts by name, evidence, posterior draws."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skbayes.exceptions import EvidenceUnavailableError
from skbayes.utils._logs import MIN_EFFECTIVE_DRAWS
from skbayes.utils._parameters import Parametrised
from skbayes.utils._sklearn import CallbackSupportMixin
from skbayes.utils._threads import LimitsThreads


class BayesianEstimator(LimitsThreads, CallbackSupportMixin, Parametrised):
    """Base of all estimators: parts given by name or object, and a stored evidence.

    A subclass lists in `_registries` the parameters that take a registered name or an
    object, and sets `_log_evidence`, `evidence_kind_` and `evidence_se_` in `fit`.
    """

    _instead: ClassVar[dict[str, str]] = dict.fromkeys(
        ("predict_var", "predict_variance"), "its root is predict_std(X)"
    )
    #: What to do where an evidence rests on few draws: of training rows, and of new ones.
    _few_draws_remedies = (
        "use inference='laplace'",
        "score fewer rows at a time, or use log_predictive(X, y)",
    )

    def score_evidence(
        self, X: Any = None, y: Any = None, return_std: bool = False
    ) -> float | tuple[float, float]:
        """Log evidence in nats.

        Without data, log p(training y | training X, model, fitted scaler), in the units of
        y, the number that `fit` computed by the method in `evidence_kind_`. With data,
        log p(y | X, training data, model), joint over rows.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features), optional
            Rows; both or none of X and y.
        y : array-like of shape (n_rows,) or (n_rows, n_targets), optional
            Their targets.
        return_std : bool, default=False
            Return the standard error of the estimate as well.

        Returns
        -------
        log_evidence : float
        std_error : float
            Only with ``return_std=True``.

        Raises
        ------
        EvidenceUnavailableError
            If the engine has no evidence, or a number that rests on fewer than 50 effective
            draws; the message says how to have one.
        """
        check_is_fitted(self)
        if (X is None) != (y is None):
            raise ValueError(
                "score_evidence takes both X and y, or neither: score_evidence() is that of the "
                "training rows, score_evidence(X, y) that of new ones"
            )
        return self._report_evidence(X, y, return_std)

    def _report_evidence(self, X: Any, y: Any, return_std: bool) -> float | tuple[float, float]:
        """What `score_evidence` returns: the evidence of the training rows, or of new ones."""
        value, se, ess = self._stored_evidence() if X is None else self._new_evidence(X, y)
        # With fewer, the error may be wrong by as much as the number.
        if not ess >= MIN_EFFECTIVE_DRAWS:
            raise EvidenceUnavailableError(
                f"{few_draws(ess)}; {self._few_draws_remedies[X is not None]}"
            )
        return (value, se) if return_std else value

    def _stored_evidence(self) -> tuple[float, float, float]:
        if self.evidence_kind_ is None:  # type: ignore[attr-defined]
            raise EvidenceUnavailableError(self._no_evidence())
        return self._log_evidence, self.evidence_se_, self._evidence_ess  # type: ignore[attr-defined]

    def _no_evidence(self) -> str:
        return (
            f"{type(self).__name__} was fitted without an evidence; use inference='laplace' "
            "or inference='mean_field_vi', or score held-out rows with score_evidence(X, y)"
        )

    def _new_evidence(self, X: Any, y: Any) -> tuple[float, float, float]:
        raise NotImplementedError(f"{type(self).__name__} must define _new_evidence")


def few_draws(ess: float) -> str:
    """The beginning of the message where there is no evidence for lack of draws."""
    return (
        f"the evidence rests on {ess:.1f} effective draws, and on fewer than "
        f"{MIN_EFFECTIVE_DRAWS} neither it nor its error can be told"
    )


class RowDensity(BayesianEstimator):
    """Base of estimators that learn a density of rows, without targets.

    A subclass has `score_samples`; where its parameters are integrated, it defines
    `_new_evidence` as well, for rows share their unknowns.
    """

    _few_draws_remedies = (
        "fit with more draws",
        "score fewer rows at a time, or use score_samples(X)",
    )

    def score(self, X: Any, y: Any = None) -> float:
        """Mean log density of rows.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows.
        y : Ignored
            Present by convention.

        Returns
        -------
        score : float
            Mean of `score_samples`, in nats a row.
        """
        return float(self.score_samples(X).mean())  # type: ignore[attr-defined]

    def score_evidence(
        self, X: Any = None, y: Any = None, return_std: bool = False
    ) -> float | tuple[float, float]:
        """Log evidence in nats.

        Without data, log p(training rows | model), the number that `fit` computed by the
        method in `evidence_kind_`. With data, log p(X | training rows, model), joint over
        rows.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features), optional
            New rows.
        y : Ignored
            Present by convention.
        return_std : bool, default=False
            Return the standard error of the estimate as well.

        Returns
        -------
        log_evidence : float
        std_error : float
            Only with ``return_std=True``.

        Raises
        ------
        EvidenceUnavailableError
            If no evidence was computed, or one that rests on fewer than 50 effective draws;
            the message says how to have one.
        """
        check_is_fitted(self)
        return self._report_evidence(X, None, return_std)

    def _new_evidence(self, X: Any, y: Any) -> tuple[float, float, float]:
        """The density given the fitted parameters, where rows are independent."""
        return float(self.score_samples(X).sum(dtype=np.float64)), 0.0, np.inf  # type: ignore[attr-defined]


def as_float(value: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Cast to the caller's dtype unless numbers would overflow in it."""
    if dtype == np.float32 and np.abs(value).max(initial=0) >= np.finfo(np.float32).max:
        return value
    return value.astype(dtype, copy=False)
