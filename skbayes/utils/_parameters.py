"""Parameters by name: what every estimator, engine, prior and likelihood refuses, and how."""

from __future__ import annotations

import inspect
import os
import re
from collections import ChainMap
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, ClassVar

from sklearn.base import clone

from skbayes.utils._sklearn import (
    BaseEstimator,
    InvalidParameterError,
    StrOptions,
    validate_parameter_constraints,
)
from skbayes.utils._suggestions import did_you_mean

#: Where the built documentation is served; empty until it has a home.
SITE = ""


class Parametrised(BaseEstimator):
    """Base of all that has scikit-learn's parameters: a refusal says what to type instead."""

    _parameter_constraints: dict = {}
    #: Parameters that take a registered name or an object, with what is registered.
    _registries: ClassVar[dict[str, dict[str, type]]] = {}
    #: What people look for under another name: a parameter, a value "parameter='value'" or
    #: values of a type "parameter=float", and what to type here.
    _namesakes: ClassVar[dict[str, str]] = {}
    #: Methods that people look for where there are none, and what to call.
    _instead: ClassVar[dict[str, str]] = {}

    def __new__(cls, *args: Any, **params: Any) -> Any:
        """Refuse a parameter that there is not before Python does, by a message that helps."""
        if params:
            known = inspect.signature(cls.__init__).parameters
            open_ended = any(p.kind is p.VAR_KEYWORD for p in known.values())
            for name in () if open_ended else params:
                if name not in known:
                    raise TypeError(cls._unknown(name))
        return super().__new__(cls)

    _doc_link_module = "skbayes"

    @property
    def _doc_link_template(self) -> str:
        """The page of a class on the site, which the HTML repr links to, parameters too.

        The environment variable SKBAYES_DOCS names another site, such as a folder built here.
        """
        site = os.environ.get("SKBAYES_DOCS", SITE).rstrip("/")
        return site and f"{site}/api/generated/{{room}}.{{name}}.html"

    def _doc_link_url_param_generator(self) -> dict[str, str]:
        kind = type(self)
        return {"room": ".".join(kind.__module__.split(".")[:2]), "name": kind.__name__}

    def set_params(self, **params: Any) -> Any:
        """Set parameters; a part given by name becomes its object when one of its own is set.

        Parameters
        ----------
        **params : dict
            Parameters, nested ones as ``part__parameter``.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If there is no such parameter; the message names the nearest one.

        Examples
        --------
        >>> from skbayes import BayesianMLPRegressor
        >>> BayesianMLPRegressor(prior="normal").set_params(prior__scale=0.5).prior
        Normal(scale=0.5)
        """
        for name in params:
            head = name.partition("__")[0]
            if head not in self._get_param_names():
                raise ValueError(self._unknown(head))
        super().set_params(**{name: v for name, v in params.items() if "__" not in name})
        nested = {name: v for name, v in params.items() if "__" in name}
        for name in nested:
            self._promote(name)
        return super().set_params(**nested)

    def _promote(self, nested: str) -> None:
        """Replace the name of a part by its object, so that its parameters can be set."""
        part, _, name = nested.partition("__")
        value = getattr(self, part)
        if part not in self._registries or not (value is None or isinstance(value, str)):
            return
        if value is None or value not in self._registries[part]:
            why = "is chosen in fit and has no parameters before" if value else "has no parameters"
            raise ValueError(
                f"{nested} cannot be set: {part}={value!r} {why}; {self._how_to_set(part, name)}"
            )
        setattr(self, part, self._make_part(part))

    def _make_part(self, part: str) -> Any:
        """The object of a part given by name, or a copy of the given object."""
        value, registry = getattr(self, part), self._registries[part]
        if not isinstance(value, str):
            return clone(value)
        if value not in registry:
            raise ValueError(
                f"{part}={value!r} names no object; choose one of {sorted(registry)} or give an "
                "instance"
            )
        return registry[value]()

    def _checked_part(self, part: str) -> Any:
        """The object of a part, its parameters checked."""
        value = self._make_part(part)
        validate_params_of(value)
        return value

    def _validate_params(self) -> None:
        validate_params_of(self)

    if not TYPE_CHECKING:  # a type checker is to miss what there is not

        def __getattr__(self, name: str) -> Any:
            """Say of a method that there is not which one was meant."""
            instead = self._inherited("_instead").get(name)
            private_or_fitted = name.startswith("_") or name.endswith("_")
            if not instead and (private_or_fitted or hasattr(type(self), name)):
                return object.__getattribute__(self, name)  # raises as Python does
            public = (n for n in dir(type(self)) if not n.startswith("_"))
            remedy = f"; {instead}" if instead else did_you_mean(name, public)
            raise AttributeError(
                f"{type(self).__name__!r} object has no attribute {name!r}{remedy}",
                name=name,
                obj=self,
            )

    @classmethod
    def _inherited(cls, table: str) -> ChainMap[str, str]:
        """A class attribute's entries, with those of the classes above."""
        return ChainMap(*(vars(base)[table] for base in cls.__mro__ if table in vars(base)))

    @classmethod
    def _unknown(cls, name: str) -> str:
        """What is said of a parameter that there is not."""
        no = f"{cls.__name__} has no parameter {name!r}"
        if here := cls._inherited("_namesakes").get(name):
            return f"{no}; use {here}"
        part, _, nested = name.partition("__")
        if nested and part in cls._registries:
            return (
                f"{cls.__name__}() takes no parameters of {part}; {cls._how_to_set(part, nested)}"
            )
        for part, registry in cls._registries.items():
            if _owners(registry, name):
                return f"{no}, it is one of {part}; {cls._how_to_set(part, name)}"
        names = cls._get_param_names()
        return f"{no}{did_you_mean(name, names) or '; it has ' + ', '.join(names)}"

    @classmethod
    def _how_to_set(cls, part: str, name: str) -> str:
        """How to set a parameter of a part that is given by name."""
        registry = cls._registries[part]
        owners = _owners(registry, name)
        if not owners:
            names = {n for key in registry for n in _parameters(registry[key])}
            return f"no {part} has a parameter {name!r}{did_you_mean(name, names)}"
        key, kind = next(iter(owners.items()))
        others = f" ({part} may be {', '.join(map(repr, owners))})" if len(owners) > 1 else ""
        return (
            f"give {part}={kind}({name}=...), or set_params({part}={key!r}, {part}__{name}=...)"
            f"{others}"
        )


