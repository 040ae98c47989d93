"""The icon and the picture of shared links, from a fit of our own: `python docs/_ext/brand.py`."""

from pathlib import Path

import figure_style
import matplotlib.pyplot as plt
import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skbayes import BayesianLinearRegression

STATIC = Path(__file__).parents[1] / "_static"


def fit():
    """A sine with a gap, and the curve with its error bars."""
    rng = np.random.default_rng(4)
    x = np.r_[rng.uniform(0.02, 0.3, 12), rng.uniform(0.72, 0.98, 12)]
    y = np.sin(2 * np.pi * x) + rng.normal(0, 0.12, 24)
    bases = FunctionTransformer(lambda x: np.exp(-((x - np.linspace(0, 1, 9)) ** 2) / 0.03))
    linear = BayesianLinearRegression(1.0, 70.0, hyperparameters="fixed")
    model = make_pipeline(bases, linear).fit(x[:, None], y)
    grid = np.linspace(0, 1, 120)
    return x, y, grid, *model.predict(grid[:, None], return_std=True)


def main():
    """Write both files."""
    x, y, grid, mean, std = fit()
    figure_style.reset(None, None)
    figure, ax = plt.subplots(figsize=(12, 6.3))
    ax.fill_between(grid, mean - 2 * std, mean + 2 * std, alpha=0.25)
    ax.plot(grid, mean, linewidth=4)
    ax.plot(x, y, "o", color="C1", markersize=9)
    ax.set_axis_off()
    ax.set_title("skbayes: scikit-learn estimators that say how sure they are", fontsize=26)
    figure.savefig(STATIC / "social.png", dpi=100)

    def point(x, y):
        return f"{32 + 28 * (2 * x - 1):.1f} {32 - 13 * y:.1f}"

    band = [*zip(grid, mean + 2 * std, strict=True)][::4]
    band += [*zip(grid, mean - 2 * std, strict=True)][::-4]
    line = "L".join(point(*at) for at in [*zip(grid, mean, strict=True)][::4])
    (STATIC / "favicon.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64">'
        f'<path fill="#56B4E9" fill-opacity=".55" d="M{"L".join(point(*at) for at in band)}Z"/>'
        f'<path fill="none" stroke="#0072B2" stroke-width="5" d="M{line}"/></svg>\n',
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
