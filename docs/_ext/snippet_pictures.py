"""Pictures of a page's own snippets, drawn in the build.

In a Markdown page, `<!-- picture: what it shows -->` below a snippet (or below its output)
stands for the figure that the snippet leaves open. Snippets of such pages run in order, in
one namespace, as they do in the tests.
"""

import re
from contextlib import chdir
from pathlib import Path
from tempfile import TemporaryDirectory

import figure_style
import matplotlib.pyplot as plt
from _snippets import _BLOCK, Snippet, run

_MARK = re.compile(r"\s*<!-- picture: (.*?) -->", re.DOTALL)


def draw(text, name, folder):
    """The page's text, with its marks replaced by pictures in ``folder``."""
    parts, at, namespace, count = [], 0, {"__name__": "__main__"}, 0
    figure_style.reset(None, name)
    for match in _BLOCK.finditer(text):
        run(Snippet(match[1], text[: match.start()].count("\n") + 2, match[2]), namespace, name)
        if mark := _MARK.match(text, match.end()):
            count += 1
            figure, picture = plt.gcf(), f"{name.replace('/', '-')}-{count}.png"
            figure.savefig(folder / picture, dpi=200)
            width = int(figure.get_figwidth() * 100)
            alt = " ".join(mark[1].split())
            image = f"\n\n```{{image}} /pictures/{picture}\n:alt: {alt}\n:width: {width}px\n```\n"
            parts, at = [*parts, text[at : match.end()], image], mark.end()
        plt.close("all")
    return "".join([*parts, text[at:]])


def replace(app, docname, source):
    """Called with each page before it is parsed."""
    path = Path(app.env.doc2path(docname))
    if path.suffix == ".md" and "<!-- picture:" in source[0]:
        folder = Path(app.srcdir) / "pictures"
        folder.mkdir(exist_ok=True)
        with TemporaryDirectory() as scratch, chdir(scratch):  # some snippets write files
            source[0] = draw(source[0], docname, folder.resolve())


def setup(app):
    app.connect("source-read", replace)
    return {"parallel_read_safe": False}