# What inspects a class without parameters is to see none.
Parametrised.__new__.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
    [inspect.Parameter("cls", inspect.Parameter.POSITIONAL_ONLY)]
)


def _parameters(kind: Any) -> list[str]:
    """Names of a registered part's parameters."""
    return kind._get_param_names() if hasattr(kind, "_get_param_names") else []


def _owners(registry: dict[str, type], name: str) -> dict[str, str]:
    """Registered names of the parts that have a parameter, with their classes' names."""
    return {key: kind.__name__ for key, kind in registry.items() if name in _parameters(kind)}


def validate_params_of(estimator: Parametrised) -> None:
    """Check parameters against their constraints; a refusal names the remedy where it can."""
    constraints = estimator._parameter_constraints
    for name, value in estimator.get_params(deep=False).items():
        try:
            validate_parameter_constraints(
                constraints, {name: value}, caller_name=type(estimator).__name__
            )
        except InvalidParameterError as error:
            # Users import classes from where they are documented, not from where they are.
            message = re.sub(r"\bskbayes\.[\w.]+\.", "", str(error))
            remedy = _value_remedy(estimator, name, value, constraints[name])
            raise InvalidParameterError(message + remedy) from None
        if isinstance(value, Parametrised):
            validate_params_of(value)


def _value_remedy(estimator: Parametrised, name: str, value: Any, constraints: list) -> str:
    """What to give in place of a value that is refused, as a further sentence."""
    namesakes = estimator._inherited("_namesakes")
    if f"{name}={type(value).__name__}" in namesakes:
        return f" Use {namesakes[f'{name}={type(value).__name__}']}."
    if near := get_close_matches(f"{name}={value!r}", namesakes, n=1, cutoff=0.93):
        return f" Use {namesakes[near[0]]}."
    if isinstance(value, type):
        return f" Give an instance, {name}={value.__name__}(), in place of the class."
    if not isinstance(value, str):
        return ""
    options = {o for c in constraints if isinstance(c, StrOptions) for o in c.options}
    return did_you_mean(value, options).replace("; d", " D")
