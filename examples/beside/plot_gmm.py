"""
scikit-learn's Gaussian mixtures beside ours
============================================

Three clumps, 60 points. With more components than the points call for, maximum likelihood puts
some on a few points each, and new points are then improbable. Under a prior, components that
are not needed stay empty, so that too many cost little. scikit-learn's
``BayesianGaussianMixture`` shares that idea; ours also has a complete evidence, splits and
merges components during the fit, and predicts with the uncertainty of its parameters.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture

from skbayes import VariationalGMM

rng = np.random.default_rng(0)


def rows(n):
    """Three clumps."""
    centres = np.array([[0, 0], [5, 1], [1, 6]])
    return centres[rng.integers(3, size=n)] + rng.normal(0, 1.0, (n, 2))


X, X_test = rows(60), rows(2000)
models = {
    "GaussianMixture": lambda k: GaussianMixture(k, random_state=0),
    "BayesianGaussianMixture": lambda k: BayesianGaussianMixture(
        n_components=k, max_iter=1000, random_state=0
    ),
    "VariationalGMM (ours)": lambda k: VariationalGMM(k, random_state=0),
}

# %%
# Higher is better: the mean log density of new rows.

numbers = (1, 2, 3, 4, 6, 8, 12)
for (name, make), style in zip(models.items(), ("s--", "^:", "o-"), strict=True):
    scores = [make(k).fit(X).score(X_test) for k in numbers]
    plt.plot(numbers, scores, style, label=name)
    print(f"{name:24s}", *(f"{score:6.2f}" for score in scores))
plt.xlabel("components given to the fit")
plt.ylabel("log density of new rows (nats a row)")
plt.ylim(bottom=-6.5)
plt.legend()
plt.show()
