"""
A linear autoencoder finds PCA's plane
======================================

Without hidden layers, an autoencoder that is trained on squared error spans the plane of the
first principal components (Baldi and Hornik, 1989), though its latents need not be the
components themselves. A linear variational autoencoder does the same, and has PPCA's density.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.linalg import subspace_angles
from sklearn.datasets import load_wine
from sklearn.preprocessing import StandardScaler

from skbayes import PPCA, AutoencoderTransformer, VAETransformer
from skbayes.networks import MLP
from skbayes.training import Training

X = StandardScaler().fit_transform(load_wine().data)
y = load_wine().target
linear = {
    "encoder": MLP(()),
    "prior_scale": None,
    "likelihood": "shared_gaussian",
    "training": Training(max_iter=1500, learning_rate=0.01),
    "random_state": 0,
}
coders = {
    "PPCA": PPCA(2),
    "linear autoencoder": AutoencoderTransformer(2, **linear),
    "linear VAE": VAETransformer(2, **linear),
}


def plane(coder):
    """Two directions in which rows move as latents move."""
    corners = coder.inverse_transform(np.array([[0.0, 0], [1, 0], [0, 1]]))
    return (corners[1:] - corners[0]).T


# %%
# Largest angle between each plane and that of PPCA, and the density where there is one.

figure, axes = plt.subplots(1, 3, figsize=(12, 3.8))
for ax, (name, coder) in zip(axes, coders.items(), strict=True):
    Z = coder.fit_transform(X)
    ax.scatter(*Z.T, c=y, s=12)
    ax.set(title=name, xlabel="first latent", ylabel="second latent")
    degrees = np.degrees(subspace_angles(plane(coders["PPCA"]), plane(coder))[0])
    density = "" if name == "linear autoencoder" else f", {coder.score(X):.2f} nats a row"
    print(f"{name:20} {degrees:4.1f} degrees{density}")
plt.show()
