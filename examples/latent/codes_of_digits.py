"""
Latents of digits: VAE and PCA
==============================

Codes of digits by VAETransformer and PCA: two of them as a picture, up to 20 for a classifier.

Left and middle, two codes of digits that training has not seen. Right, how often logistic
regression on codes names such digits. ``python examples/latent/codes_of_digits.py`` (needs
matplotlib) draws `docs/images/codes_of_digits.png` and prints the accuracies.

Not run in the build.

.. image:: /images/codes_of_digits.png
   :alt: Latents of digits: VAE and PCA
"""

# sphinx_gallery_thumbnail_path = "images/codes_of_digits.png"

from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from skbayes import VAETransformer

PICTURE = Path(__file__).parents[2] / "docs" / "images" / "codes_of_digits.png"
NUMBERS = (2, 5, 10, 20)


def coders(n_codes):
    """Both ways to so many codes, by name."""
    return {
        "VAETransformer": VAETransformer(
            n_codes, scale_inputs="global", beta=0.2, max_iter=2000, random_state=0
        ),
        "PCA": PCA(n_codes, random_state=0),
    }


def main():
    """Fit both for each number of codes, draw three panels."""
    X, y = load_digits(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X / 16, y, random_state=0, stratify=y)
    _, axes = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
    accuracy = {name: [] for name in coders(2)}
    for n_codes in NUMBERS:
        for ax, (name, coder) in zip(axes[:2], coders(n_codes).items(), strict=True):
            pipe = make_pipeline(coder, LogisticRegression(max_iter=2000)).fit(X, y)
            accuracy[name].append(pipe.score(X_test, y_test))
            if n_codes == 2:
                points = ax.scatter(*pipe[0].transform(X_test).T, c=y_test, cmap="tab10", s=6)
                ax.set(title=f"{name}, new rows", xlabel="code 1", ylabel="code 2")
    plt.colorbar(points, ax=axes[1], label="digit")
    for name, values in accuracy.items():
        axes[2].plot(NUMBERS, values, "o-", label=name)
        print(name, *(f"{value:.3f}" for value in values))
    axes[2].set(title="LogisticRegression on codes", xlabel="number of codes", ylabel="accuracy")
    axes[2].legend()
    plt.savefig(PICTURE, dpi=70)


if __name__ == "__main__":
    main()
