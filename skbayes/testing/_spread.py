"""Checks of spreads, probabilities, intervals and draws against one another."""

from __future__ import annotations

from typing import Any
from unittest import SkipTest

import numpy as np
from sklearn.base import is_classifier

from skbayes.base._kinds import KINDS
from skbayes.testing._problems import (
    LARGEST_Z,
    N_DRAWS,
    Problem,
    assert_close,
    assert_raises,
    assert_within_error,
    classes,
    epistemic_std,
    fit,
    fitted_problems,
    inverse_count,
    latent_probabilities,
    moments,
    numbers,
    require,
)
from skbayes.utils._logs import LOG_2PI_E

#: Rounding of a variance of probabilities, whose differences cancel near 0 and 1.
ATOL_PROBABILITY = 1e-6


def _spread(fitted: Any, X: np.ndarray) -> dict[str, np.ndarray]:
    std = {kind: fitted.predict_std(X, kind=kind) for kind in ("total", "aleatoric")}
    return {**std, "epistemic": epistemic_std(fitted, X)}


def _centre(fitted: Any, X: np.ndarray) -> np.ndarray:
    """What predict_std is the spread of: numbers, or else probabilities."""
    return fitted.predict_proba(X) if is_classifier(fitted) else fitted.predict(X)


def check_std_kinds(name: str, estimator: Any) -> None:
    """Each kind of spread is finite, non-negative and in the shape of the prediction."""
    for problem, fitted in fitted_problems(estimator):
        what, centre = f"{name}.predict_std on {problem.name}", _centre(fitted, problem.X_new)
        for kind, std in _spread(fitted, problem.X_new).items():
            require(std.shape == centre.shape, f"{what}: shape {std.shape}, not {centre.shape}")
            require(np.isfinite(std).all(), f"{what}: kind={kind!r} holds non-finite numbers")
            require((std >= 0).all(), f"{what}: kind={kind!r} holds negative numbers")
        total = fitted.predict_std(problem.X_new)
        assert_close(f"{what}: default kind", total, fitted.predict_std(problem.X_new, "total"))


def check_unknown_kind(name: str, estimator: Any) -> None:
    """An unknown kind of spread is refused by name."""
    problem, fitted = next(fitted_problems(estimator))
    what = f"{name}.predict_std(X, kind='nonsense')"
    message = assert_raises(what, ValueError, fitted.predict_std, problem.X_new, kind="nonsense")
    require("nonsense" in message, f"{what}: the message does not name the value: {message}")


def check_variances_add(name: str, estimator: Any) -> None:
    """Total variance is epistemic plus aleatoric variance."""
    for problem, fitted in fitted_problems(estimator):
        std = _spread(fitted, problem.X_new)
        what = f"{name}.predict_std on {problem.name}: total² against epistemic² + aleatoric²"
        parts = std["epistemic"] ** 2 + std["aleatoric"] ** 2
        assert_close(what, std["total"] ** 2, parts, atol=_atol(fitted))


def _atol(fitted: Any) -> float:
    return ATOL_PROBABILITY if is_classifier(fitted) else 0.0


def check_return_std(name: str, estimator: Any) -> None:
    """``predict(X, return_std=True)`` is predict and the total spread."""
    for problem, fitted in fitted_problems(estimator):
        what = f"{name}.predict(X, return_std=True) on {problem.name}"
        mean, std = fitted.predict(problem.X_new, return_std=True)
        assert_close(f"{what}: mean", mean, fitted.predict(problem.X_new))
        assert_close(f"{what}: std", std, fitted.predict_std(problem.X_new))


def check_probabilities(name: str, estimator: Any) -> None:
    """Probabilities are a distribution, predict takes the largest, total² is p(1-p)."""
    for problem, fitted in fitted_problems(estimator):
        what, X = f"{name} on {problem.name}", problem.X_new
        p = fitted.predict_proba(X)
        shape = (len(X), len(fitted.classes_))
        require(p.shape == shape, f"{what}: predict_proba has shape {p.shape}, not {shape}")
        require(((p >= 0) & (p <= 1)).all(), f"{what}: probabilities outside [0, 1]")
        assert_close(f"{what}: sums of predict_proba", p.sum(axis=1), np.ones(len(X)))
        best = fitted.classes_[p.argmax(axis=1)]
        np.testing.assert_array_equal(fitted.predict(X), best, f"{what}: predict")
        total = fitted.predict_std(X) ** 2
        assert_close(f"{what}: total² against p(1-p)", total, p * (1 - p), atol=_atol(fitted))


