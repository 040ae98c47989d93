"""Checks that hold any estimator to the contract of this package."""

from skbayes.testing._checks import (
    bayesian_checks_generator,
    check_bayesian_estimator,
    parametrize_with_bayesian_checks,
)

__all__ = [
    "bayesian_checks_generator",
    "check_bayesian_estimator",
    "parametrize_with_bayesian_checks",
]
