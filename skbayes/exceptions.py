"""Errors and warnings raised by skbayes, each naming what to do next."""

from sklearn.exceptions import ConvergenceWarning

__all__ = [
    "ConvergenceWarning",
    "DivergenceError",
    "EvidenceUnavailableError",
    "EvidenceWarning",
    "IncompatiblePartsError",
    "SkbayesError",
]


class SkbayesError(Exception):
    """Base class of the errors of this package."""


class DivergenceError(SkbayesError, ValueError):
    """An engine met a non-finite objective; the estimator is left unfitted."""


class EvidenceUnavailableError(SkbayesError, ValueError):
    """The engine or the prior gives no evidence; the message names one that does."""


class IncompatiblePartsError(SkbayesError, ValueError):
    """Two parts (engine, prior, likelihood, network) do not fit; raised before any work."""


class EvidenceWarning(UserWarning):
    """An evidence estimate rests on too few effective draws to be relied upon."""
