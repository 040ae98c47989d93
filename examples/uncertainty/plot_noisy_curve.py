"""
Bayes by Backprop's noisy curve, with quartiles
===============================================

Blundell et al. (2015), figure 5: y = x + .3 sin 2π(x + ε) + .3 sin 4π(x + ε) + ε, with ε normal
of standard deviation .02. Outside the data the quartiles of a Bayesian network diverge, where an
ordinary network follows one arbitrary curve.
Here the posterior is the normal of ``laplace``.
"""

import matplotlib.pyplot as plt
import numpy as np

from skbayes import BayesianMLPRegressor

rng = np.random.default_rng(0)
x, noise = rng.uniform(0, 0.5, 150), rng.normal(0, 0.02, 150)
turns = 2 * np.pi * (x + noise)
y = x + 0.3 * np.sin(turns) + 0.3 * np.sin(2 * turns) + noise

# %%
# The median, the middle half and the middle 90% of the predictive distribution.

grid = np.linspace(-0.2, 1.0, 200)[:, None]
figure, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True)
for ax, engine in zip(axes, ("map", "laplace"), strict=True):
    reg = BayesianMLPRegressor((10,), inference=engine, random_state=0).fit(x[:, None], y)
    for coverage, alpha in ((0.9, 0.2), (0.5, 0.35)):
        low, high = reg.predict_interval(grid, coverage=coverage).T
        ax.fill_between(grid[:, 0], low, high, color="C0", alpha=alpha, label=f"{coverage:.0%}")
    ax.plot(grid, reg.predict(grid), color="C1", label="mean")
    ax.plot(x, y, "k.", markersize=3)
    ax.set(title=f"inference={engine!r}", xlabel="x", xlim=(-0.2, 1.0), ylim=(-1.2, 1.6))
    width = np.diff(reg.predict_interval([[0.25], [0.9]], coverage=0.5), axis=1)[:, 0]
    print(f"{engine:8s} width between quartiles: {width[0]:.2f} at x=.25, {width[1]:.2f} at x=.9")
axes[0].set_ylabel("y")
axes[1].legend(loc="lower right")
plt.show()
