"""Checks of what an estimator says of each row: codes of transformers, assignments of mixtures."""

from __future__ import annotations

from typing import Any
from unittest import SkipTest

import numpy as np

from skbayes.testing._problems import (
    N_DRAWS,
    assert_close,
    assert_within_error,
    fitted_problems,
    moments,
    require,
)


def check_codes(name: str, estimator: Any) -> None:
    """``transform`` gives a code a row, whatever the rows beside it."""
    for problem, fitted in fitted_problems(estimator):
        what, X = f"{name}.transform on {problem.name}", problem.X_new
        codes = fitted.transform(X)
        n_codes = len(fitted.get_feature_names_out())
        require(codes.shape == (len(X), n_codes), f"{what}: shape {codes.shape}")
        require(np.isfinite(codes).all(), f"{what}: non-finite numbers")
        alone = np.concatenate([fitted.transform(X[i : i + 1]) for i in range(len(X))])
        assert_close(f"{what}: a row depends on the rows beside it", alone, codes, atol=1e-8)


def check_code_draws_agree(name: str, estimator: Any) -> None:
    """Codes of ``sample_posterior`` have the mean of transform and the std of predict_std."""
    for problem, fitted in fitted_problems(estimator):
        what, X = f"{name}.sample_posterior(X, n) on {problem.name}", problem.X_new
        codes, std = fitted.transform(X), fitted.predict_std(X)
        require(std.shape == codes.shape, f"{name}.predict_std: {std.shape} for {codes.shape}")
        require((std > 0).all(), f"{name}.predict_std on {problem.name}: not positive")
        draws = fitted.sample_posterior(X, N_DRAWS, random_state=17)
        require(draws.shape == (N_DRAWS, *codes.shape), f"{what}: shape {draws.shape}")
        mean, variance, spread = moments(draws)
        assert_within_error(f"{what}: mean", mean, codes, std / np.sqrt(N_DRAWS))
        assert_within_error(f"{what}: variance", variance, std**2, spread / np.sqrt(N_DRAWS))


def check_way_back(name: str, estimator: Any) -> None:
    """``inverse_transform`` of codes is rows, nearer to the data than their mean is."""
    problem, fitted = next(fitted_problems(estimator))
    back = fitted.inverse_transform(fitted.transform(problem.X))
    require(back.shape == problem.X.shape, f"{name}.inverse_transform: shape {back.shape}")
    left = ((problem.X - back) ** 2).sum()
    total = ((problem.X - problem.X.mean(axis=0)) ** 2).sum()
    require(left < total, f"{name}.inverse_transform: codes explain nothing of their rows")


def check_frames(name: str, estimator: Any) -> None:
    """``set_output`` wraps codes in a frame with the names of get_feature_names_out."""
    try:
        import pandas as pd
    except ImportError as error:
        raise SkipTest("pandas is not installed") from error
    problem, fitted = next(fitted_problems(estimator))
    codes = fitted.transform(problem.X_new)
    frame = fitted.set_output(transform="pandas").transform(problem.X_new)
    require(isinstance(frame, pd.DataFrame), f"{name}.transform: {type(frame)} for pandas")
    names = list(fitted.get_feature_names_out())
    require(list(frame.columns) == names, f"{name}: columns {list(frame.columns)}")
    np.testing.assert_array_equal(frame.to_numpy(), codes)


def check_assignments(name: str, estimator: Any) -> None:
    """Assignments have the probabilities of ``predict_proba``; ``predict`` is the largest."""
    for problem, fitted in fitted_problems(estimator):
        what, X = f"{name} on {problem.name}", problem.X_new
        p = fitted.predict_proba(X)
        assert_close(f"{what}: predict_proba does not sum to one", p.sum(axis=1), 1.0)
        require((fitted.predict(X) == p.argmax(axis=1)).all(), f"{what}: predict is not the mode")
        std = fitted.predict_std(X)
        require(std.shape == p.shape, f"{what}: predict_std of shape {std.shape}")
        require(((std >= 0) & (std <= 0.5 + 1e-6)).all(), f"{what}: no std of probabilities")
        draws = fitted.sample_posterior(X, N_DRAWS, random_state=18)
        require(draws.shape == (N_DRAWS, len(X)), f"{what}: assignments {draws.shape}")
        share = (draws[..., None] == np.arange(p.shape[1])).mean(axis=0)
        error = np.sqrt(p * (1 - p) / N_DRAWS) + 1 / N_DRAWS
        assert_within_error(f"{what}: shares of assignments", share, p, error)
