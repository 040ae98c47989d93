"""
A Gaussian process beside a network
===================================

On a few dozen rows of a smooth function a Gaussian process is hard to beat, and its evidence
chooses its kernel. A Bayesian network gives bands of the same kind without a kernel, and still
fits where rows are many.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import norm
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

from skbayes import BayesianMLPRegressor

rng = np.random.default_rng(1)
x = np.sort(rng.uniform(-3, 3, 50))
x = x[(x < -0.5) | (x > 1)][:, None]
y = np.sin(2 * x[:, 0]) + 0.1 * rng.normal(size=len(x))
new = rng.uniform(-3, 3, 300)[:, None]
y_new = np.sin(2 * new[:, 0]) + 0.1 * rng.normal(size=300)
grid = np.linspace(-4.5, 4.5, 200)[:, None]

kernel = ConstantKernel() * RBF() + WhiteKernel(0.1)
models = {
    "GaussianProcessRegressor": GaussianProcessRegressor(kernel, random_state=0),
    "BayesianMLPRegressor, laplace": BayesianMLPRegressor(
        (20,), inference="laplace", random_state=0
    ),
}

# %%
# Both were told nothing of the noise or of the length scale.

figure, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True)
for ax, (name, model) in zip(axes, models.items(), strict=True):
    mean, std = model.fit(x, y).predict(grid, return_std=True)
    ax.fill_between(grid[:, 0], mean - 1.64 * std, mean + 1.64 * std, alpha=0.3, label="90%")
    ax.plot(grid, mean)
    ax.plot(grid, np.sin(2 * grid), "k:", linewidth=1, label="truth")
    ax.plot(x, y, "k.")
    ax.set(title=name, xlabel="x", ylim=(-3, 3))
    at, spread = model.predict(new, return_std=True)
    print(f"{name:30} {norm(at, spread).logpdf(y_new).mean():6.2f} nats a row, gap included")
axes[0].legend()
plt.show()
