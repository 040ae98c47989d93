"""Everything public has a numpydoc docstring that matches its signature, and runs."""

import doctest
import importlib
import inspect
import pkgutil

import matplotlib as mpl
import pytest
from numpydoc.docscrape import FunctionDoc, NumpyDocString

import skbayes

mpl.use("Agg")

#: Packages whose `__all__` is the public interface.
PACKAGES = (
    "skbayes",
    "skbayes.autoencoder",
    "skbayes.conjugate",
    "skbayes.decomposition",
    "skbayes.exceptions",
    "skbayes.inference",
    "skbayes.inspection",
    "skbayes.io",
    "skbayes.latent",
    "skbayes.likelihoods",
    "skbayes.linear_model",
    "skbayes.metrics",
    "skbayes.mixture",
    "skbayes.neural_network",
    "skbayes.priors",
    "skbayes.testing",
    "skbayes.training",
    "skbayes.verbs",
)
MODULES = sorted(
    module.name for module in pkgutil.walk_packages(skbayes.__path__, prefix="skbayes.")
)


def public_objects():
    """Name -> class or function, over the packages' `__all__`."""
    found = {}
    for package in PACKAGES:
        module = importlib.import_module(package)
        names = getattr(module, "__all__", None) or [n for n in vars(module) if n[0] != "_"]
        for name in names:
            thing = getattr(module, name)
            if inspect.isroutine(thing) or inspect.isclass(thing):
                found[f"{thing.__module__}.{thing.__qualname__}"] = thing
    return {name: thing for name, thing in found.items() if name.startswith("skbayes")}


PUBLIC = public_objects()
CLASSES = {name: thing for name, thing in PUBLIC.items() if inspect.isclass(thing)}


def is_base(cls):
    """A class whose own methods say that a subclass must define them; nothing to run."""
    return "NotImplementedError" in inspect.getsource(cls) or any(
        other is not cls and issubclass(other, cls) for other in CLASSES.values()
    )


def user_methods(cls):
    """Public methods of estimators and displays, which users call."""
    return [
        (f"{cls.__name__}.{name}", getattr(cls, name))
        for name in dir(cls)
        if not name.startswith("_")
        and inspect.isroutine(getattr(cls, name))
        and getattr(cls, name).__module__.startswith("skbayes")
    ]


ROOMS_OF_ESTIMATORS = (
    ".autoencoder.",
    ".neural_network.",
    ".linear_model.",
    ".mixture.",
    ".decomposition.",
    ".conjugate._density",
    ".inspection.",
)
#: Those that are fitted or drawn; methods of parts are called by estimators.
ESTIMATORS = [
    cls
    for name, cls in CLASSES.items()
    if any(room in name for room in ROOMS_OF_ESTIMATORS)
    and (hasattr(cls, "fit") or hasattr(cls, "from_estimator"))
]
METHODS = dict(pair for cls in ESTIMATORS for pair in user_methods(cls))


def parameters(function):
    """Names in a signature, stars kept."""
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    signature = inspect.signature(function).parameters.values()
    return [stars.get(p.kind, "") + p.name for p in signature if p.name not in {"self", "cls"}]


def documented(doc):
    """Names in the Parameters section; "a, b : type" holds two."""
    return [name.strip() for entry in doc["Parameters"] for name in entry.name.split(",")]


def problems(thing):
    """What a docstring lacks."""
    text = inspect.getdoc(thing)
    if not text:
        return ["no docstring"]
    doc = NumpyDocString(text) if inspect.isclass(thing) else FunctionDoc(thing)
    found = [] if doc["Summary"] and doc["Summary"][0].endswith((".", "?", ":")) else ["no summary"]
    if documented(doc) != parameters(thing):
        found.append(f"Parameters {documented(doc)} but signature {parameters(thing)}")
    return found


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_docstring_matches_the_signature(name):
    thing = PUBLIC[name]
    if inspect.isclass(thing) and issubclass(thing, BaseException):
        assert inspect.getdoc(thing)
        return
    assert problems(thing) == []


@pytest.mark.parametrize("name", sorted(METHODS))
def test_method_docstring_matches_the_signature(name):
    assert problems(METHODS[name]) == []


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_has_an_example(name):
    thing = PUBLIC[name]
    if inspect.isclass(thing) and (issubclass(thing, BaseException) or is_base(thing)):
        return  # nothing that a user would run by itself
    assert ">>>" in inspect.getdoc(thing), f"{name} shows no example"


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name):
    import matplotlib.pyplot as plt

    options = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    result = doctest.testmod(importlib.import_module(name), optionflags=options)
    plt.close("all")
    assert result.failed == 0


def _good(x, *rest, y=1):
    """Do nothing.

    Parameters
    ----------
    x : int
    *rest : int
    y : int
    """


def _renamed(x, z):
    """Do nothing.

    Parameters
    ----------
    x : int
    y : int
    """


def test_a_bad_docstring_is_found():
    assert problems(_good) == []
    assert problems(_renamed) == ["Parameters ['x', 'y'] but signature ['x', 'z']"]
    assert problems(lambda: None) == ["no docstring"]


def test_the_lists_hold_what_they_should():
    assert {"skbayes.verbs.predict_std", "skbayes.metrics._crps.crps"} <= set(PUBLIC)
    assert "BayesianMLPRegressor.predict_interval" in METHODS
    assert "skbayes.inference.mcmc._hmc" in MODULES
