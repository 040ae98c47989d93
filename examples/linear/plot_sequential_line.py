"""
A line, learned point by point
==============================

Bishop (2006), figure 3.7: before any point every line is possible; each point narrows the
posterior over intercept and slope, and after twenty little is left around the truth. One ``fit``
of all points gives the same posterior: ``partial_fit`` is exact.
"""

import matplotlib.pyplot as plt
import numpy as np

from skbayes import BayesianLinearRegression

rng = np.random.default_rng(1)
truth = -0.3, 0.5  # intercept and slope of the book
X = rng.uniform(-1, 1, (20, 1))
y = truth[0] + truth[1] * X[:, 0] + rng.normal(0, 0.2, 20)

# %%
# Left, draws from the posterior over the two weights, the cross being the truth. Right, the
# lines that six of these draws stand for.

line = BayesianLinearRegression(alpha=2.0, beta=25.0, hyperparameters="fixed")
grid = np.array([[-1.0], [1.0]])
figure, axes = plt.subplots(3, 2, figsize=(7, 9))
seen = 0
for (left, right), n_points in zip(axes, (1, 2, 20), strict=True):
    line.partial_fit(X[seen:n_points], y[seen:n_points])
    seen = n_points
    draws = line.sample_posterior(n_samples=1500, random_state=0)
    intercept, slope = draws["intercept"].ravel(), draws["coef"].ravel()
    left.plot(intercept, slope, ".", markersize=2, alpha=0.4)
    left.plot(*truth, "k+", markersize=14, markeredgewidth=2)
    left.set(xlim=(-1.5, 1.5), ylim=(-1.5, 1.5), xlabel="intercept", ylabel="slope")
    left.set_title(f"after {n_points} point{'s' * (n_points > 1)}")
    right.plot(grid, intercept[:6] + grid * slope[:6], color="C0", linewidth=1)
    right.plot(X[:seen, 0], y[:seen], "o", color="C1")
    right.set(xlim=(-1, 1), ylim=(-1.5, 1.5), xlabel="x", ylabel="y")
plt.show()

# %%
# The same by one ``fit``, to rounding.

whole = BayesianLinearRegression(alpha=2.0, beta=25.0, hyperparameters="fixed").fit(X, y)
print(f"in parts {line.coef_[0]:.6f}, at once {whole.coef_[0]:.6f}, truth {truth[1]}")
