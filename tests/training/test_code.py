"""Of the user's own classes and functions the code is hashed, of a library's the name."""

import textwrap
from functools import partial

import numpy as np
import pytest
import torch

from skbayes.priors import Normal
from skbayes.training._encoding import digest

SOURCE = """
    from functools import cached_property, wraps
    import numpy as np
    from skbayes.priors import Normal

    FACTOR = 2.0

    def helper(z):
        return FACTOR * z

    def traced(method):
        @wraps(method)
        def inner(*args):
            return method(*args)
        return inner

    class Base(Normal):
        order = (1, 2)

        @cached_property
        def shift(self):
            return 0.25

    class Prior(Base):
        '''A prior of my own.'''

        @property
        def proper(self):
            return True

        @staticmethod
        def power(z, exponent=3):
            return z**exponent

        @traced
        def log_base(self, z):
            return [helper(x) for x in [-0.5 * z * z]][0] + np.log(1.5)
"""


def prior(old="", new=""):
    """An instance from the source, edited as in a notebook's cell."""
    assert old in SOURCE
    scope = {"__name__": "notebook"}
    exec(textwrap.dedent(SOURCE.replace(old, new)), scope)
    return scope["Prior"](scale=1.0)


EDITS = {
    "a constant in a decorated method": ("-0.5 *", "-0.6 *"),
    "a function of a library": ("np.log", "np.exp"),
    "a function that a method calls": ("FACTOR * z", "FACTOR + z"),
    "a global number": ("FACTOR = 2.0", "FACTOR = 2.5"),
    "a default": ("exponent=3", "exponent=4"),
    "a property": ("return True", "return False"),
    "a cached property": ("0.25", "0.5"),
    "an attribute of a base": ("(1, 2)", "(2, 1)"),
    "another base": ("Prior(Base)", "Prior(Normal)"),
    "a decorator": ("return method(*args)", "return -method(*args)"),
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_gives_another_hash(edit):
    assert digest(prior(*EDITS[edit])) != digest(prior())
    assert digest(type(prior(*EDITS[edit]))) != digest(type(prior()))


def test_what_changes_nothing_keeps_the_hash():
    """Run again, moved down the file, or commented."""
    assert digest(prior()) == digest(prior())
    moved = ("FACTOR = 2.0", "\n\n    # of both\n    FACTOR = 2.0")
    assert digest(prior(*moved)) == digest(prior())
    assert digest(prior("'''A prior of my own.'''", "'''A better one.'''")) == digest(prior())


def test_closures_and_lambdas_are_told_apart():
    def scaled(k):
        return lambda z: k * z

    functions = [scaled(1), scaled(2), lambda z: z, lambda z: z + 1, partial(scaled, 1)]
    assert len({digest(function) for function in functions}) == 5
    assert digest(scaled(1)) == digest(scaled(1))


def test_modules_of_torch_have_their_code():
    def module(sign):
        class Signed(torch.nn.Module):
            def forward(self, x):
                return sign * x

        return torch.nn.Sequential(Signed())

    assert digest(module(1)) != digest(module(-1))
    assert digest(module(1)) == digest(module(1))


def test_functions_that_call_one_another_end():
    scope = {"__name__": "notebook"}
    names = [f"f{number}" for number in range(30)]
    body = " + ".join(f"{name}()" for name in names)
    exec("\n".join(f"def {name}(): return {body}" for name in names), scope)
    assert digest(scope["f0"]) == digest(scope["f0"])


def test_libraries_go_by_name(monkeypatch):
    before = digest(Normal(scale=2.0)), digest(np.tanh), digest(Normal)
    monkeypatch.setattr(Normal, "proper", False)
    assert (digest(Normal(scale=2.0)), digest(np.tanh), digest(Normal)) == before
