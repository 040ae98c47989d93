"""Effective samples of predictive values a CPU second: ours, NumPyro's NUTS, bde, posteriors.

    python -m benchmarks.sampling_speed --set power --samplers hmc,numpyro6

in the environment of requirements-peers.txt. Runs add to one table; ratios are those
inside a run.

One hidden layer of 50 tanh units, weights of known scale, known noise, four chains; every
sampler's time is its whole run, warm-up and start included, and NumPyro's is taken with and
without compilation. Values are those of held-out rows.
"""

from __future__ import annotations

import csv
import os
import time
import warnings
from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple

# Read when XLA starts: the others have one thread too.
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")

import numpy as np
import torch
from sklearn.datasets import load_diabetes, make_friedman1

from benchmarks._common import RESULTS, limit_threads, load, parser, table, verdict, write
from skbayes._model import Model
from skbayes.base._monitor import Monitor
from skbayes.data._tensors import Data
from skbayes.exceptions import ConvergenceWarning
from skbayes.inference import HMC, NUTS, SGHMC, Inference, Run
from skbayes.likelihoods import Gaussian
from skbayes.networks import MLPNetwork
from skbayes.posteriors._diagnostics import _statistic
from skbayes.priors import Normal
from skbayes.utils._random import make_generator

HIDDEN, N_CHAINS, R_HAT = 50, 4, 1.01
#: Draws of each chain: short trajectories are cheap and less independent.
DRAWS = {"hmc": 1000, "nuts": 500, "sghmc": 500, "numpyro": 500, "bde": 500}
NUMPYRO_WARMUP = 300


class Problem(NamedTuple):
    """Standardised training rows, held-out rows, and the known noise in units of y."""

    name: str
    X: np.ndarray
    y: np.ndarray
    X_test: np.ndarray
    noise: float

    def model(self) -> Model:
        network = MLPNetwork(self.X.shape[1], 1, (HIDDEN,), "tanh")
        return Model(network, Normal(1.0), Gaussian(self.noise), 1, torch.empty(0))

    def data(self) -> Data:
        X, y = (torch.from_numpy(a).float() for a in (self.X, self.y))
        return Data(X, y[:, None], torch.ones(len(X)))


class Row(NamedTuple):
    """Function values (chains, draws, rows) of one run, and what it cost."""

    name: str
    values: np.ndarray
    seconds: float


def split(name: str, X: np.ndarray, y: np.ndarray, noise: float) -> Problem:
    """Every fifth row, in a fixed random order, is held out."""
    order = np.random.default_rng(0).permutation(len(y))
    test, train = order[::5], np.setdiff1d(order, order[::5])
    centre, scale = X[train].mean(0), X[train].std(0)
    X = (X - centre) / scale
    target = (y[train] - y[train].mean()) / y[train].std()
    return Problem(name, X[train], target, X[test], noise)


def diabetes() -> Problem:
    return split("diabetes", *load_diabetes(return_X_y=True), noise=0.7)


def friedman1() -> Problem:
    X, y = make_friedman1(400, noise=1.0, random_state=0)
    return split("friedman1", X, y, noise=1.0 / y.std())


def uci(name: str, noise: float) -> Problem:
    """Four hundred random rows of a set that is read from SKBAYES_DATA."""
    found = load(f"uci_{name}")
    rows = np.random.default_rng(1).permutation(len(found["y"]))[:400]
    X, y = found["X"][rows].astype(float), found["y"].ravel()[rows].astype(float)
    return split(name, X, y, noise)


#: The rule of `hmc`'s automatic length was compared with effective samples on the first
#: three; nothing was chosen on the last two.
PROBLEMS = {
    "diabetes": diabetes,
    "friedman1": friedman1,
    "power": partial(uci, "power", 0.25),
    "boston": partial(uci, "boston", 0.35),
    "wine": partial(uci, "wine", 0.8),
}


# --- samplers --------------------------------------------------------------------------


