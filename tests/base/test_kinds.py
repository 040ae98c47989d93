"""Kinds of spread have one home, which is light."""

import ast
import subprocess
import sys

import pytest

from skbayes.base._kinds import KINDS, check_kind
from tests.test_imports import sources


def writes_kinds(node):
    """Whether a node of the syntax tree spells the kinds out."""
    return isinstance(node, ast.Tuple | ast.List | ast.Set) and {
        getattr(item, "value", None) for item in node.elts
    } == set(KINDS)


def test_kinds_are_written_once():
    homes = [
        name
        for name, source in sources().items()
        if any(map(writes_kinds, ast.walk(ast.parse(source))))
    ]
    assert homes == ["skbayes.base._kinds"]


def test_the_home_needs_no_torch():
    code = "import sys, skbayes.base._kinds; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_an_unknown_kind_is_refused_by_name():
    with pytest.raises(ValueError, match=r"kind='model' is not known; use one of \['total'"):
        check_kind("model")
