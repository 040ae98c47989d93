"""Saving and loading of fitted estimators without pickle.

A file is a skops archive with one more member that names the format and the versions of
the libraries that wrote it. Loading builds only types of a fixed list, so that a file
cannot run code; it is no shield against a file made to exhaust memory.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Iterable, Iterator
from inspect import isfunction
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy
import sklearn.metrics
import skops.io
import torch
from skops.io.exceptions import UntrustedTypesFoundException

from skbayes import __version__
from skbayes.autoencoder import (
    CORRUPTIONS,
    OBJECTIVES,
    AutoencoderTransformer,
    BayesianAutoencoder,
    SemiSupervisedVAEClassifier,
    VAETransformer,
)
from skbayes.autoencoder._columns import COLUMN_KINDS
from skbayes.autoencoder._context import Context
from skbayes.autoencoder._table import Table
from skbayes.conjugate import FAMILIES, ConjugateDensity
from skbayes.data._scaling import Standardizer
from skbayes.decomposition import PPCA
from skbayes.exceptions import CheckpointWarning, FileFormatError, UntrustedTypeError
from skbayes.inference import INFERENCES, Inference
from skbayes.latent import LATENT_PRIORS
from skbayes.likelihoods import LIKELIHOODS, ROW_LIKELIHOODS
from skbayes.linear_model import BayesianLinearRegression, BayesianLogisticRegression
from skbayes.linear_model._conjugate import LinearPosterior
from skbayes.linear_model._logit_posterior import DrawnLogits, NormalLogits
from skbayes.linear_model._noise import GammaNoise, KnownNoise
from skbayes.linear_model._prior import WeightPrior
from skbayes.linear_model._rows import RowFactor
from skbayes.mixture import VariationalGMM
from skbayes.networks import NETWORKS
from skbayes.neural_network import BayesianMLPClassifier, BayesianMLPRegressor
from skbayes.posteriors import (
    DenseFactor,
    DiagonalFactor,
    DropoutPosterior,
    GaussianPosterior,
    KroneckerFactor,
    ParticlePosterior,
)
from skbayes.priors import PRIORS, EmpiricalBayes, Optimized, Pretrained
from skbayes.training import TRAININGS, Training
from skbayes.utils._files import replaced
from skbayes.utils._warnings import warn

__all__ = ["FORMAT", "TRUSTED", "load", "save"]

#: Number of the layout of fitted state; raised when older releases cannot read it.
FORMAT = 1
_MEMBER = "skbayes.json"

_CLASSES: tuple[type, ...] = (
    BayesianLinearRegression,
    BayesianLogisticRegression,
    BayesianMLPClassifier,
    BayesianMLPRegressor,
    VariationalGMM,
    ConjugateDensity,
    PPCA,
    SemiSupervisedVAEClassifier,
    AutoencoderTransformer,
    VAETransformer,
    BayesianAutoencoder,
    *NETWORKS.values(),
    *OBJECTIVES.values(),
    *LATENT_PRIORS.values(),
    *CORRUPTIONS.values(),
    *TRAININGS.values(),
    *FAMILIES.values(),
    *INFERENCES.values(),
    *PRIORS.values(),
    EmpiricalBayes,
    Optimized,
    Pretrained,
    *LIKELIHOODS.values(),
    *COLUMN_KINDS.values(),
    Context,
    *ROW_LIKELIHOODS.values(),
    DenseFactor,
    DiagonalFactor,
    DrawnLogits,
    DropoutPosterior,
    GammaNoise,
    GaussianPosterior,
    KnownNoise,
    KroneckerFactor,
    LinearPosterior,
    NormalLogits,
    ParticlePosterior,
    RowFactor,
    Standardizer,
    Table,
    WeightPrior,
)
#: What ``checkpoint=Path(...)`` is, by system.
_PATHS = ("pathlib.PosixPath", "pathlib.WindowsPath")
#: Plain parts of scikit-learn's search objects, which skops does not trust by itself.
_SCIKIT_LEARN = (
    "sklearn.metrics._scorer._PassthroughScorer",
    "sklearn.metrics._scorer._Scorer",
    "sklearn.model_selection._split.KFold",
    "sklearn.model_selection._split.StratifiedKFold",
)
#: The functions that scorers hold (``scoring="r2"`` of a search object).
_METRICS = (getattr(sklearn.metrics, name) for name in sklearn.metrics.__all__)
#: Names of the types that `load` builds, beside those that skops trusts.
TRUSTED: tuple[str, ...] = (
    *sorted(f"{kind.__module__}.{kind.__qualname__}" for kind in _CLASSES),
    *_PATHS,
    *_SCIKIT_LEARN,
    *sorted(f"{f.__module__}.{f.__name__}" for f in _METRICS if isfunction(f)),
)


def save(estimator: Any, path: str | os.PathLike) -> None:
    """Write a fitted estimator to a file, all of it or nothing.

    Parameters
    ----------
    estimator : estimator
        An skbayes estimator, or a scikit-learn Pipeline or search object around one.
    path : str or path-like
        An existing file is replaced once the new one is complete, and keeps its mode. Several
        threads or processes may write to one path: one of their files stays.

    See Also
    --------
    load : Read it back.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from sklearn.datasets import load_iris
    >>> from skbayes import BayesianMLPClassifier, io
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = BayesianMLPClassifier((), inference="laplace", random_state=0).fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     io.save(clf, pathlib.Path(folder) / "iris.skbayes")
    ...     again = io.load(pathlib.Path(folder) / "iris.skbayes")
    >>> bool((again.predict_proba(X) == clf.predict_proba(X)).all())
    True
    """
    with replaced(path) as file:
        skops.io.dump(estimator, file)
        with zipfile.ZipFile(file, "a") as archive:
            archive.writestr(_MEMBER, json.dumps({**_header(), "sha256": _hash(archive)}))


def _hash(archive: zipfile.ZipFile) -> str:
    """SHA-256 of an archive's members, so that none is lost, swapped or edited unnoticed."""
    hasher = hashlib.sha256()
    for name in sorted(set(archive.namelist()) - {_MEMBER}):
        hasher.update(f"{name}\n".encode() + hashlib.sha256(archive.read(name)).digest())
    return hasher.hexdigest()


