"""Are posteriors as wide as they should be? Simulation-based calibration of hmc and nuts.

    python -m benchmarks.studies.calibration

Parameters are drawn from the prior, targets from the model at these, and the posterior of
each data set is sampled: among its draws the true value of any quantity has a rank that is
uniform (Cook, Gelman and Rubin, 2006; Talts et al., 2018, theorem 1). Posteriors that are
too narrow put the truth into the tails too often. The same ranks after all draws were moved
to or from their mean by a tenth show whether the statistic would see such an error.

Every data set is a row of results/calibration.csv and is not run again while it is there.
"""

from __future__ import annotations

import time
import warnings
from typing import Any

import numpy as np
import torch
from scipy.special import log_expit, ndtri
from scipy.stats import chisquare, norm
from sklearn.base import clone

from benchmarks._common import Ledger, limit_threads, parser, table, write
from skbayes import BayesianMLPClassifier, BayesianMLPRegressor
from skbayes._model import Model
from skbayes.exceptions import ConvergenceWarning
from skbayes.inference import HMC, MAP, NUTS, Inference
from skbayes.utils._random import make_generator

X = np.linspace(-2, 2, 12)[:, None]
#: Where functions are compared: between the rows and beyond them.
POINTS = np.array([[-3.0], [-1.3], [0.1], [1.5]])
#: Draws of a posterior that the truth is ranked among, and by how much they are moved.
N_RANKED, FACTORS = 63, (1.0, 0.9, 1.1)
#: Many short chains, which cost as much as a few; R-hat lengthens none of them.
COMMON: dict[str, Any] = {"n_samples": 16, "evidence": None, "max_extensions": 0, "init_steps": 50}
ENGINES: dict[str, Inference] = {
    "hmc": HMC(n_chains=32, warmup=100, **COMMON),
    "nuts": NUTS(n_chains=16, warmup=60, max_depth=5, target_accept=0.7, **COMMON),
}
UNSCALED: dict[str, Any] = {"scale_inputs": None, "random_state": 0}
MODELS: dict[str, Any] = {
    "regression": BayesianMLPRegressor((2,), scale_targets=False, **UNSCALED),
    "two classes": BayesianMLPClassifier((2,), likelihood="bernoulli", **UNSCALED),
}
FIELDS = ("engine", "model", "data set", "ranks", "narrowed", "widened", "ess", "r_hat", "seconds")
#: Standard errors beyond which a spread is called wrong: one table in a hundred by chance.
ALARM = 3.0
COLUMNS = ("engine", "model", "data sets", "spread", "z", "drawn in by 10%: z",
           "drawn out by 10%: z", "verdict", "least ESS: median, 5%", "CPU s a fit")  # fmt: skip


