"""Draw the README's figure from the README's own snippet.

Runs the snippet as it stands and draws what it leaves behind, beside a classifier's doubt:
`python examples/_readme_figure.py` (needs matplotlib).
"""

from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from _snippets import run, snippets
from sklearn.datasets import load_iris

from skbayes import BayesianMLPClassifier, BayesianMLPRegressor
from skbayes.inspection import UncertaintyDisplay

ROOT = Path(__file__).parent.parent
GRID = np.linspace(-0.1, 1.1, 241)[:, None]
BLUE, ORANGE = "#0072b2", "#d55e00"


def main():
    """Run the snippet, then draw both panels."""
    page, names = ROOT / "README.md", {}
    print(run(snippets(page)[0], names, page))
    _, axes = plt.subplots(1, 2, figsize=(11, 3.8), layout="constrained")
    draw_gap(names, axes[0])
    draw_doubt(axes[1])
    plt.savefig(ROOT / "docs" / "images" / "readme.png", dpi=160)


def draw_gap(names, ax):
    """Mean and 90% intervals, beside those of one network at its best weights."""
    X, y = names["X"], names["y"]
    ordinary = BayesianMLPRegressor(inference="map", random_state=0).fit(X, y)
    for model, colour, label in (
        (names["reg"], BLUE, "skbayes, 90%"),
        (ordinary, ORANGE, "one network, 90%"),
    ):
        band = model.predict_interval(GRID).T
        alpha = 0.3 if colour == BLUE else 0.0
        ax.fill_between(GRID[:, 0], *band, color=colour, alpha=alpha, label=label, lw=0)
        ax.plot(GRID[:, 0], model.predict(GRID), color=colour, lw=1.5)
        if colour == ORANGE:
            ax.plot(GRID[:, 0], band.T, color=colour, lw=1, ls="--")
    ax.plot(X, y, "k.", ms=4, label="data")
    ax.plot(GRID, np.sin(2 * np.pi * GRID), color="0.5", lw=1, ls=":", label="truth")
    handles, labels = ax.get_legend_handles_labels()
    handles[1] = plt.Line2D([], [], color=ORANGE, ls="--")
    ax.legend(handles, labels, loc="upper right", fontsize=8, frameon=False)
    ax.set(title="Error bars widen where there are no data", xlabel="x", ylabel="y")
    ax.set(ylim=(-1.6, 1.9))


def draw_doubt(ax):
    """Mutual information over two petal measurements, and the flowers that were seen."""
    X, y = load_iris(return_X_y=True)
    clf = BayesianMLPClassifier(random_state=0).fit(X[:, 2:], y)
    display = UncertaintyDisplay.from_estimator(
        clf, X[:, 2:], kind="mutual_information", margin=1.4, ax=ax
    )
    for label, marker in zip(range(3), "osv", strict=True):
        petals = X[y == label, 2:].T
        display.ax_.scatter(*petals, marker=marker, s=14, c="w", edgecolors="k", lw=0.5)
    ax.set(title='"I don\'t know" of flowers: the darker, the less it knows')
    ax.set(xlabel="petal length (cm)", ylabel="petal width (cm)")


if __name__ == "__main__":
    main()
