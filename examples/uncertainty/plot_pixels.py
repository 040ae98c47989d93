"""
A doubt for every pixel
=======================

Two digits lie on one sheet, the second over a part of the first. A small encoder and decoder
(Ronneberger et al., 2015) names for each pixel whether it is paper, the first digit or the
second. Segmentation networks of this kind are the seminar's example of why a label alone is not
enough (Kendall and Gal, 2017): an ensemble says *where* it is not sure, which is along the edges
and where ink lies on ink.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score

from skbayes import BayesianModuleClassifier
from skbayes.inference import DeepEnsemble
from skbayes.networks import UNet

digits, rng = load_digits().images / 16, np.random.default_rng(0)


def sheets(n):
    X, y = np.zeros((n, 12, 12)), np.zeros((n, 12, 12), dtype=int)
    for picture, labels in zip(X, y, strict=True):
        places = ((0, 0), rng.integers(0, 5, 2))
        for label, (top, left) in enumerate(places, 1):
            digit = digits[rng.integers(len(digits))]
            part = np.s_[top : top + 8, left : left + 8]
            ink = digit > 0.3
            picture[part] = np.where(ink, (0.5 + 0.5 * label) * digit, picture[part])
            labels[part] = np.where(ink, label, labels[part])
    return X, y


X, y = sheets(500)
ensemble = DeepEnsemble(n_members=4, max_iter=300, hyperparameters="fixed")
clf = BayesianModuleClassifier(UNet(channels=(8, 16)), inference=ensemble, random_state=0)
clf.fit(X[:400], y[:400])
seen, truth = X[400:], y[400:]
found, doubt = clf.predict(seen), clf.predict_uncertainty(seen).mutual_information
print(f"{clf.score(seen, truth):.3f} of the pixels are right")

# %%
# Mutual information is what the members disagree about. It ranks pixels: wrong ones come first.

wrong = found != truth
auroc = roc_auc_score(wrong.ravel(), doubt.ravel())
print(f"AUROC of mutual information for wrong pixels {auroc:.3f}")
edge = np.zeros_like(wrong)
edge[:, 1:] |= truth[:, 1:] != truth[:, :-1]
edge[:, :, 1:] |= truth[:, :, 1:] != truth[:, :, :-1]
print(f"at edges {doubt[edge].mean():.4f} nats, elsewhere {doubt[~edge].mean():.4f}")

figure, axes = plt.subplots(3, 4, figsize=(8, 6))
for column, (top, middle, bottom) in enumerate(zip(seen, found, doubt, strict=True)):
    if column == axes.shape[1]:
        break
    axes[0, column].imshow(top, cmap="gray_r")
    axes[1, column].imshow(middle, cmap="viridis", vmin=0, vmax=2)
    axes[2, column].imshow(bottom, cmap="magma", vmin=0, vmax=np.quantile(doubt, 0.998))
for ax, name in zip(axes[:, 0], ("sheet", "found", "doubt"), strict=True):
    ax.set_ylabel(name)
for ax in axes.flat:
    ax.set(xticks=[], yticks=[])
plt.tight_layout()
plt.show()
