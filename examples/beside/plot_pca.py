"""
scikit-learn's PCA beside PPCA
==============================

The same axes from complete rows. Where values are missing, PCA needs them filled in first;
``PPCA`` integrates over them. Minka (2001): its evidence also says how many components there
are, where explained variance only ever rises.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer

from skbayes import PPCA

rng = np.random.default_rng(0)
truth, _ = np.linalg.qr(rng.normal(size=(10, 3)))
X = rng.normal(size=(200, 3)) * [3, 2, 1.5] @ truth.T + rng.normal(0, 0.5, (200, 10))


def angle(axes):
    """Largest angle between two planes of three directions, in degrees."""
    cosines = np.linalg.svd(axes @ truth, compute_uv=False)
    return np.degrees(np.arccos(np.clip(cosines.min(), 0, 1)))


# %%
# Left, the evidence of 1 to 9 components. Right, how far the axes are from the truth as values
# go missing at random.

shares = (0, 0.1, 0.2, 0.3, 0.4)
errors = {"PCA of filled-in means": [], "PPCA": []}
for share in shares:
    holes = np.where(rng.uniform(size=X.shape) < share, np.nan, X)
    filled = SimpleImputer().fit_transform(holes)
    errors["PCA of filled-in means"].append(angle(PCA(3).fit(filled).components_))
    errors["PPCA"].append(angle(PPCA(3).fit(holes).components_))
chosen = PPCA("evidence").fit(X)

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4))
left.plot(range(1, len(chosen.log_evidences_) + 1), chosen.log_evidences_, "o-")
left.set(xlabel="number of components", ylabel="log evidence (nats)")
for (name, values), style in zip(errors.items(), ("s--", "o-"), strict=True):
    right.plot(shares, values, style, label=name)
    print(f"{name:24s}", *(f"{value:5.1f}" for value in values))
right.set(xlabel="share of values missing", ylabel="degrees from the true axes", ylim=0)
right.legend()
plt.show()
print("chosen by the evidence:", chosen.n_components_)
