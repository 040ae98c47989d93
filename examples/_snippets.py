"""The fenced blocks of a Markdown page: its code, and the output printed below it."""

import contextlib
import io
import re
from pathlib import Path
from typing import NamedTuple

_BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:\n?```text\n(.*?)^```$)?", re.MULTILINE | re.DOTALL)


class Snippet(NamedTuple):
    """Code, the line it starts on, and the output that the page shows (None: not shown)."""

    code: str
    line: int
    output: str | None


def snippets(path):
    """All python blocks of a page; a text block right below one is its output."""
    text = Path(path).read_text(encoding="utf-8")
    return [
        Snippet(match[1], text[: match.start()].count("\n") + 2, match[2])
        for match in _BLOCK.finditer(text)
    ]


def run(snippet, namespace, path):
    """Execute a snippet in a namespace; returns what it printed."""
    padded = "\n" * (snippet.line - 1) + snippet.code  # so that errors name the page's line
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(padded, str(path), "exec"), namespace)
    return printed.getvalue()


def record(path):
    """Rewrite the outputs that a page shows by what its snippets print now."""
    text, namespace = Path(path).read_text(encoding="utf-8"), {"__name__": "__main__"}

    def rewrite(match):
        line = text[: match.start()].count("\n") + 2
        printed = run(Snippet(match[1], line, match[2]), namespace, path)
        if match[2] is None:
            return match[0]
        start, end = (at - match.start() for at in match.span(2))
        return match[0][:start] + printed + match[0][end:]

    Path(path).write_text(_BLOCK.sub(rewrite, text), encoding="utf-8")


if __name__ == "__main__":
    import sys

    for page in sys.argv[1:]:  # python examples/_snippets.py README.md docs/*.md
        record(page)
