"""What every estimator is: parts by name, draws from the posterior, an evidence."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skbayes.base._kinds import check_kind
from skbayes.base._predictive import Estimate
from skbayes.exceptions import EvidenceUnavailableError
from skbayes.utils._draws import check_count
from skbayes.utils._logs import MIN_EFFECTIVE_DRAWS
from skbayes.utils._parameters import Parametrised
from skbayes.utils._sklearn import CallbackSupportMixin
from skbayes.utils._threads import LimitsThreads


class BayesianEstimator(LimitsThreads, CallbackSupportMixin, Parametrised):
    """Base of all estimators: parts given by name or object, and a stored evidence.

    A subclass lists in `_registries` the parameters that take a registered name or an
    object, and sets `_log_evidence`, `evidence_kind_` and `evidence_se_` in `fit`.
    """

    evidence_kind_: str | None
    evidence_se_: Any
    _log_evidence: Any
    _evidence_ess: Any

    _instead: ClassVar[dict[str, str]] = dict.fromkeys(
        ("predict_var", "predict_variance"), "its root is predict_std(X)"
    )
    #: What to do where an evidence rests on few draws: of training rows, and of new ones.
    _few_draws_remedies = (
        "use inference='laplace'",
        "score fewer rows at a time, or use log_predictive(X, y)",
    )

    def sample_posterior(
        self, X: Any = None, n_samples: int = 1, random_state: Any = None
    ) -> dict[str, np.ndarray] | np.ndarray:
        """Draw from the posterior: of the parameters, or of what they say of rows.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features), optional
            Rows at which to draw.
        n_samples : int, default=1
            Number of draws.
        random_state : int, RandomState instance or None, default=None
            Equal seeds give equal draws.

        Returns
        -------
        draws : dict of ndarray, or ndarray
            Without X, named parameters, each (n_samples, ...): weights of networks are in
            standardised units, all others in the units of the data. With X, what is unknown
            of each row: function values of regressors (n_samples, n_rows, n_targets), in the
            units of y and without noise; logits of classifiers (n_samples, n_rows,
            n_outputs), one output for two classes; latents of transformers (n_samples,
            n_rows, n_components); components of mixtures (n_samples, n_rows). A
            `BayesianAutoencoder` gives reconstructions, without noise.
        """
        check_is_fitted(self)
        if isinstance(X, Integral):
            raise ValueError(
                f"sample_posterior takes rows first, got X={X!r}; for {X} draws of the parameters "
                f"call sample_posterior(n_samples={X})"
            )
        n_samples = check_count(n_samples)
        if X is None:
            return self._sample_parameters(n_samples, random_state)
        return self._sample_at(X, n_samples, random_state)

    def _sample_parameters(self, n_samples: int, random_state: Any) -> dict[str, np.ndarray]:
        """Draw named parameters (n_samples, ...)."""
        raise NotImplementedError(f"{type(self).__name__} must define _sample_parameters")

    def _sample_at(self, X: Any, n_samples: int, random_state: Any) -> np.ndarray:
        """Draw what is unknown of rows (n_samples, n_rows, ...)."""
        raise NotImplementedError(f"{type(self).__name__} must define _sample_at")

    def _check_kind(self, kind: str) -> None:
        """Refuse a kind of spread that is not known."""
        check_is_fitted(self)
        check_kind(kind)

    def score_evidence(
        self, X: Any = None, y: Any = None, return_std: bool = False
    ) -> float | tuple[float, float]:
        """Compute the log evidence in nats.

        Without data, the log density of the training data given the model and the fitted
        scaler, in the units of the data: the number that `fit` computed by the method in
        ``evidence_kind_``. With data, the log density of new data given the training data,
        joint over rows. Of predictors it is the density of targets given rows, of others
        that of rows. The kind "plugin" (PPCA by maximum likelihood, VAEs) integrates latents
        and not parameters: it rises with every parameter, and must not be compared over
        sizes of a model on training rows.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features), optional
            New rows.
        y : array-like of shape (n_rows,) or (n_rows, n_targets), optional
            Their targets; predictors take both or none of X and y, others ignore y.
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
            If there is no evidence, or a number that rests on fewer than 50 effective draws;
            the message says how to have one.
        """
        check_is_fitted(self)
        self._check_new_data(X, y)
        value, se, ess = self._stored_evidence() if X is None else self._new_evidence(X, y)
        # With fewer, the error may be wrong by as much as the number.
        if not ess >= MIN_EFFECTIVE_DRAWS:
            raise EvidenceUnavailableError(
                f"{few_draws(ess)}; {self._few_draws_remedies[X is not None]}"
            )
        return (value, se) if return_std else value

    def _check_new_data(self, X: Any, y: Any) -> None:
        """Refuse a part of the data that `score_evidence` needs, without the other."""

    def _stored_evidence(self) -> Estimate:
        if self.evidence_kind_ is None:
            raise EvidenceUnavailableError(self._no_evidence())
        return self._log_evidence, self.evidence_se_, self._evidence_ess

    def _no_evidence(self) -> str:
        return (
            f"{type(self).__name__} was fitted without an evidence; use inference='laplace' "
            "or inference='mean_field_vi', or score held-out rows with score_evidence(X, y)"
        )

    def _new_evidence(self, X: Any, y: Any) -> Estimate:
        """Compute the log density of new data."""
        raise NotImplementedError(f"{type(self).__name__} must define _new_evidence")


def few_draws(ess: float) -> str:
    """The beginning of the message where there is no evidence for lack of draws."""
    return (
        f"the evidence rests on {ess:.1f} effective draws, and on fewer than "
        f"{MIN_EFFECTIVE_DRAWS} neither it nor its error can be told"
    )
