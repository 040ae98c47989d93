"""Check that files keep what an estimator answers."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import skops.io

from skbayes.io import load, save
from skbayes.testing._problems import fitted_problems, require
from skbayes.testing._row_checks import leaves
from skbayes.testing._state import verbs


def check_saved_bits(name: str, estimator: Any) -> None:
    """A saved and loaded estimator answers with the same bits.

    Files lay arrays out without gaps, and sums over another layout may round otherwise: so
    strided views are refused even where the bits happen to agree.
    """
    for problem, fitted in fitted_problems(estimator, anew=True):
        for at, value in leaves(name, vars(fitted)):
            gapless = not isinstance(value, np.ndarray) or value.flags.forc
            require(gapless, f"{at}: a strided view; store np.ascontiguousarray of it")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "estimator.skbayes"
            save(fitted, path)
            loaded = load(path, trusted=skops.io.get_untrusted_types(file=path))
        for verb, call in verbs(estimator, problem).items():
            same = joblib.hash(call(fitted)) == joblib.hash(call(loaded))
            require(same, f"{name}.{verb} on {problem.name}: other bits after save and load")
