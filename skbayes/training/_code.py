"""What classes and functions of the user's own do, as parts that can be hashed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import cached_property
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

#: Their code is told by their name and release.
LIBRARIES = {"skbayes", "sklearn", "skorch", "torch", "numpy", "scipy", *sys.stdlib_module_names}
#: What Python keeps of a class beside the code: where it is written, and its own tables.
BOOKKEEPING = {
    "__abstractmethods__", "__annotations__", "__dataclass_fields__", "__dataclass_params__",
    "__dict__", "__doc__", "__firstlineno__", "__module__", "__qualname__",
    "__static_attributes__", "__weakref__", "_abc_impl",
}  # fmt: skip
#: Globals that are part of what a function does; other objects count by their type alone.
TOLD = (
    type, FunctionType, bool, int, float, complex, str, bytes, tuple, list, dict, np.ndarray,
    np.generic,
)  # fmt: skip


def definition(value: Any) -> list[Any]:
    """All that decides what a class or a function does: nothing for a library's.

    A class has its members and the classes that it derives from. A function
    has its bytecode, defaults and closure, and the user's functions, classes and plain values
    that it finds by name. Comments, and the place in a file, are no part of it.
    """
    if of_library(value):
        return []
    if isinstance(value, type):
        members = {name: own for name, own in vars(value).items() if name not in BOOKKEEPING}
        return [members, *value.__bases__]
    if isinstance(value, FunctionType):
        code, closure = value.__code__, value.__closure__ or ()
        held = [cell.cell_contents for cell in closure if _is_filled(cell)]
        found = dict(_found_by_name(code, value.__globals__))
        return [code, value.__defaults__, value.__kwdefaults__, held, found]
    return []


def wrapped(value: Any) -> list[Any] | None:
    """The functions inside a descriptor or a bound method; None for anything else."""
    if isinstance(value, property):
        return [value.fget, value.fset, value.fdel]
    if isinstance(value, cached_property):
        return [value.func]
    if isinstance(value, staticmethod | classmethod):
        return [value.__func__]
    return [value.__func__, value.__self__] if isinstance(value, MethodType) else None


def code_parts(code: CodeType) -> list[Any]:
    """Bytecode with the constants and names that it refers to."""
    return [code.co_code, list(code.co_consts), code.co_names, code.co_freevars]


def of_library(value: Any) -> bool:
    """Whether a class or function is not the user's own."""
    module = getattr(value, "__module__", None) or "builtins"
    return module.partition(".")[0] in LIBRARIES


def _is_filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not cell
    except ValueError:  # a name that is bound later
        return False


def _found_by_name(code: CodeType, scope: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """What the names in a function, and in those inside it, stand for."""
    for name in code.co_names:
        value = scope.get(name)
        if isinstance(value, ModuleType):
            if value.__name__.partition(".")[0] not in LIBRARIES:
                yield name, dict(_found_by_name(code, vars(value)))
        elif isinstance(value, TOLD):
            yield name, value
        elif name in scope:
            yield name, type(value)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant.co_name, dict(_found_by_name(constant, scope))
