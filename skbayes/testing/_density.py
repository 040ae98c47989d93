"""Checks of predictive densities and evidence: normalised, joint, and in the units of y."""

from __future__ import annotations

from typing import Any
from unittest import SkipTest

import numpy as np
from sklearn.base import is_classifier

from skbayes.testing._problems import (
    N_DRAWS,
    assert_close,
    assert_raises,
    assert_within_error,
    epistemic_std,
    evidence,
    fit,
    fitted_problems,
    inverse_count,
    latent_probabilities,
    own_draws,
    require,
    stored_evidence,
)

EVIDENCE_KINDS = ("exact", "laplace", "elbo", "importance", "ais", "smc", "plugin", None)
#: Error of the quadratures; smooth mixtures are integrated far more closely.
QUADRATURE_RTOL = 5e-3
#: Nats that two equal rows should gain by where their joint evidence is checked.
MODERATE_GAIN = 0.2


def _grid(centre: float, std: float, n_points: int) -> tuple[np.ndarray, np.ndarray]:
    """Points to 500 standard deviations, dense in the middle, and their weights."""
    u = np.linspace(-7, 7, n_points)
    return centre + std * np.sinh(u), std * np.cosh(u) * (u[1] - u[0])


def check_density_is_normalised(name: str, estimator: Any) -> None:
    """``log_predictive`` integrates to one, over two targets jointly."""
    for problem, fitted in fitted_problems(estimator):
        row = problem.X_new[:1]
        mean = fitted.predict(row).reshape(-1)
        std = fitted.predict_std(row).reshape(-1)
        n_points = 2001 if len(mean) == 1 else 81
        axes = [_grid(m, s, n_points) for m, s in zip(mean, std, strict=True)]
        points = np.stack(np.meshgrid(*[y for y, _ in axes], indexing="ij"), axis=-1)
        weights = np.prod(np.meshgrid(*[w for _, w in axes], indexing="ij"), axis=0).ravel()
        y = points.reshape(-1, len(mean)) if problem.y.ndim == 2 else points.ravel()
        density = np.exp(fitted.log_predictive(np.repeat(row, len(y), axis=0), y))
        what = f"{name}.log_predictive on {problem.name}: integral over y"
        assert_close(what, density @ weights, 1.0, rtol=QUADRATURE_RTOL)


def check_density_has_the_moments(name: str, estimator: Any) -> None:
    """Mean and variance of the predictive density are predict and predict_std²."""
    problem, fitted = next(fitted_problems(estimator))
    for row in problem.X_new[:, None]:
        mean, std = fitted.predict(row)[0], fitted.predict_std(row)[0]
        y, weights = _grid(mean, std, 2001)
        mass = np.exp(fitted.log_predictive(np.repeat(row, len(y), axis=0), y)) * weights
        what = f"{name}.log_predictive on {problem.name}"
        tolerance = QUADRATURE_RTOL * std
        assert_close(f"{what}: mean of the density", mass @ y, mean, rtol=0, atol=tolerance)
        variance = mass @ (y - mean) ** 2
        assert_close(f"{what}: its variance", variance, std**2, rtol=QUADRATURE_RTOL)


def check_density_is_the_probability(name: str, estimator: Any) -> None:
    """``log_predictive`` of a label is the log of its column in predict_proba."""
    for problem, fitted in fitted_problems(estimator):
        what = f"{name}.log_predictive on {problem.name}"
        p = fitted.predict_proba(problem.X_new)
        for label, column in zip(fitted.classes_, p.T, strict=True):
            labels = np.full(len(column), label)
            density = np.exp(fitted.log_predictive(problem.X_new, labels))
            assert_close(f"{what}: label {label!r}", density, column, atol=1e-7)


def check_evidence_of_one_row(name: str, estimator: Any) -> None:
    """The evidence of one new row is its ``log_predictive``."""
    for problem, fitted in fitted_problems(estimator):
        density = fitted.log_predictive(problem.X_new, problem.y_new)
        require(density.shape == (len(problem.X_new),), f"{name}.log_predictive: {density.shape}")
        for i in range(len(density)):
            row = slice(i, i + 1)
            value, se = evidence(fitted, problem.X_new[row], problem.y_new[row])
            error = se + _density_error(fitted, problem.X_new[row], problem.y_new[row])
            what = f"{name}.score_evidence of one row on {problem.name}"
            assert_within_error(what, value, density[i], error)


def _density_error(fitted: Any, X: np.ndarray, y: np.ndarray) -> float:
    """Standard error of one row's log density from the estimator's own draws."""
    if np.isinf(own_draws(fitted)):
        return 0.0
    # Targets may vary together: the deviation of a sum is at most that of equal terms.
    excess = np.expm1(np.size(y) * _log_gain(fitted, X, y)[0])
    return float(np.sqrt(max(excess, 0.0) / own_draws(fitted)))