def fit(name: str, engine: Inference, y: np.ndarray) -> Any:
    """The posterior of a data set."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return clone(MODELS[name]).set_params(inference=engine).fit(X, y)


def simulator(name: str) -> Model:
    """The model of a fit, which no data change: nothing is scaled, nothing is tuned."""
    return fit(name, MAP(max_iter=1), np.arange(len(X)) % 2)._model()


def check_prior(model: Model, n_draws: int = 100_000) -> float:
    """Largest z-score of Stein's identities E[d t(u)/du + t(u) d log p/du] = 0, t = u, u³.

    Draws have the density whose derivative the samplers follow, in every unknown's own
    coordinate u; a width 1% off is seen.
    """
    with torch.no_grad():
        params = model.sample_prior(n_draws, make_generator(1)).double()
        score = model.prior_score(params)
    found = torch.cat([1 + params * score, 3 * params**2 + params**3 * score], 1)
    return float((found.mean(0) / (found.std(0) / n_draws**0.5)).abs().max())


def simulate(model: Model, number: int) -> tuple[torch.Tensor, np.ndarray]:
    """Parameters (1, n_params) from the prior, and targets (N,) from the model at these.

    Targets of one class alone, which classifiers refuse, are drawn anew with their
    parameters: what is left is chosen by the data, which changes no posterior.
    """
    generator = make_generator(1000 + number)
    while True:
        params = model.sample_prior(1, generator)
        outputs = model.network.forward(model.weights(params), torch.from_numpy(X).to(params))
        y = model.likelihood.sample(outputs, model.hyper(params), generator).numpy().ravel()
        if np.ptp(y) > 0:
            return params, y


def quantities(
    values: np.ndarray, at_rows: np.ndarray, named: dict[str, np.ndarray], y: np.ndarray
) -> np.ndarray:
    """What is ranked (S, n): function values, log scales, log noise and log likelihood.

    And of the weights what no exchange of units nor of their signs changes: the output's
    bias, and the size of each other block.
    """
    *blocks, bias = (named[f"layer{i}.{role}"] for i in (0, 1) for role in ("weight", "bias"))
    sizes = [np.log(np.abs(block.reshape(len(block), -1)).sum(1)) for block in blocks]
    parts = [values, np.log(named["prior_scale"]), *sizes, bias]
    if "noise_scale" in named:
        noise = named["noise_scale"].astype(float)
        log_likelihood = norm(at_rows, noise).logpdf(y).sum(1)
        parts.append(np.log(noise))
    else:
        log_likelihood = log_expit(at_rows * (2 * y - 1)).sum(1)
    return np.column_stack([*parts, log_likelihood])


def truth(model: Model, params: torch.Tensor, y: np.ndarray) -> np.ndarray:
    """The quantities (1, n) at the parameters (1, n_params) that made the data."""
    weights, named = model.weights(params), model.named(params)
    values, at_rows = (
        model.network.forward(weights, torch.from_numpy(rows).to(params))[..., 0].numpy()
        for rows in (POINTS, X)
    )
    return quantities(values, at_rows, {k: v.numpy() for k, v in named.items()}, y)


def ranks(found: Any, exact: np.ndarray, y: np.ndarray, seed: int) -> list[np.ndarray]:
    """Ranks (n,) of the truth among draws, as they are, drawn in and drawn out."""
    # Equal seeds give the same draws of functions, scales and noise.
    values, at_rows = (
        found.sample_posterior(rows, N_RANKED, random_state=seed)[..., 0] for rows in (POINTS, X)
    )
    draws = quantities(
        values, at_rows, found.sample_posterior(n_samples=N_RANKED, random_state=seed), y
    )
    mean = draws.mean(0)
    return [(mean + factor * (draws - mean) < exact).sum(0) for factor in FACTORS]


def run(engine: str, name: str, n: int, ledger: Ledger) -> float:
    """Rank every data set that the ledger lacks; returns the check of the prior."""
    model = simulator(name)
    for number in range(n):
        if (engine, name, number) in ledger:
            continue
        params, y = simulate(model, number)
        start = time.process_time()
        found = fit(name, clone(ENGINES[engine]), y)
        seconds = time.process_time() - start
        same = torch.equal(found._model().log_prior(params), model.log_prior(params))
        assert same, "the fit has another prior"
        exact = truth(model, params, y)
        report = found.diagnostics_
        least = min(report["ess_bulk"], report["ess_bulk_hyper"])
        words = [" ".join(map(str, r)) for r in ranks(found, exact, y, number)]
        ledger.add(engine, name, number, *words, f"{least:.0f}", f"{report['r_hat']:.3f}",
                   f"{seconds:.2f}")  # fmt: skip
    return check_prior(model)


def normal_scores(found: np.ndarray) -> np.ndarray:
    """Ranks 0 to `N_RANKED` as quantiles of a normal, in units that make their square one."""
    scores = ndtri((np.arange(N_RANKED + 1) + 0.5) / (N_RANKED + 1))
    return scores[found] / np.sqrt(np.mean(scores**2))


def squares(found: np.ndarray) -> np.ndarray:
    """Mean squares (R,) of the normal scores of ranks (R, n): one on average.

    The quantities of a data set depend on one another; data sets are independent.
    """
    return (normal_scores(found) ** 2).mean(1)


def spread(values: np.ndarray) -> tuple[float, float, float]:
    """Width of posteriors over the right one, its standard error, and the squares' z-score."""
    error = values.std(ddof=1) / np.sqrt(len(values))
    ratio = values.mean() ** -0.5
    return float(ratio), float(0.5 * error * ratio**3), float((values.mean() - 1) / error)


