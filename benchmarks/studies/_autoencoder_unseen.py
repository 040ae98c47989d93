"""scikit-learn's digits: digits that were never seen, found by anomaly scores."""

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
from benchmarks.studies._autoencoder_digits import bayesian, vae
from skbayes import PPCA

Score = Callable[[np.ndarray], np.ndarray]
FIELDS = ("unseen", "seed", "components", "score", "auroc", "seconds")
#: The digit of the goal; settings were looked at with 4 and 1 unseen.
GOAL_DIGIT = 9
#: The goal is the first against the next four.
SCORES = (
    "BayesianAutoencoder, anomaly_score",
    "PCA, squared error",
    "PPCA, -score_samples",
    "VAETransformer, squared error",
    "VAETransformer, -score_samples",
    "BayesianAutoencoder, -log_predictive",
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
        "BayesianAutoencoder, -log_predictive": (lambda r: -bae.log_predictive(r), taken[1]),
        "VAETransformer, squared error": (squared(own_vae.reconstruct), taken[2]),
        "VAETransformer, -score_samples": (lambda r: -own_vae.score_samples(r), taken[2]),
        "PPCA, -score_samples": (lambda r: -ppca.score_samples(r), taken[3]),
    }


def score_unseen(ledger: Ledger, digit: int, seed: int, n: int, quick: bool) -> None:
    """Add the AUROC of every score of one split, unless it is known."""
    if all((digit, seed, n, name) in ledger for name in SCORES):
        return
    X, y = load_digits(return_X_y=True)
    known, strange = X[y != digit], X[y == digit]
    X_train, X_test = train_test_split(known, test_size=0.3, random_state=seed)
    labels = np.r_[np.zeros(len(X_test)), np.ones(len(strange))]
    for name, (score, seconds) in fitted_scores(n, X_train, seed, quick).items():
        found = roc_auc_score(labels, np.r_[score(X_test), score(strange)])
        ledger.add(digit, seed, n, name, f"{found:.4f}", f"{seconds:.1f}")


def digits_section(args: Any) -> list[str]:
    """AUROC of the digit of the goal, the 9, and of every digit asked for."""
    seeds = range(1 if args.quick else args.seeds)
    components = [int(n) for n in args.components.split(",")]
    digits = [int(digit) for digit in args.unseen.split(",")]
    ledger = Ledger("autoencoder_digits", FIELDS, 4, stored=not args.quick)
    for seed in seeds:
        for digit in digits:
            for n in components:
                score_unseen(ledger, digit, seed, n, args.quick)

    sets = [[digit] for digit in digits if digit == GOAL_DIGIT]
    sets += [digits] if len(digits) > 1 else []
    return [part for chosen in sets for part in auroc_tables(ledger, chosen, seeds, components)]


def auroc_tables(ledger: Ledger, digits: list[int], seeds, components: list[int]) -> list[str]:
    """Mean AUROC of every score, and by how much ours leads its rivals."""

    def values(n: int, name: str, field: str = "auroc") -> np.ndarray:
        return np.array([[float(ledger[d, s, n, name][field]) for s in seeds] for d in digits])

    rows = [
        [
            name,
            *(f"{values(n, name).mean():.3f}" for n in components),
            float(np.mean([values(n, name, "seconds") for n in components])),
        ]
        for name in SCORES
    ]
    first, *rivals = SCORES[:5]
    leads = []
    for n in components:
        lead = np.array([values(n, first) - values(n, rival) for rival in rivals]).mean(-1)
        least = float(lead.mean(1).min())
        ahead = int((lead.min(0) >= 0).sum())
        leads.append([n, f"{least:+.3f}", f"{ahead} of {len(digits)}", verdict(least, 0.0)])
    which = f"Digit {digits[0]}" if len(digits) == 1 else f"Each of {len(digits)} digits"
    title = f"## {which} unseen: AUROC, mean of {len(seeds)} seeds"
    columns = ["score", *(f"{n} components" for n in components), "fit, CPU s"]
    goal = [
        "components",
        f"{first}: lead over the best of PCA, PPCA and the VAE",
        "ahead",
        "verdict",
    ]
    return [title, table(columns, rows), table(goal, leads)]
