"""
What four engines make of a sine and of two moons
=================================================

Draw the toys of docs/engines.md: what the quick engines make of curves and of moons.

``python examples/engines/toys.py`` (needs matplotlib), about two minutes.

Not run in the build.

.. image:: /images/toys.png
   :alt: What four engines make of a sine and of two moons
"""

# sphinx_gallery_thumbnail_path = "images/toys.png"

import warnings
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_moons

from skbayes import BayesianMLPClassifier, BayesianMLPRegressor
from skbayes.exceptions import ConvergenceWarning

ENGINES = {"map": (50,), "laplace": (50,), "deep_ensemble": (50,), "mean_field_vi": (8,)}
GAP = (-0.5, 1.0)


def main():
    """A row of panels for each toy, a column for each engine."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    rng = np.random.default_rng(0)
    x = rng.uniform(-3, 3, 90)
    x = x[(x < GAP[0]) | (x > GAP[1])]
    y = np.sin(2 * x) + 0.1 * rng.normal(size=len(x))
    _, axes = plt.subplots(2, 4, figsize=(16, 7), layout="constrained", sharex="row", sharey="row")
    for ax, (engine, hidden) in zip(axes[0], ENGINES.items(), strict=True):
        draw_curve(ax, BayesianMLPRegressor(hidden, inference=engine, random_state=0), x, y)
        ax.set(title=f"{engine}, {hidden[0]} units", ylim=(-2.5, 2.5))
    X, labels = make_moons(200, noise=0.2, random_state=0)
    for ax, (engine, hidden) in zip(axes[1], ENGINES.items(), strict=True):
        draw_moons(ax, BayesianMLPClassifier(hidden, inference=engine, random_state=0), X, labels)
    plt.savefig(Path(__file__).parents[2] / "docs" / "images" / "toys.png", dpi=60)


def draw_curve(ax, reg, x, y):
    """Rows, the mean, 90% intervals, and the function behind."""
    reg.fit(x[:, None], y)
    grid = np.linspace(-4, 4, 200)
    low, high = reg.predict_interval(grid[:, None]).T
    ax.fill_between(grid, low, high, alpha=0.3)
    ax.plot(grid, reg.predict(grid[:, None]))
    ax.plot(grid, np.sin(2 * grid), "k:", linewidth=1)
    ax.plot(x, y, "k.", markersize=4)


def draw_moons(ax, clf, X, labels):
    """Probability of the second moon over the plane, and the rows."""
    clf.fit(X, labels)
    a, b = np.meshgrid(np.linspace(-2.5, 3.5, 80), np.linspace(-2, 2.5, 80))
    proba = clf.predict_proba(np.c_[a.ravel(), b.ravel()])[:, 1].reshape(a.shape)
    ax.contourf(a, b, proba, levels=np.linspace(0, 1, 11), cmap="RdBu_r")
    for label, colour in enumerate(("navy", "darkred")):
        ax.plot(*X[labels == label].T, ".", color=colour, markersize=4)


if __name__ == "__main__":
    main()
