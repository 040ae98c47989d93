"""What the densities' proposals cost, as `fit` reckons it."""

import numpy as np
import torch

from skbayes import VAETransformer
from skbayes.autoencoder._base import encode_rows
from skbayes.latent._importance import laplace, modes_cost
from skbayes.latent._latent_model import LatentModel, double


def test_a_mode_costs_so_many_decodings(monkeypatch):
    X = np.random.default_rng(0).normal(size=(10, 4))
    vae = (
        VAETransformer(3, n_score_samples=4)
        .set_params(encoder__hidden_layer_sizes=(5,), training__max_iter=5)
        .fit(X)
    )
    decoded, decode = [], LatentModel.decode

    def counted(self, parameters, z, context):
        decoded.append(z.numel() // z.shape[-1])
        return decode(self, parameters, z, context)

    monkeypatch.setattr(LatentModel, "decode", counted)
    rows = encode_rows(vae._table, X, None).to(torch.float64)
    start = torch.zeros(10, 3, dtype=torch.float64)
    laplace(vae._model(), double(vae._tensors()), rows, start)
    assert sum(decoded) == 10 * modes_cost(3)
