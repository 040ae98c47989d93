"""
A digit turns, and doubt rises
==============================

After Gal and Ghahramani (2016), figure 4: a network that has seen upright digits is shown a 1
that is turned step by step. On the way it looks like other digits or like none. A posterior
over networks says so: its draws disagree, and the mutual information of label and weights
rises, in nats.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.ndimage import rotate
from sklearn.datasets import load_digits

from skbayes import BayesianMLPClassifier

X, y = load_digits(return_X_y=True)
clf = BayesianMLPClassifier((20,), inference="deep_ensemble", scale_inputs="global", random_state=0)
clf.set_params(inference__n_members=5, inference__max_iter=150).fit(X[:600], y[:600])

# %%
# The digit comes from rows that were not fitted.

angles = np.arange(0, 181, 15)
one = X[600:][y[600:] == 1][2].reshape(8, 8)
turned = np.stack([np.clip(rotate(one, a, reshape=False, order=1), 0, 16) for a in angles])
proba = clf.predict_proba(turned.reshape(-1, 64))
doubt = clf.predict_uncertainty(turned.reshape(-1, 64)).mutual_information

figure = plt.figure(figsize=(10, 5))
grid = figure.add_gridspec(2, len(angles), height_ratios=(1, 4))
for column, picture in enumerate(turned):
    ax = figure.add_subplot(grid[0, column])
    ax.imshow(picture, cmap="gray_r")
    ax.set_axis_off()
ax = figure.add_subplot(grid[1, :])
for digit in np.flatnonzero(proba.max(axis=0) > 0.3):
    ax.plot(angles, proba[:, digit], "o-", label=f"probability of {digit}")
ax.plot(angles, doubt, "k--", label="mutual information (nats)")
ax.set(xlabel="degrees", ylabel="probability, or nats", xticks=angles)
ax.legend()
plt.show()
print("doubt", *(f"{value:.2f}" for value in doubt))
