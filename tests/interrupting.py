"""Ctrl-C at a chosen line of the package, and the lines that a call passes."""

import sys
from pathlib import Path

import numpy as np
import torch

import skbayes
from skbayes.utils import _threads

PACKAGE = str(Path(skbayes.__file__).parent)


class Tracer:
    """Follows the package's lines as they run; raises KeyboardInterrupt at the given one."""

    def __init__(self, at=None):
        self.at, self.passed = at, []

    def __call__(self, frame, event, arg):
        return self.follow if frame.f_code.co_filename.startswith(PACKAGE) else None

    def follow(self, frame, event, arg):
        if event == "line":
            self.passed.append((frame.f_code.co_filename, frame.f_lineno))
            if len(self.passed) == self.at:
                raise KeyboardInterrupt
        return self.follow


def lines_of(call):
    """File and number of every line that a call runs in the package, in order."""
    return _traced(call, Tracer()).passed


def interrupted(call, at):
    """Press Ctrl-C as the call comes to its line of that number, counted from one."""
    _traced(call, Tracer(at))


def _traced(call, tracer):
    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        # An exception on the way out of a with block skips its exit, in any Python code; signals
        # come at calls and loops, so that this is rare, but lines are counted there too.
        with torch.enable_grad(), np.errstate():
            call()
    except KeyboardInterrupt:
        assert tracer.at is not None
    else:
        assert tracer.at is None, "it ended before that line"
    finally:
        sys.settrace(before)
        # The same of the limit of threads, were it stopped as it ended.
        _threads._OWN.wanted = None
        _threads._STANDING.clear()
    return tracer
