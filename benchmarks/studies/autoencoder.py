"""Bayesian autoencoders: which prior reconstructs few pictures best, and what is found strange.

    python -m benchmarks.studies.autoencoder --rows 200
    python -m benchmarks.studies.autoencoder --part small --rows 200 --seeds 5
    python -m benchmarks.studies.autoencoder --part faces --rows 500

MNIST: 784-100-20-100-784 tanh units, Bernoulli likelihood of pictures binarised at 127;
log likelihood of 500 test pictures, from the mean probability of every pixel over 80
draws, in nats a picture; mean and standard error over seeds, each its own training rows.
The priors "pretrained" and "optimized" see 500 further digits or 500 zeros, and so do the
rows "pooled rows", which are given them as data; "optimized" on training rows sees no
others. "auto" is "normal, scales learned": chosen on scikit-learn's 8 x 8 digits,
binarised, which `--part small` shows (64-50-8-50-64, 300 further digits); the settings of
"optimized" by their cost. Every run is a line of a .csv, so that an interrupted command
goes on.

Faces: the Yale faces, 28 x 28, of 500 to train on, 499 to tune and 1,320 to test, Gaussian
likelihood with one learned noise; log likelihood of a face around its reconstructions, drawn
as above, in units of the grey value. A VAE's own noise makes up for the widths of its codes:
here it has the deviation of its training faces from their reconstructions.

`--part digits`: scikit-learn's 8 x 8 digits but one, 70% to train on, against all pictures of
the one left out (`--unseen`: the 9, or each of a list in turn): AUROC of anomaly scores and
densities over held-out digits and unseen ones. Nothing was tuned on them: settings are those
of `--part small`, the VAE's are its defaults, and that the anomaly score is a density was
chosen after one look at the 9s, with the digits 4 and 1 unseen.

`--part generated`: new digits beside those of a VAE, PPCA, and PCA with a mixture, judged by
two classifiers that learned from rows which no generator saw.

`--part speed`: chain-steps beside a torch module a chain in a loop, on the 8 x 8 digits and
on the Yale faces; a whole fit on 500 faces.
"""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import norm, sem
from sklearn.datasets import load_digits

from benchmarks._common import Ledger, limit_threads, load, parser, table, verdict, write
from benchmarks.studies._autoencoder_digits import ENGINE, generated_section
from benchmarks.studies._autoencoder_speed import speed_section
from benchmarks.studies._autoencoder_unseen import digits_section
from skbayes import BayesianAutoencoder, VAETransformer
from skbayes.inference import MAP, SGHMC, DeepEnsemble, MCDropout
from skbayes.networks import MLP
from skbayes.priors import EmpiricalBayes, Normal, Optimized, Pretrained

N_TEST, N_PRIOR = 500, 500
FAN_IN = Normal(scale=1.0)
#: Parts other than the comparison of priors.
SECTIONS = {"digits": digits_section, "generated": generated_section, "speed": speed_section}
VAE = "VAE"
#: Name -> prior or VAE, engine, and what the further rows are for: none, "prior", "pooled"
#: with the training rows; "zeros" tunes the prior on that digit alone.
WAYS: dict[str, tuple[Any, Any, str]] = {
    "N(0, 1)": (Normal(scale=1.0, fan_in_scaling=False), None, ""),
    "1/fan-in": (FAN_IN, None, ""),
    "normal, scales learned": ("normal", None, ""),
    "empirical_bayes": (EmpiricalBayes(), None, ""),
    "optimized on training rows": (Optimized(), None, ""),
    "pretrained": (Pretrained(), None, "prior"),
    "optimized": (Optimized(), None, "prior"),
    "pretrained on zeros": (Pretrained(), None, "zeros"),
    "optimized on zeros": (Optimized(), None, "zeros"),
    "normal, scales learned, pooled rows": ("normal", None, "pooled"),
    "1/fan-in, MAP": (FAN_IN, MAP(), ""),
    "1/fan-in, ensemble of 4": (FAN_IN, DeepEnsemble(n_members=4), ""),
    "1/fan-in, MC dropout": (FAN_IN, MCDropout(), ""),
    "VAE": (VAE, None, ""),
    "VAE, pooled rows": (VAE, None, "pooled"),
}
FIELDS = ("way", "seed", "test", "training", "r_hat", "temperature", "seconds")


