"""State as plain containers of tensors and scalars, back again, and as a hash."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from functools import partial
from types import CodeType, FunctionType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skbayes.training._code import code_parts, definition, of_library, wrapped

#: What its repr tells entirely.
SCALARS = (bool, int, float, complex, str, bytes, slice, torch.dtype, torch.device)


class Codec:
    """Writes objects of a fixed list of classes as plain containers, and builds only those.

    Parameters
    ----------
    classes : iterable of type
        Whose attributes are the whole of an object's state.

    Examples
    --------
    >>> import torch
    >>> from skbayes.training._encoding import Codec
    >>> Codec([]).encode({"step": 0.1})
    {'kind': 'dict', 'items': {'step': 0.1}}
    """

    def __init__(self, classes: Iterable[type]) -> None:
        self.classes = {kind.__qualname__: kind for kind in classes}

    def encode(self, value: Any) -> Any:
        """Scalars, tensors and tagged dicts, which `torch.load(weights_only=True)` reads."""
        if isinstance(value, np.generic):
            return value.item()
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if isinstance(value, Tensor):
            return value.detach().clone()  # a view would take its whole storage along
        if isinstance(value, torch.Generator):
            return {"kind": "generator", "state": value.get_state()}
        if isinstance(value, list | tuple):
            return {"kind": type(value).__name__, "items": [self.encode(v) for v in value]}
        if isinstance(value, dict):
            return {"kind": "dict", "items": {k: self.encode(v) for k, v in value.items()}}
        name = type(value).__qualname__
        if self.classes.get(name) is not type(value):
            raise TypeError(f"a state holds {type(value)!r}, which its engine does not list")
        return {"kind": name, "items": {k: self.encode(v) for k, v in vars(value).items()}}

    def decode(self, tree: Any, generator: torch.Generator) -> Any:
        """What was encoded; ``generator`` is set to the state of the one that was."""
        if not isinstance(tree, dict):
            return tree
        kind = tree["kind"]
        if kind == "generator":
            generator.set_state(tree["state"])
            return generator
        if kind in ("list", "tuple"):
            items = [self.decode(item, generator) for item in tree["items"]]
            return items if kind == "list" else tuple(items)
        state = {name: self.decode(item, generator) for name, item in tree["items"].items()}
        if kind == "dict":
            return state
        cls = self.classes[kind]
        if is_dataclass(cls) and {field.name for field in fields(cls)} != set(state):
            raise KeyError(f"attributes of {kind}")
        value: Any = object.__new__(cls)
        vars(value).update(state)
        return value


def to_arrays(tree: Any) -> Any:
    """An encoded state with NumPy arrays for its tensors, which estimators may hold."""
    if isinstance(tree, Tensor):
        host = tree.device.type == "cpu"
        return {"kind": "tensor", "host": host, "values": tree.cpu().numpy()}
    if isinstance(tree, dict):
        return {name: to_arrays(item) for name, item in tree.items()}
    return [to_arrays(item) for item in tree] if isinstance(tree, list) else tree


def to_tensors(tree: Any, device: torch.device) -> Any:
    """What `to_arrays` was given; tensors that were not the host's go to the device."""
    if isinstance(tree, list):
        return [to_tensors(item, device) for item in tree]
    if not isinstance(tree, dict):
        return tree
    if tree.get("kind") == "tensor":
        values = torch.from_numpy(tree["values"].copy())
        return values if tree["host"] else values.to(device)
    return {name: to_tensors(item, device) for name, item in tree.items()}


def digest(*values: Any) -> str:
    """SHA-256 of values by content: arrays, containers, and objects by class and attributes.

    Classes and functions go by their names and, where they are the user's own, by their code
    (`definition`): an edited class is another one.
    """
    hasher, told = hashlib.sha256(), set[int]()
    for value in values:
        _feed(hasher, value, (), told)
    return hasher.hexdigest()


def _feed(hasher: Any, value: Any, above: tuple[int, ...], told: set[int]) -> None:
    if id(value) in above:  # an object that holds itself
        return
    above = (*above, id(value))
    head, parts = _split(value)
    if isinstance(value, type | FunctionType):  # whose code is told once, and then by name
        parts = [] if id(value) in told else parts
        told.add(id(value))
    hasher.update(f"{len(head)}:".encode() + head + f"{len(parts)}:".encode())
    for part in parts:
        _feed(hasher, part, above, told)


def _split(value: Any) -> tuple[bytes, list[Any]]:
    """What a value says itself, and the values that it is made of."""
    if isinstance(value, torch.nn.Module):
        own = [type(part) for part in value.modules() if not of_library(type(part))]
        return repr(value).encode(), [dict(value.state_dict()), *own]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Tensor) and value.is_meta:  # has no numbers
        return f"{value.dtype}{tuple(value.shape)}".encode(), []
    if isinstance(value, Tensor):
        value = value.detach().cpu().numpy()
    if isinstance(value, np.ndarray):
        return f"{value.dtype.str}{value.shape}".encode() + value.tobytes(), []
    if isinstance(value, list | tuple):
        return type(value).__name__.encode(), list(value)
    if isinstance(value, dict):
        items = sorted(value.items(), key=lambda item: repr(item[0]))
        return b"dict", [part for item in items for part in item]
    if isinstance(value, set | frozenset):
        return b"set", sorted(value, key=repr)
    if isinstance(value, partial):
        return b"partial", [value.func, value.args, value.keywords]
    if isinstance(value, CodeType):
        return b"code", code_parts(value)
    if (inner := wrapped(value)) is not None:
        return type(value).__name__.encode(), inner
    if value is None or value is Ellipsis or isinstance(value, SCALARS):
        return f"{type(value).__name__}{value!r}".encode(), []
    if hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}".encode(), definition(value)
    kind = type(value)
    if not hasattr(value, "__dict__"):
        raise TypeError(
            f"a checkpoint cannot tell one {kind} from another; set checkpoint=None to fit "
            "without one"
        )
    parts = [dict(vars(value))] if of_library(kind) else [dict(vars(value)), kind]
    return f"{kind.__module__}.{kind.__qualname__}".encode(), parts
