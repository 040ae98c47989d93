"""Saving and loading of fitted estimators without pickle.

A file is a skops archive with one more member that names the format and the versions of
the libraries that wrote it. Loading builds only types of a fixed list, so that a file
cannot run code; it is no shield against a file made to exhaust memory.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import zipfile
from collections.abc import Iterable, Iterator
from importlib import import_module
from inspect import isfunction
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy
import sklearn.metrics
import skops.io
from skops.io.exceptions import UntrustedTypesFoundException

from skbayes import __version__
from skbayes.exceptions import CheckpointWarning, FileFormatError, UntrustedTypeError
from skbayes.utils._files import replaced
from skbayes.utils._warnings import warn

__all__ = ["FORMAT", "load", "save"]

#: Number of the layout of fitted state; raised when other releases cannot read it.
FORMAT = 3
_MEMBER = "skbayes.json"
#: Rooms whose ``STATE`` holds the classes that may stand in a file; one is imported when a
#: file names it, so that linear models, mixtures and densities load without torch.
_ROOMS = (
    "autoencoder",
    "conjugate",
    "data",
    "decomposition",
    "inference",
    "latent",
    "likelihoods",
    "linear_model",
    "mixture",
    "networks",
    "neural_network",
    "posteriors",
    "priors",
    "scale_priors",
    "training",
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
_METRICS = tuple(
    f"{metric.__module__}.{metric.__name__}"
    for name in sklearn.metrics.__all__
    if isfunction(metric := getattr(sklearn.metrics, name))
)


def _trusted(content: bytes) -> set[str]:
    """Names of the types that `load` builds from a file, beside those that skops trusts."""
    with zipfile.ZipFile(BytesIO(content)) as archive:
        named = set(re.findall(r'"skbayes\.(\w+)', archive.read("schema.json").decode()))
    rooms = [import_module(f"skbayes.{room}") for room in _ROOMS if room in named]
    classes = {f"{kind.__module__}.{kind.__qualname__}" for room in rooms for kind in room.STATE}
    return classes.union(_PATHS, _SCIKIT_LEARN, _METRICS)


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
        "numpy": numpy.__version__,
    }
    if "torch" in sys.modules:  # what needs it has imported it
        versions["torch"] = str(sys.modules["torch"].__version__)
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
        If the file is damaged, was not written by `save`, or has the format of another release.
    UntrustedTypeError
        If the file holds types other than those of skbayes, of scikit-learn and ``trusted``;
        the message names them.

    Warns
    -----
    UserWarning
        If another release of skbayes wrote the file.
    CheckpointWarning
        If a folder of checkpoints was left out.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from skbayes import PPCA, io
    >>> ppca = PPCA(1).fit([[0.0, 1.0], [1.0, 3.0], [2.0, 4.0], [3.0, 8.0]])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     io.save(ppca, pathlib.Path(folder) / "ppca.skbayes")
    ...     io.load(pathlib.Path(folder) / "ppca.skbayes")
    PPCA(n_components=1)
    """
    path = Path(path)
    content = path.read_bytes()
    header = _read_header(path, content)
    try:
        known = sorted(_trusted(content).union(trusted))
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
    """Engines and estimators in an object that would write checkpoints."""
    if id(value) in seen or isinstance(value, type):
        return
    seen.add(id(value))
    ours = any(kind.__module__.startswith("skbayes.") for kind in type(value).__mro__)
    if ours and getattr(value, "checkpoint", None):
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
    """Read the header; damaged files, foreign ones, and other formats are refused by name."""
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
    if number != FORMAT:
        remedy = (
            "upgrade skbayes to load it"
            if number > FORMAT
            else f"fit the estimator again, or load it with skbayes {writer}"
        )
        raise FileFormatError(
            f"{path} has format {number}, written by skbayes {writer}, but skbayes "
            f"{__version__} reads format {FORMAT}; {remedy}"
        )
    if not sound:
        raise _damaged(path, "its SHA-256 is not the one written in it")
    return header


def _damaged(path: Path, why: object) -> FileFormatError:
    return FileFormatError(
        f"{path} is damaged or no skbayes file ({why}); save the estimator again"
    )