@dataclass(frozen=True)
class Part:
    """A data set and its network."""

    title: str
    n_components: int
    hidden: tuple[int, ...]
    likelihood: str = "bernoulli"


PARTS = {
    "mnist": Part("MNIST", 20, (100,)),
    "small": Part("8 x 8 digits", 8, (50,)),
    "faces": Part("Yale faces", 50, (100,), "gaussian"),
}


def pictures(n_rows: int, seed: int, zeros: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Training rows, further rows and test rows of MNIST, binarised."""
    data = load("mnist")
    order = np.random.default_rng(seed).permutation(len(data["X_train"]))
    rows, rest = order[:n_rows], order[n_rows:]
    rest = rest[data["y_train"][rest] == 0] if zeros else rest
    parts = data["X_train"][rows], data["X_train"][rest[:N_PRIOR]], data["X_test"][:N_TEST]
    return tuple((part.reshape(-1, 784) > 127).astype(np.float32) for part in parts)  # type: ignore[return-value]


def small_pictures(
    n_rows: int, seed: int, zeros: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same of scikit-learn's digits, with 300 further rows (all zeros there are)."""
    X, y = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(X))
    X, y = (X[order] > 7).astype(np.float32), y[order]
    further, test = X[n_rows : n_rows + 300], X[n_rows + 300 : n_rows + 300 + N_TEST]
    rest = X[n_rows + 300 + N_TEST :][y[n_rows + 300 + N_TEST :] == 0]
    return X[:n_rows], rest if zeros else further, test


