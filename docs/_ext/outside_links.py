"""Links of Markdown pages to files of the repository that are no pages: kept as their text.

On a forge such links lead to the file. The site has no copy of it; a link to an example goes
to its page in the gallery.
"""

import re
from pathlib import Path

_OUTSIDE = re.compile(r"\[([^\]]+)\]\((?:\.\./)+([^)#]+)(#[^)]*)?\)")


def rewrite(text, srcdir):
    """The page's text without links that leave the docs folder."""

    def replace(match):
        label, target, anchor = match[1], match[2], match[3] or ""
        if target.startswith("examples/") and target.endswith(".py"):
            return f"[{label}](/gallery/{target[9:-3]}.rst)"
        if (Path(srcdir) / target).exists():  # from a subfolder to a page above it
            return f"[{label}](/{target}{anchor})"
        return f"{label} (`{target}`)"

    return _OUTSIDE.sub(replace, text)


def on_read(app, docname, source):
    if app.env.doc2path(docname).suffix == ".md":
        source[0] = rewrite(source[0], app.srcdir)


def setup(app):
    app.connect("source-read", on_read, priority=400)
    return {"parallel_read_safe": True}
