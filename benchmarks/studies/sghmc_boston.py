"""SGHMC on Boston with a fixed prior, beside the published run and our own HMC.

    python -m benchmarks.studies.sghmc_boston

100 tanh units, weights N(0, 1) over sqrt(fan_in), noise variance .1 on standardised
targets. Splits 0-9 of the standard ones; the published experiment had ten of its own. Every
fit is appended to results/sghmc_boston.csv and not run again while its row is there.
"""

from __future__ import annotations

import time
import warnings
from typing import Any

import numpy as np

from benchmarks._common import Ledger, limit_threads, load, parser, revision, table, verdict, write
from skbayes import BayesianMLPRegressor
from skbayes.exceptions import ConvergenceWarning
from skbayes.inference import HMC, SGHMC, Inference
from skbayes.likelihoods import Gaussian
from skbayes.priors import Normal

ENGINES: dict[str, Inference] = {
    "sghmc": SGHMC(),
    "hmc": HMC(),
}
#: Engines, and on how many of the splits; the second row is what the third compares with.
RUNS = (("sghmc", 10), ("sghmc", 5), ("hmc", 5))
#: Tran et al. (2022), fixed N(0, 1) prior: RMSE 3.132, NLL 2.567.
RMSE, NLL, R_HAT, N_DRAWS = 3.13, 2.57, 1.02, 400
#: More than any engine keeps: predictions average every draw.
ALL_DRAWS = 10_000
FIELDS = (
    *("engine", "split", "rmse", "nll", "r_hat"),
    *("draws", "effective", "warned", "seconds", "revision"),
)
COLUMNS = ("", "RMSE", "NLL", "R-hat", "worst", "draws", "effective", "warned", "CPU s")


def score(engine: Inference, X: np.ndarray, y: np.ndarray, test: np.ndarray, seed: int) -> tuple:
    """One split: error and log loss held out, and what the chains say."""
    model = BayesianMLPRegressor(
        (100,),
        activation="tanh",
        prior=Normal(scale=1.0),
        likelihood=Gaussian(noise=float(np.sqrt(0.1) * y[~test].std())),
        inference=engine,
        n_predictive_samples=ALL_DRAWS,
        random_state=seed,
    )
    start = time.process_time()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        model.fit(X[~test], y[~test])
    seconds = time.process_time() - start
    rmse = float(np.sqrt(np.mean((model.predict(X[test]) - y[test]) ** 2)))
    nll = -float(model.log_predictive(X[test], y[test]).mean())
    report, n_draws = model.diagnostics_, model.posterior_.particles[..., 0].size
    return rmse, nll, report["r_hat"], n_draws, report["ess_bulk"], int(bool(caught)), seconds


def run(ledger: Ledger, most: int) -> None:
    """Every fit that the ledger lacks."""
    arrays = load("uci_boston")
    X, y = arrays["X"].astype(np.float64), arrays["y"].astype(np.float64).ravel()
    for engine, n_splits in RUNS:
        for split in range(min(n_splits, most)):
            if (engine, split) in ledger:
                continue
            test = np.zeros(len(y), bool)
            test[arrays["test_idx"][split]] = True
            ledger.add(engine, split, *score(ENGINES[engine], X, y, test, split), revision())


def summary(ledger: Ledger, engine: str, n_splits: int) -> tuple[list[Any], str]:
    """A row of the table, and its goals met or missed."""
    found = [ledger[engine, split] for split in range(n_splits)]
    values = {name: np.array([float(row[name]) for row in found]) for name in FIELDS[2:-1]}
    r_hat, n_draws = values["r_hat"], values["draws"].min()

    def mean(name: str) -> str:
        error = values[name].std(ddof=1) / np.sqrt(n_splits) if n_splits > 1 else np.nan
        return f"{values[name].mean():.3f} ± {error:.3f}"

    label = f"`{engine}`, splits 0-{n_splits - 1}"
    row = [label, mean("rmse"), mean("nll"), f"{np.median(r_hat):.3f}",
           f"{r_hat.max():.3f}", int(n_draws), values["effective"].mean(),
           f"{values['warned'].sum():.0f} of {n_splits}", values["seconds"].mean()]  # fmt: skip
    goals = (
        f"- {label}: RMSE {verdict(values['rmse'].mean(), RMSE, at_most=True)}; "
        f"NLL {verdict(values['nll'].mean(), NLL, at_most=True)}; median R-hat over "
        f"rows, worst split {verdict(r_hat.max(), R_HAT, at_most=True)}; draws "
        f"{verdict(n_draws, N_DRAWS)}"
    )
    return row, goals


def main() -> None:
    args = parser(__doc__).parse_args()
    limit_threads(args.threads)
    most = 1 if args.quick else 10
    ledger = Ledger("sghmc_boston", FIELDS, 2, stored=not args.quick)
    run(ledger, most)
    rows, goals = zip(*(summary(ledger, name, min(n, most)) for name, n in RUNS), strict=True)
    published = ["published SGHMC, batches of 32, ten other splits", "3.132", "2.567"]
    lines = [*rows, [*published, "1.00-1.03", "", 120, *[None] * 3]]
    sections = [table(COLUMNS, lines), goals[0]]
    sections.append(
        "Mean and standard error over the splits. R-hat: median over rows of the training set, "
        "median and worst over the splits. Engines at their defaults, which were set on "
        "diabetes, breast cancer and other bundled sets, and nothing was chosen for this table. "
        "Predictions average every draw. The publication's numbers are for its own splits."
    )
    write("sghmc_boston", "SGHMC on Boston, fixed N(0, 1) prior", sections, args)


if __name__ == "__main__":
    main()
