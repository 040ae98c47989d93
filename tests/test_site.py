"""The site's sources fit together; building it needs Sphinx (CONTRIBUTING says how)."""

import ast
import importlib
import importlib.util
import pkgutil
import re
import sys
from pathlib import Path

import pytest

import skbayes

ROOT = Path(__file__).parent.parent
DOCS, EXAMPLES = ROOT / "docs", ROOT / "examples"
SCRIPTS = sorted(path for path in EXAMPLES.rglob("*.py") if path.name[0] != "_")
#: Rooms that users do not import from.
INSIDE = {"base", "data", "evidence", "posteriors", "scale_priors", "utils"}


@pytest.fixture(scope="module")
def api():
    """The module that writes the pages of the API."""
    spec = importlib.util.spec_from_file_location("api_pages", DOCS / "_ext" / "api_pages.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_public_name_has_a_page(api):
    pages = api.pages()
    for room in api.ROOMS:
        module = importlib.import_module(f"skbayes.{room}")
        for name in module.__all__:
            if not isinstance(getattr(module, name), dict | tuple | int | frozenset | set | list):
                assert f"generated/skbayes.{room}.{name}.rst" in pages, f"{room}.{name}"
    for name, home in skbayes._HOMES.items():
        page = name if name in api.of_the_package() else f"{home.split('.')[1]}.{name}"
        assert f"generated/skbayes.{page}.rst" in pages, name


def test_every_room_is_shown_or_said_to_be_inside(api):
    rooms = {module.name for module in pkgutil.iter_modules(skbayes.__path__)}
    shown = set(api.ROOMS) | INSIDE
    assert {room for room in rooms if room[0] != "_"} == shown


def test_pages_of_the_api_list_methods_and_link_to_one_another(api):
    pages = api.pages()
    text = pages["generated/skbayes.neural_network.BayesianMLPRegressor.rst"]
    assert {"fit", "predict", "predict_interval"} <= set(re.findall(r"\w+", text))
    assert "get_metadata_routing" not in text
    linked = {line.strip() for page in pages.values() for line in page.splitlines()}
    for path in pages:
        if path.startswith("generated/"):
            assert path.removesuffix(".rst") in linked, path


def toctrees(page):
    """Paths of the pages that a page's toctrees name, without suffix."""
    text, found = page.read_text(encoding="utf-8"), []
    for block in re.findall(r"^```\{toctree\}\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        entries = [line.strip() for line in block.splitlines() if line.strip()]
        names = [re.sub(r".*<(.*)>", r"\1", line) for line in entries if line[0] != ":"]
        found += [(page.parent / name).resolve() for name in names]
    return found


def test_every_page_is_in_a_toctree():
    pages = [*DOCS.glob("*.md"), *DOCS.glob("guide/*.md")]
    named = {path for page in pages for path in toctrees(page)}
    for page in pages:
        if page != DOCS / "index.md":
            assert page.with_suffix("").resolve() in named, page.name
    written_by_the_build = {(DOCS / name).resolve() for name in ("api/index", "gallery/index")}
    assert written_by_the_build <= named
    for path in named - written_by_the_build:
        assert path.with_suffix(".md").exists(), path


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_script_has_a_title_and_a_section(path):
    if path.parent != EXAMPLES:
        assert (path.parent / "GALLERY_HEADER.rst").exists()
        assert f'"{path.parent.name}"' in (DOCS / "conf.py").read_text(encoding="utf-8")
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    title, line = text.splitlines()[:2]
    assert set(line) == {"="}, path.name
    assert len(line) == len(title)


def test_pictures_that_are_not_drawn_in_the_build_exist():
    for path in SCRIPTS:
        for target in re.findall(r"image:: /(\S+)", path.read_text(encoding="utf-8")):
            assert (DOCS / target).exists(), f"{path.name} shows {target}"


def test_links_out_of_the_docs_become_text_or_pages():
    sys.path.insert(0, str(DOCS / "_ext"))
    try:
        from outside_links import rewrite
    finally:
        sys.path.pop(0)
    assert rewrite("[a](../examples/linear/x.py)", DOCS) == "[a](/gallery/linear/x.rst)"
    assert rewrite("[a](../engines.md#b)", DOCS) == "[a](/engines.md#b)"
    assert rewrite("[a](../CONTRIBUTING.md)", DOCS) == "a (`CONTRIBUTING.md`)"
    assert rewrite("[a](engines.md)", DOCS) == "[a](engines.md)"


def test_marks_of_rest_are_escaped_in_docstrings():
    sys.path.insert(0, str(DOCS / "_ext"))
    try:
        from docstrings import escape
    finally:
        sys.path.pop(0)
    assert escape(["coef_ is |w| in `coef_` and ``x_``"]) == [
        r"coef\_ is \|w\| in `coef_` and ``x_``"
    ]
    kept = [">>> reg.coef_", "coef_", "", ".. x_ y"]
    assert escape(kept) == kept