def _log_gain(fitted: Any, X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Log E[p²] - 2 log E[p] of each row, p its density under one draw.

    That is what two equal rows gain over the sum of their marginals: exact for classes,
    and for normals with the moments of ``predict_std``.
    """
    epistemic = epistemic_std(fitted, X) ** 2
    if is_classifier(fitted):
        at = np.arange(len(X)), np.searchsorted(fitted.classes_, y)
        return np.log1p(epistemic[at] / fitted.predict_proba(X)[at] ** 2)
    noise = fitted.predict_std(X, "aleatoric") ** 2
    squared_error = (np.asarray(y) - fitted.predict(X)) ** 2
    total, half = epistemic + noise, epistemic + noise / 2
    log_square = -0.5 * (np.log(2 * noise * half) + squared_error / half)
    gain = log_square + np.log(total) + squared_error / total
    return gain.reshape(len(X), -1).sum(axis=1)


def check_evidence_is_joint(name: str, estimator: Any) -> None:
    """Equal new rows support one another: their joint evidence exceeds the sum of marginals.

    By Jensen's inequality, and by a fifth at least of what the variances of
    ``predict_std`` let expect; a product of marginals gains nothing.
    """
    problem, fitted = next(fitted_problems(estimator))
    X, y = problem.X_new, problem.y_new
    if not is_classifier(fitted):
        y = fitted.predict(X) + fitted.predict_std(X)
    due = _log_gain(fitted, X, y)
    # A moderate gain is far from rounding, and from the tails that draws miss.
    i = np.abs(due - MODERATE_GAIN).argmin()
    row, target = X[i : i + 1], y[i : i + 1]
    one = evidence(fitted, row, target)[0]
    two = evidence(fitted, np.repeat(row, 2, axis=0), np.repeat(target, 2, axis=0))[0]
    require(
        two - 2 * one >= 0.2 * due[i] - 1e-4,
        f"{name}.score_evidence: two equal rows gain {two - 2 * one:.4g} nats over the sum of "
        f"their own, where about {due[i]:.4g} are due",
    )


def check_evidence_of_classes(name: str, estimator: Any) -> None:
    """Evidence of several rows is the log of the mean over draws of their product."""
    for problem, fitted in fitted_problems(estimator):
        X, y = problem.X_new, problem.y_new
        product = _label_probabilities(fitted, X, y, seed=15).prod(axis=1)
        value, se = evidence(fitted, X, y)
        error = product.std() / product.mean() * np.sqrt(inverse_count(fitted))
        what = f"{name}.score_evidence of {len(X)} rows on {problem.name}"
        assert_within_error(what, value, np.log(product.mean()), np.hypot(error, se))


def _label_probabilities(fitted: Any, X: np.ndarray, y: np.ndarray, seed: int) -> np.ndarray:
    """Probability (n_draws, n_rows) of each row's label under each posterior draw."""
    p = latent_probabilities(fitted.sample_posterior(X, N_DRAWS, random_state=seed))
    return p[:, np.arange(len(X)), np.searchsorted(fitted.classes_, y)]


def check_stored_evidence(name: str, estimator: Any) -> None:
    """The evidence of the training data is a finite number of a known kind, or refused."""
    for problem, fitted in fitted_problems(estimator):
        what, kind = f"{name}.score_evidence() on {problem.name}", fitted.evidence_kind_
        require(kind in EVIDENCE_KINDS, f"{what}: evidence_kind_={kind!r} is not a known kind")
        if kind is None:
            _check_refusal(what, fitted)
            continue
        stored = stored_evidence(fitted)
        if stored is None:
            raise AssertionError(f"{what}: no evidence in spite of evidence_kind_={kind!r}")
        value, se = stored
        require(np.isfinite(value), f"{what}: {value}")
        require(0 <= se < np.inf, f"{what}: standard error {se}")
        require(value == fitted.score_evidence(), f"{what}: differs from call to call")


def _check_refusal(what: str, fitted: Any) -> None:
    from skbayes.exceptions import EvidenceUnavailableError

    message = assert_raises(what, EvidenceUnavailableError, fitted.score_evidence)
    require("use " in message, f"{what}: the message names no alternative: {message}")


def check_half_given_evidence(name: str, estimator: Any) -> None:
    """``score_evidence`` takes X and y together."""
    problem, fitted = next(fitted_problems(estimator))
    assert_raises(f"{name}.score_evidence(X)", ValueError, fitted.score_evidence, problem.X_new)


def check_target_units(name: str, estimator: Any) -> None:
    """Eight times y, and y plus 64, change predictions and densities as units do.

    Estimators whose prior is stated in the units of y say so by ``scale_targets = False``
    and are let off.
    """
    if not getattr(estimator, "scale_targets", True):
        raise SkipTest(f"{name} declares scale_targets=False")
    for problem, fitted in fitted_problems(estimator):
        for factor, offset in ((8.0, 0.0), (1.0, 64.0)):
            y, y_new = (v * factor + offset for v in (problem.y, problem.y_new))
            other = fit(estimator, problem.X, y)
            what = f"{name} on {problem.name}, {factor:g} y + {offset:g}"
            X, shift = problem.X_new, problem.n_targets * np.log(factor)
            mean, std = fitted.predict(X) * factor + offset, fitted.predict_std(X) * factor
            assert_close(f"{what}: predict", other.predict(X), mean)
            assert_close(f"{what}: predict_std", other.predict_std(X), std)
            density = fitted.log_predictive(X, problem.y_new) - shift
            assert_close(f"{what}: log_predictive", other.log_predictive(X, y_new), density, 1e-4)
            joint = evidence(fitted, X, problem.y_new)[0] - len(X) * shift
            value = evidence(other, X, y_new)[0]
            assert_close(f"{what}: score_evidence(X, y)", value, joint, 1e-4)
            _check_stored_units(what, fitted, other, len(problem.X) * shift)


def _check_stored_units(what: str, fitted: Any, other: Any, shift: float) -> None:
    before, after = stored_evidence(fitted), stored_evidence(other)
    require((before is None) == (after is None), f"{what}: evidence comes and goes with units")
    if before is not None and after is not None:
        assert_close(f"{what}: score_evidence()", after[0], before[0] - shift, 1e-4)
