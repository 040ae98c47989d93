"""From an estimator's parts to its networks: constraints, configuration, model."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

from skbayes.autoencoder._context import Context
from skbayes.autoencoder._corruption import CORRUPTIONS, Corruption
from skbayes.autoencoder._table import Table
from skbayes.latent._latent_model import LatentModel
from skbayes.likelihoods import COLUMN_LIKELIHOODS, Likelihood
from skbayes.networks import WAYS_BACK, NetworkSpec
from skbayes.networks._encoder_decoder import joined
from skbayes.training import TRAININGS, Training
from skbayes.utils._sklearn import Interval, StrOptions
from skbayes.utils._warnings import warn

#: Parts of every trained autoencoder, by parameter.
PARTS: dict[str, dict[str, type]] = {
    "encoder": WAYS_BACK,
    "decoder": WAYS_BACK,
    "likelihood": COLUMN_LIKELIHOODS,
    "corruption": CORRUPTIONS,
    "training": TRAININGS,
}
#: What "auto" stands for in the networks of a trained autoencoder.
NETWORK_DEFAULTS = {"hidden_layer_sizes": [100, 100], "activation": "relu", "channels": [32, 64]}

POSITIVE = Interval(Integral, 1, None, closed="left")
TABLE_CONSTRAINTS: dict = {
    "likelihood": [StrOptions(set(COLUMN_LIKELIHOODS)), Likelihood, dict],
    "scale_inputs": [StrOptions({"column", "global"}), None],
}
PART_CONSTRAINTS: dict = {
    **TABLE_CONSTRAINTS,
    "n_components": [POSITIVE],
    "encoder": [StrOptions(set(WAYS_BACK)), NetworkSpec],
    "decoder": [StrOptions(set(WAYS_BACK)), NetworkSpec, None],
    "prior_scale": [Interval(Real, 0, None, closed="neither"), None],
    "corruption": [StrOptions(set(CORRUPTIONS)), Corruption, None],
    "allow_missing": ["boolean"],
    "training": [StrOptions(set(TRAININGS)), Training],
    "verbose": ["verbose"],
    "random_state": ["random_state"],
}
#: Parameters of other libraries' autoencoders, and of other parts of this one.
NAMESAKES = {
    "latent_dim": "n_components",
    "noise_variance": "likelihood='shared_gaussian', 'heteroscedastic' or Gaussian(noise=...)",
    "binarize": "likelihood=BernoulliColumns(binarize=...)",
    "epochs": "training=Training(max_iter=...), in steps of one batch",
    "max_epochs": "training=Training(max_iter=...), in steps of one batch",
    "lr": "training=Training(learning_rate=...)",
    "decoder_hidden_layer_sizes": "decoder=MLP(hidden_layer_sizes=...)",
    "corruption_rate": "corruption=Mask(rate=...) or GaussianNoise(sd=...)",
    "corruption='gaussian'": "corruption='gaussian_noise'",
}


def warn_if_as_wide(n_components: int, n_features: int) -> None:
    """Say of latents that nothing but their number holds back that they can copy a row."""
    if n_components >= n_features > 1:
        warn(
            f"n_components={n_components} latents can copy the {n_features} columns of X, and then "
            f"say nothing of what rows have in common; use fewer, at most {n_features - 1}",
        )


def build_model(architecture: dict[str, Any], table: Table, context: Context | None) -> LatentModel:
    """The model that an architecture, as `fit` stored it, describes."""
    q, n_context = architecture["n_components"], 0 if context is None else context.n_columns
    bottleneck, likelihood = architecture["bottleneck"].prepare(q), table.likelihood
    sees_missing = architecture["allow_missing"]
    n_inputs = table.n_encoded + (table.n_columns if sees_missing else 0)
    network = joined(
        architecture["encoder"].encoder(n_inputs, bottleneck.n_outputs, n_context),
        architecture["decoder"].decoder(q, likelihood.n_outputs, n_context),
    )
    prior = architecture["latent_prior"].prepare(q)
    return LatentModel(network, bottleneck, likelihood, prior, sees_missing)
