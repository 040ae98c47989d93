"""Docstrings are plain text to a reader of the source: marks that reST would take are escaped.

A bare `coef_` is no link and `|w|` no substitution.
"""

import re

_CODE = re.compile(r"(``.*?``|`.*?`)")
_MARK = re.compile(r"(?<=[A-Za-z0-9])_(?![\w`])|\|")


def escape(lines):
    """Lines of reST; code, directives, tables and doctests stay."""
    escaped, in_doctest = [], False
    for line in lines:
        stripped = line.strip()
        in_doctest = stripped.startswith(">>>") or (in_doctest and stripped != "")
        if not in_doctest and not stripped.startswith((".. ", "+", "|", ":")):
            parts = _CODE.split(line)
            parts[::2] = [_MARK.sub(lambda mark: "\\" + mark[0], part) for part in parts[::2]]
            line = "".join(parts)
        escaped.append(line)
    return escaped


def process(app, what, name, obj, options, lines):
    lines[:] = escape(lines)


def setup(app):
    app.connect("autodoc-process-docstring", process, priority=900)  # after numpydoc
    return {"parallel_read_safe": True}