def function_values(problem: Problem, params: np.ndarray) -> np.ndarray:
    """Outputs (chains, draws, rows) on the held-out rows, of whitened weights."""
    model, rows = problem.model(), torch.from_numpy(problem.X_test).float()
    flat = torch.from_numpy(np.array(params, dtype=np.float32)).flatten(0, 1)
    with torch.inference_mode():
        outputs = [model.network.forward(model.weights(part), rows) for part in flat.split(200)]
    return torch.cat(outputs)[..., 0].unflatten(0, params.shape[:2]).numpy().astype(float)


@cache
def load_modules() -> None:
    """What the package imports when it is first used; the peers' imports are not timed either."""
    model = Model(MLPNetwork(1, 1, (), "tanh"), Normal(1.0), Gaussian(1.0), 1, torch.empty(0))
    rows = Data(torch.zeros(8, 1), torch.zeros(8, 1), torch.ones(8))
    engine = HMC(n_samples=4, warmup=4, init_steps=4, max_extensions=0, evidence=None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        engine.run(model, rows, Run(make_generator(0), make_generator(1), Monitor()))


def ours(engine: Inference, seed: int = 0) -> Callable[[Problem], list[Row]]:
    """One of the package's engines on the bare model."""

    def run(problem: Problem) -> list[Row]:
        model, data = problem.model(), problem.data()
        load_modules()
        generators = make_generator(seed), make_generator(seed + 1)
        start = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            posterior = engine.run(model, data, Run(*generators, Monitor()))
        seconds = time.process_time() - start
        name = type(engine).__name__.lower()
        return [Row(f"skbayes {name}", function_values(problem, posterior.particles), seconds)]  # type: ignore[attr-defined]

    return run


def numpyro_nuts(depth: int) -> Callable[[Problem], list[Row]]:
    """NumPyro's NUTS on the same whitened weights, chains vectorised."""

    def run(problem: Problem) -> list[Row]:
        import jax
        import numpyro
        from numpyro.infer import MCMC, NUTS

        X, y = (jax.numpy.asarray(a, dtype=jax.numpy.float32) for a in (problem.X, problem.y))
        normal, n_inputs, n_weights = numpyro.distributions.Normal, X.shape[1], 0
        n_weights = problem.model().n_weights

        def model() -> None:
            z = numpyro.sample("z", normal(0, 1).expand([n_weights]).to_event(1))
            first, rest = z[: HIDDEN * n_inputs].reshape(HIDDEN, n_inputs), z[HIDDEN * n_inputs :]
            hidden = jax.numpy.tanh(X @ first.T / n_inputs**0.5 + rest[:HIDDEN])
            mean = hidden @ rest[HIDDEN : 2 * HIDDEN] / HIDDEN**0.5 + rest[-1]
            numpyro.sample("y", normal(mean, problem.noise), obs=y)

        options = {"num_chains": N_CHAINS, "chain_method": "vectorized", "progress_bar": False}
        sampler = MCMC(
            NUTS(model, max_tree_depth=depth),
            num_warmup=NUMPYRO_WARMUP,
            num_samples=DRAWS["numpyro"],
            **options,
        )
        rows = []
        for seed, what in enumerate(("", ", compiled before")):
            start = time.process_time()
            sampler.run(jax.random.PRNGKey(seed))
            draws = np.asarray(sampler.get_samples(group_by_chain=True)["z"])
            seconds = time.process_time() - start
            name = f"NumPyro NUTS, depth {depth}{what}"
            rows.append(Row(name, function_values(problem, draws), seconds))
        return rows

    return run


def bde(problem: Problem) -> list[Row]:
    """sklearn-contrib-bde: its own model (learned noise, no tanh), its own sampler."""
    from bde import BdeRegressor

    start = time.process_time()
    model = BdeRegressor(
        n_members=N_CHAINS,
        hidden_layers=[HIDDEN],
        activation="hard_tanh",
        epochs=200,
        warmup_steps=1000,
        n_samples=DRAWS["bde"],
        seed=0,
    ).fit(problem.X.astype(np.float32), problem.y.astype(np.float32))
    seconds = time.process_time() - start
    raw = np.asarray(model.predict(problem.X_test.astype(np.float32), raw=True), dtype=float)
    return [Row("sklearn-contrib-bde", raw[..., 0], seconds)]


def our_samplers() -> dict[str, Callable[[Problem], list[Row]]]:
    options: dict[str, Any] = {"n_chains": N_CHAINS, "max_extensions": 0, "evidence": None}
    return {
        "hmc": ours(HMC(n_samples=DRAWS["hmc"], trajectory_length="auto", **options)),
        "nuts": ours(NUTS(n_samples=DRAWS["nuts"], **options)),
        "sghmc": ours(SGHMC(n_samples=DRAWS["sghmc"], **options)),
    }


SAMPLERS: dict[str, Callable[[Problem], list[Row]]] = {
    **our_samplers(),
    "numpyro6": numpyro_nuts(6),
    "numpyro10": numpyro_nuts(10),
    "bde": bde,
}


# --- chain-steps -----------------------------------------------------------------------


def our_steps(problem: Problem) -> float:
    """Chain-steps a CPU second of our SGHMC on all rows."""
    model, data = problem.model(), problem.data()
    engine = SGHMC(n_chains=N_CHAINS, step_size=0.01, init_steps=0, warmup=10**9)
    state = engine.init(model, data, Run(make_generator(0), make_generator(1), Monitor()))

    def step() -> None:
        engine.step(model, data, state)

    return N_CHAINS * steps_a_second(step)


def posteriors_steps(problem: Problem) -> float:
    """The same of posteriors' SGHMC, its update mapped over chains by torch.vmap."""
    from posteriors.sgmcmc import sghmc

    model, data = problem.model(), problem.data()

    def log_posterior(z: torch.Tensor, batch: Any) -> tuple[torch.Tensor, torch.Tensor]:
        value = model.log_joint(z[None], data)[0].float()
        return value, value

    def update(z: torch.Tensor, momentum: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        state = sghmc.SGHMCState(z, momentum)
        state, _ = sghmc.update(state, None, log_posterior, lr=1e-3, alpha=0.05)
        return state.params, state.momenta

    mapped = torch.vmap(update, randomness="different")
    z = torch.zeros(N_CHAINS, model.n_weights)
    where = [z, torch.zeros_like(z)]

    def step() -> None:
        where[:] = mapped(*where)

    return N_CHAINS * steps_a_second(step)


def steps_a_second(step: Callable[[], None], n_steps: int = 400) -> float:
    """Median over five rounds."""
    rates = []
    for _ in range(5):
        start = time.process_time()
        for _ in range(n_steps // 5):
            step()
        rates.append(n_steps / 5 / (time.process_time() - start))
    return float(np.median(rates))


# --- tables ----------------------------------------------------------------------------


def score(row: Row) -> dict[str, float]:
    """Medians over held-out rows of R-hat and bulk ESS, and ESS a CPU second."""
    ess = _statistic("ess", row.values, np.median, method="bulk")
    r_hat = _statistic("rhat", row.values, np.median)
    spread = float(np.median(row.values.std(axis=(0, 1))))
    rate = ess / row.seconds
    return {"ess": ess, "r_hat": r_hat, "seconds": row.seconds, "rate": rate, "spread": spread}


def study(problem: Problem, names: list[str]) -> list[dict[str, Any]]:
    """Scores of the samplers' runs on one problem."""
    found = []
    for name in names:
        for row in SAMPLERS[name](problem):
            shape = "x".join(map(str, row.values.shape[:2]))
            found.append({"set": problem.name, "sampler": row.name, "draws": shape, **score(row)})
            print(found[-1], flush=True)
    return found


def steps(problem: Problem) -> list[dict[str, Any]]:
    """Chain-steps a CPU second of our SGHMC and of posteriors'."""
    rates = {"skbayes sghmc": our_steps(problem), "posteriors SGHMC": posteriors_steps(problem)}
    made = [{"set": problem.name, "sampler": f"{n}, steps", "rate": r} for n, r in rates.items()]
    print(made, flush=True)
    return made


#: Peers by a part of their rows' names, and how many times faster we aim to be.
GOALS = {
    "depth 6": 6.0,
    "depth 10": 6.0,
    "depth 6, compiled before": 2.0,
    "depth 10, compiled before": 2.0,
    "bde": 100.0,
    "posteriors": 6.0,
}


def ratios(rows: list[dict[str, str]]) -> list[list[Any]]:
    """Our rate over each peer's in the same run; our best row that counts."""
    lines = []
    for row in rows:
        if is_ours(row["sampler"]):
            continue
        beside = [r for r in rows if is_ours(r["sampler"]) and r["run"] == row["run"]]
        if "steps" not in row["sampler"]:
            beside = [r for r in beside if counts(r)]
        goal = next(g for part, g in GOALS.items() if row["sampler"].endswith((part, "steps")))
        times = max((float(r["rate"]) for r in beside), default=np.nan) / float(row["rate"])
        lines.append([row["set"], row["sampler"], times, verdict(times, goal)])
    return lines


def counts(row: dict[str, str]) -> bool:
    return bool(row["r_hat"]) and float(row["r_hat"]) <= R_HAT


def is_ours(name: str) -> bool:
    return name.startswith("skbayes")


FIELDS = ("run", "set", "sampler", "draws", "ess", "r_hat", "seconds", "rate", "spread")
STORE = RESULTS / "sampling_speed.csv"


def stored(new: list[dict[str, Any]]) -> list[dict[str, str]]:
    """All rows on file, the new ones added under a number of their own run."""
    old = list(csv.DictReader(STORE.open())) if STORE.exists() else []
    run = 1 + max((int(row["run"]) for row in old), default=0)
    rows = [*old, *({**dict.fromkeys(FIELDS, ""), **row, "run": str(run)} for row in new)]
    with STORE.open("w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return list(csv.DictReader(STORE.open()))


def cells(row: dict[str, str]) -> list[Any]:
    """One line of the table."""
    numbers = [float(row[name]) if row[name] else None for name in ("ess", "r_hat")]
    what = [None if n is None else f"{n:.{d}f}" for n, d in zip(numbers, (0, 3), strict=True)]
    rest = [float(row[name]) if row[name] else None for name in ("seconds", "rate", "spread")]
    return [row["run"], row["set"], row["sampler"], row["draws"] or None, *what, *rest]


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--set", default="diabetes", choices=PROBLEMS)
    made.add_argument("--samplers", default=",".join(SAMPLERS))
    made.add_argument("--steps", action="store_true", help="chain-steps, and no samplers")
    args = made.parse_args()
    limit_threads(args.threads)
    problem = PROBLEMS[args.set]()
    new = steps(problem) if args.steps else study(problem, args.samplers.split(","))
    if args.quick:
        return
    rows = stored(new)
    columns = ["run", "set", "sampler", "draws", "ESS", "R-hat", "CPU s", "a CPU s", "sd"]
    sections = [
        table(columns, [cells(row) for row in rows]),
        "## Times faster\n\n" + table(["set", "than", "times", "goal"], ratios(rows)),
        f"Medians over held-out rows; effective samples a CPU second. A row of ours counts at a "
        f"median R-hat of at most {R_HAT}; ratios take our best that counts in the same run, and "
        "the peer's whether it converged or not. sd: the median posterior standard deviation, "
        "by which samplers of one model agree. NumPyro's warm-up is "
        f"{NUMPYRO_WARMUP} steps, ours the defaults'. sklearn-contrib-bde fits another model "
        "(learned noise, hard tanh); its sd is not comparable. Rows named steps: chain-steps a "
        "CPU second on all rows.",
    ]
    extra = ("numpyro", "jax", "sklearn-contrib-bde", "posteriors")
    write("sampling_speed", "Effective samples a CPU second", sections, args, extra)


if __name__ == "__main__":
    main()
