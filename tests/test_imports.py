"""Imports point one way, `import skbayes` is light, and every public name loads."""

import ast
import json
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from statistics import median

import pytest

import skbayes
from tests.conftest import QUICK

ROOT = Path(skbayes.__file__).parent

#: A module may import from its own room and from the rooms before it. The longest name
#: that fits is a module's room; "skbayes" is the package's own file, which loads lazily.
LAYERS = (
    "skbayes",
    "skbayes.exceptions",
    "skbayes.utils",
    "skbayes.data",
    "skbayes.base",
    "skbayes.training",
    "skbayes.networks",
    "skbayes.scale_priors",
    "skbayes.priors",
    "skbayes.likelihoods",
    "skbayes._model",
    "skbayes.posteriors",
    "skbayes.evidence",
    "skbayes.inference",
    "skbayes.neural_network",
    "skbayes.linear_model",
    "skbayes.mixture",
    "skbayes.decomposition",
    "skbayes.conjugate",
    "skbayes.latent",
    "skbayes.autoencoder",
    "skbayes.verbs",
    "skbayes.io",
    "skbayes.testing",
)
#: Rooms beside the line: what each may import, and nobody on the line imports them.
BESIDE = {
    "skbayes.metrics": {"skbayes.exceptions", "skbayes.verbs"},
    "skbayes.inspection": {"skbayes.exceptions", "skbayes.verbs", "skbayes.metrics"},
}
#: Seconds that the package may add to the import of numpy.
IMPORT_BUDGET = 0.15


def sources() -> dict[str, str]:
    """Every module of the package with its source."""
    found = {}
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = path.read_text(encoding="utf-8")
    return found


def imported(module: str, source: str, modules: set[str]) -> set[str]:
    """Modules of the package that a module imports, anywhere in its source."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} line {node.lineno}: write the import in full"
            found |= {_home(node.module, alias.name, modules) for alias in node.names}
    return {name for name in found if name.split(".")[0] == "skbayes"} - {module}


def _home(module: str, name: str, modules: set[str]) -> str:
    """Where `from module import name` leads: a submodule, a lazy name's home, the module."""
    if f"{module}.{name}" in modules:
        return f"{module}.{name}"
    return skbayes._HOMES.get(name, module) if module == "skbayes" else module


def room(module: str) -> str:
    """The longest name in the tables that holds a module."""
    names = [n for n in (*LAYERS, *BESIDE) if module == n or module.startswith(n + ".")]
    best = max(names, key=len)
    assert best != "skbayes" or module == "skbayes", f"{module} has no room in the tables"
    return best


def violations(package: dict[str, str]) -> list[str]:
    """Imports that point backwards, and cycles."""
    graph = {name: imported(name, source, set(package)) for name, source in package.items()}
    rooms = {module: room(module) for module in package}
    found = [
        f"{module} imports {target}"
        for module, targets in sorted(graph.items())
        for target in sorted(targets)
        if not allowed(rooms[module], room(target))
    ]
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        found.append("cycle: " + " -> ".join(error.args[1]))
    return found


def allowed(source: str, target: str) -> bool:
    """Whether one room may import from another."""
    if source == target:
        return True
    if source in BESIDE:
        return target in BESIDE[source]
    return target not in BESIDE and LAYERS.index(target) < LAYERS.index(source)


def test_imports_point_one_way():
    package = sources()
    assert {"skbayes", "skbayes._model", "skbayes.verbs", "skbayes.metrics"} <= set(package)
    assert violations(package) == []


@pytest.mark.parametrize(
    ("module", "source", "expected"),
    [
        ("skbayes.priors._new", "from skbayes.inference import HMC", "imports skbayes.inference"),
        ("skbayes.utils._new", "import skbayes._model", "imports skbayes._model"),
        ("skbayes.utils._new", "from skbayes import verbs", "imports skbayes.verbs"),
        (
            "skbayes.networks._new",
            "from skbayes import BayesianMLPRegressor",
            "imports skbayes.neural_network",
        ),
        (
            "skbayes.likelihoods._new",
            "def f():\n    from skbayes.autoencoder import PPCA",
            "imports skbayes.autoencoder",
        ),
        ("skbayes.metrics._new", "import skbayes.io", "imports skbayes.io"),
        ("skbayes.verbs", "import skbayes.metrics", "imports skbayes.metrics"),
        (
            "skbayes.inference._base",
            "from skbayes.inference.mcmc._hmc import HMC",
            "cycle: skbayes.inference._",
        ),
    ],
)
def test_a_backward_import_is_found(module, source, expected):
    package = sources()
    package[module] = package.get(module, "") + "\n" + source
    assert any(expected in found for found in violations(package))


