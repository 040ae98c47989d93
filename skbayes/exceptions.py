"""Errors and warnings raised by skbayes, each naming what to do next."""

from sklearn.exceptions import ConvergenceWarning

__all__ = [
    "CheckpointError",
    "CheckpointWarning",
    "ConvergenceWarning",
    "DataMismatchError",
    "DivergenceError",
    "DrawsUnavailableError",
    "EvidenceUnavailableError",
    "FileFormatError",
    "IncompatiblePartsError",
    "InsufficientMemoryError",
    "ModuleError",
    "SkbayesError",
    "UntrustedTypeError",
]


class SkbayesError(Exception):
    """Base class of the errors of this package."""


class DivergenceError(SkbayesError, ValueError):
    """An engine met a non-finite objective; the estimator stays as it was."""


class EvidenceUnavailableError(SkbayesError, ValueError):
    """The engine or the prior gives no evidence, or too few draws tell it; names a way to one."""


class IncompatiblePartsError(SkbayesError, ValueError):
    """Two parts (engine, prior, likelihood, network) do not fit; raised before any work."""


class ModuleError(SkbayesError, ValueError):
    """A network's module cannot be used as it is; the message says what to write."""


class DrawsUnavailableError(SkbayesError, ValueError):
    """The engine keeps no chains, or no draws at all; the message names one that does."""


class DataMismatchError(SkbayesError, ValueError):
    """A run was to go on with other data than its own; the estimator is left as it was."""


class CheckpointError(SkbayesError, ValueError):
    """A checkpoint is damaged, held or not this run's; the message names the file."""


class InsufficientMemoryError(SkbayesError, MemoryError):
    """A fit would not find the memory it needs; raised before any work, with what to lower."""


class FileFormatError(SkbayesError, ValueError):
    """A file is damaged, not of this package, or of a newer format."""


class UntrustedTypeError(SkbayesError, TypeError):
    """A file holds types that loading does not build unless told to."""


class CheckpointWarning(UserWarning):
    """A checkpoint's newest files are damaged, its run is under way, or a model lost its folder."""
