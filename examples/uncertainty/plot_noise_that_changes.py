"""
Noise that is the same everywhere, and noise that is not
========================================================

The noise of these rows grows with x. A model with one noise level is too sure on the right and
not sure enough on the left, although its intervals are right on average. With
``likelihood="heteroscedastic"`` the noise is a function of x as well.
"""

import matplotlib.pyplot as plt
import numpy as np

from skbayes import BayesianMLPRegressor
from skbayes.metrics import interval_coverage

rng = np.random.default_rng(0)


def rows(n):
    """Noise from 0.05 on the left to 0.6 on the right."""
    x = rng.uniform(0, 1, n)
    return x[:, None], np.sin(4 * x) + (0.05 + 0.55 * x**2) * rng.normal(size=n)


X, y = rows(150)
X_test, y_test = rows(2000)

# %%
# Shaded, 90% intervals. Coverage is counted on new rows of the left third and the right third.

grid = np.linspace(0, 1, 200)[:, None]
figure, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True)
for ax, likelihood in zip(axes, ("gaussian", "heteroscedastic"), strict=True):
    reg = BayesianMLPRegressor((6,), likelihood=likelihood, inference="laplace", random_state=0)
    low, high = reg.fit(X, y).predict_interval(grid, coverage=0.9).T
    ax.fill_between(grid[:, 0], low, high, alpha=0.3)
    ax.plot(grid, reg.predict(grid))
    ax.plot(X, y, "k.", markersize=3)
    ax.set(title=f"likelihood={likelihood!r}", xlabel="x")
    interval = reg.predict_interval(X_test, coverage=0.9)
    for side, at in (("left", X_test[:, 0] < 1 / 3), ("right", X_test[:, 0] > 2 / 3)):
        print(f"{likelihood:16s}{side:6s} {interval_coverage(y_test[at], interval[at]):.2f}")
axes[0].set_ylabel("y, 90% intervals")
plt.show()
