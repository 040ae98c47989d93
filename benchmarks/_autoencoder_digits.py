"""scikit-learn's digits: a digit that was never seen, and digits that are new."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

from benchmarks._common import Ledger, table, verdict
from skbayes import PPCA, BayesianAutoencoder, VAETransformer
from skbayes.inference import SGHMC

#: 80 draws of four chains; a run is 2,300 steps.
ENGINE = {
    "n_chains": 4,
    "n_samples": 20,
    "thinning": 50,
    "warmup": 1000,
    "init_steps": 300,
    "max_extensions": 0,
    "batch_size": 256,
}
Score = Callable[[np.ndarray], np.ndarray]
FIELDS = ("seed", "components", "score", "auroc", "seconds")
#: Score -> how its name stands in the table; the goal is the first against the next three.
SCORES = {
    "BayesianAutoencoder, anomaly_score": "ours",
    "PCA, squared error": "theirs",
    "VAETransformer, squared error": "theirs",
    "VAETransformer, -score_samples": "theirs",
    "BayesianAutoencoder, -score_samples": "ours",
    "PPCA, -score_samples": "theirs",
}


def bayesian(n: int, seed: int, quick: bool, **params: Any) -> BayesianAutoencoder:
    """The default prior and density, dense layers of 100 units."""
    engine = SGHMC(**{**ENGINE, **({"warmup": 50, "thinning": 2} if quick else {})})
    return BayesianAutoencoder(
        n,
        hidden_layer_sizes=(100,),
        inference=engine,
        scale_inputs="global",
        random_state=seed,
        **params,
    )


def vae(n: int, seed: int, quick: bool, **params: Any) -> VAETransformer:
    """Networks of the same size, one noise for all pixels."""
    return VAETransformer(
        n,
        hidden_layer_sizes=(100,),
        noise_variance="shared",
        scale_inputs="global",
        random_state=seed,
        **({"max_iter": 50} if quick else {}),
        **params,
    )


def fitted_scores(n: int, X: np.ndarray, seed: int, quick: bool) -> dict[str, tuple[Score, float]]:
    """Every score of `SCORES` with the CPU seconds of its fit."""

    def squared(rebuild: Score) -> Score:
        return lambda rows: ((rows - rebuild(rows)) ** 2).sum(1)

    fits = (PCA(n), bayesian(n, seed, quick), vae(n, seed, quick), PPCA(n))
    taken = []
    for model in fits:
        start = time.process_time()
        model.fit(X)
        taken.append(time.process_time() - start)
    pca, bae, own_vae, ppca = fits
    return {
        "PCA, squared error": (
            squared(lambda rows: pca.inverse_transform(pca.transform(rows))),
            taken[0],
        ),
        "BayesianAutoencoder, anomaly_score": (bae.anomaly_score, taken[1]),
        "BayesianAutoencoder, -score_samples": (lambda r: -bae.score_samples(r), taken[1]),
        "VAETransformer, squared error": (squared(own_vae.reconstruct), taken[2]),
        "VAETransformer, -score_samples": (lambda r: -own_vae.score_samples(r), taken[2]),
        "PPCA, -score_samples": (lambda r: -ppca.score_samples(r), taken[3]),
    }


def score_unseen(ledger: Ledger, seed: int, n: int, quick: bool) -> None:
    """Add the AUROC of every score of one split, unless it is known."""
    if all((seed, n, name) in ledger for name in SCORES):
        return
    X, y = load_digits(return_X_y=True)
    known, strange = X[y < 9], X[y == 9]
    X_train, X_test = train_test_split(known, test_size=0.3, random_state=seed)
    labels = np.r_[np.zeros(len(X_test)), np.ones(len(strange))]
    for name, (score, seconds) in fitted_scores(n, X_train, seed, quick).items():
        found = roc_auc_score(labels, np.r_[score(X_test), score(strange)])
        ledger.add(seed, n, name, f"{found:.4f}", f"{seconds:.1f}")


def digits_section(args: Any) -> list[str]:
    """AUROC of the 9s by score and number of components."""
    seeds = range(1 if args.quick else args.seeds)
    components = [int(n) for n in args.components.split(",")]
    ledger = Ledger("autoencoder_digits", FIELDS, 3, stored=not args.quick)
    for n in components:
        for seed in seeds:
            score_unseen(ledger, seed, n, args.quick)

    def values(n: int, name: str, field: str = "auroc") -> np.ndarray:
        return np.array([float(ledger[seed, n, name][field]) for seed in seeds])

    rows, goals = [], []
    for name in SCORES:
        means = [f"{values(n, name).mean():.3f}" for n in components]
        seconds = float(np.mean([values(n, name, "seconds").mean() for n in components]))
        rows.append([name, *means, seconds])
    first, *rivals = list(SCORES)[:4]
    for n in components:
        least = min(float((values(n, first) - values(n, rival)).min()) for rival in rivals)
        goals.append([n, f"{least:+.3f}", verdict(least, 0.0)])
    title = f"## Digit 9 unseen: AUROC, mean of {len(seeds)} seeds"
    columns = ["score", *(f"{n} components" for n in components), "fit, CPU s"]
    goal = ["components", f"{first}: least lead over PCA's and the VAE's, over seeds", "verdict"]
    return [title, table(columns, rows), table(goal, goals)]
