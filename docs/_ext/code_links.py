"""A public name in code type, such as `VariationalGMM`, becomes a link to its page."""

from api_pages import ROOMS, of_the_package, public
from docutils import nodes
from sphinx import addnodes
from sphinx.transforms.post_transforms import SphinxPostTransform

#: Verbs are methods of every estimator too: only with the package before them are they functions.
ONLY_IN_FULL = ("verbs", "io")


def targets():
    """Text in code type -> full name."""
    found = {f"skbayes.{name}": f"skbayes.{name}" for name in of_the_package()}
    for room in ROOMS:
        for name in public(room)[1]:
            full = f"skbayes.{room}.{name}"
            found[full] = full
            if room != "io":
                found[f"skbayes.{name}"] = full
            if room not in ONLY_IN_FULL:
                found.setdefault(name, full)
    return found


class LinkCode(SphinxPostTransform):
    """Wrap literals in references, before references are resolved."""

    default_priority = 5

    def run(self, **options):
        known = targets()
        for literal in list(self.document.findall(nodes.literal)):
            full = known.get(literal.astext().removesuffix("()"))
            inside = isinstance(literal.parent, nodes.reference | addnodes.pending_xref)
            if full is None or inside or self.env.docname.endswith(full):
                continue
            link = addnodes.pending_xref(
                "", reftype="obj", refdomain="py", reftarget=full, refexplicit=True, refwarn=False
            )
            link["refdoc"] = self.env.docname
            literal.replace_self(link)
            link += literal


def setup(app):
    app.add_post_transform(LinkCode)
    return {"parallel_read_safe": True}
