"""scikit-learn's digits: the two autoencoders that are compared, and new digits from them."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from scipy.stats import entropy
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

from benchmarks._common import Ledger, table, verdict
from skbayes import PPCA, BayesianAutoencoder, VAETransformer
from skbayes.inference import SGHMC
from skbayes.networks import MLP
from skbayes.training import Training

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


def bayesian(n: int, seed: int, quick: bool, **params: Any) -> BayesianAutoencoder:
    """The default prior and density, dense layers of 100 units."""
    steps = {"warmup": 50, "thinning": 2} if quick else {}
    engine = SGHMC(**{**ENGINE, "batch_size": BATCH, **steps})
    return BayesianAutoencoder(
        n,
        encoder=MLP((100,)),
        inference=engine,
        scale_inputs="global",
        random_state=seed,
        **params,
    )


def vae(n: int, seed: int, quick: bool, **params: Any) -> VAETransformer:
    """Networks of the same size, one noise for all pixels."""
    return VAETransformer(
        n,
        encoder=MLP((100,)),
        likelihood="shared_gaussian",
        scale_inputs="global",
        random_state=seed,
        training=Training(max_iter=50) if quick else "adam",
        **params,
    )


# --- new digits ---------------------------------------------------------------------------

#: Codes of every generator, and rows that they learn from; the rest teaches two classifiers.
N_CODES, N_GENERATOR, N_NEW = 10, 900, 1000
NEW_FIELDS = ("seed", "generator", "recognised", "classes", "seconds")


def generators(seed: int, quick: bool) -> dict[str, Any]:
    """Everything that draws digits; each has ``sample`` after its fit."""
    kinds = {
        "BayesianAutoencoder, density='dpmm'": bayesian(N_CODES, seed, quick),
        "VAETransformer, normal codes": vae(N_CODES, seed, quick),
        "VAETransformer, latent_prior='variational_mixture'": vae(
            N_CODES, seed, quick, latent_prior="variational_mixture"
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
