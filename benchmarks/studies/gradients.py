"""Effective draws that a gradient buys: the samplers in either coordinates.

    python -m benchmarks.studies.gradients

Every sampler at its defaults, never lengthened, with the outputs' mean and size as axes
and in the model's own coordinates; SGLD by Euler's rule too. Every run is appended to
results/gradients.csv and not run again while its row is there.
"""

from __future__ import annotations

import warnings
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

from sklearn.datasets import load_diabetes, load_iris

from benchmarks._common import Ledger, limit_threads, parser, revision, table, write
from skbayes import BayesianMLPClassifier, BayesianMLPRegressor
from skbayes._model import Model
from skbayes.exceptions import ConvergenceWarning
from skbayes.inference import HMC, MCLMC, SGHMC, SGLD, Inference
from skbayes.inference.mcmc import _hamiltonian, _hmc, _mclmc
from skbayes.inference.mcmc._coordinates import Coordinates, OutputCoordinates
from skbayes.inference.sgmcmc import _stochastic

SETS = {
    "diabetes": load_diabetes(return_X_y=True),
    "iris": load_iris(return_X_y=True),
}
CLASSES = ("iris",)
SHORT = {"max_extensions": 0, "evidence": None}
ENGINES: dict[str, Inference] = {
    "hmc": HMC(**SHORT),
    "sghmc": SGHMC(**SHORT),
    "mclmc": MCLMC(**SHORT),
    "sgld": SGLD(**SHORT),
    "sgld, Euler": SGLD(integrator="euler", **SHORT),
}
COORDINATES = {"the outputs'": OutputCoordinates, "the model's": Coordinates}
#: Where the samplers come from, and the functions through one of which each gradient goes.
USERS = (_hamiltonian, _hmc, _mclmc, _stochastic)
GRADIENTS = {
    Model: ("grad", "value_and_grad"),
    Coordinates: ("_graded",),
    OutputCoordinates: ("_graded", "evaluate"),
}
FIELDS = ("set", "engine", "coordinates", "effective", "hyper", "r_hat", "gradients", "revision")
COLUMNS = ("set", "engine", *(f"{what}, {name}" for what in ("functions", "hyperparameters")
           for name in COORDINATES), "R-hat")  # fmt: skip


@contextmanager
def counting():
    """Count the gradients of the log joint, in a list of one."""
    count = [0]

    def counted(function):
        def call(*args, **kwargs):
            count[0] += 1
            return function(*args, **kwargs)

        return call

    with ExitStack() as stack:
        for kind, names in GRADIENTS.items():
            for name in names:
                stack.enter_context(patch.object(kind, name, counted(getattr(kind, name))))
        yield count


def run(name: str, engine: str, coordinates: str, ledger: Ledger) -> None:
    """One fit, in the coordinates asked for."""
    X, y = SETS[name]
    kind = BayesianMLPClassifier if name in CLASSES else BayesianMLPRegressor
    estimator = kind((50,), inference=ENGINES[engine], random_state=0)
    chosen = COORDINATES[coordinates]
    with warnings.catch_warnings(), ExitStack() as stack:
        warnings.simplefilter("ignore", ConvergenceWarning)
        for user in USERS:
            stack.enter_context(patch.object(user, "sampling_coordinates", chosen))
        count = stack.enter_context(counting())
        report = estimator.fit(X, y).diagnostics_
    r_hat = f"{report['r_hat']:.3f} / {report['r_hat_hyper']:.3f}"
    effective = [f"{report[key]:.1f}" for key in ("ess_bulk", "ess_bulk_hyper")]
    ledger.add(name, engine, coordinates, *effective, r_hat, count[0], revision())


def cells(name: str, engine: str, ledger: Ledger) -> list:
    """A row of the table: effective draws per thousand gradients, start and warm-up included."""
    found = [ledger[name, engine, coordinates] for coordinates in COORDINATES]
    rates = [
        1000 * float(row[what]) / float(row["gradients"])
        for what in ("effective", "hyper")
        for row in found
    ]
    return [name, f"`{engine}`", *rates, found[0]["r_hat"]]


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--sets", default=",".join(SETS), help="of " + ", ".join(SETS))
    args = options.parse_args()
    limit_threads(args.threads)
    ledger = Ledger("gradients", FIELDS, 3, stored=not args.quick)
    rows = []
    for name in ["iris"] if args.quick else args.sets.split(","):
        for engine in ENGINES:
            for coordinates in COORDINATES:
                if (name, engine, coordinates) not in ledger:
                    run(name, engine, coordinates, ledger)
            rows.append(cells(name, engine, ledger))
    note = (
        "Effective draws per thousand gradients of all four chains, start and warm-up included: "
        "median of function values, smallest of hyperparameters. One run each, 50 tanh units, "
        "so that a factor of 1.3 says little. R-hat of the first coordinates' run: median of "
        "function values / largest of hyperparameters."
    )
    write("gradients", "Effective draws a gradient", [table(COLUMNS, rows), note], args)


if __name__ == "__main__":
    main()