def test_a_module_without_a_room_is_found():
    with pytest.raises(AssertionError, match="has no room"):
        violations({**sources(), "skbayes.new_room": ""})


#: Rooms whose quick tests do not stand in a folder of their name.
TESTED_ELSEWHERE = {
    "latent": "autoencoder/test_divergences.py",
    "neural_network": "test_common.py",
    "verbs": "test_verbs.py",
}


def test_the_quick_tier_touches_every_room():
    tests = Path(__file__).parent
    assert all((tests / name.partition("::")[0]).exists() for name in QUICK)
    for room in (path.parent.name for path in ROOT.glob("*/__init__.py")):
        place = TESTED_ELSEWHERE.get(room, f"{room}/")
        assert any(name.startswith(place) for name in QUICK), room


def run(code: str) -> str:
    """Output of a fresh interpreter."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout


def test_import_skbayes_loads_no_heavy_package():
    loaded = run("import sys, skbayes; print(*{name.split('.')[0] for name in sys.modules})")
    heavy = {"torch", "sklearn", "scipy", "skorch", "joblib", "matplotlib", "pandas", "arviz_stats"}
    assert heavy.isdisjoint(loaded.split())
    assert "skbayes" in loaded.split()


def test_light_rooms_work_without_torch():
    """Linear models, mixtures, PPCA and conjugates fit, answer, save and load."""
    command = [sys.executable, "-m", "tests.light_process"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT.parent)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert len(told) == 6
    assert all({"fit", "score_evidence"} <= set(verbs) for verbs in told.values())


def test_import_skbayes_is_quick():
    code = (
        "import numpy, time; start = time.perf_counter(); import skbayes; "
        "print(time.perf_counter() - start)"
    )
    assert median(float(run(code)) for _ in range(5)) < IMPORT_BUDGET


def test_every_public_name_loads_and_is_listed():
    names = [name for name in skbayes.__all__ if name != "__version__"]
    assert names
    for name in names:
        assert callable(getattr(skbayes, name)), name
    assert set(skbayes.__all__) <= set(dir(skbayes))


def test_modules_come_with_the_package_name():
    code = "import skbayes; skbayes.io.save, skbayes.metrics.crps, skbayes.inspection"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'BayesianForest'"):
        skbayes.BayesianForest  # noqa: B018


@pytest.mark.parametrize(
    "package",
    [
        "inference",
        "priors",
        "likelihoods",
        "metrics",
        "inspection",
        "neural_network",
        "decomposition",
        "mixture",
        "linear_model",
        "autoencoder",
        "conjugate",
        "latent",
    ],
)
def test_every_name_in_all_loads(package):
    module = __import__(f"skbayes.{package}", fromlist=["__all__"])
    for name in module.__all__:
        assert getattr(module, name) is not None
    for registry in ("INFERENCES", "PRIORS", "LIKELIHOODS"):
        if registry in module.__all__:
            classes = {kind.__name__ for kind in getattr(module, registry).values()}
            assert classes <= set(module.__all__), f"{registry} holds a class that is not exported"


def test_no_fit_imports_the_compiler():
    """torch's optimisers import torch._dynamo at their first step; `utils._adam` does not."""
    code = """
import sys, numpy as np
from skbayes import BayesianMLPRegressor, VAETransformer
X = np.random.default_rng(0).normal(size=(20, 2))
BayesianMLPRegressor(inference="hmc").set_params(
    inference__n_samples=4, inference__warmup=5, inference__max_extensions=0
).fit(X, X[:, 0])
VAETransformer(1).set_params(training__max_iter=2).fit(X)
assert "torch.optim.adam" in sys.modules
assert "torch._dynamo" not in sys.modules
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)
