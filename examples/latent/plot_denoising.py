"""
Digits without their noise
==========================

A denoising autoencoder (Vincent et al., 2008) sees rows with noise added and is asked for the
clean ones, so that its latents must say what digits have in common. The plain one, trained to
copy, copies the noise too.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from skbayes import AutoencoderTransformer
from skbayes.autoencoder import GaussianNoise
from skbayes.networks import MLP
from skbayes.training import Training

X = load_digits().data
train, test = X[:1200], X[1200:]
rng = np.random.default_rng(0)
noisy = test + rng.normal(0, 4, test.shape)
# Noise is in standardised units: 4 of 16 grey levels over the pixels' common scale.
sd = 4 / train.std()
settings = {
    "encoder": MLP((100,)),
    "scale_inputs": "global",
    "training": Training(max_iter=1500),
    "random_state": 0,
}
coders = {
    "plain": AutoencoderTransformer(30, **settings),
    "denoising": AutoencoderTransformer(30, corruption=GaussianNoise(sd=sd), **settings),
}

# %%
# Error of held-out digits, noisy and cleaned.

pictures = {"clean": test, "noisy": noisy}
for name, coder in coders.items():
    pictures[name] = coder.fit(train).reconstruct(noisy)
for name in ("noisy", "plain", "denoising"):
    print(f"{name:10} {np.sqrt(np.mean((pictures[name] - test) ** 2)):.2f} grey levels")
figure, axes = plt.subplots(4, 8, figsize=(8, 4.2))
for row, (name, rows) in zip(axes, pictures.items(), strict=True):
    for ax, picture in zip(row, rows, strict=False):
        ax.imshow(picture.reshape(8, 8), cmap="gray_r", vmin=0, vmax=16)
        ax.set(xticks=[], yticks=[])
    row[0].set_ylabel(name)
plt.show()
