"""A plain torch loop and pythae on binarised pictures, and one way to score all densities."""

from __future__ import annotations

import contextlib
import io
import logging
import math
import tempfile
import time
from itertools import pairwise

import numpy as np
import torch
from torch import nn

HIDDEN, N_CODES = (200, 200), 50
BATCH, RATE = 128, 1e-3


def timed(call):
    """Result and CPU seconds."""
    start = time.process_time()
    result = call()
    return result, time.process_time() - start


def layers(*sizes):
    """Dense layers with ReLU between them."""
    found = []
    for n_in, n_out in pairwise(sizes):
        found += [nn.Linear(n_in, n_out), nn.ReLU()]
    return nn.Sequential(*found[:-1])


class PlainVAE(nn.Module):
    """Encoder to mean and log variance, decoder to logits."""

    def __init__(self, n_pixels):
        super().__init__()
        self.encoder = layers(n_pixels, *HIDDEN, 2 * N_CODES)
        self.decoder = layers(N_CODES, *HIDDEN, n_pixels)

    def encode(self, x):
        """Mean and standard deviation of the codes."""
        mean, log_variance = self.encoder(x).chunk(2, dim=1)
        return mean, torch.exp(0.5 * log_variance)


def fit_plain(pixels, n_epochs, seed=0):
    """The loop that one writes by hand: Adam, batches by index, freshly binarised."""
    torch.manual_seed(seed)
    pixels = torch.as_tensor(pixels)
    model = PlainVAE(pixels.shape[1])
    adam = torch.optim.Adam(model.parameters(), lr=RATE)
    for _ in range(n_epochs):
        for index in torch.randperm(len(pixels)).split(BATCH):
            p = pixels[index]
            x = (torch.rand_like(p) < p).float()
            mean, log_variance = model.encoder(x).chunk(2, dim=1)
            z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
            misfit = nn.functional.binary_cross_entropy_with_logits(
                model.decoder(z), x, reduction="sum"
            )
            kl = -0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum()
            adam.zero_grad()
            ((misfit + kl) / len(x)).backward()
            adam.step()
    return model


def fit_pythae(pixels, n_epochs, seed=0):
    """pythae's VAE with the same networks, rows freshly binarised before each epoch.

    Its trained weights are returned as a `PlainVAE`.
    """
    from pythae.data.datasets import BaseDataset
    from pythae.models import VAE, VAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.trainers import BaseTrainer, BaseTrainerConfig
    from pythae.trainers.training_callbacks import TrainingCallback

    torch.manual_seed(seed)
    pixels = torch.as_tensor(pixels)
    n_pixels = pixels.shape[1]

    class Encoder(BaseEncoder):
        def __init__(self):
            super().__init__()
            self.layers = layers(n_pixels, *HIDDEN, 2 * N_CODES)

        def forward(self, x):
            mean, log_variance = self.layers(x).chunk(2, dim=1)
            return ModelOutput(embedding=mean, log_covariance=log_variance)

    class Decoder(BaseDecoder):
        def __init__(self):
            super().__init__()
            self.layers = layers(N_CODES, *HIDDEN, n_pixels)

        def forward(self, z):
            return ModelOutput(reconstruction=torch.sigmoid(self.layers(z)))

    dataset = BaseDataset(torch.bernoulli(pixels), torch.zeros(len(pixels)))

    class Binarise(TrainingCallback):
        def on_epoch_begin(self, training_config, **kwargs):
            torch.bernoulli(pixels, out=dataset.data)

    config = VAEConfig(input_dim=(n_pixels,), latent_dim=N_CODES, reconstruction_loss="bce")
    model = VAE(config, encoder=Encoder(), decoder=Decoder())
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        settings = BaseTrainerConfig(
            output_dir=folder,
            num_epochs=n_epochs,
            learning_rate=RATE,
            per_device_train_batch_size=BATCH,
            seed=seed,
            no_cuda=True,
        )
        trainer = BaseTrainer(model, dataset, training_config=settings, callbacks=[Binarise()])
        trainer.train()
    logging.disable(logging.NOTSET)
    trained = trainer._best_model if hasattr(trainer, "_best_model") else model
    plain = PlainVAE(n_pixels)
    plain.encoder.load_state_dict(trained.encoder.layers.state_dict())
    plain.decoder.load_state_dict(trained.decoder.layers.state_dict())
    return plain


@torch.no_grad()
def importance_nll(model, rows, n_draws=5000, chunk=5000, seed=0):
    """Importance-weighted negative log likelihoods (N,) of rows in nats."""
    generator = torch.Generator().manual_seed(seed)
    values = np.empty(len(rows))
    for i, x in enumerate(torch.as_tensor(rows)):
        mean, std = model.encode(x[None])
        noise = torch.randn(n_draws, mean.shape[1], generator=generator)
        z = mean + std * noise
        misfit = torch.cat([_misfit(model.decoder(part), x) for part in z.split(chunk)])
        # The normalisers of prior and posterior differ by the standard deviations alone.
        log_weight = -misfit - 0.5 * (z**2 - noise**2).sum(1) + std.log().sum()
        values[i] = math.log(n_draws) - torch.logsumexp(log_weight.double(), 0)
    return values


def _misfit(logits, x):
    """Negative log probability (K,) of one binary row under logits (K, D)."""
    return nn.functional.softplus(logits).sum(1) - logits @ x
