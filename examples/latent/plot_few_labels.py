"""
Six labels, and all the other rows
==================================

Unlabelled rows say where the groups are, a few labels say what they are called (Kingma et al.,
2014). ``SemiSupervisedVAEClassifier`` learns from both; a classifier of the six labelled rows
alone can only guess where the border is.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_moons

from skbayes import BayesianMLPClassifier, SemiSupervisedVAEClassifier
from skbayes.networks import MLP
from skbayes.training import Training

X, y = make_moons(400, noise=0.12, random_state=0)
known = np.concatenate([np.flatnonzero(y == label)[:3] for label in (0, 1)])
few = np.full(len(y), -1)
few[known] = y[known]
models = {
    "six labels": BayesianMLPClassifier((20,), inference="laplace", random_state=0),
    "six labels and 394 rows": SemiSupervisedVAEClassifier(
        2, encoder=MLP((50,)), training=Training(max_iter=1500), random_state=0
    ),
}

# %%
# Shares of right names among the rows without a label.

a, b = np.meshgrid(np.linspace(-2, 3, 80), np.linspace(-1.5, 2, 60))
figure, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True)
for ax, (name, model) in zip(axes, models.items(), strict=True):
    rows = known if isinstance(model, BayesianMLPClassifier) else slice(None)
    model.fit(X[rows], few[rows])
    p = model.predict_proba(np.column_stack([a.ravel(), b.ravel()]))[:, 1]
    ax.contourf(a, b, p.reshape(a.shape), levels=np.linspace(0, 1, 11), cmap="RdBu_r", alpha=0.7)
    ax.plot(*X.T, "k.", markersize=2)
    ax.scatter(*X[known].T, c=y[known], cmap="RdBu_r", edgecolors="k", s=70)
    ax.set(title=name)
    print(f"{name:25} {np.mean(model.predict(X[few < 0]) == y[few < 0]):.3f}")
plt.show()