def faces(n_rows: int, seed: int, zeros: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Yale faces: training rows, 499 further rows, 1,320 test rows."""
    X = load("yale_faces_28")["X"].reshape(-1, 784).astype(np.float32)
    X = X[np.random.default_rng(seed).permutation(len(X))]
    return X[:n_rows], X[500:999], X[999:]


READERS = {"mnist": pictures, "small": small_pictures, "faces": faces}


def log_likelihood(p: np.ndarray, X: np.ndarray) -> float:
    """Nats a picture of binary pixels under their probabilities."""
    p = np.clip(p.astype(np.float64), 1e-6, 1 - 1e-6)
    return float((X * np.log(p) + (1 - X) * np.log1p(-p)).sum(1).mean())


def vae_scores(vae: VAETransformer, X_test: np.ndarray, X: np.ndarray) -> list[float]:
    """Test and training score of a VAE, from its reconstructions."""
    rebuilt = [vae.reconstruct(rows) for rows in (X_test, X)]
    pairs = list(zip(rebuilt, (X_test, X), strict=True))
    if vae.likelihood == "bernoulli":
        return [log_likelihood(p, rows) for p, rows in pairs]
    sd = float(np.sqrt(np.mean((rebuilt[1] - X) ** 2)))
    return [float(norm.logpdf(rows, mean, sd).sum(1).mean()) for mean, rows in pairs]


def score_pictures(way: str, seed: int, args: Any) -> list[float]:
    """One fit: test and training score, R-hat, temperature, CPU seconds."""
    kind, engine, further = WAYS[way]
    part = PARTS[args.part]
    X, X_prior, X_test = READERS[args.part](args.rows, seed, further == "zeros")
    if further == "pooled":
        X = np.concatenate([X, X_prior])
    shared = {"encoder": MLP(part.hidden, "tanh"), "random_state": seed}
    shared |= {"likelihood": part.likelihood, "scale_inputs": "global"}
    start = time.process_time()
    if kind is VAE:
        found = vae_scores(VAETransformer(part.n_components, **shared).fit(X), X_test, X)
        return [*found, np.nan, np.nan, time.process_time() - start]
    steps = {"warmup": 600, "thinning": 20} if args.part == "small" else {}
    if args.quick:
        steps = {"warmup": 50, "thinning": 2, "init_steps": 20}
    sampler = SGHMC(**{**ENGINE, **steps})
    bae = BayesianAutoencoder(part.n_components, prior=kind, inference=engine or sampler, **shared)
    bae.fit(X, X_prior=X_prior if further in ("prior", "zeros") else None)
    scores = []
    for rows in (X_test, X):
        binary = part.likelihood == "bernoulli"
        told = (
            log_likelihood(bae.predict(rows), rows) if binary else bae.log_predictive(rows).mean()
        )
        scores.append(float(told))
    seen = bae.diagnostics_
    marks = [seen.get(name) or np.nan for name in ("r_hat", "kinetic_temperature")]
    return [*scores, *marks, time.process_time() - start]


def ways_of(args: Any) -> list[str]:
    """The ways to run: all, those asked for, those a part has."""
    if args.ways:
        return args.ways.split(";")
    # A face is not a digit.
    return [way for way in WAYS if not (args.part == "faces" and "zeros" in way)]


def prior_section(args: Any) -> list[str]:
    """A table of means over the seeds that a ledger holds."""
    name = f"autoencoder_{args.part}_{args.rows}"
    ledger = Ledger(name, FIELDS, n_keys=2, stored=not args.quick)
    for seed in range(1 if args.quick else args.seeds):
        for way in ways_of(args):
            if (way, seed) not in ledger:
                ledger.add(way, seed, *(f"{v:.4f}" for v in score_pictures(way, seed, args)))
    runs = {
        way: [
            {key: float(row[key]) for key in FIELDS[2:]}
            for row in ledger.rows.values()
            if row["way"] == way
        ]
        for way in WAYS
    }
    return priors_table({way: found for way, found in runs.items() if found}, args)


def priors_table(runs: dict[str, list[dict[str, float]]], args: Any) -> list[str]:
    """Means, standard errors and goals."""
    keys = ("training", "r_hat", "temperature", "seconds")
    rows = [
        [
            way,
            len(found),
            f"{np.mean([r['test'] for r in found]):.1f}",
            f"{sem([r['test'] for r in found]):.1f}" if len(found) > 1 else None,
            *(float(np.mean([r[key] for r in found])) for key in keys),
        ]
        for way, found in runs.items()
    ]
    test = {way: float(np.mean([r["test"] for r in found])) for way, found in runs.items()}
    columns = ["prior", "seeds", "test, nats", "s.e.", "training, nats", "R-hat", "temperature"]
    goals = []
    for name, least in (
        ("empirical_bayes", 35 if args.rows <= 200 else 20),
        ("pretrained", 60 if args.rows <= 200 else None),
    ):
        if least and args.part == "mnist" and name in test and "1/fan-in" in test:
            gain = test[name] - test["1/fan-in"]
            goals.append([f"{name} above 1/fan-in, nats", gain, verdict(gain, least)])
    met = [table(["goal", "measured", "verdict"], goals)] if goals else []
    title = f"## {PARTS[args.part].title}, {args.rows} training pictures"
    return [title, table([*columns, "fit, CPU s"], rows), *met]


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--rows", type=int, default=200, help="training pictures")
    made.add_argument("--seeds", type=int, default=3)
    made.add_argument("--ways", default="", help="priors to run, separated by semicolons")
    made.add_argument("--components", default="5,10,20,30", help="numbers of codes, digits")
    made.add_argument("--unseen", default="9", help="digits to leave out, each in turn")
    made.add_argument("--part", default="mnist", choices=(*PARTS, *SECTIONS))
    args = made.parse_args()
    limit_threads(args.threads)
    warnings.simplefilter("ignore")
    section = SECTIONS.get(args.part, prior_section)
    name = f"autoencoder_{args.part}" + ("" if args.part in SECTIONS else f"_{args.rows}")
    write(name, "Bayesian autoencoders", section(args), args)


if __name__ == "__main__":
    main()
