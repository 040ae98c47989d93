"""The README, the user guide and the examples run, and print what they say they print."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import pytest

from skbayes.inference import INFERENCES
from skbayes.likelihoods import LIKELIHOODS
from skbayes.priors import PRIORS, SCALE_PRIORS

mpl.use("Agg")

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs").glob("guide/*.md"))]
NUMBER = re.compile(r"-?\d+(?:\.\d*)?(?:e[+-]?\d+)?")
#: Samplers are chaotic: another processor's rounding gives other draws of the same
#: posterior, whose averages move by Monte Carlo error, a few of the last digits printed.
LAST_DIGITS, RELATIVE = 5, 0.02


def _load(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_snippets = _load("_snippets")


def same_output(printed, shown):
    """Whether two outputs have the same words, and numbers equal up to Monte Carlo error."""
    texts = [NUMBER.sub("#", text).split() for text in (printed, shown)]
    if ["".join(texts[0])] != ["".join(texts[1])]:
        return False
    pairs = zip(NUMBER.findall(printed), NUMBER.findall(shown), strict=True)
    return all(_close(*pair) for pair in pairs)


def _close(printed, shown):
    decimals = len(shown.partition(".")[2]) if "e" not in shown else 12
    allowed = LAST_DIGITS * 10.0**-decimals if "." in shown else 0.0
    return abs(float(printed) - float(shown)) <= max(allowed, RELATIVE * abs(float(shown)))


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    import matplotlib.pyplot as plt

    monkeypatch.chdir(tmp_path)
    yield
    plt.close("all")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_page_runs_and_prints_what_it_shows(page):
    namespace = {"__name__": "__main__"}
    for snippet in _snippets.snippets(page):
        printed = _snippets.run(snippet, namespace, page)
        if snippet.output is not None:
            message = f"{page.name} line {snippet.line} prints\n{printed}\nnot\n{snippet.output}"
            assert same_output(printed, snippet.output), message


@pytest.mark.parametrize(
    ("printed", "same"),
    [
        ("[0.18 0.48] 56.\n", True),
        ("[0.20  0.46]   55.\n", True),
        ("[0.28 0.48] 56.\n", False),
        ("[0.18 0.48] 66.\n", False),
        ("[0.18 0.48] 56. more\n", False),
        ("[0.18] 56.\n", False),
    ],
)
def test_a_wrong_number_or_word_is_found(printed, same):
    assert same_output(printed, "[0.18 0.48] 56.") is same


def test_every_python_block_is_found():
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        assert len(_snippets.snippets(page)) == len(re.findall("^```python", text, re.MULTILINE))


def test_readme_shows_one_snippet_of_at_most_eight_lines_on_its_first_screen():
    shown = _snippets.snippets(README)
    assert len(shown) == 1
    assert shown[0].output is not None
    assert len(shown[0].code.strip().splitlines()) <= 8
    first_screen = README.read_text(encoding="utf-8").partition("\n---\n")[0]
    assert len(first_screen.splitlines()) < 60


def table(page, header):
    """Rows of cells of the table whose first header cell is ``header``."""
    lines = page.read_text(encoding="utf-8").splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"| {header} |"))
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


@pytest.mark.parametrize(
    ("header", "guide", "registry"),
    [
        ("`inference=`", "engines.md", INFERENCES),
        ("`prior=`", "priors.md", PRIORS),
        ("`likelihood=`", "likelihoods.md", LIKELIHOODS),
    ],
)
def test_tables_list_what_is_registered(header, guide, registry):
    in_guide = {
        row[0].strip("`"): row[1].strip("`") for row in table(ROOT / "docs" / guide, header)
    }
    assert in_guide == {name: kind.__name__ for name, kind in registry.items()}
    in_readme = [row[0].strip("`") for row in table(README, header)]
    assert sorted(in_readme) == sorted(registry)


def test_table_of_scale_priors_lists_what_is_registered():
    rows = table(ROOT / "docs/priors.md", "`scale=`")
    listed = {row[0].split(",")[0].strip("`"): row[1].strip("`") for row in rows}
    assert listed == {name: kind.__name__ for name, kind in SCALE_PRIORS.items()}


def test_engine_table_says_which_evidence_each_engine_has():
    evidence = {
        row[0].strip("`"): row[-1] for row in table(ROOT / "docs/engines.md", "`inference=`")
    }
    for name, engine in INFERENCES.items():
        kind = engine.evidence_kind
        assert f"`{kind}`" in evidence[name] if kind else evidence[name] == "none", name


def test_links_lead_somewhere():
    for page in [*PAGES, ROOT / "CONTRIBUTING.md"]:
        text = page.read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
            if not target.startswith("http"):
                assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_quickstart_runs_and_saves_its_picture():
    script = ROOT / "examples" / "quickstart.py"
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    for name in ("LogisticRegression", "MLPClassifier", "BayesianMLPClassifier", "BayesianRidge"):
        assert sum(line.startswith(name) for line in lines) == 1
    ours = next(line.split() for line in lines if line.startswith("BayesianMLPRegressor"))
    assert 0.85 < float(ours[5]) < 0.94  # 442 intervals of 90%: three standard errors
    picture = Path("quickstart.svg").read_text(encoding="utf-8")
    assert picture.count("<circle") == 111
    assert picture.rstrip().endswith("</svg>")
