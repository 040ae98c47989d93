"""Bayesian autoencoders: which prior reconstructs few digits best, and what is found strange.

    python -m benchmarks.autoencoder --rows 200
    python -m benchmarks.autoencoder --rows 1000

MNIST: 784-100-20-100-784 tanh units, Bernoulli likelihood of pictures binarised at 127;
log likelihood of 500 test pictures, from the mean probability of every pixel over 80
draws, in nats a picture; mean and standard error over seeds, each its own training rows.
The prior "pretrained" sees 500 further digits, and so does the row "pooled rows", whose
posterior is given them as data. "auto" is "normal, scales learned": chosen on scikit-learn's
8 x 8 digits, binarised, which `--part small` shows: 64-50-8-50-64, 300 further digits.

`--part digits`: scikit-learn's 8 x 8 digits 0 to 8, 70% to train on, against all of the 9s:
AUROC of anomaly scores and densities over held-out digits and 9s. Nothing was tuned on
them: settings are those of `--part small`, the VAE's are its defaults, and that the anomaly
score is a density was chosen with the digits 4 and 1 unseen.

`--part generated`: new digits beside those of a VAE, PPCA, and PCA with a mixture, judged by
two classifiers that learned from rows which no generator saw.

`--part speed`: chain-steps beside a torch module a chain in a loop, on the 8 x 8 digits and
on the Yale faces; a whole fit on 500 faces.
"""

from __future__ import annotations

import time
import warnings
from typing import Any

import numpy as np
from scipy.stats import sem
from sklearn.datasets import load_digits

from benchmarks._autoencoder_digits import digits_section, generated_section
from benchmarks._autoencoder_speed import speed_section
from benchmarks._common import limit_threads, load, parser, table, verdict, write
from skbayes import BayesianAutoencoder
from skbayes.inference import MAP, SGHMC, DeepEnsemble
from skbayes.priors import EmpiricalBayes, Normal, Pretrained

N_TEST, N_PRIOR = 500, 500
#: 80 draws of four chains; a run is 2,300 steps.
ENGINE = {
    "n_chains": 4,
    "n_samples": 20,
    "thinning": 50,
    "warmup": 1000,
    "init_steps": 300,
    "max_extensions": 0,
}
FAN_IN = Normal(scale=1.0)
#: Parts other than the comparison of priors.
SECTIONS = {"digits": digits_section, "generated": generated_section, "speed": speed_section}
#: Name -> prior, engine, and whether the 500 further digits tune the prior or join the rows.
WAYS: dict[str, tuple[Any, Any, str]] = {
    "N(0, 1)": (Normal(scale=1.0, fan_in_scaling=False), None, ""),
    "1/fan-in": (FAN_IN, None, ""),
    "normal, scales learned": ("normal", None, ""),
    "empirical_bayes": (EmpiricalBayes(), None, ""),
    "pretrained": (Pretrained(), None, "prior"),
    "normal, scales learned, pooled rows": ("normal", None, "pooled"),
    "1/fan-in, MAP": (FAN_IN, MAP(), ""),
    "1/fan-in, ensemble of 4": (FAN_IN, DeepEnsemble(n_members=4), ""),
}


