"""
A gap in the data: one network, and a posterior over networks
=============================================================

The plot that everyone makes first. An ordinary network, at its most probable weights, is as
sure in the gap as elsewhere. The posterior is not: the part of its spread that more data would
remove (epistemic, dark) opens in the gap and beyond the ends; the noise (light) stays.
"""

import matplotlib.pyplot as plt
import numpy as np

from skbayes import BayesianMLPRegressor

rng = np.random.default_rng(0)
x = rng.uniform(-3, 3, 90)
x = x[(x < -0.5) | (x > 1)]
y = np.sin(2 * x) + 0.1 * rng.normal(size=len(x))

# %%
# ``map`` and ``laplace`` share the mode; ``laplace`` adds what the curvature around it says.

grid = np.linspace(-4, 4, 200)
figure, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True)
for ax, engine in zip(axes, ("map", "laplace"), strict=True):
    reg = BayesianMLPRegressor((10,), inference=engine, random_state=0).fit(x[:, None], y)
    mean, total = reg.predict(grid[:, None], return_std=True)
    ax.fill_between(
        grid, mean - 2 * total, mean + 2 * total, color="C0", alpha=0.2, label="with noise"
    )
    if engine != "map":
        part = reg.predict_std(grid[:, None], kind="epistemic")
        ax.fill_between(
            grid, mean - 2 * part, mean + 2 * part, color="C0", alpha=0.5, label="epistemic"
        )
        print(
            f"epistemic: {part[60:95].max():.2f} in the gap, {part[100:170].mean():.2f} at the data"
        )
    ax.plot(grid, mean, label="mean")
    ax.plot(grid, np.sin(2 * grid), "k:", linewidth=1, label="truth")
    ax.plot(x, y, "k.", markersize=4)
    ax.set(title=f"inference={engine!r}", xlabel="x", ylim=(-3, 3))
axes[0].set_ylabel("y, ± 2 std")
axes[1].legend(loc="upper left", ncols=2)
plt.show()
