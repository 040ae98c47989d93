"""
How many clumps? Three concentrations
=====================================

Bishop (2006), figure 10.6: a variational mixture that starts with six components and a small
concentration of the weights' prior keeps the two that eruptions of Old Faithful call for, and
leaves four empty. A large concentration says beforehand that all components are used. The
rows here are made, with the two clumps of that data set: minutes of an eruption, and minutes
until the next.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Ellipse

from skbayes import VariationalGMM

rng = np.random.default_rng(0)
short = rng.multivariate_normal([2.0, 54.5], [[0.07, 0.44], [0.44, 34]], 97)
long = rng.multivariate_normal([4.3, 80.0], [[0.17, 0.94], [0.94, 36]], 175)
X = np.concatenate([short, long])

# %%
# Ellipses hold two standard deviations; a component is drawn as dark as its weight.

figure, axes = plt.subplots(1, 3, figsize=(12, 4), sharey=True)
for ax, concentration in zip(axes, (0.001, 1.0, 1000.0), strict=True):
    gmm = VariationalGMM(6, weight_concentration=concentration, random_state=0).fit(X)
    ax.plot(*X.T, ".", color="0.6", markersize=3)
    for weight, mean, covariance in zip(gmm.weights_, gmm.means_, gmm.covariances_, strict=True):
        values, vectors = np.linalg.eigh(covariance)
        angle = np.degrees(np.arctan2(*vectors[::-1, 1]))
        size = 4 * np.sqrt(values[::-1])
        alpha = min(1.0, 0.05 + 2 * weight) if weight > 0.01 else 0
        ax.add_patch(Ellipse(mean, *size, angle=angle, fill=False, ec="C0", lw=2, alpha=alpha))
    used = (gmm.weights_ > 0.01).sum()
    ax.set(title=f"concentration {concentration:g}: {used} used", xlabel="eruption (min)")
    print(f"concentration {concentration:7g}: weights {gmm.weights_.round(2)}")
axes[0].set_ylabel("minutes to the next")
plt.show()
