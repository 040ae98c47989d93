"""Do the samplers without an accept step say what Hamiltonian Monte Carlo says?

    python -m benchmarks.studies.agreement

Predictive means and standard deviations of held-out rows, on small sets: every engine at
its defaults but for 16 chains, whose differences give each number its Monte Carlo error.
Every comparison is appended to results/agreement.csv and not run again while its row is there.
"""

from __future__ import annotations

import time
import warnings
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_diabetes, load_iris, load_wine, make_moons
from sklearn.model_selection import train_test_split

from benchmarks._common import Ledger, limit_threads, parser, revision, table, write
from skbayes import BayesianMLPClassifier, BayesianMLPRegressor
from skbayes.exceptions import ConvergenceWarning
from skbayes.inference import HMC, MCLMC, SGHMC, SGLD, Inference

N_CHAINS = 16
HIDDEN = (20,)
SETS = {
    "diabetes": load_diabetes(return_X_y=True),
    "iris": load_iris(return_X_y=True),
    "wine": load_wine(return_X_y=True),
    "moons": make_moons(200, noise=0.3, random_state=0),
}
REGRESSION = ("diabetes",)
COMMON: dict[str, Any] = {"n_chains": N_CHAINS, "evidence": None}
ENGINES: dict[str, Inference] = {
    "hmc": HMC(**COMMON),
    "hmc, another seed": HMC(**COMMON),
    "sghmc": SGHMC(**COMMON),
    "sghmc, batches of 32": SGHMC(batch_size=32, **COMMON),
    "mclmc": MCLMC(**COMMON),
    "sgld": SGLD(max_extensions=0, **COMMON),
}
EXACT = "hmc"
FIELDS = ("set", "engine", "r_hat", "z_mean", "mean", "z_std", "ratio", "seconds", "revision")
#: Root mean square z-score beyond which two engines differ; 1 is what chance gives.
DIFFERENT = 2.0
COLUMNS = ("set", "engine", "R-hat", "mean: z", "off by, sd", "std: z", "ratio", "verdict", "CPU s")


def fit(name: str, engine: Inference, seed: int) -> dict[str, Any]:
    """Each chain's mean and standard deviation of the predictions (C, values), and R-hat."""
    X, y = SETS[name]
    regression = name in REGRESSION
    X, rows, y, _ = train_test_split(X, y, random_state=0, stratify=None if regression else y)
    kind = BayesianMLPRegressor if regression else BayesianMLPClassifier
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = kind(HIDDEN, inference=engine, random_state=seed).fit(X, y)
    seconds = time.process_time() - start
    values = function_draws(model, rows)
    r_hat = f"{model.diagnostics_['r_hat']:.3f} / {model.diagnostics_['r_hat_hyper']:.3f}"
    return {"mean": values.mean(1), "std": values.std(1), "r_hat": r_hat, "seconds": seconds}


def function_draws(model, rows: np.ndarray) -> np.ndarray:
    """Function values, or probabilities of all classes but the first: (C, draws, values)."""
    parts, particles = model._model(), torch.from_numpy(model.posterior_.particles)
    scaled = torch.as_tensor(model._x_scaler.transform(rows), dtype=particles.dtype)
    outputs = parts.network.forward(parts.weights(particles.flatten(0, 1)), scaled)
    if parts.likelihood.target == "classes":
        outputs = parts.likelihood.probabilities(outputs)[..., 1:]
    return outputs.flatten(1).unflatten(0, particles.shape[:2]).double().numpy()


def compare(found: dict[str, Any], exact: dict[str, Any]) -> dict[str, float]:
    """z-scores (root mean square over values) of means and stds, and what they amount to."""
    scale = exact["std"].mean(0)
    report = {}
    for name in ("mean", "std"):
        ours, theirs = found[name], exact[name]
        error = np.sqrt((ours.var(0, ddof=1) + theirs.var(0, ddof=1)) / N_CHAINS)
        difference = ours.mean(0) - theirs.mean(0)
        report[f"z_{name}"] = float(np.sqrt(np.mean((difference / error) ** 2)))
        report[name] = float(np.sqrt(np.mean((difference / scale) ** 2)))
    report["ratio"] = float(np.median(found["std"].mean(0) / scale))
    return report


def verdict(row: dict[str, str]) -> str:
    """Whether chance could have made the difference."""
    differing = [name for name in ("mean", "std") if float(row[f"z_{name}"]) > DIFFERENT]
    return f"differs in {' and '.join(differing)}" if differing else "agrees"


def run(name: str, ledger: Ledger) -> None:
    """Every comparison on a set that the ledger lacks."""
    missing = [label for label in ENGINES if (name, label) not in ledger]
    if not missing:
        return
    exact = fit(name, ENGINES[EXACT], 0)
    for label in missing:
        seed = list(ENGINES).index(label)
        found = exact if label == EXACT else fit(name, ENGINES[label], seed)
        report = compare(found, exact)
        numbers = [f"{report[key]:.4g}" for key in ("z_mean", "mean", "z_std", "ratio")]
        ledger.add(name, label, found["r_hat"], *numbers, f"{found['seconds']:.1f}", revision())


def cells(name: str, label: str, ledger: Ledger) -> list[str]:
    """A row of the table; the first engine is what the others are compared with."""
    row = ledger[name, label]
    if label == EXACT:
        return [name, f"`{label}`", row["r_hat"], *["-"] * 5, row["seconds"]]
    numbers = [row[key] for key in ("z_mean", "mean", "z_std", "ratio")]
    return [name, f"`{label}`", row["r_hat"], *numbers, verdict(row), row["seconds"]]


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--sets", default=",".join(SETS), help="of " + ", ".join(SETS))
    args = options.parse_args()
    limit_threads(args.threads)
    ledger = Ledger("agreement", FIELDS, 2, stored=not args.quick)
    rows = []
    for name in ["iris"] if args.quick else args.sets.split(","):
        run(name, ledger)
        rows += [cells(name, label, ledger) for label in ENGINES]
    note = (
        "Against the first row of each set. z: root mean square over held-out rows of the "
        "difference over its Monte Carlo error, from the spread between 16 chains a side; "
        f"about 1 by chance (the second row shows how far), 'differs' beyond {DIFFERENT:g}. "
        "'off by': root mean square difference of the means in posterior standard deviations; "
        "'ratio': median of the standard deviations'. R-hat: median of function values / "
        "largest of hyperparameters, after the engine's own extensions; `sgld`, the slowest, "
        "takes none."
    )
    write("agreement", "Agreement of the samplers", [table(COLUMNS, rows), note], args)


if __name__ == "__main__":
    main()
