"""Checks that hold an estimator to the contract of this package.

Each check is a function ``(name, estimator)`` that fits copies of the estimator to small
made data and raises AssertionError where a promise is broken. The lists below say which
estimators a check is for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any
from unittest import SkipTest

from sklearn.base import is_classifier
from sklearn.exceptions import EstimatorCheckFailedWarning
from sklearn.utils.validation import has_fit_parameter

from skbayes.testing import _density as density
from skbayes.testing import _file_checks as files
from skbayes.testing import _latents as latents
from skbayes.testing import _row_checks as rows
from skbayes.testing import _spread as spread
from skbayes.testing import _state as state
from skbayes.testing._problems import is_predictor
from skbayes.utils._warnings import warn

__all__ = [
    "bayesian_checks_generator",
    "check_bayesian_estimator",
    "parametrize_with_bayesian_checks",
]

Check = partial[None]

PREDICTOR_CHECKS: list[Callable[[str, Any], None]] = [
    state.check_verbs_exist,
    state.check_unfitted_is_refused,
    state.check_predictions_leave_state,
    state.check_data_are_left_alone,
    state.check_rows_stand_alone,
    state.check_fit_reproduces,
    state.check_draws_follow_the_seed,
    state.check_named_draws,
    state.check_draw_counts,
    state.check_refused_fit,
    state.check_pickle,
    state.check_global_state_untouched,
    files.check_saved_bits,
    spread.check_std_kinds,
    spread.check_unknown_kind,
    spread.check_variances_add,
    spread.check_posterior_draws_agree,
    spread.check_target_draws_agree,
    spread.check_uncertainty_report,
    spread.check_epistemic_falls_with_data,
    density.check_evidence_of_one_row,
    density.check_evidence_is_joint,
    density.check_stored_evidence,
    density.check_half_given_evidence,
]
REGRESSOR_CHECKS: list[Callable[[str, Any], None]] = [
    spread.check_return_std,
    spread.check_intervals,
    spread.check_coverage_is_validated,
    spread.check_quantiles,
    density.check_density_is_normalised,
    density.check_density_has_the_moments,
    density.check_target_units,
]
CLASSIFIER_CHECKS: list[Callable[[str, Any], None]] = [
    spread.check_probabilities,
    density.check_density_is_the_probability,
    density.check_evidence_of_classes,
]
ROW_CHECKS: list[Callable[[str, Any], None]] = [
    state.check_row_verbs_exist,
    state.check_unfitted_is_refused,
    state.check_predictions_leave_state,
    state.check_data_are_left_alone,
    state.check_rows_stand_alone,
    state.check_fit_reproduces,
    state.check_named_draws,
    state.check_refused_fit,
    state.check_pickle,
    state.check_global_state_untouched,
    rows.check_posterior_draws,
    rows.check_no_rows_kept,
    files.check_saved_bits,
    rows.check_single_precision,
    density.check_stored_evidence,
]
DENSITY_CHECKS: list[Callable[[str, Any], None]] = [
    rows.check_scores,
    rows.check_new_rows,
    rows.check_draws_have_the_density,
    rows.check_row_units,
    rows.check_row_evidence,
]
TRANSFORMER_CHECKS: list[Callable[[str, Any], None]] = [
    latents.check_codes,
    latents.check_way_back,
    latents.check_frames,
]
CODE_DRAW_CHECKS: list[Callable[[str, Any], None]] = [latents.check_code_draws_agree]
RECONSTRUCTION_CHECKS: list[Callable[[str, Any], None]] = [
    spread.check_std_kinds,
    spread.check_unknown_kind,
    spread.check_variances_add,
    spread.check_posterior_draws_agree,
]
MIXTURE_CHECKS: list[Callable[[str, Any], None]] = [latents.check_assignments]
WEIGHT_CHECKS: list[Callable[[str, Any], None]] = [state.check_weights_repeat_rows]


def bayesian_checks_generator(estimator: Any) -> Iterator[tuple[Any, Check]]:
    """Yield the estimator with each check that applies to it.

    Parameters
    ----------
    estimator : estimator instance
        A regressor, classifier, density estimator or transformer.

    Yields
    ------
    estimator : estimator instance
    check : callable
        Called with the estimator; raises AssertionError where the contract is broken,
        and unittest.SkipTest where the estimator declares itself excused.

    Examples
    --------
    >>> from skbayes import BayesianMLPRegressor
    >>> from skbayes.testing._checks import bayesian_checks_generator
    >>> for estimator, check in bayesian_checks_generator(BayesianMLPRegressor()):
    ...     print(check.func.__name__)
    ...     break
    check_verbs_exist
    """
    if isinstance(estimator, type) or not (is_predictor(estimator) or _is_row_model(estimator)):
        raise TypeError(
            f"the contract's checks take an instance of a regressor, classifier, density "
            f"estimator (score_samples) or transformer (inverse_transform), got {estimator!r}"
        )
    checks = _predictor_checks(estimator) if is_predictor(estimator) else _row_checks(estimator)
    if has_fit_parameter(estimator, "sample_weight"):
        checks = checks + WEIGHT_CHECKS
    for check in checks:
        yield estimator, partial(check, type(estimator).__name__)


def _is_row_model(estimator: Any) -> bool:
    return hasattr(estimator, "score_samples") or hasattr(estimator, "inverse_transform")


def _predictor_checks(estimator: Any) -> list[Callable[[str, Any], None]]:
    own = CLASSIFIER_CHECKS if is_classifier(estimator) else REGRESSOR_CHECKS
    return PREDICTOR_CHECKS + own


def _row_checks(estimator: Any) -> list[Callable[[str, Any], None]]:
    """Checks of a model of rows, by what it offers.

    Spreads and draws are of rows where a transformer predicts those, else of codes.
    """
    mixture = hasattr(estimator, "predict_proba")
    rebuilds = hasattr(estimator, "predict") and not mixture
    codes = TRANSFORMER_CHECKS + (RECONSTRUCTION_CHECKS if rebuilds else CODE_DRAW_CHECKS)
    offers = {
        "score_samples": DENSITY_CHECKS,
        # Responsibilities have no way back, and draws beside them are components.
        "transform": [latents.check_codes, latents.check_frames] if mixture else codes,
        "predict_proba": MIXTURE_CHECKS,
    }
    return ROW_CHECKS + [
        check for verb, own in offers.items() if hasattr(estimator, verb) for check in own
    ]


def check_bayesian_estimator(
    estimator: Any, *, on_fail: str | None = "raise"
) -> list[dict[str, Any]]:
    """Hold an estimator to the contract of this package, statistically.

    Spreads must agree with draws, variances add, densities integrate to one, evidence be
    joint and in the units of the data, seeds reproduce, predictions leave no trace. An
    estimator that learns no targets is held to what it offers: densities and new rows
    (``score_samples``), codes (``transform``), assignments (``predict_proba``). The
    estimator needs no base class: the methods are enough. Comparisons of random numbers
    allow five standard errors, from the numbers of draws on both sides.

    An estimator may declare facts that a check needs, as attributes:

    - ``n_predictive_samples``: draws behind its predictions, if they are Monte Carlo;
      predictions and densities of one fit rest on the same draws;
    - ``consistent = False``, on itself or its fitted ``inference_``: more data need not
      shrink its epistemic variance;
    - ``scale_targets = False``: its prior is stated in the units of y;
    - ``scale_free = False``: a density whose prior is stated in the units of X.

    Rows to learn suit its tags: with ``allow_nan`` some values are missing, with
    ``categorical`` they are counts.

    Passing is necessary, not sufficient: nothing here asks whether the posterior is the
    right one.

    Parameters
    ----------
    estimator : estimator instance
        Unfitted. Some twenty copies are fitted, most of them to 64 rows, so give
        it a quick configuration.
    on_fail : {"raise", "warn"} or None, default="raise"
        Raise the first failure, warn of each, or only record them.

    Returns
    -------
    results : list of dict
        One a check: ``check_name``, ``status`` ("passed", "failed" or "skipped") and
        ``exception`` (None where it passed).

    Raises
    ------
    AssertionError
        If a check fails and ``on_fail="raise"``.

    See Also
    --------
    parametrize_with_bayesian_checks : The same as one pytest test a check.

    Examples
    --------
    >>> from skbayes import BayesianMLPRegressor
    >>> from skbayes.inference import Laplace
    >>> from skbayes.testing._checks import check_bayesian_estimator
    >>> reg = BayesianMLPRegressor(hidden_layer_sizes=(3,), inference=Laplace(max_iter=30))
    >>> results = check_bayesian_estimator(reg)
    >>> {result["status"] for result in results}
    {'passed'}
    """
    if on_fail not in ("raise", "warn", None):
        raise ValueError(f"on_fail={on_fail!r} is not known; use 'raise', 'warn' or None")
    results = []
    for checked, check in bayesian_checks_generator(estimator):
        name = check.func.__name__
        status, exception = _run(check, checked, reraise=on_fail == "raise")
        if status == "failed" and on_fail == "warn":
            warn(_warning(estimator, name, exception))
        results.append({"check_name": name, "status": status, "exception": exception})
    return results


def _warning(estimator: Any, name: str, exception: Any) -> EstimatorCheckFailedWarning:
    return EstimatorCheckFailedWarning(
        estimator=estimator,
        check_name=name,
        exception=exception,
        status="failed",
        expected_to_fail=False,
        expected_to_fail_reason="",
    )


def _run(check: Check, estimator: Any, reraise: bool) -> tuple[str, BaseException | None]:
    try:
        check(estimator)
    except SkipTest as excuse:
        return "skipped", excuse
    except Exception as failure:
        if reraise:
            raise
        return "failed", failure
    return "passed", None


def parametrize_with_bayesian_checks(estimators: Iterable[Any]) -> Any:
    """Pytest decorator: one test for each estimator and check.

    Parameters
    ----------
    estimators : iterable of estimator
        Instances, one or more.

    Returns
    -------
    decorator : pytest.mark.parametrize
        Of a test with the arguments ``estimator`` and ``check``.

    See Also
    --------
    check_bayesian_estimator : All checks of one estimator by one call.

    Examples
    --------
    >>> from skbayes import BayesianMLPRegressor
    >>> from skbayes.testing._checks import parametrize_with_bayesian_checks
    >>> @parametrize_with_bayesian_checks([BayesianMLPRegressor(inference="laplace")])
    ... def test_contract(estimator, check):
    ...     check(estimator)
    """
    import pytest

    cases = [
        pytest.param(estimator, check, id=f"{estimator!r}-{check.func.__name__}")
        for each in estimators
        for estimator, check in bayesian_checks_generator(each)
    ]
    return pytest.mark.parametrize(("estimator", "check"), cases)