def pictures(n_rows: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Training rows, further rows and test rows, binarised."""
    data = load("mnist")
    order = np.random.default_rng(seed).permutation(len(data["X_train"]))
    chosen = data["X_train"][order[: n_rows + N_PRIOR]]
    binary = (np.concatenate([chosen, data["X_test"][:N_TEST]]).reshape(-1, 784) > 127).astype(
        np.float32
    )
    return binary[:n_rows], binary[n_rows : n_rows + N_PRIOR], binary[n_rows + N_PRIOR :]


def small_pictures(n_rows: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same of scikit-learn's digits, with 300 further rows."""
    X = (load_digits().data > 7).astype(np.float32)
    X = X[np.random.default_rng(seed).permutation(len(X))]
    return X[:n_rows], X[n_rows : n_rows + 300], X[n_rows + 300 : n_rows + 300 + N_TEST]


def log_likelihood(p: np.ndarray, X: np.ndarray) -> float:
    """Nats a picture of binary pixels under their probabilities."""
    p = np.clip(p.astype(np.float64), 1e-6, 1 - 1e-6)
    return float((X * np.log(p) + (1 - X) * np.log1p(-p)).sum(1).mean())


def score_pictures(way: str, seed: int, args: Any) -> dict[str, float]:
    """One fit under one prior."""
    prior, engine, further = WAYS[way]
    small = args.part == "small"
    X, X_prior, X_test = (small_pictures if small else pictures)(args.rows, seed)
    steps = {"warmup": 600, "thinning": 20} if small else {}
    if args.quick:
        steps = {"warmup": 50, "thinning": 2, "init_steps": 20}
    bae = BayesianAutoencoder(
        8 if small else 20,
        hidden_layer_sizes=(50,) if small else (100,),
        prior=prior,
        likelihood="bernoulli",
        inference=engine or SGHMC(**{**ENGINE, **steps}),
        scale_inputs="global",
        random_state=seed,
    )
    start = time.process_time()
    if further == "pooled":
        X = np.concatenate([X, X_prior])
    bae.fit(X, X_prior=X_prior if further == "prior" else None)
    return {
        "test": log_likelihood(bae.predict(X_test), X_test),
        "training": log_likelihood(bae.predict(X), X),
        "R-hat": bae.diagnostics_.get("r_hat") or np.nan,
        "temperature": bae.diagnostics_.get("kinetic_temperature") or np.nan,
        "seconds": time.process_time() - start,
    }


def prior_section(args: Any) -> list[str]:
    seeds = range(1 if args.quick else args.seeds)
    ways = args.ways.split(";") if args.ways else list(WAYS)
    runs = {}
    for way in ways:
        runs[way] = [score_pictures(way, seed, args) for seed in seeds]
        print(way, runs[way], flush=True)
    keys = ("training", "R-hat", "temperature", "seconds")
    rows = [
        [
            way,
            f"{np.mean([r['test'] for r in found]):.1f}",
            f"{sem([r['test'] for r in found]):.1f}",
            *(float(np.mean([r[key] for r in found])) for key in keys),
        ]
        for way, found in runs.items()
    ]
    test = {way: float(np.mean([r["test"] for r in found])) for way, found in runs.items()}
    columns = ["prior", "test, nats", "s.e.", "training, nats", *keys[1:-1], "fit, CPU s"]
    goals = []
    for name, least in (
        ("empirical_bayes", 35 if args.rows <= 200 else 20),
        ("pretrained", 60),
    ):
        if args.part == "mnist" and name in test and "1/fan-in" in test:
            gain = test[name] - test["1/fan-in"]
            goals.append([f"{name} above 1/fan-in, nats", gain, verdict(gain, least)])
    data = {"mnist": "MNIST", "small": "8 x 8 digits"}[args.part]
    title = f"## {data}, {args.rows} training pictures, {len(seeds)} seeds"
    met = [table(["goal", "measured", "verdict"], goals)] if goals else []
    return [title, table(columns, rows), *met]


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--rows", type=int, default=200, help="training pictures of MNIST")
    made.add_argument("--seeds", type=int, default=3)
    made.add_argument("--ways", default="", help="priors to run, separated by semicolons")
    made.add_argument("--components", default="5,10,20,30", help="numbers of codes, digits")
    made.add_argument("--part", default="mnist", choices=("mnist", "small", *SECTIONS))
    args = made.parse_args()
    limit_threads(args.threads)
    warnings.simplefilter("ignore")
    section = SECTIONS.get(args.part, prior_section)
    name = f"autoencoder_{args.part}" + ("" if args.part in SECTIONS else f"_{args.rows}")
    write(name, "Bayesian autoencoders", section(args), args)


if __name__ == "__main__":
    main()
