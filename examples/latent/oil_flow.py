"""
Oil flow in two dimensions, with holes
======================================

Two-dimensional pictures of oil flow, with and without 30% of the values missing.

Three flow regimes in a pipeline, seen by 12 sensors (Bishop and James, 1993): codes of a
PPCA with two components, and the two leading codes of a Bayesian PCA that chose its number
of components by automatic relevance determination. Bars are one posterior standard
deviation. Reads `oil_flow_3phase.npz` (arrays `X_Trn` and `y_Trn`) from the folder that
the environment variable SKBAYES_DATA names: ``python examples/latent/oil_flow.py``.

Not run in the build.

.. image:: /images/oil_flow.png
   :alt: Oil flow in two dimensions, with holes
"""

# sphinx_gallery_thumbnail_path = "images/oil_flow.png"

import os
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from skbayes import PPCA

PICTURE = Path(__file__).parents[2] / "docs" / "images" / "oil_flow.png"


def main():
    """Fit four models, draw four panels."""
    X, regime = load()
    missing = X.copy()
    missing[np.random.default_rng(0).uniform(size=X.shape) < 0.3] = np.nan
    _, axes = plt.subplots(2, 2, figsize=(10, 8), layout="constrained")
    reference = None
    for row, (rows, how) in zip(axes, ((X, "complete"), (missing, "30% missing")), strict=True):
        for ax, n_components, name in zip(row, (2, "ard"), ("PPCA", "Bayesian PCA"), strict=True):
            ppca = PPCA(n_components).fit(rows)
            codes, std = ppca.transform(rows)[:, :2], ppca.predict_std(rows)[:, :2]
            reference = codes if reference is None else reference
            signs = np.sign((codes * reference).sum(axis=0))  # the same way up in each panel
            draw(ax, codes * signs, std, regime)
            found = f"{ppca.n_components_} components"
            ax.set(title=f"{name}, {how}: {found}", xlabel="code 1", ylabel="code 2")
            noise = f"noise variance {ppca.noise_variance_:.3f}"
            print(f"{name:13s} {how:12s} {found}, {noise}, EM steps {ppca.n_iter_}")
    axes[0, 0].legend()
    plt.savefig(PICTURE, dpi=70)


def load():
    """Sensor readings and regimes of the training rows."""
    folder = os.environ.get("SKBAYES_DATA")
    if folder is None:
        raise SystemExit(
            "this example reads oil_flow_3phase.npz: set the environment variable SKBAYES_DATA "
            "to the folder that holds it"
        )
    with np.load(Path(folder) / "oil_flow_3phase.npz") as archive:
        return archive["X_Trn"].astype(float), archive["y_Trn"]


def draw(ax, codes, std, regime):
    """Codes by regime, with bars."""
    for label, name in zip(np.unique(regime), (1, 2, 3), strict=True):
        at = regime == label
        ax.errorbar(
            *codes[at].T,
            xerr=std[at, 0],
            yerr=std[at, 1],
            fmt=".",
            markersize=3,
            elinewidth=0.3,
            alpha=0.6,
            label=f"flow regime {name}",
        )


if __name__ == "__main__":
    main()
