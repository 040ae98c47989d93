"""Pages of the API: one a room, one a public class or function, all from the rooms' `__all__`.

Nothing here names a class, so that a new or renamed one is on the site with the next build.
"""

import importlib
import inspect
from pathlib import Path

import skbayes

#: Rooms as a user meets them, by group.
GROUPS = {
    "Estimators": (
        "neural_network",
        "linear_model",
        "mixture",
        "decomposition",
        "autoencoder",
        "conjugate",
    ),
    "Parts of a model": (
        "inference",
        "priors",
        "likelihoods",
        "networks",
        "latent",
        "training",
    ),
    "Verbs, scores and pictures": ("verbs", "metrics", "inspection"),
    "Files, errors, checks": ("io", "exceptions", "testing"),
}
ROOMS = tuple(room for rooms in GROUPS.values() for room in rooms)


def of_the_package():
    """Name -> object of what is public at the top alone."""
    homes = {name: home.split(".")[1] for name, home in skbayes._HOMES.items()}
    return {name: getattr(skbayes, name) for name, home in homes.items() if home not in ROOMS}


def public(room):
    """Name -> object of the classes and functions of a room, and its tables of names."""
    module = importlib.import_module(f"skbayes.{room}")
    names = sorted(module.__all__, key=lambda name: (name.isupper(), name.lower()))
    things = {name: getattr(module, name) for name in names}
    tables = {name: thing for name, thing in things.items() if isinstance(thing, dict)}
    shown = {
        name: thing
        for name, thing in things.items()
        if inspect.isclass(thing) or inspect.isroutine(thing)
    }
    return module, shown, tables


def members(cls):
    """Public methods and properties that this package defines, not those of its bases outside."""
    found = []
    for name in dir(cls):
        thing = inspect.getattr_static(cls, name)
        thing = getattr(thing, "fget", None) or getattr(thing, "__func__", None) or thing
        thing = getattr(thing, "fn", thing)  # available_if
        if name[0] == "_" or not str(getattr(thing, "__module__", "")).startswith("skbayes"):
            continue
        if (inspect.isroutine(thing) or callable(thing)) and inspect.getdoc(getattr(cls, name)):
            found.append(name)
    return found


def room_page(room):
    """A title, the module's first paragraph, a table of its names."""
    module, shown, tables = public(room)
    summary = inspect.getdoc(module).split("\n\n")[0]
    lines = [f"skbayes.{room}", "=" * (8 + len(room)), "", summary, ""]
    lines += [f".. currentmodule:: skbayes.{room}", "", ".. autosummary::", ""]
    lines += [f"   {name}" for name in shown]
    for name, table in tables.items():
        if not all(
            isinstance(key, str) and hasattr(kind, "__name__") for key, kind in table.items()
        ):
            continue
        lines += ["", f"Names in ``skbayes.{room}.{name}``, to be given as strings:", ""]
        lines += [".. list-table::", "   :header-rows: 1", "", "   * - name", "     - object"]
        for key, kind in sorted(table.items()):
            lines += [f'   * - ``"{key}"``', f"     - ``{kind.__name__}``"]
    lines += ["", ".. toctree::", "   :hidden:", ""]
    lines += [f"   generated/skbayes.{room}.{name}" for name in shown]
    return "\n".join(lines) + "\n"


def object_page(module, name, thing):
    """A class with its own methods, or a function, and the examples that use it."""
    lines = [name, "=" * len(name), "", f".. currentmodule:: {module}", ""]
    if inspect.isclass(thing):
        lines += [f".. autoclass:: {name}", "   :show-inheritance:"]
        if found := members(thing):
            lines += [f"   :members: {', '.join(found)}"]
    else:
        lines += [f".. autofunction:: {name}"]
    lines += ["", f".. minigallery:: {module}.{name}", "   :add-heading: Examples", ""]
    return "\n".join(lines) + "\n"


def index_page():
    """The front of the API: rooms by group."""
    lines = ["API reference", "=============", ""]
    lines += ["Estimators and verbs are also names of ``skbayes`` itself.", ""]
    for group, rooms in GROUPS.items():
        lines += [group, "-" * len(group), ""]
        for room in rooms:
            module, shown, _ = public(room)
            lines += [f"**skbayes.{room}**: {inspect.getdoc(module).splitlines()[0]}", ""]
            lines += [f".. currentmodule:: skbayes.{room}", "", ".. autosummary::", ""]
            lines += [f"   {name}" for name in shown] + [""]
    lines += ["The package", "-----------", "", ".. currentmodule:: skbayes", ""]
    lines += [".. autosummary::", "", *(f"   {name}" for name in of_the_package()), ""]
    lines += [".. toctree::", "   :hidden:", "   :maxdepth: 1", ""]
    lines += [f"   skbayes.{room} <{room}>" for room in ROOMS]
    lines += [f"   generated/skbayes.{name}" for name in of_the_package()]
    return "\n".join(lines) + "\n"


def pages():
    """Path below docs/api -> text."""
    written = {"index.rst": index_page()}
    for room in ROOMS:
        written[f"{room}.rst"] = room_page(room)
        for name, thing in public(room)[1].items():
            written[f"generated/skbayes.{room}.{name}.rst"] = object_page(
                f"skbayes.{room}", name, thing
            )
    for name, thing in of_the_package().items():
        written[f"generated/skbayes.{name}.rst"] = object_page("skbayes", name, thing)
    return written


def write(app):
    """Write what changed, and take away pages of names that are gone."""
    folder = Path(app.srcdir) / "api"
    texts = {folder / path: text for path, text in pages().items()}
    for path in [*folder.glob("*.rst"), *folder.glob("generated/*.rst")]:
        if path not in texts:
            path.unlink()
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def setup(app):
    """Before the gallery, whose pages link here."""
    app.connect("builder-inited", write, priority=100)
    return {"parallel_read_safe": True}
