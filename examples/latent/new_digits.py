"""
New digits from four generators
===============================

New digits from a Bayesian autoencoder, beside those of PCA with a mixture, PPCA and a VAE.

Each learns 900 of scikit-learn's digits with ten codes; pictures are decoders' means. Below,
what draws under plain priors, the prior used and the posterior make of three digits and of
three rows that are none. ``python examples/latent/new_digits.py`` (needs matplotlib, a minute).

Not run in the build.

.. image:: /images/new_digits.png
   :alt: New digits from four generators
"""

# sphinx_gallery_thumbnail_path = "images/new_digits.png"

from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture

from skbayes import PPCA, BayesianAutoencoder, VAETransformer
from skbayes.inspection import (
    ReconstructionDrawsDisplay,
    ReconstructionProjectionDisplay,
    SampleDisplay,
)
from skbayes.networks import MLP

IMAGES = Path(__file__).parents[2] / "docs" / "images"
N_CODES, N_NEW = 10, 36


def main():
    """Fit, sample, draw."""
    X = load_digits().data
    order = np.random.default_rng(0).permutation(len(X))
    rows, unseen = X[order[:900]], X[order[900:]]
    settings = {"encoder": MLP((100,)), "scale_inputs": "global", "random_state": 0}
    bae = BayesianAutoencoder(N_CODES, **settings)
    bae.set_params(inference__n_samples=40, inference__max_extensions=0).fit(rows)
    draw_new(rows, bae, VAETransformer(N_CODES, likelihood="shared_gaussian", **settings).fit(rows))
    draw_doubt(bae, np.concatenate([unseen[:3], strange(unseen)]))
    draw_plane(bae, unseen[:60])


def draw_new(rows, bae, vae):
    """Real rows, and pictures of four generators."""
    rng, pca = np.random.default_rng(0), PCA(N_CODES).fit(rows)
    ppca = PPCA(N_CODES, whiten=True).fit(rows)
    mixture = GaussianMixture(10, random_state=0).fit(pca.transform(rows))
    pictures = {
        "real": rows[:N_NEW],
        "BayesianAutoencoder": bae.sample(N_NEW, random_state=0, noise=False),
        "PCA and a mixture": pca.inverse_transform(mixture.sample(N_NEW)[0]),
        "PPCA": ppca.inverse_transform(rng.standard_normal((N_NEW, N_CODES))),
        "VAETransformer": vae.sample(N_NEW, random_state=0, noise=False),
    }
    _, axes = plt.subplots(1, 5, figsize=(15, 3.3), layout="constrained")
    for ax, (name, drawn) in zip(axes, pictures.items(), strict=True):
        images = np.pad(np.clip(drawn, 0, 16).reshape(-1, 8, 8), [(0, 0), (1, 1), (1, 1)])
        SampleDisplay.from_predictions(images, ax=ax).ax_.set_title(name)
    plt.savefig(IMAGES / "new_digits.png", dpi=70)


def strange(rows):
    """A digit on its side, one upside down in shades, and noise."""
    pictures = rows[3:6].reshape(-1, 8, 8)
    noise = np.random.default_rng(0).uniform(0, 16, (8, 8))
    return np.stack([pictures[0].T, 16 - pictures[1], noise]).reshape(3, 64)


def draw_doubt(bae, rows):
    """Draws of reconstructions of known and strange rows."""
    _, ax = plt.subplots(figsize=(5, 6.5), layout="constrained")
    ReconstructionDrawsDisplay.from_estimator(bae, rows, n_draws=2, random_state=0, ax=ax)
    ax.set_title("three digits, three rows that are none")
    plt.savefig(IMAGES / "reconstruction_draws.png", dpi=70)


def draw_plane(bae, rows):
    """The same draws, of more rows, on a plane."""
    _, ax = plt.subplots(figsize=(6, 4.5), layout="constrained")
    names = ("1 / fan-in prior", "prior used")
    ReconstructionProjectionDisplay.from_estimator(bae, rows, priors=names, random_state=0, ax=ax)
    ax.set_title("reconstructions of 60 digits")
    plt.savefig(IMAGES / "reconstruction_plane.png", dpi=70)


if __name__ == "__main__":
    main()
