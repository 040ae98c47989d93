"""Run by a process of its own, in which torch cannot be imported.

Fits the estimators that need none, calls every public verb of theirs, saves and loads them.
Prints a JSON object: the verbs that each has answered.
"""

import json
import sys
import tempfile
import warnings
from inspect import signature
from pathlib import Path


class Refused:
    """A finder that stands before all others and refuses these packages."""

    names = {"torch", "skorch"}

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.names:
            raise ImportError(f"{name} is refused")


sys.meta_path.insert(0, Refused())

import numpy as np  # noqa: E402

import skbayes  # noqa: E402
from skbayes import io  # noqa: E402

rng = np.random.default_rng(0)
X = rng.normal(size=(60, 3))
Y = X[:, 0] + 0.3 * rng.normal(size=60)
LABELS = np.where(Y > 0, "yes", "no")
LIGHT = [
    (skbayes.BayesianLinearRegression(), Y),
    (skbayes.BayesianLogisticRegression(), LABELS),
    (skbayes.BayesianLogisticRegression(inference="laplace"), LABELS),
    (skbayes.VariationalGMM(2, random_state=0), None),
    (skbayes.PPCA(2), None),
    (skbayes.ConjugateDensity("normal_inverse_wishart"), None),
]
#: scikit-learn's own methods, settings and exports.
OTHERS = ("get_", "set_", "to_arviz")


def verbs_of(estimator):
    """Names of the public methods that this estimator has."""
    return [
        name
        for name in dir(type(estimator))
        if name[0] != "_"
        and not name.startswith(OTHERS)
        and callable(getattr(estimator, name, None))
    ]


def answers(estimator, y):
    """What every verb says to the arguments that it asks for, by name."""
    known = {"X": X, "y": y, "Z": X[:, :2]}
    found = {}
    for name in verbs_of(estimator):
        verb = getattr(estimator, name)
        asked = [p for p in signature(verb).parameters.values() if p.default is p.empty]
        try:
            found[name] = verb(**{p.name: known[p.name] for p in asked if p.kind != p.VAR_KEYWORD})
        except Exception as error:
            raise RuntimeError(f"{estimator}.{name}") from error
    return found


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    told = {}
    with tempfile.TemporaryDirectory() as folder:
        for number, (estimator, y) in enumerate(LIGHT):
            estimator.fit(X, y)
            path = Path(folder) / str(number)
            io.save(estimator, path)
            loaded = io.load(path)
            verb = "predict_std" if y is not None else "score_samples"
            assert np.array_equal(getattr(loaded, verb)(X), getattr(estimator, verb)(X))
            told[f"{number} {type(estimator).__name__}"] = sorted(answers(estimator, y))
    assert not Refused.names & sys.modules.keys()
    print(json.dumps(told))
