"""scikit-learn's digits: a digit that was never seen, and digits that are new."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.stats import entropy
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

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
}
BATCH = 256
Score = Callable[[np.ndarray], np.ndarray]
FIELDS = ("seed", "components", "score", "auroc", "seconds")
#: The goal is the first against the next four.
SCORES = (
    "BayesianAutoencoder, anomaly_score",
    "PCA, squared error",
    "PPCA, -score_samples",
    "VAETransformer, squared error",
    "VAETransformer, -score_samples",
    "BayesianAutoencoder, -log_predictive",
)


def bayesian(n: int, seed: int, quick: bool, **params: Any) -> BayesianAutoencoder:
    """The default prior and density, dense layers of 100 units."""
    steps = {"warmup": 50, "thinning": 2} if quick else {}
    engine = SGHMC(**{**ENGINE, "batch_size": BATCH, **steps})
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
        "BayesianAutoencoder, -log_predictive": (lambda r: -bae.log_predictive(r), taken[1]),
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
    first, *rivals = SCORES[:5]
    for n in components:
        least = min(float((values(n, first) - values(n, rival)).min()) for rival in rivals)
        goals.append([n, f"{least:+.3f}", verdict(least, 0.0)])
    title = f"## Digit 9 unseen: AUROC, mean of {len(seeds)} seeds"
    columns = ["score", *(f"{n} components" for n in components), "fit, CPU s"]
    goal = ["components", f"{first}: least lead over PCA's and the VAE's, over seeds", "verdict"]
    return [title, table(columns, rows), table(goal, goals)]


# --- new digits ---------------------------------------------------------------------------

#: Codes of every generator, and rows that they learn from; the rest teaches two classifiers.
N_CODES, N_GENERATOR, N_NEW = 10, 900, 1000
NEW_FIELDS = ("seed", "generator", "recognised", "classes", "seconds")


def generators(seed: int, quick: bool) -> dict[str, Any]:
    """Everything that draws digits; each has ``sample`` after its fit."""
    kinds = {
        "BayesianAutoencoder, density='dpmm'": bayesian(N_CODES, seed, quick),
        "VAETransformer, normal codes": vae(N_CODES, seed, quick),
        "VAETransformer, latent_prior='variational_gmm'": vae(
            N_CODES, seed, quick, latent_prior="variational_gmm"
        ),
        "PPCA": PPCA(N_CODES, whiten=True),
        "PCA and a Gaussian mixture of 10": PCAMixture(N_CODES, seed),
    }
    return kinds


class PCAMixture:
    """Rows from a maximum-likelihood mixture of the components of a PCA."""

    def __init__(self, n: int, seed: int) -> None:
        self.pca, self.mixture = PCA(n), GaussianMixture(10, random_state=seed)

    def fit(self, X: np.ndarray) -> PCAMixture:
        self.mixture.fit(self.pca.fit_transform(X))
        return self

    def sample(self, n: int, random_state: int) -> np.ndarray:
        return self.pca.inverse_transform(
            self.mixture.set_params(random_state=random_state).sample(n)[0]
        )


def means(model: Any, n: int) -> np.ndarray:
    """New pictures without pixel noise."""
    if isinstance(model, PPCA):
        return model.inverse_transform(np.random.default_rng(0).standard_normal((n, N_CODES)))
    plain = {} if isinstance(model, PCAMixture) else {"noise": False}
    return model.sample(n, random_state=0, **plain)


class Judges:
    """Two classifiers of different kinds, on halves of rows that no generator saw.

    A picture is recognised where the first names the digit of all three neighbours that the
    second finds. The number of digits among the recognised is the exponential of the
    entropy of their names, ten for equal shares.
    """

    def __init__(self, X: np.ndarray, y: np.ndarray) -> None:
        self.first = SVC().fit(X[::2], y[::2])
        self.second = KNeighborsClassifier(3).fit(X[1::2], y[1::2])

    def __call__(self, pictures: np.ndarray) -> tuple[float, float]:
        named, shares = self.first.predict(pictures), self.second.predict_proba(pictures)
        recognised = shares[np.arange(len(named)), named] == 1
        digits = np.bincount(named[recognised], minlength=10)
        return float(recognised.mean()), float(np.exp(entropy(digits / max(digits.sum(), 1))))


def generate(ledger: Ledger, seed: int, quick: bool) -> None:
    """Add what the judges say of every generator's pictures, and of real and shuffled ones."""
    X, y = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(X))
    X, y = X[order], y[order]
    own, rest = X[:N_GENERATOR], slice(N_GENERATOR, None)
    judges = Judges(X[rest], y[rest])
    shuffled = np.random.default_rng(seed).permuted(own, axis=0)
    for name, pictures in (("real digits", own), ("pixels shuffled over pictures", shuffled)):
        ledger.add(seed, name, *(f"{value:.4f}" for value in judges(pictures)), "0")
    for name, model in generators(seed, quick).items():
        start = time.process_time()
        model.fit(own)
        taken = time.process_time() - start
        found = judges(np.clip(means(model, N_NEW), 0, 16))
        ledger.add(seed, name, *(f"{value:.4f}" for value in found), f"{taken:.1f}")


def generated_section(args: Any) -> list[str]:
    """Share of new pictures that two classifiers recognise."""
    seeds = range(1 if args.quick else args.seeds)
    ledger = Ledger("autoencoder_generated", NEW_FIELDS, 2, stored=not args.quick)
    for seed in seeds:
        if (seed, "PPCA") not in ledger:
            generate(ledger, seed, args.quick)
    names = list(dict.fromkeys(key[1] for key in ledger.rows))

    def values(name: str, field: str) -> np.ndarray:
        return np.array([float(ledger[seed, name][field]) for seed in seeds])

    rows = [
        [
            name,
            f"{values(name, 'recognised').mean():.3f}",
            f"{values(name, 'recognised').min():.3f}",
            f"{values(name, 'classes').mean():.1f}",
            float(values(name, "seconds").mean()),
        ]
        for name in names
    ]
    ours = values("BayesianAutoencoder, density='dpmm'", "recognised").mean()
    ours /= values("real digits", "recognised").mean()
    title = f"## New digits, {len(seeds)} seeds, {N_CODES} codes, {N_NEW} pictures each"
    columns = ["pictures", "recognised", "least", "digits among them", "fit, CPU s"]
    note = (
        f"{N_GENERATOR} rows teach the generators, halves of the others an SVC and 3 nearest "
        "neighbours; recognised is named by the first as by all neighbours. Pictures are the "
        "decoders' means; settings are defaults, chosen on nothing."
    )
    goal = (
        f"BayesianAutoencoder, as a share of real digits: {ours:.3f}, {verdict(float(ours), 0.9)}"
    )
    return [title, table(columns, rows), note, goal]