def _header() -> dict[str, Any]:
    versions = {
        "skbayes": __version__,
        "scikit-learn": sklearn.__version__,
        "torch": str(torch.__version__),
        "numpy": numpy.__version__,
    }
    return {"format": FORMAT, "versions": versions}


def load(path: str | os.PathLike, trusted: Iterable[str] = ()) -> Any:
    """Read an estimator written by `save`; runs no code from the file.

    Parameters
    ----------
    path : str or path-like
        The file.
    trusted : iterable of str
        Full names of further types to build, such as those of a pipeline's own steps.

    Returns
    -------
    estimator : estimator
        As it was saved: its predictions are the same bits. Only folders of checkpoints are
        left out (``checkpoint`` is None), for a file must not decide where a later `fit` or
        `extend` writes.

    Raises
    ------
    FileFormatError
        If the file is damaged, was not written by `save`, or by a newer release.
    UntrustedTypeError
        If the file holds types outside `TRUSTED` and ``trusted``; the message names them.

    Warns
    -----
    UserWarning
        If another release of skbayes wrote the file.
    CheckpointWarning
        If a folder of checkpoints was left out.

    Examples
    --------
    >>> from skbayes import io
    >>> "skbayes.neural_network._mlp.BayesianMLPClassifier" in io.TRUSTED
    True
    """
    path = Path(path)
    content = path.read_bytes()
    header = _read_header(path, content)
    known = [*TRUSTED, *trusted]
    try:
        estimator = skops.io.loads(content, trusted=known)
    except UntrustedTypesFoundException as error:
        foreign = sorted(set(skops.io.get_untrusted_types(data=content)) - set(known))
        raise UntrustedTypeError(
            f"{path} holds types that skbayes does not trust: {foreign}. If you know where the "
            f"file comes from, load(path, trusted={foreign})"
        ) from error
    except ImportError:  # a trusted type whose module is not here
        raise
    except Exception as error:  # damage makes all kinds of errors
        raise _damaged(path, error) from error
    writer = header["versions"]["skbayes"]
    if writer != __version__:
        warn(
            f"{path} was written by skbayes {writer}, and this is {__version__}: predictions may "
            "differ; save the estimator again to be rid of this warning",
        )
    writers = list(_with_checkpoints(estimator, set()))
    if writers:
        warn(
            f"{path} names folders of checkpoints, {sorted({str(w.checkpoint) for w in writers})}, "
            "which load leaves out; set the parameter checkpoint again to keep files of further "
            "runs",
            CheckpointWarning,
        )
    for writer in writers:
        writer.checkpoint = None
    return estimator


def _with_checkpoints(value: Any, seen: set[int]) -> Iterator[Any]:
    """Engines and trainings in an object that would write checkpoints."""
    if id(value) in seen or isinstance(value, type):
        return
    seen.add(id(value))
    if isinstance(value, Inference | Training) and getattr(value, "checkpoint", None):
        yield value
    if isinstance(value, dict):
        value = value.values()
    elif hasattr(value, "__dict__"):
        value = vars(value).values()
    elif not isinstance(value, list | tuple):
        return
    for inner in value:
        yield from _with_checkpoints(inner, seen)


def _read_header(path: Path, content: bytes) -> dict[str, Any]:
    """The header; a damaged file, a foreign one, and one of a newer format are refused by name."""
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            if _MEMBER not in archive.namelist():
                raise FileFormatError(
                    f"{path} was not written by skbayes.io.save; read it with the library that "
                    "wrote it"
                )
            header = json.loads(archive.read(_MEMBER))
            sound = header.get("sha256") == _hash(archive)
        number, writer = int(header["format"]), header["versions"]["skbayes"]
        if not isinstance(writer, str):
            raise TypeError(f"its release is {writer!r}")
    except FileFormatError:
        raise
    except Exception as error:  # damage makes all kinds of errors
        raise _damaged(path, error) from error
    if number > FORMAT:
        raise FileFormatError(
            f"{path} has format {number}, written by skbayes {writer}, but skbayes "
            f"{__version__} reads formats up to {FORMAT}; upgrade skbayes to load it"
        )
    if not sound:
        raise _damaged(path, "its SHA-256 is not the one written in it")
    return header


def _damaged(path: Path, why: object) -> FileFormatError:
    return FileFormatError(
        f"{path} is damaged or no skbayes file ({why}); save the estimator again"
    )