def names_of(name: str) -> list[str]:
    """What the quantities are called."""
    noise = ["noise"] if name == "regression" else []
    weights = ["weights 1", "biases 1", "weights 2", "bias 2"]
    values = [f"f({x:g})" for x in POINTS[:, 0]]
    return [*values, "scale 1", "scale 2", *weights, *noise, "log likelihood"]


def ranked(engine: str, name: str, n: int, ledger: Ledger, field: str) -> np.ndarray:
    """Ranks (n, n_quantities) of the ledger."""
    return np.array([list(map(int, ledger[engine, name, i][field].split())) for i in range(n)])


def summary(engine: str, names: list[str], n: int, ledger: Ledger) -> list[Any]:
    """A row of the first table, over the data sets of one model or of several."""
    as_is, *moved = (
        np.concatenate([squares(ranked(engine, name, n, ledger, field)) for name in names])
        for field in ("ranks", "narrowed", "widened")
    )
    ratio, error, z = spread(as_is)
    verdict = "calibrated" if abs(z) < ALARM else "too narrow" if z > 0 else "too wide"
    rows = [ledger[engine, name, i] for name in names for i in range(n)]
    ess = np.array([float(row["ess"]) for row in rows])
    powers = [f"{spread(values)[2]:+.1f}" for values in moved]
    least = f"{np.median(ess):.0f}, {np.quantile(ess, 0.05):.0f}"
    seconds = np.mean([float(row["seconds"]) for row in rows])
    label = names[0] if len(names) == 1 else "all"
    width = f"{ratio:.3f} ± {error:.3f}"
    return [engine, label, len(rows), width, f"{z:+.1f}", *powers, verdict, least, seconds]


def by_quantity(engine: str, name: str, n: int, ledger: Ledger) -> list[list[str]]:
    """Rows of the second table."""
    found, rows = ranked(engine, name, n, ledger, "ranks"), []
    for number, what in enumerate(names_of(name)):
        own = found[:, [number]]
        ratio, error, _ = spread(squares(own))
        shift = normal_scores(own).mean() * np.sqrt(n)
        p = chisquare(np.bincount(own[:, 0] // 8, minlength=8)).pvalue
        width = f"{ratio:.2f} ± {error:.2f}"
        rows.append([engine, name, what, width, f"{shift:+.1f}", f"{p:.3f}"])
    return rows


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--hmc", type=int, default=200, help="data sets for each model")
    options.add_argument("--nuts", type=int, default=100, help="data sets for each model")
    args = options.parse_args()
    limit_threads(args.threads)
    ledger = Ledger("calibration", FIELDS, 3, stored=not args.quick)
    sizes = {"hmc": 4, "nuts": 4} if args.quick else {"hmc": args.hmc, "nuts": args.nuts}
    first, second, priors = [], [], []
    for engine, n in sizes.items():
        for name in MODELS:
            priors.append(run(engine, name, n, ledger))
            first.append(summary(engine, [name], n, ledger))
            second += by_quantity(engine, name, n, ledger)
        first.append(summary(engine, [*MODELS], n, ledger))
    note = (
        f"Networks of one input and two tanh units on {len(X)} rows, layer scales and noise "
        "learned, nothing standardised. 'spread': width of the posteriors over the right one, "
        "pooled over all quantities (below 1: too narrow), with its standard error over data "
        f"sets; z: of the mean square of the ranks' normal scores, called wrong beyond {ALARM:g}. "
        "The next two: the same z where every quantity's draws are moved towards or away from "
        "their mean by a tenth, which is the power of the test. 'least ESS': the lesser of the "
        "median function value's and the slowest hyperparameter's; of these draws "
        f"{N_RANKED} are ranked, drawn at random by `sample_posterior`. Prior: the largest of "
        f"the z-scores by which draws and density of the simulated prior differ is "
        f"{max(priors):.1f}; the density is the fits' own to the last bit."
    )
    each = (
        "By quantity: spread; sum of normal scores over its standard error (location); p of "
        "Pearson's chi-square of the ranks in eight bins. The log likelihood is that of the data "
        "at the drawn parameters, as a quantity that sees what the data do to the posterior."
    )
    heads = ("engine", "model", "quantity", "spread", "location: z", "ranks: p")
    sections = [table(COLUMNS, first), note, each, table(heads, second)]
    write("calibration", "Calibration of the samplers by simulation", sections, args)


if __name__ == "__main__":
    main()
