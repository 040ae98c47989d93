"""
Error bars that shrink where points arrive
==========================================

Bishop (2006), figures 3.8 and 3.9: a sine, seen through nine Gaussian basis functions and 1,
2, 4 or 25 points. The predictive spread is smallest around the points and shrinks as they
come; functions drawn from the posterior agree there, and differ elsewhere.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import skbayes
from skbayes import BayesianLinearRegression

rng = np.random.default_rng(0)
x = rng.uniform(0, 1, (25, 1))
y = np.sin(2 * np.pi * x[:, 0]) + rng.normal(0, 0.2, 25)


def bases(x):
    """Nine bells along the unit interval."""
    return np.exp(-((x - np.linspace(0, 1, 9)) ** 2) / (2 * 0.1**2))


# %%
# Above, mean and one predictive standard deviation; below, five functions of the posterior.

linear = BayesianLinearRegression(alpha=2.0, beta=25.0, hyperparameters="fixed")
model = make_pipeline(FunctionTransformer(bases), linear)
grid = np.linspace(0, 1, 200)[:, None]
figure, axes = plt.subplots(2, 4, figsize=(12, 5.5), sharex=True, sharey=True)
for (above, below), n_points in zip(axes.T, (1, 2, 4, 25), strict=True):
    model.fit(x[:n_points], y[:n_points])
    mean, std = model.predict(grid, return_std=True)
    above.fill_between(grid[:, 0], mean - std, mean + std, alpha=0.25)
    above.plot(grid, mean)
    above.set_title(f"{n_points} point{'s' * (n_points > 1)}")
    draws = skbayes.sample_posterior(model, n_samples=5, X=grid, random_state=0)
    below.plot(grid, draws.reshape(5, -1).T, color="C0", linewidth=1)
    for ax in (above, below):
        ax.plot(grid, np.sin(2 * np.pi * grid), "k:", linewidth=1)
        ax.plot(x[:n_points], y[:n_points], "o", color="C1", markersize=4)
    print(f"{n_points:2d} points: mean spread {std.mean():.2f}, of which noise 0.20")
axes[0, 0].set(ylabel="mean ± 1 std", ylim=(-2, 2))
axes[1, 0].set_ylabel("draws of the function")
for ax in axes[1]:
    ax.set_xlabel("x")
plt.show()
