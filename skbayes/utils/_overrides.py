"""Whether what a class says in short still holds where a subclass changed the long form."""

from __future__ import annotations


def is_current(kind: type, name: str, *sources: str) -> bool:
    """Whether ``name`` was written in the class of each of its ``sources`` or below it.

    A closed form follows from other methods. A subclass that changes one of those and leaves
    the closed form alone has another one, or none.
    """
    owner = _owner(kind, name)
    homes = (_owner(kind, source) for source in sources)
    return owner is not None and all(home is None or issubclass(owner, home) for home in homes)


def _owner(kind: type, name: str) -> type | None:
    return next((base for base in kind.__mro__ if name in vars(base)), None)
