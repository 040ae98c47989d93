"""SGHMC on Boston's ten splits with a fixed prior, beside the published run and our HMC.

    python -m benchmarks.sghmc_boston

100 tanh units, weights N(0, 1) over sqrt(fan_in), noise variance .1 on standardised
targets. Splits 0-9 of the standard ones, and the ten of the published experiment. The
engines run at their defaults, on all rows and on mini-batches of 64; nothing was set on
these data: the defaults go back to diabetes, breast cancer and yacht.
"""

from __future__ import annotations

import time
import warnings
from typing import Any

import numpy as np

from benchmarks._common import limit_threads, load, parser, table, verdict, write
from skbayes import BayesianMLPRegressor
from skbayes.exceptions import ConvergenceWarning
from skbayes.inference import HMC, SGHMC
from skbayes.likelihoods import Gaussian
from skbayes.priors import Normal

ENGINES = {
    "`sghmc`, all rows": SGHMC(),
    "`sghmc`, batches of 64": SGHMC(batch_size=64),
    "`hmc`": HMC(),
}
SPLITS = {"standard, 0-9": "test_idx", "of the publication": "tran_test_idx"}
#: Tran et al. (2022), fixed N(0, 1) prior.
PUBLISHED = (3.132, 2.567)
R_HAT, N_DRAWS = 1.02, 400
COLUMNS = ("RMSE", "NLL", "R-hat: median", "largest", "draws", "effective", "warned", "CPU s")


def score(engine, X: np.ndarray, y: np.ndarray, test: np.ndarray, seed: int) -> dict[str, Any]:
    """One split: error and log loss held out, and what the chains say."""
    model = BayesianMLPRegressor(
        (100,),
        activation="tanh",
        prior=Normal(scale=1.0),
        likelihood=Gaussian(noise=float(np.sqrt(0.1) * y[~test].std())),
        inference=engine,
        random_state=seed,
    )
    start = time.process_time()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        model.fit(X[~test], y[~test])
    report = model.diagnostics_
    return {
        "rmse": float(np.sqrt(np.mean((model.predict(X[test]) - y[test]) ** 2))),
        "nll": -float(model.log_predictive(X[test], y[test]).mean()),
        "r_hat": report["r_hat"],
        "draws": model.posterior_.particles[..., 0].size,
        "effective": report["ess_bulk"],
        "warned": bool(caught),
        "seconds": time.process_time() - start,
    }


def row(label: str, scores: list[dict[str, Any]]) -> list[Any]:
    """Averages over the splits, with their standard errors where they vary by split."""
    values = {name: np.array([one[name] for one in scores]) for name in scores[0]}

    def mean(name: str) -> str:
        error = values[name].std(ddof=1) / np.sqrt(len(scores)) if len(scores) > 1 else np.nan
        return f"{values[name].mean():.3f} ± {error:.3f}"

    r_hat = values["r_hat"]
    warned = f"{values['warned'].sum()} of {len(scores)}"
    rest = [int(values["draws"].min()), values["effective"].mean(), warned]
    return [label, mean("rmse"), mean("nll"), f"{np.median(r_hat):.3f}", f"{r_hat.max():.3f}",
            *rest, values["seconds"].mean()]  # fmt: skip


def goals(label: str, scores: list[dict[str, Any]]) -> str:
    """The goals of one row, met or missed; R-hat in every split."""
    rmse, nll = (np.mean([one[name] for one in scores]) for name in ("rmse", "nll"))
    worst = max(one["r_hat"] for one in scores)
    fewest = min(one["draws"] for one in scores)
    return (
        f"{label}: RMSE {verdict(rmse, PUBLISHED[0], at_most=True)}; "
        f"NLL {verdict(nll, PUBLISHED[1], at_most=True)}; median R-hat over rows in the worst "
        f"split {verdict(worst, R_HAT, at_most=True)}; draws {verdict(fewest, N_DRAWS)}."
    )


def main() -> None:
    args = parser(__doc__).parse_args()
    limit_threads(args.threads)
    arrays = load("uci_boston")
    X, y = arrays["X"].astype(np.float64), arrays["y"].astype(np.float64).ravel()
    sections = []
    for title, key in SPLITS.items():
        rows, lines = [], []
        for label, engine in ENGINES.items():
            scores = []
            for split in range(1 if args.quick else 10):
                test = np.zeros(len(y), bool)
                test[arrays[key][split]] = True
                scores.append(score(engine, X, y, test, split))
                print(title, label, split, scores[-1], flush=True)
            rows.append(row(label, scores))
            lines.append("- " + goals(label, scores))
        if key == "tran_test_idx":
            rows.append(["published SGHMC, 4 x 30 draws", *PUBLISHED, "1.00-1.03"] + [None] * 5)
        sections += [f"## Splits: {title}", table(["", *COLUMNS], rows), "\n".join(lines)]
    write("sghmc_boston", "SGHMC on Boston, fixed N(0, 1) prior", sections, args)


if __name__ == "__main__":
    main()
