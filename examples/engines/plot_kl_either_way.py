"""
Two ways to be near a posterior
===============================

Independent normals cannot follow a correlated posterior. Which one is nearest depends on the
direction of the divergence (Bishop, 2006, figure 10.2): KL(q, p), which variational inference
minimises, is too narrow; KL(p, q), whose minimum has the marginals, is too wide. The same here,
with the weights of two columns that say nearly the same.
"""

import matplotlib.pyplot as plt
import numpy as np

from skbayes import BayesianMLPRegressor
from skbayes.inference import Laplace, MeanFieldVI
from skbayes.likelihoods import Gaussian
from skbayes.priors import Normal

rng = np.random.default_rng(0)
common = rng.normal(size=60)
X = np.column_stack([common + 0.35 * rng.normal(size=60), common + 0.35 * rng.normal(size=60)])
y = X.sum(axis=1) + rng.normal(size=60)


def draws(engine):
    """Posterior draws of both weights; prior and noise are fixed, so that the law is normal."""
    reg = BayesianMLPRegressor(
        (),
        prior=Normal(scale=1.0),
        likelihood=Gaussian(noise=1.0),
        inference=engine,
        random_state=0,
    )
    named = reg.fit(X, y).sample_posterior(n_samples=4000, random_state=0)
    return named["layer0.weight"][:, 0]


# %%
# Of a linear model Laplace's normal is the posterior. From its covariance follow both of the
# nearest independent normals; ``mean_field_vi`` finds the first.

exact, found = draws(Laplace(structure="full")), draws(MeanFieldVI(max_iter=2000, temperature=1.0))
covariance = np.cov(exact.T)
nearest = {
    "KL(q, p): its precisions": 1 / np.diag(np.linalg.inv(covariance)),
    "KL(p, q): its marginals": np.diag(covariance),
}
angle = np.linspace(0, 2 * np.pi, 200)
circle = np.stack([np.cos(angle), np.sin(angle)])
root = np.linalg.cholesky(covariance)
figure, axes = plt.subplots(1, 2, figsize=(10, 4.5), sharex=True, sharey=True)
for ax, (name, variances) in zip(axes, nearest.items(), strict=True):
    for radius in (1, 2):
        ax.plot(*(exact.mean(0)[:, None] + radius * root @ circle), "C0", label="posterior")
        own = radius * np.sqrt(variances)[:, None] * circle
        ax.plot(*(exact.mean(0)[:, None] + own), "C1", label="independent normal")
    ax.set(title=name, xlabel="first weight", aspect="equal")
axes[0].plot(*found[:300].T, ".", color="0.6", markersize=2, zorder=0, label="mean_field_vi")
axes[0].set_ylabel("second weight")
handles, labels = axes[0].get_legend_handles_labels()
once = dict(zip(labels, handles, strict=True))
axes[0].legend(once.values(), once.keys())
plt.show()
ratio = found.std(axis=0) / np.sqrt(nearest["KL(q, p): its precisions"])
print("mean_field_vi over the nearest normal, standard deviations:", ratio.round(2))
print("over the posterior's:", (found.std(axis=0) / exact.std(axis=0)).round(2))