def check_posterior_draws_agree(name: str, estimator: Any) -> None:
    """Predictions and epistemic spread are moments of ``sample_posterior(X, n)``."""
    for problem, fitted in fitted_problems(estimator):
        what, X = f"{name}.sample_posterior(X, n) on {problem.name}", problem.X_new
        draws = fitted.sample_posterior(X, N_DRAWS, random_state=11)
        require(draws.shape[:2] == (N_DRAWS, len(X)), f"{what}: shape {draws.shape}")
        require(draws.ndim == 3, f"{what}: shape {draws.shape} lacks an axis of outputs")
        values = latent_probabilities(draws) if is_classifier(fitted) else draws
        mean, variance, deviation = moments(values)
        root = np.sqrt(inverse_count(fitted))
        centre = _centre(fitted, X).reshape(mean.shape)
        epistemic = epistemic_std(fitted, X).reshape(mean.shape)
        assert_within_error(f"{what}: mean", centre, mean, np.sqrt(variance) * root)
        assert_within_error(f"{what}: variance", epistemic**2, variance, deviation * root)


def check_target_draws_agree(name: str, estimator: Any) -> None:
    """Predictions and total spread are moments of ``sample_y(X, n)``, draws first."""
    for problem, fitted in fitted_problems(estimator):
        what, X = f"{name}.sample_y on {problem.name}", problem.X_new
        draws = fitted.sample_y(X, N_DRAWS, random_state=11)
        shape = (N_DRAWS, *fitted.predict(X).shape)
        require(draws.shape == shape, f"{what}: shape {draws.shape}, not {shape}")
        if is_classifier(fitted):
            _check_frequencies(what, fitted, X, draws)
            continue
        mean, variance, deviation = moments(draws)
        root = np.sqrt(inverse_count(fitted))
        total = fitted.predict_std(X) ** 2
        assert_within_error(f"{what}: mean", fitted.predict(X), mean, np.sqrt(variance) * root)
        assert_within_error(f"{what}: variance", total, variance, deviation * root)


def _check_frequencies(what: str, fitted: Any, X: np.ndarray, draws: np.ndarray) -> None:
    require(np.isin(draws, fitted.classes_).all(), f"{what}: draws outside classes_")
    share = (draws[:, :, None] == fitted.classes_).mean(axis=0)
    p = fitted.predict_proba(X)
    assert_within_error(f"{what}: frequencies", share, p, _binomial_error(fitted, p))


def _binomial_error(fitted: Any, p: np.ndarray | float) -> np.ndarray:
    """Standard error of a frequency, with room for the few counts of a rare event."""
    inverse = inverse_count(fitted)
    return np.sqrt((p * (1 - p) + LARGEST_Z * inverse) * inverse)


def check_intervals(name: str, estimator: Any) -> None:
    """Intervals have the right shape, are nested, and miss equally often on both sides."""
    for problem, fitted in fitted_problems(estimator):
        what, X = f"{name}.predict_interval on {problem.name}", problem.X_new
        draws = fitted.sample_y(X, N_DRAWS, random_state=12)
        wide, narrow = (fitted.predict_interval(X, coverage=c) for c in (0.9, 0.5))
        _check_interval(f"{what}, coverage 90%", fitted, wide, draws, 0.05)
        _check_interval(f"{what}, coverage 50%", fitted, narrow, draws, 0.25)
        inside = (wide[..., 0] < narrow[..., 0]) & (narrow[..., 1] < wide[..., 1])
        require(inside.all(), f"{what}: 50% intervals reach outside 90% intervals")


def _check_interval(
    what: str, fitted: Any, interval: np.ndarray, draws: np.ndarray, tail: float
) -> None:
    shape = (*draws.shape[1:], 2)
    require(interval.shape == shape, f"{what}: shape {interval.shape}, not {shape}")
    low, high = interval[..., 0], interval[..., 1]
    require((low < high).all(), f"{what}: bounds out of order")
    error, expected = _binomial_error(fitted, tail), np.full(shape[:-1], tail)
    assert_within_error(f"{what}: draws below", (draws < low).mean(axis=0), expected, error)
    assert_within_error(f"{what}: draws above", (draws > high).mean(axis=0), expected, error)


def check_quantiles(name: str, estimator: Any) -> None:
    """Quantiles rise, are the ends of intervals, and take one level or several."""
    for problem, fitted in fitted_problems(estimator):
        what, X = f"{name}.predict_quantiles on {problem.name}", problem.X_new
        found, interval = (
            fitted.predict_quantiles(X, [0.05, 0.5, 0.95]),
            fitted.predict_interval(X, coverage=[0.9, 0.5]),
        )
        shape = (*fitted.predict(X).shape, 3)
        require(found.shape == shape, f"{what}: shape {found.shape}, not {shape}")
        require((np.diff(found, axis=-1) > 0).all(), f"{what}: they do not rise")
        shape = (*shape[:-1], 2, 2)
        require(interval.shape == shape, f"{what}: intervals of two coverages {interval.shape}")
        assert_close(f"{what}: ends of intervals", interval[..., 0, :], found[..., [0, 2]])
        one = fitted.predict_quantiles(X, 0.5)
        assert_close(f"{what}: one level", one, found[..., 1])


def check_coverage_is_validated(name: str, estimator: Any) -> None:
    """A coverage outside (0, 1) is refused by its value."""
    problem, fitted = next(fitted_problems(estimator))
    for coverage in (0.0, 1.0, 1.5):
        what = f"{name}.predict_interval(X, coverage={coverage})"
        message = assert_raises(
            what, ValueError, fitted.predict_interval, problem.X_new, coverage=coverage
        )
        require(str(coverage) in message, f"{what}: the message does not name the value: {message}")


def check_uncertainty_report(name: str, estimator: Any) -> None:
    """``predict_uncertainty`` agrees with ``predict_std``, and its entropies are possible."""
    for problem, fitted in fitted_problems(estimator):
        what, X = f"{name}.predict_uncertainty on {problem.name}", problem.X_new
        report, std = fitted.predict_uncertainty(X), _spread(fitted, X)
        for kind in KINDS:
            expected = std[kind]
            if is_classifier(fitted):
                expected = np.sqrt((expected**2).sum(axis=1))
            assert_close(f"{what}: {kind}", report[kind], expected, atol=_atol(fitted))
        for field in ("entropy", "mutual_information"):
            shape = report[field].shape
            require(shape == (len(X),), f"{what}: {field} has shape {shape}, not {(len(X),)}")
            require(np.isfinite(report[field]).all(), f"{what}: {field} is not finite")
        require((report.mutual_information >= 0).all(), f"{what}: negative mutual information")
        _check_entropies(what, fitted, X, report)


def _check_entropies(what: str, fitted: Any, X: np.ndarray, report: Any) -> None:
    if not is_classifier(fitted):
        variance = fitted.predict_std(X).reshape(len(X), -1) ** 2
        largest = 0.5 * (LOG_2PI_E + np.log(variance)).sum(axis=1)
        require(
            (report.entropy <= largest + 1e-4).all(),
            f"{what}: more entropy than a normal of that variance",
        )
        return
    entropy = _entropy(fitted.predict_proba(X))
    assert_close(f"{what}: entropy", report.entropy, entropy, atol=ATOL_PROBABILITY)
    p = latent_probabilities(fitted.sample_posterior(X, N_DRAWS, random_state=13))
    information = _entropy(p.mean(axis=0)) - _entropy(p).mean(axis=0)
    # Influence of one draw on the difference of the two entropies.
    influence = _entropy(p) + (p * np.log(np.maximum(p.mean(axis=0), 1e-300))).sum(axis=-1)
    error = influence.std(axis=0) * np.sqrt(inverse_count(fitted)) + ATOL_PROBABILITY
    what = f"{what}: mutual_information"
    assert_within_error(what, report.mutual_information, information, error)


def _entropy(p: np.ndarray) -> np.ndarray:
    return -(p * np.log(np.maximum(p, 1e-300))).sum(axis=-1)


def check_epistemic_falls_with_data(name: str, estimator: Any) -> None:
    """Sixteen times the rows leave less epistemic variance, averaged over rows.

    Engines that declare ``consistent = False`` are let off.
    """
    make = classes if is_classifier(estimator) else numbers
    averages = []
    for n_rows in (32, 512):
        problem: Problem = make(n_rows=n_rows)
        fitted = fit(estimator, problem.X, problem.y)
        if not getattr(getattr(fitted, "inference_", fitted), "consistent", True):
            raise SkipTest(f"{name} declares itself not consistent")
        averages.append(float((epistemic_std(fitted, problem.X[:32]) ** 2).mean()))
    few, many = averages
    require(
        many < few,
        f"{name}: epistemic variance goes from {few:.3g} at 32 rows to {many:.3g} at 512; "
        "an estimator whose spread need not vanish declares consistent = False",
    )
